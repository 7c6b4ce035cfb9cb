//! The admin listener: metrics for Prometheus, liveness and readiness for the operator of the process. It must not be on a
//! public address; its pages name no caller, no session and no token. Each connection serves one request, and every wait and
//! count has a limit here too.
//!
//! A web page whose host name resolves to this listener's address (DNS rebinding) could read these pages in its reader's browser.
//! So a request for a host name that is not configured (admin.hosts) gets 421. IP addresses are served: probes and Prometheus use them.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri, Version,
        header::{CONTENT_TYPE, HOST},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use mcp_gateway_core::{
    http::authority::Authority,
    refusal::found::{Found, Listed},
};
use pingora::{
    server::{ListenFds, ShutdownWatch},
    services::Service,
};
use serde::Serialize;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use crate::{
    authorization_server::{
        providers::watch::ProviderState, server::Server as AuthorizationServer,
    },
    limits::overload::{descriptors, spares::Spares},
    shared::Gateway,
    telemetry::log_interval::LogInterval,
};

/// Connections open at once; the next one waits.
const MAX_CONNECTIONS: usize = 32;

/// Descriptors held back for this listener: when the process has none left, they are closed, one for each connection.
const SPARES: usize = 8;

/// Deadline of a request's head.
const HEADER_DEADLINE: Duration = Duration::from_secs(5);

/// Deadline of a whole connection. A connection serves one request.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(10);

/// How long to pause when no connection can be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The admin listener as a Pingora service, with a thread of its own: it answers when the gateway is busy.
pub(crate) struct Admin {
    socket: Option<StdListener>,
    gateway: Arc<Gateway>,
    hosts: Arc<[Authority]>,
}

impl Admin {
    /// Serves on a bound socket, for IP addresses, `localhost` and these host names.
    pub(crate) fn new(socket: StdListener, gateway: Arc<Gateway>, hosts: Vec<Authority>) -> Self {
        Self {
            socket: Some(socket),
            gateway,
            hosts: hosts.into(),
        }
    }
}

#[async_trait]
impl Service for Admin {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        let Some(socket) = self.socket.take() else {
            return;
        };
        match TcpListener::from_std(socket) {
            Ok(socket) => tokio::select! {
                // First, because the new process answers on the same socket.
                biased;
                () = self.gateway.process_state().wait_for_hand_over() => {}
                () = accept(socket, router(self.gateway.clone(), self.hosts.clone())) => {}
            },
            Err(error) => tracing::error!("admin listener failed (admin.address): {error}"),
        }
    }

    fn name(&self) -> &str {
        "admin"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}

async fn accept(socket: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let spares = Arc::new(Spares::hold(SPARES));
    // The semaphore is never closed.
    while let Ok(place) = places.clone().acquire_owned().await {
        spares.fill();
        let accepted = next(&socket, &spares).await;
        let (router, spares) = (router.clone(), spares.clone());
        match accepted {
            Ok((tcp, _)) => drop(tokio::spawn(async move {
                let _place = place;
                answer(tcp, router, &spares).await;
            })),
            Err(error) => {
                tracing::debug!("cannot accept an admin connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The next connection. Where no descriptor is left for it, it gets a spare one.
async fn next(socket: &TcpListener, spares: &Spares) -> io::Result<(TcpStream, SocketAddr)> {
    loop {
        match socket.accept().await {
            // Another thread may take the closed one first. Then the next one is closed.
            Err(error) if descriptors::are_exhausted(&error) && spares.give() => {}
            accepted => return accepted,
        }
    }
}

async fn answer(tcp: TcpStream, router: Router, spares: &Spares) {
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .keep_alive(false)
        .serve_connection(TokioIo::new(tcp), TowerToHyperService::new(router));
    if let Ok(Err(error)) = timeout(CONNECTION_DEADLINE, &mut connection).await {
        tracing::debug!("admin request failed: {error}");
    }
    if let Ok(tcp) = connection.into_parts().io.into_inner().into_std() {
        spares.take_back(tcp.into());
    }
}

fn router(gateway: Arc<Gateway>, hosts: Arc<[Authority]>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .layer(middleware::from_fn_with_state(hosts, refuse_other_hosts))
        .with_state(gateway)
}

async fn refuse_other_hosts(
    State(hosts): State<Arc<[Authority]>>,
    request: Request,
    next: Next,
) -> Response {
    /// Time between two log lines.
    static INTERVAL: LogInterval = LogInterval::every(Duration::from_secs(60));
    if is_for_this_listener(request.headers(), request.uri(), request.version(), &hosts) {
        return next.run(request).await;
    }
    if let Some(count) = INTERVAL.count_due() {
        let sent = request.headers().get(HOST).map(HeaderValue::as_bytes);
        let sent = String::from_utf8_lossy(sent.unwrap_or_default());
        let accepted: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        tracing::warn!(
            count,
            host = %Found(&sent),
            accepted = %Listed(accepted.iter().map(String::as_str)),
            "admin request rejected: its host is not an IP address, localhost or one of admin.hosts"
        );
    }
    let text = "The admin listener is not reached by this host name (admin.hosts).\n";
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

/// Whether a request is for an IP address, `localhost` or a configured name: by its one `Host`, and by its target where that
/// has a host. Only HTTP/1.0, which no browser speaks, has requests without one.
fn is_for_this_listener(
    headers: &HeaderMap,
    uri: &Uri,
    version: Version,
    hosts: &[Authority],
) -> bool {
    let is_known = |text: &str| Authority::parse(text).is_ok_and(|host| is_host(&host, hosts));
    let mut lines = headers.get_all(HOST).iter();
    let by_header = match (lines.next(), lines.next()) {
        (Some(line), None) => line.to_str().is_ok_and(is_known),
        (None, _) => version == Version::HTTP_10,
        _ => false,
    };
    by_header
        && uri
            .authority()
            .is_none_or(|authority| is_known(authority.as_str()))
}

fn is_host(host: &Authority, hosts: &[Authority]) -> bool {
    let name = host.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok()
        || host.is_loopback()
        || hosts.iter().any(|own| own.host() == name)
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    for keys in gateway.snapshot().keys.values() {
        keys.observe_age();
    }
    if let Some(server) = &gateway.snapshot().authorization_server {
        server.observe_provider_keys();
    }
    gateway.observe_pools();
    let text = gateway.metrics().render();
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
}

/// The readiness page: ready when the listeners are bound and the keys of every issuer of a resource were requested once. An issuer
/// without keys affects only its own resources, or the token endpoint: the page shows it, but it does not fail readiness.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    draining: bool,
    /// `descriptors` or `memory`, while there is not enough of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    shortage: Option<&'static str>,
    issuers: Vec<IssuerState>,
    /// Providers that people sign in with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    providers: Vec<IssuerState>,
}

#[derive(Serialize)]
struct IssuerState {
    name: String,
    keys: usize,
    state: &'static str,
}

async fn ready(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    let snapshot = gateway.snapshot();
    let issuers = snapshot.keys.values();
    let server = snapshot.authorization_server.as_ref();
    let shortage = gateway.overload().shortage();
    let ready = gateway.process_state().is_ready() && gateway.has_asked() && shortage.is_none();
    let page = Readiness {
        ready,
        draining: gateway.process_state().is_draining(),
        shortage,
        issuers: issuers.map(|keys| state(keys)).collect(),
        providers: server.map(providers).unwrap_or_default(),
    };
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(page))
}

fn providers(server: &AuthorizationServer) -> Vec<IssuerState> {
    let states = server.provider_states().into_iter();
    states
        .map(|ProviderState { name, keys, state }| IssuerState { name, keys, state })
        .collect()
}

fn state(keys: &crate::issuer_keys::keys::IssuerKeys) -> IssuerState {
    let usable = keys.usable();
    IssuerState {
        name: keys.name().to_owned(),
        keys: usable.as_ref().map_or(0, |state| state.keys().len()),
        state: match (keys.was_tried(), usable) {
            (_, Some(_)) => "ok",
            (true, None) => "no usable keys",
            (false, None) => "not asked yet",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_served(hosts: &[&str], target: &str, version: Version) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, host.parse().unwrap());
        }
        let own = [Authority::parse("gateway.mcp.svc").unwrap()];
        is_for_this_listener(&headers, &target.parse().unwrap(), version, &own)
    }

    #[test]
    fn only_addresses_and_configured_names_are_served() {
        for (host, expected) in [
            ("127.0.0.1:9090", true),
            ("10.1.2.3:9090", true),
            ("[::1]:9090", true),
            ("[2001:db8::1]", true),
            ("localhost:9090", true),
            ("Gateway.mcp.svc:9090", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example:9090", false),
            ("gateway.mcp.svc.evil.example", false),
            ("localhost.evil.example", false),
            ("localhost.", false),
            ("user@127.0.0.1", false),
            ("", false),
        ] {
            let served = is_served(&[host], "/metrics", Version::HTTP_11);
            assert_eq!(served, expected, "{host}");
        }
    }

    #[test]
    fn one_host_is_named_and_the_target_names_no_other() {
        let own = "127.0.0.1:9090";
        assert!(!is_served(&[own, "evil.example"], "/", Version::HTTP_11));
        assert!(!is_served(&[own], "http://evil.example/", Version::HTTP_11));
        assert!(is_served(
            &[own],
            "http://127.0.0.1:9090/",
            Version::HTTP_11
        ));
        assert!(!is_served(&[], "/", Version::HTTP_11));
        assert!(is_served(&[], "/", Version::HTTP_10));
    }
}

//! The admin listener: metrics for Prometheus, liveness and readiness for the operator of the process. It must not be on a
//! public address; its pages name no caller, no session and no token. Each connection serves one request, and every wait and
//! count has a limit here too.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
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
    limits::overload::{descriptors, spares::Spares},
    shared::Gateway,
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
}

impl Admin {
    /// Serves on a bound socket.
    pub(crate) fn new(socket: StdListener, gateway: Arc<Gateway>) -> Self {
        Self {
            socket: Some(socket),
            gateway,
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
                () = accept(socket, router(self.gateway.clone())) => {}
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

fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .with_state(gateway)
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    for keys in gateway.snapshot().keys.values() {
        keys.observe_age();
    }
    gateway.observe_pools();
    let text = gateway.metrics().render();
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
}

/// The readiness page: ready when the listeners are bound and the keys of every issuer were requested once. An issuer
/// without keys affects only its own resources: the page shows it, but it does not fail readiness.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    draining: bool,
    /// `descriptors` or `memory`, while there is not enough of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    shortage: Option<&'static str>,
    issuers: Vec<IssuerState>,
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
    let shortage = gateway.overload().shortage();
    let ready =
        gateway.process_state().is_ready() && gateway.has_asked_issuers() && shortage.is_none();
    let page = Readiness {
        ready,
        draining: gateway.process_state().is_draining(),
        shortage,
        issuers: issuers.map(|keys| state(keys)).collect(),
    };
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(page))
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

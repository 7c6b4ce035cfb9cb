//! One endpoint of an upstream, that is one instance of an MCP server: its address, its connections, and the fixed parts of every
//! request to it.
//!
//! Each endpoint has its own pool, so a connection verified for one is never used for another. Names are resolved for every new
//! connection, not on the worker threads.

use std::{collections::BTreeSet, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use http::{HeaderValue, Method, Response, Uri};
use mcp_gateway_core::{endpoint_id::EndpointId, http::answer::status::Asked};

use super::{
    body::{LinkBody, UpstreamBody},
    connect::{Connector, Opened, Version},
    error::{SendError, UpstreamError},
    http2::{Connections, Sent},
    link::{Link, Unanswered},
    pool::Pool,
    sending::SentRequest,
};
use crate::config::{Timeouts, Upstream as Configured, UpstreamTarget, UpstreamTls};

/// The settings of an endpoint. Equal settings make equal endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Settings {
    configured: Configured,
    /// The only address of the host that is connected to.
    address: Option<IpAddr>,
    connect_deadline: Duration,
    keep_alive: Duration,
}

impl Settings {
    /// The files of TLS; none without it.
    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let tls = match &self.configured.target {
            UpstreamTarget::Https { tls, .. } => Some(tls),
            UpstreamTarget::Http { .. } | UpstreamTarget::Unix { .. } => None,
        };
        tls.into_iter().flat_map(UpstreamTls::files)
    }
}

/// The destination of requests.
#[derive(Debug)]
pub(crate) struct Endpoint {
    settings: Settings,
    connector: Arc<Connector>,
    pub(super) pool: Arc<Pool>,
    /// Where requests can share connections.
    shared: Option<Arc<Connections>>,
    uri: Uri,
    /// The path of the URL, as the target of a request.
    target: Uri,
    host: HeaderValue,
    /// Scheme and authority of the URL.
    origin: String,
    id: EndpointId,
    /// The URL without its query, which may be secret.
    shown: String,
    /// What the access log calls it.
    name: String,
}

impl Endpoint {
    /// The one of `previous` with the same settings and with its open connections, if no file of its TLS is in `changed_files`; else a
    /// new one, without connections.
    ///
    /// # Errors
    /// The URL or a file cannot be used.
    pub(crate) fn reuse_or_new<'a>(
        previous: impl IntoIterator<Item = &'a Arc<Self>>,
        configured: &Configured,
        timeouts: &Timeouts,
        changed_files: &BTreeSet<PathBuf>,
    ) -> Result<Arc<Self>, UpstreamError> {
        let settings = Settings {
            configured: configured.clone(),
            address: None,
            connect_deadline: timeouts.upstream_connect,
            keep_alive: timeouts.upstream_keep_alive,
        };
        let has_changed = settings.files().any(|file| changed_files.contains(file));
        let is_same = |previous: &&Arc<Self>| previous.settings == settings && !has_changed;
        match previous.into_iter().find(is_same) {
            Some(previous) => Ok(previous.clone()),
            None => Self::new(settings).map(Arc::new),
        }
    }

    /// The same endpoint at one address of its host, without connections. Host and TLS name stay.
    ///
    /// # Errors
    /// The URL cannot be used.
    pub(super) fn at(&self, address: IpAddr) -> Result<Arc<Self>, UpstreamError> {
        let settings = Settings {
            address: Some(address),
            ..self.settings.clone()
        };
        Self::build(settings, self.connector.at(address)).map(Arc::new)
    }

    fn new(settings: Settings) -> Result<Self, UpstreamError> {
        let connector = Connector::new(&settings.configured, settings.connect_deadline)?;
        Self::build(settings, connector)
    }

    fn build(settings: Settings, connector: Connector) -> Result<Self, UpstreamError> {
        let connector = Arc::new(connector);
        let url = |problem: &dyn std::fmt::Display| UpstreamError::Url(problem.to_string());
        let configured = &settings.configured;
        let origin = match &configured.target {
            UpstreamTarget::Http { authority } => format!("http://{authority}"),
            UpstreamTarget::Https { authority, .. } => format!("https://{authority}"),
            UpstreamTarget::Unix { .. } => "http://localhost".to_owned(),
        };
        let endpoint = match &configured.target {
            UpstreamTarget::Unix { socket } => {
                format!("unix:{}{}", socket.display(), configured.path)
            }
            _ => format!("{origin}{}", configured.path),
        };
        let shown = endpoint.clone();
        // A server may serve several tenants, by query or host, and a session belongs to one of them.
        let endpoint = match &configured.query {
            Some(query) => format!("{endpoint}?{query}"),
            None => endpoint,
        };
        let own_host = match &configured.target {
            UpstreamTarget::Http { authority } | UpstreamTarget::Https { authority, .. } => {
                authority.to_string()
            }
            UpstreamTarget::Unix { .. } => "localhost".to_owned(),
        };
        let endpoint = match configured.host == own_host {
            true => endpoint,
            false => format!("{endpoint} as {}", configured.host),
        };
        let (endpoint, shown) = match settings.address {
            Some(address) => (
                format!("{endpoint} at {address}"),
                format!("{shown} at {address}"),
            ),
            None => (endpoint, shown),
        };
        let name = match settings.address {
            Some(address) => address.to_string(),
            None => shown.clone(),
        };
        let uri: Uri = format!("{origin}{}", configured.path)
            .parse()
            .map_err(|error: http::uri::InvalidUri| url(&error))?;
        let target = uri
            .path()
            .parse()
            .map_err(|error: http::uri::InvalidUri| url(&error))?;
        let pool = Pool::new(settings.keep_alive);
        let authority = configured
            .host
            .parse()
            .map_err(|error: http::uri::InvalidUri| url(&error))?;
        let shared = (connector.version() != Version::Http1).then(|| {
            Connections::new(
                connector.clone(),
                uri.clone(),
                authority,
                settings.keep_alive,
                pool.clone(),
            )
        });
        Ok(Self {
            connector,
            pool,
            shared,
            uri,
            target,
            host: HeaderValue::from_str(&configured.host).map_err(|error| url(&error))?,
            origin,
            id: EndpointId::of(&endpoint),
            shown,
            name,
            settings,
        })
    }

    /// The value of the `Host` header for the upstream.
    pub(crate) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// Its id, which sealed values hold.
    pub(crate) const fn id(&self) -> EndpointId {
        self.id
    }

    /// The URL without its query, which may be secret; with the address, if there is only one.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Its name in the access log: the only address, or the URL without its query.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What a request with this method is sent to, for details about its answer.
    pub(crate) fn asked<'a>(&'a self, method: &'a Method) -> Asked<'a> {
        let origin = match &self.settings.configured.target {
            UpstreamTarget::Unix { .. } => None,
            _ => Some(self.origin.as_str()),
        };
        Asked {
            origin,
            path: self.uri.path(),
            host: &self.settings.configured.host,
            method,
        }
    }

    /// The query of the configured URL.
    pub(crate) fn query(&self) -> Option<&str> {
        self.settings.configured.query.as_deref()
    }

    /// The request target for the upstream, with this query.
    pub(crate) fn target(&self, query: Option<&str>) -> Uri {
        let Some(query) = query else {
            return self.target.clone();
        };
        let target = format!("{}?{query}", self.uri.path()).parse();
        target.unwrap_or_else(|_| self.uri.clone())
    }

    /// Sends a request, and returns the answer after its head. It is sent again only if the upstream has certainly not
    /// processed it.
    ///
    /// # Errors
    /// No connection could be opened, or it broke off.
    pub(crate) async fn send(
        &self,
        request: SentRequest,
    ) -> Result<Response<UpstreamBody>, SendError> {
        match &self.shared {
            Some(shared) if !shared.chose_http1() => Box::pin(self.share(shared, request, 0)).await,
            _ => self.send_alone(request).await,
        }
    }

    /// Sends a request again that got [`SendError::Closed`], on a connection that was opened since.
    ///
    /// # Errors
    /// No connection could be opened, or it broke off.
    pub(crate) async fn send_again(
        &self,
        request: SentRequest,
        before: u64,
    ) -> Result<Response<UpstreamBody>, SendError> {
        match &self.shared {
            Some(shared) if !shared.chose_http1() => self.share(shared, request, before).await,
            _ => self.send_afresh(request).await,
        }
    }

    /// Sends a request over HTTP/2, on a connection with this number or a later one; over HTTP/1.1 if the upstream chooses
    /// that.
    async fn share(
        &self,
        shared: &Arc<Connections>,
        request: SentRequest,
        from: u64,
    ) -> Result<Response<UpstreamBody>, SendError> {
        match shared.send(request, from).await {
            Ok(Sent::Answered(response)) => Ok(response.map(UpstreamBody::Http2)),
            Ok(Sent::ChoseHttp1(request)) if from > 0 => self.send_afresh(request).await,
            Ok(Sent::ChoseHttp1(request)) => self.send_alone(request).await,
            Err(SendError::Unreachable(problem)) => Err(self.unreachable(&problem)),
            Err(error) => Err(error),
        }
    }

    /// Sends a request over HTTP/1.1, on a connection of its own. A request that could not be sent on an idle connection is
    /// sent again on another one; a request that the upstream may have read is not.
    async fn send_alone(
        &self,
        mut request: SentRequest,
    ) -> Result<Response<UpstreamBody>, SendError> {
        while let Some(link) = self.pool.take() {
            match self.exchange(link, request).await {
                Ok(response) => return Ok(response),
                Err(Unanswered::Unsent(unsent)) => request = *unsent,
                Err(Unanswered::Closed(why)) => return Err(SendError::Closed { why, before: 0 }),
                Err(Unanswered::Broken(why)) => return Err(SendError::Broken(why)),
            }
        }
        // Boxed: most calls find a connection, and are not to carry what opening one takes.
        Box::pin(self.send_afresh(request)).await
    }

    /// Sends a request on a new connection.
    async fn send_afresh(&self, request: SentRequest) -> Result<Response<UpstreamBody>, SendError> {
        let opened = self.connector.connect(&self.uri).await;
        match (
            opened.map_err(|problem| self.unreachable(&problem))?,
            &self.shared,
        ) {
            (Opened::Http1(link), _) => {
                let answered = self.exchange(link, request).await;
                answered.map_err(SendError::from)
            }
            // The upstream has changed since its last connection.
            (Opened::Http2(wire), Some(shared)) => {
                shared.adopt(wire);
                Box::pin(self.share(shared, request, 0)).await
            }
            (Opened::Http2(_), None) => {
                Err(SendError::Broken("HTTP/2 was not asked for".to_owned()))
            }
        }
    }

    /// Opens a connection and closes it, to see whether that is possible.
    ///
    /// # Errors
    /// No connection could be opened.
    pub(super) async fn reach(&self) -> Result<(), SendError> {
        let opened = self.connector.connect(&self.uri).await;
        opened
            .map(drop)
            .map_err(|problem| self.unreachable(&problem))
    }

    fn unreachable(&self, problem: &str) -> SendError {
        SendError::Unreachable(format!("{}: {problem}", self.shown))
    }

    /// Sends one request on one connection; its answer returns the connection to the pool.
    async fn exchange(
        &self,
        link: Link,
        request: SentRequest,
    ) -> Result<Response<UpstreamBody>, Unanswered> {
        let (response, link) = link.exchange(request).await?;
        Ok(response.map(|body| UpstreamBody::Http1(LinkBody::new(body, link, self.pool.clone()))))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mcp_gateway_core::http::authority::Authority;

    use super::*;

    fn plain(host: &str, path: &str) -> Configured {
        Configured {
            target: UpstreamTarget::Http {
                authority: Authority::parse("127.0.0.1:9").unwrap(),
            },
            host: host.to_owned(),
            path: path.to_owned(),
            query: None,
            http2: false,
        }
    }

    fn is_reused(
        (old, old_timeouts): (&Configured, &Timeouts),
        (new, new_timeouts): (&Configured, &Timeouts),
        changed_files: &BTreeSet<PathBuf>,
    ) -> bool {
        let nothing = BTreeSet::new();
        let old = Endpoint::reuse_or_new(None, old, old_timeouts, &nothing).unwrap();
        let new = Endpoint::reuse_or_new(Some(&old), new, new_timeouts, changed_files).unwrap();
        Arc::ptr_eq(&old, &new)
    }

    #[test]
    fn it_is_reused_unless_its_settings_differ() {
        let (old, timeouts) = (plain("a.test", "/mcp"), Timeouts::default());
        let connecting = Timeouts {
            upstream_connect: timeouts.upstream_connect * 2,
            ..timeouts
        };
        let keeping = Timeouts {
            upstream_keep_alive: timeouts.upstream_keep_alive * 2,
            ..timeouts
        };
        let header = Timeouts {
            header: timeouts.header * 2,
            ..timeouts
        };
        for (new, new_timeouts, expected) in [
            (plain("a.test", "/mcp"), timeouts, true),
            (plain("a.test", "/mcp"), header, true),
            (plain("b.test", "/mcp"), timeouts, false),
            (plain("a.test", "/other"), timeouts, false),
            (plain("a.test", "/mcp"), connecting, false),
            (plain("a.test", "/mcp"), keeping, false),
        ] {
            let found = is_reused((&old, &timeouts), (&new, &new_timeouts), &BTreeSet::new());
            assert_eq!(found, expected, "{new:?} {new_timeouts:?}");
        }
    }

    #[test]
    fn it_is_not_reused_when_the_content_of_its_ca_file_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        let certified = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
        fs::write(&ca_file, certified.cert.pem()).unwrap();
        let configured = Configured {
            target: UpstreamTarget::Https {
                authority: Authority::parse("127.0.0.1:9").unwrap(),
                tls: UpstreamTls {
                    ca_file: Some(ca_file.clone()),
                    ..UpstreamTls::default()
                },
            },
            ..plain("a.test", "/mcp")
        };
        let timeouts = Timeouts::default();
        let same = (&configured, &timeouts);
        let others = BTreeSet::from([folder.path().join("other.pem")]);
        assert!(is_reused(same, same, &others));
        assert!(!is_reused(same, same, &BTreeSet::from([ca_file])));
    }
}

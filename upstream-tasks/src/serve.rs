//! The HTTP endpoint: one path that answers MCP, from the first connection to an orderly shutdown.

use std::{future::Future, io, pin::pin, str::FromStr, sync::Arc, time::Duration};

use axum::{Router, middleware, serve::ListenerExt as _};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    Listener, TaskStore,
    assertion::{self, RequiredAssertion, Verifier},
    listen::Socket,
    server::TaskServer,
};

/// Largest request body, in bytes: more than any task within its limits needs.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// How many sessions and sessionless requests may be open at one time; one more is answered with 500.
const MAX_OPEN: usize = 16_384;
/// How long a legacy session may be idle before it is removed.
const SESSION_IDLE: Duration = Duration::from_secs(60 * 60);
/// At shutdown: how long running requests may take, before open streams are closed.
const DRAIN_DEADLINE: Duration = Duration::from_millis(500);
/// How long connections may take to close after that.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Settings of the endpoint. The default is `/mcp`, for loopback names only.
#[derive(Clone, Debug, Default)]
pub struct ServeConfig {
    /// The path that answers MCP.
    pub path: McpPath,
    /// Host names (`tasks.internal`, `tasks.internal:9000`) accepted in addition to the loopback names. Any other
    /// `Host` is refused, so that web pages cannot reach a local server by DNS rebinding.
    pub allowed_hosts: Vec<String>,
    /// Assertions of the gateway that every call must have; none trusts whatever can reach the server.
    pub assertion: Option<RequiredAssertion>,
}

/// Serves MCP until `shutdown` completes. Then no new connection is accepted, running requests get half a second to
/// finish, and open event streams are closed.
///
/// # Errors
///
/// [`ServeError`] when the socket fails.
pub async fn serve(
    listener: Listener,
    store: TaskStore,
    config: ServeConfig,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let draining = CancellationToken::new();
    let streams = CancellationToken::new();
    let router = router(store, &config, &draining, &streams);
    let stop = signal(shutdown, draining.clone());
    match listener.socket {
        Socket::Tcp(tcp) => {
            // Without it an event waits up to 40 ms for the acknowledgement of the one before.
            let tcp = tcp.tap_io(|stream| {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY could not be set");
                }
            });
            let server = axum::serve(tcp, router).with_graceful_shutdown(stop);
            run(server.into_future(), &draining, &streams).await
        }
        Socket::Unix(unix, _file) => {
            let server = axum::serve(unix, router).with_graceful_shutdown(stop);
            run(server.into_future(), &draining, &streams).await
        }
    }
}

async fn signal(shutdown: impl Future<Output = ()>, draining: CancellationToken) {
    shutdown.await;
    draining.cancel();
}

/// Runs the server until it ends; at shutdown, closes streams that clients keep open.
async fn run(
    server: impl Future<Output = io::Result<()>>,
    draining: &CancellationToken,
    streams: &CancellationToken,
) -> Result<(), ServeError> {
    // Also when this future is dropped: no session outlives the server.
    let _end = streams.clone().drop_guard();
    let mut server = pin!(server);
    tokio::select! {
        ended = &mut server => return ended.map_err(ServeError),
        () = draining.cancelled() => {}
    }
    if let Ok(ended) = tokio::time::timeout(DRAIN_DEADLINE, &mut server).await {
        return ended.map_err(ServeError);
    }
    streams.cancel();
    match tokio::time::timeout(CLOSE_DEADLINE, &mut server).await {
        Ok(ended) => ended.map_err(ServeError),
        Err(_) => Ok(()),
    }
}

fn router(
    store: TaskStore,
    config: &ServeConfig,
    draining: &CancellationToken,
    streams: &CancellationToken,
) -> Router {
    let open = Arc::new(Semaphore::new(MAX_OPEN));
    let draining = draining.clone();
    let new_server = move || {
        let place = Arc::clone(&open)
            .try_acquire_owned()
            .map_err(io::Error::other)?;
        Ok(TaskServer::new(store.clone(), draining.clone(), place))
    };
    let mut sessions = LocalSessionManager::default();
    sessions.session_config.keep_alive = Some(SESSION_IDLE);
    let service =
        StreamableHttpService::new(new_server, Arc::new(sessions), http_config(config, streams));
    let router = Router::new().route_service(&config.path.0, service);
    match &config.assertion {
        None => router,
        Some(required) => {
            let verifier = Arc::new(Verifier::new(required));
            router.layer(middleware::from_fn_with_state(verifier, assertion::require))
        }
    }
}

fn http_config(config: &ServeConfig, streams: &CancellationToken) -> StreamableHttpServerConfig {
    let defaults = StreamableHttpServerConfig::default();
    let hosts = defaults
        .allowed_hosts
        .iter()
        .chain(&config.allowed_hosts)
        .cloned()
        .collect::<Vec<_>>();
    defaults
        .with_allowed_hosts(hosts)
        .with_allowed_origins(["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"])
        .with_max_request_body_bytes(MAX_BODY_BYTES)
        // A plain answer is plain JSON in the modern era; an answer with progress is an event stream in both.
        .with_json_response(true)
        .with_cancellation_token(streams.clone())
}

/// The path of an MCP endpoint: begins with `/`, then letters, digits and `-._~/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpPath(String);

impl Default for McpPath {
    fn default() -> Self {
        Self("/mcp".to_owned())
    }
}

impl std::fmt::Display for McpPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for McpPath {
    type Err = InvalidPath;

    fn from_str(path: &str) -> Result<Self, InvalidPath> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        let valid = path.starts_with('/') && path.bytes().all(plain) && !path.contains("//");
        if valid {
            Ok(Self(path.to_owned()))
        } else {
            Err(InvalidPath)
        }
    }
}

/// The text is not the path of an MCP endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path must begin with / and have only letters, digits and -._~/")]
pub struct InvalidPath;

/// The socket failed while it was served.
#[derive(Debug, thiserror::Error)]
#[error("the listening socket failed: {0}")]
pub struct ServeError(io::Error);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_plain_or_refused() {
        let cases = [
            ("/mcp", true),
            ("/", true),
            ("/a/b-c.d_e~f", true),
            ("", false),
            ("mcp", false),
            ("//mcp", false),
            ("/{id}", false),
            ("/mcp?x=1", false),
            ("/m%20p", false),
        ];
        for (path, expected) in cases {
            assert_eq!(path.parse::<McpPath>().is_ok(), expected, "{path}");
        }
    }
}

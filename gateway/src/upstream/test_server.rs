//! An upstream for tests: a server on a loopback port that answers every request with the same bytes, or by a script.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use mcp_gateway_core::http::authority::Authority;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{Endpoint, UpstreamBody};
use crate::config::{Timeouts, Upstream as Configured, UpstreamTarget};

/// Counts the connections that it accepts.
pub(crate) struct TestServer {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl TestServer {
    /// Answers with `answer` unchanged; `is_kept` says whether the connection then accepts another request.
    pub(crate) async fn start(answer: impl Into<Vec<u8>>, is_kept: bool) -> Self {
        let answer = answer.into();
        Self::answering(move |_| answer.clone(), is_kept).await
    }

    /// Answers each request, head and body, with what `script` returns; the connection then accepts another request.
    pub(crate) async fn scripted(script: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::answering(script, true).await
    }

    async fn answering(
        script: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
        is_kept: bool,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let (script, count): (Arc<Script>, _) = (Arc::new(script), accepted.clone());
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(tcp, script.clone(), is_kept));
            }
        });
        Self { address, accepted }
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections there were.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// An endpoint that connects here, with this idle timeout.
    pub(crate) fn endpoint(&self, keep_alive: Duration) -> Arc<Endpoint> {
        let configured = Configured {
            target: UpstreamTarget::Http {
                authority: Authority::parse(&self.address.to_string()).unwrap(),
            },
            host: "upstream.test".to_owned(),
            path: "/mcp".to_owned(),
            query: None,
            http2: false,
        };
        let timeouts = Timeouts {
            upstream_keep_alive: keep_alive,
            ..Timeouts::default()
        };
        Endpoint::reuse_or_new(None, &configured, &timeouts, &[].into()).unwrap()
    }
}

/// The answer to a request.
type Script = dyn Fn(&str) -> Vec<u8> + Send + Sync;

async fn serve(mut tcp: TcpStream, script: Arc<Script>, is_kept: bool) {
    let mut request = Vec::new();
    while tcp.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
        if is_whole(&request) {
            let answer = script(&String::from_utf8_lossy(&request));
            request.clear();
            if tcp.write_all(&answer).await.is_err() || !is_kept {
                return;
            }
        }
    }
}

/// Whether this is a request with its body.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let mut lines = head.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

/// The answer to one request.
pub(crate) async fn ask(endpoint: &Endpoint) -> Response<UpstreamBody> {
    let request = Request::get(endpoint.target(None))
        .header(header::HOST, endpoint.host())
        .body(Full::new(Bytes::new()))
        .unwrap();
    endpoint.send(request).await.unwrap()
}

/// The body of an answer with these bytes; the connection closes after it.
pub(crate) async fn body(answer: impl Into<Vec<u8>>) -> UpstreamBody {
    let server = TestServer::start(answer, false).await;
    let endpoint = server.endpoint(Duration::from_secs(60));
    ask(&endpoint).await.into_body()
}

//! The base of every scenario: a gateway, an MCP server without state behind it, and a token.
//!
//! The tools of that server: `echo` answers at once, `slow` after `seconds`, `stream` with an event every 100 ms until the
//! client or the gateway ends it, `big` with as many `bytes`. GET listens to a stream.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use e2e::client::request;
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use e2e::serve::{Answering, Body, Handler, Server, full};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::{Value, json};
use std::sync::Arc;
use test_support::{Key, Token};

/// Between two events of a stream.
pub const BEAT: Duration = Duration::from_millis(100);

/// One chunk of a big answer.
static CHUNK: [u8; 64 * 1024] = [b' '; 64 * 1024];

/// A gateway with its upstream and token.
pub struct Site {
    /// The gateway.
    pub gateway: Gateway,
    /// A token for `/mcp`.
    pub token: String,
    _upstream: Server,
}

impl Site {
    /// The common case with changes to the configuration.
    pub async fn start(change: impl FnOnce(Config) -> Config) -> Self {
        let (config, token, upstream) = Self::prepare(change).await;
        Self {
            gateway: Gateway::start(config).await,
            token,
            _upstream: upstream,
        }
    }

    /// The common case with a token of another subject, whom the scenario does not count.
    pub async fn with_another(
        change: impl FnOnce(Config) -> Config,
        start: impl AsyncFnOnce(Config) -> Gateway,
    ) -> (Self, String) {
        let (key, upstream, config) = Self::parts(change).await;
        let other = token(&key, &config).subject("another").sign();
        let token = token(&key, &config).sign();
        (Self::around(start(config).await, token, upstream), other)
    }

    /// The parts of a site, for a gateway that is started in another way.
    pub async fn prepare(change: impl FnOnce(Config) -> Config) -> (Config, String, Server) {
        let (key, upstream, config) = Self::parts(change).await;
        let token = token(&key, &config).sign();
        (config, token, upstream)
    }

    async fn parts(change: impl FnOnce(Config) -> Config) -> (Key, Server, Config) {
        let key = Key::es256("first");
        let upstream = Server::tcp((Ipv4Addr::LOCALHOST, 0).into(), handler()).await;
        let url = format!("http://{}/mcp", upstream.address());
        let config = change(Config::new(&url, &[&key]).set("/log/level", "warn"));
        (key, upstream, config)
    }

    /// A site for a gateway that runs already.
    pub fn around(gateway: Gateway, token: String, upstream: Server) -> Self {
        Self {
            gateway,
            token,
            _upstream: upstream,
        }
    }

    /// Megabytes of memory the gateway has in use.
    pub fn resident(&self) -> f64 {
        megabytes(self.gateway.process.id(), "VmRSS:")
    }

    /// Megabytes of memory the gateway ever had in use at once.
    pub fn peak(&self) -> f64 {
        megabytes(self.gateway.process.id(), "VmHWM:")
    }
}

fn token(key: &Key, config: &Config) -> Token {
    let audience = format!("{}/mcp", config.public_url());
    Token::new(key, ISSUER, &audience).claim("exp", test_support::now() + 7200)
}

/// A call of one of the tools.
pub fn call(tool: &str, arguments: Value) -> String {
    request(
        1,
        "tools/call",
        json!({ "name": tool, "arguments": arguments }),
    )
}

fn megabytes(process: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with(field));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes
        .expect("a figure")
        .parse::<f64>()
        .expect("a number")
        / 1024.0
}

fn handler() -> Handler {
    Arc::new(|request| -> Answering { Box::pin(answer(request)) })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, std::io::Error> {
    if request.method() == Method::GET {
        return Ok(stream());
    }
    let body = request.into_body().collect().await;
    let body = body.map_err(std::io::Error::other)?.to_bytes();
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let arguments = &message["params"]["arguments"];
    match message["params"]["name"].as_str() {
        Some("stream") => return Ok(stream()),
        Some("big") => return Ok(big(arguments["bytes"].as_u64().unwrap_or(0) as usize)),
        Some("slow") => {
            let seconds = arguments["seconds"].as_f64().unwrap_or(0.0);
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        }
        _ => {}
    }
    let result = json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "ok": true } });
    Ok(typed("application/json")
        .body(full(result.to_string()))
        .expect("an answer"))
}

fn typed(content_type: &str) -> http::response::Builder {
    Response::builder().header("content-type", content_type)
}

/// Events without end.
fn stream() -> Response<Body> {
    let events = futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(BEAT).await;
        let event = Bytes::from_static(b"event: message\ndata: {}\n\n");
        Some((Ok(Frame::data(event)), ()))
    });
    typed("text/event-stream")
        .body(StreamBody::new(events).boxed())
        .expect("an answer")
}

/// A body of `bytes` spaces, made as it is read.
fn big(bytes: usize) -> Response<Body> {
    let chunks = futures_util::stream::unfold(bytes, |left| async move {
        let size = left.min(CHUNK.len());
        let chunk = Bytes::from_static(&CHUNK[..size]);
        (left > 0).then(|| (Ok(Frame::data(chunk)), left - size))
    });
    typed("application/json")
        .body(StreamBody::new(chunks).boxed())
        .expect("an answer")
}

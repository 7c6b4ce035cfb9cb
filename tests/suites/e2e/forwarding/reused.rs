//! An upstream that closes idle connections just when they are used again: what only reads is sent once more on a new
//! connection, and nothing else is.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use e2e::client::{request, tool};
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use serde_json::json;
use test_support::{Key, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ANSWER: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}";

/// How it closes a connection.
#[derive(Clone, Copy, Debug)]
enum End {
    /// In order (FIN).
    Finished,
    /// At once (RST).
    Reset,
    /// In order, within the head of an answer.
    Answering,
}

/// A server that answers the first request of each connection, and closes it when it has read the second one.
struct Closing {
    address: SocketAddr,
    bodies: Arc<Mutex<Vec<String>>>,
    accepted: Arc<AtomicUsize>,
}

impl Closing {
    async fn start(end: End, is_kind_at_first: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (bodies, accepted) = (
            Arc::<Mutex<Vec<_>>>::default(),
            Arc::<AtomicUsize>::default(),
        );
        let (seen, count) = (bodies.clone(), accepted.clone());
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(tcp, seen.clone(), end, is_kind_at_first));
            }
        });
        Self {
            address,
            bodies,
            accepted,
        }
    }

    fn received(&self, method: &str) -> usize {
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().filter(|body| body.contains(method)).count()
    }
}

async fn serve(
    mut tcp: TcpStream,
    seen: Arc<Mutex<Vec<String>>>,
    end: End,
    is_kind_at_first: bool,
) {
    let _ = tcp.set_nodelay(true);
    for number in 0.. {
        let Some(body) = message(&mut tcp).await else {
            return;
        };
        seen.lock().unwrap().push(body);
        if number > 0 || !is_kind_at_first {
            match end {
                End::Finished => {}
                End::Reset => tcp.set_zero_linger().unwrap(),
                End::Answering => tcp
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Ty")
                    .await
                    .unwrap(),
            }
            return;
        }
        let length = ANSWER.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{ANSWER}"
        );
        tcp.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// The body of the next request; a GET has none.
async fn message(tcp: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length = length.map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(if length == 0 {
                    head.to_owned()
                } else {
                    body.to_owned()
                });
            }
        }
        if tcp.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

struct Setting {
    gateway: Gateway,
    upstream: Closing,
    token: String,
}

impl Setting {
    async fn start(end: End, is_kind_at_first: bool) -> Self {
        let upstream = Closing::start(end, is_kind_at_first).await;
        let key = Key::es256("first");
        let config = Config::new(&format!("http://{}/mcp", upstream.address), &[&key])
            .set("/timeouts/upstream_keep_alive", "1h");
        let gateway = Gateway::start(config).await;
        let token = Token::new(&key, ISSUER, &gateway.uri("/mcp"));
        let token = token.scope("tasks:read tasks:write").sign();
        Self {
            gateway,
            upstream,
            token,
        }
    }

    async fn status(&self, message: String) -> u16 {
        self.gateway
            .post(message)
            .token(&self.token)
            .send()
            .await
            .status
    }

    async fn retries(&self) -> f64 {
        let metrics = self.gateway.metrics().await;
        metrics.sum(
            "mcp_gateway_upstream_retries_total",
            &[("resource", "/mcp")],
        )
    }
}

#[tokio::test]
async fn what_only_reads_is_answered_each_time() {
    for end in [End::Finished, End::Reset] {
        let setting = Setting::start(end, true).await;
        for number in 0..300 {
            let (method, params) = match number % 5 {
                0 => ("tools/list", json!({})),
                1 => ("resources/read", json!({ "uri": "note://a" })),
                2 => ("prompts/get", json!({ "name": "a" })),
                3 => ("ping", json!({})),
                _ => ("resources/list", json!({})),
            };
            let status = setting.status(request(1, method, params)).await;
            assert_eq!(status, 200, "{end:?} {number}");
        }
        // Every request but the first met a connection that closed, and was then sent once more.
        assert_eq!(setting.retries().await, 299.0);
        assert_eq!(setting.upstream.received("jsonrpc"), 300 + 299);
        assert_eq!(setting.upstream.accepted.load(Ordering::SeqCst), 300);
    }
}

#[tokio::test]
async fn a_tool_is_called_once() {
    for end in [End::Finished, End::Reset] {
        let setting = Setting::start(end, true).await;
        let mut statuses = Vec::new();
        for _ in 0..40 {
            statuses.push(setting.status(tool(1, "list_tasks")).await);
        }
        assert!(
            statuses.contains(&502) && statuses.contains(&200),
            "{statuses:?}"
        );
        assert_eq!(setting.upstream.received("tools/call"), 40, "{end:?}");
        assert_eq!(setting.retries().await, 0.0);
        let line = setting
            .gateway
            .logged("a kept connection closed before the answer")
            .await;
        assert!(line.contains("timeouts.upstream_keep_alive"), "{line}");
    }
}

#[tokio::test]
async fn what_opens_a_session_is_sent_once() {
    let setting = Setting::start(End::Finished, true).await;
    for _ in 0..2 {
        setting.status(e2e::client::initialize()).await;
    }
    assert_eq!(setting.upstream.received("initialize"), 2);
    assert_eq!(setting.retries().await, 0.0);
}

#[tokio::test]
async fn what_the_upstream_began_to_answer_is_sent_once() {
    let setting = Setting::start(End::Answering, true).await;
    let list = || setting.status(request(1, "tools/list", json!({})));
    assert_eq!((list().await, list().await), (200, 502));
    assert_eq!(setting.upstream.received("tools/list"), 2);
    assert_eq!(setting.retries().await, 0.0);
}

#[tokio::test]
async fn a_read_with_an_answer_of_the_user_is_sent_once() {
    let setting = Setting::start(End::Finished, true).await;
    let params = json!({ "uri": "note://a", "inputResponses": { "pay": { "action": "accept" } } });
    let read = || setting.status(request(1, "resources/read", params.clone()));
    assert_eq!((read().await, read().await), (200, 502));
    assert_eq!(setting.upstream.received("resources/read"), 2);
    assert_eq!(setting.retries().await, 0.0);
}

#[tokio::test]
async fn a_new_connection_that_closes_gets_no_second_request() {
    let setting = Setting::start(End::Finished, false).await;
    for count in 1..4 {
        let status = setting.status(request(1, "tools/list", json!({}))).await;
        assert_eq!((status, setting.upstream.received("jsonrpc")), (502, count));
    }
    assert_eq!(setting.retries().await, 0.0);
}

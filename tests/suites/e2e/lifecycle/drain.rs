//! Shutdown of a busy process (attack 154): every kind of connection can finish its requests, is notified of the shutdown, and
//! does not delay the exit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use e2e::certificates::{Authority, client};
use e2e::client::raw::Raw;
use e2e::client::sse::{Events, Item};
use e2e::client::{Call, initialize, request};
use e2e::eventually;
use e2e::gateway::config::{Config, ISSUER};
use e2e::gateway::{Gateway, command};
use e2e::process::Process;
use e2e::upstream::Upstream;
use http::{Method, Version};
use rustls::pki_types::ServerName;
use serde_json::json;
use test_support::{Key, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Timeout on a busy machine.
const A_WHILE: Duration = Duration::from_secs(40);

/// Longer than a test waits: an exit only at the deadline is a failure.
const DRAIN: &str = "5m";

struct Setting {
    gateway: Gateway,
    upstream: Upstream,
    authority: Authority,
    key: Key,
}

impl Setting {
    async fn start() -> Self {
        let (authority, upstream, key) = (
            Authority::new(),
            Upstream::start().await,
            Key::es256("first"),
        );
        let config = Config::new(&upstream.url(), &[&key]);
        let (certificate, private_key) =
            authority.leaf(&["localhost"]).write(config.folder(), "tls");
        let files = json!([{ "certificate": certificate, "private_key": private_key }]);
        let url = format!("https://localhost:{}", config.public.port());
        let socket = config.folder().join("upgrade.sock");
        let config = config
            .set("/public_url", url)
            .set("/listen/0/tls", json!({ "certificates": files }))
            .set("/shutdown/drain", DRAIN)
            .set("/upgrade_socket", socket.to_str().unwrap());
        Self {
            gateway: Gateway::start(config).await,
            upstream,
            authority,
            key,
        }
    }

    fn token(&self) -> String {
        Token::new(&self.key, ISSUER, &self.gateway.uri("/mcp")).sign()
    }

    /// A client with HTTP/2, as the listener prefers.
    fn http(&self) -> reqwest::Client {
        let authority = reqwest::Certificate::from_pem(self.authority.pem().as_bytes()).unwrap();
        reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([authority])
            .resolve("localhost", self.gateway.config.public)
            .build()
            .unwrap()
    }

    fn post(&self, http: &reqwest::Client, body: String) -> Call {
        Call::post(http, self.gateway.uri("/mcp"), body).token(&self.token())
    }

    async fn terminate(&self) {
        self.gateway.process.signal("TERM");
        eventually("the listener closes", async || {
            TcpStream::connect(self.gateway.config.public)
                .await
                .is_err()
        })
        .await;
    }

    async fn ends(&mut self) {
        assert_eq!(self.gateway.process.exit(A_WHILE).await.code(), Some(0));
    }

    async fn connections(&self, count: f64) {
        eventually("connections are accepted", async || {
            let metrics = self.gateway.metrics().await;
            metrics.sum("mcp_gateway_connections_active", &[]) >= count
        })
        .await;
    }
}

#[tokio::test]
async fn an_idle_http2_connection_does_not_delay_the_exit() {
    let mut setting = Setting::start().await;
    let http = setting.http();
    let answer = setting.post(&http, initialize()).open().await;
    assert_eq!(
        (answer.status().as_u16(), answer.version()),
        (200, Version::HTTP_2)
    );
    answer.bytes().await.unwrap();
    setting.terminate().await;
    setting.ends().await;
    drop(http);
}

#[tokio::test]
async fn calls_and_streams_over_http2_are_completed() {
    let mut setting = Setting::start().await;
    let http = setting.http();
    let mut feeds = setting.upstream.streams("text/event-stream");
    let url = setting.gateway.uri("/mcp");
    let listening = Call::new(&http, Method::GET, url).token(&setting.token());
    let listening = listening.with("accept", "text/event-stream");
    let listening = tokio::spawn(listening.open());
    let stream = feeds.next().await;
    stream.event("first");
    let mut events = Events::new(listening.await.unwrap());
    assert_eq!(events.data().await, "first");
    let mut feeds = setting.upstream.streams("application/json");
    let body = request(7, "tools/call", json!({ "name": "slow" }));
    let call = tokio::spawn(setting.post(&http, body).send());
    let slow = feeds.next().await;

    setting.terminate().await;
    loop {
        match events.next_within(A_WHILE).await.unwrap() {
            Item::Comment(_) => {}
            end => break assert_eq!(end, Item::End),
        }
    }
    assert!(setting.gateway.process.runs(), "a call is under way");
    slow.send(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#);
    drop(slow);
    let reply = call.await.unwrap();
    assert_eq!((reply.status, reply.json()["id"].as_i64()), (200, Some(7)));
    setting.ends().await;
}

#[tokio::test]
async fn a_handshake_under_way_is_finished_and_its_request_answered() {
    let mut setting = Setting::start().await;
    let stream = TcpStream::connect(setting.gateway.config.public)
        .await
        .unwrap();
    setting.connections(1.0).await;
    setting.terminate().await;
    let connector = tokio_rustls::TlsConnector::from(client(&setting.authority, &[b"http/1.1"]));
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = connector.connect(name, stream).await.unwrap();
    let head = format!(
        "GET /.well-known/oauth-protected-resource/mcp HTTP/1.1\r\nHost: localhost:{}\r\n\r\n",
        setting.gateway.config.public.port()
    );
    tls.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Its only request: the connection closes after the answer.
    tls.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(
        answer.to_lowercase().contains("\r\nconnection: close\r\n"),
        "{answer}"
    );
    setting.ends().await;
}

#[tokio::test]
async fn a_kept_connection_is_served_until_the_gateway_announces_its_close() {
    let mut setting = Setting::start().await;
    let (address, protocols): (_, &[&[u8]]) = (setting.gateway.config.public, &[b"http/1.1"]);
    let mut connection =
        Raw::connect_tls(address, client(&setting.authority, protocols), "localhost").await;
    let head = format!(
        "GET /.well-known/oauth-protected-resource/mcp HTTP/1.1\r\nHost: localhost:{}\r\n\r\n",
        address.port()
    );
    for asked in 0.. {
        if asked == 20 {
            setting.gateway.process.signal("TERM");
        }
        connection.send(&head).await;
        let reply = connection
            .reply_within(A_WHILE)
            .await
            .expect("an answer to each");
        assert_eq!(reply.status, 200);
        if reply.header("connection") == "close" {
            assert!(asked >= 20, "the close was announced too early");
            break;
        }
    }
    assert!(connection.closes(A_WHILE).await);
    setting.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_clients_lose_no_request_in_an_upgrade() {
    let mut setting = Setting::start().await;
    let (is_over, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (is_over, answered, http) = (is_over.clone(), answered.clone(), setting.http());
            let (url, token) = (setting.gateway.uri("/mcp"), setting.token());
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    let body = request(1, "tools/list", json!({}));
                    let call = Call::post(&http, url.clone(), body).token(&token);
                    let answer = call.attempt().await.map_err(|error| format!("{error:?}"))?;
                    let is_whole = answer.status() == 200 && answer.bytes().await.is_ok();
                    if !is_whole {
                        return Err("a broken answer".to_owned());
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        })
        .collect();
    let more = async || {
        let before = answered.load(Ordering::Relaxed);
        eventually("requests are still answered", async || {
            clients.iter().any(|client| client.is_finished())
                || answered.load(Ordering::Relaxed) > before + 50
        })
        .await;
    };
    for _ in 0..2 {
        more().await;
        let next = command(&["run", "--upgrade", "--config"], &setting.gateway.config);
        let mut last = std::mem::replace(&mut setting.gateway.process, Process::spawn(next));
        assert_eq!(
            last.exit(A_WHILE).await.code(),
            Some(0),
            "{}",
            last.output()
        );
    }
    more().await;
    is_over.store(true, Ordering::Relaxed);
    for client in clients {
        assert_eq!(client.await.unwrap(), Ok(()));
    }
    setting.gateway.process.signal("TERM");
    setting.ends().await;
}

//! One of two real servers is killed and started again, over and over, while clients call: sessions of the other one go on, calls
//! that only read never fail, and each client loses no more than what was in flight and its session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::client::{LEGACY, initialize, notification, request, tool};
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use e2e::process::port;
use e2e::upstream::tasks::Tasks;
use e2e::world::several::SESSION;
use serde_json::json;
use test_support::{Key, Token};
use tokio::time::sleep;

use crate::Figures;
use crate::scale::Scale;

/// Clients in sessions.
const CLIENTS: usize = 12;

/// How long the server is down, and how long it then runs.
const DOWN: Duration = Duration::from_millis(300);
const UP: Duration = Duration::from_millis(700);

/// Between two calls of a client.
const PAUSE: Duration = Duration::from_millis(10);

pub async fn run(scale: Scale) -> Figures {
    let length = scale.seconds(5, 60);
    let (one, other) = (port::free(), port::free());
    let mut restarted = Tasks::start_at(one).await;
    let _kept = Tasks::start_at(other).await;
    let site = Arc::new(Site::start(&[one, other]).await);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(in_sessions(site.clone())))
        .collect();
    let reading = tokio::spawn(reading(site.clone()));
    let (began, mut restarts) = (Instant::now(), 0);
    while began.elapsed() < length {
        sleep(UP).await;
        restarted.kill().await;
        sleep(DOWN).await;
        restarted = Tasks::start_at(one).await;
        restarts += 1;
    }
    site.is_over.store(true, Ordering::Relaxed);
    let (read, lost) = reading.await.unwrap();
    assert_eq!(lost, 0, "of {read} calls that only read");
    let (mut calls, mut failures, mut untouched) = (0, 0, 0);
    for client in clients {
        let statuses = client.await.unwrap();
        let failed = statuses.iter().filter(|status| **status != 200).count();
        // At each restart: the call in flight, and a session that is gone.
        assert!(
            failed <= 2 * restarts,
            "{failed} failures in {restarts} restarts"
        );
        calls += statuses.len();
        failures += failed;
        untouched += usize::from(failed == 0);
    }
    assert!(untouched > 0, "no client stayed with the other server");
    format!(
        "{restarts} restarts: {read} calls that only read, 0 failed; {calls} calls in sessions, {failures} in flight or of a session that ended; {untouched} of {CLIENTS} clients noticed nothing"
    )
}

/// A gateway in front of both servers, and a token.
struct Site {
    gateway: Gateway,
    token: String,
    is_over: AtomicBool,
}

impl Site {
    async fn start(servers: &[SocketAddr]) -> Self {
        let key = Key::es256("first");
        let urls: Vec<_> = servers
            .iter()
            .map(|at| format!("http://{at}/mcp"))
            .collect();
        let upstream = json!({ "endpoints": urls, "ejection": { "first": "1s" } });
        let config = Config::new("http://127.0.0.1:9/mcp", &[&key])
            .set("/resources/0/upstream", upstream)
            .set("/log/level", "warn");
        let gateway = Gateway::start(config).await;
        let token = Token::new(&key, ISSUER, &gateway.uri("/mcp"));
        Self {
            token: token.scope("tasks:read tasks:write").sign(),
            gateway,
            is_over: AtomicBool::new(false),
        }
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    async fn send(&self, body: String, session: &str) -> u16 {
        let call = self
            .gateway
            .post(body)
            .token(&self.token)
            .with(SESSION, session);
        call.with("mcp-protocol-version", LEGACY)
            .send()
            .await
            .status
    }

    /// A new session, or the status that the client got instead.
    async fn open(&self) -> Result<String, u16> {
        let reply = self
            .gateway
            .post(initialize())
            .token(&self.token)
            .send()
            .await;
        if reply.status != 200 {
            return Err(reply.status);
        }
        let session = reply.header(SESSION).to_owned();
        self.send(notification("notifications/initialized"), &session)
            .await;
        Ok(session)
    }
}

/// A client that calls in a session, and opens another one where it gets 404. Returns the statuses of its calls.
async fn in_sessions(site: Arc<Site>) -> Vec<u16> {
    let (mut statuses, mut session) = (Vec::new(), None);
    while site.goes_on() {
        let known = match session.take() {
            Some(known) => Ok(known),
            None => site.open().await,
        };
        match known {
            Ok(known) => {
                let status = site.send(tool(2, "list_tasks"), &known).await;
                statuses.push(status);
                session = (status != 404).then_some(known);
            }
            Err(status) => statuses.push(status),
        }
        sleep(PAUSE).await;
    }
    statuses
}

/// A client without sessions that only reads. Returns how many calls succeeded, and how many did not.
async fn reading(site: Arc<Site>) -> (usize, usize) {
    let (mut read, mut lost) = (0, 0);
    while site.goes_on() {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "e2e", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let list = request(1, "tools/list", json!({ "_meta": meta }));
        let call = site.gateway.post(list).token(&site.token);
        match call.modern("tools/list", None).send().await.status {
            200 => read += 1,
            _ => lost += 1,
        }
        sleep(PAUSE).await;
    }
    (read, lost)
}

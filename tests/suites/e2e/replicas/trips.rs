//! How often the store is asked: the server itself reports each command (MONITOR).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::certificates::write_secret;
use e2e::eventually;
use e2e::gateway::replicas::Replicas;
use e2e::gateway::replicas::store_server::{KINDS, StoreServer};
use e2e::sign_in::client::Client;
use e2e::sign_in::company::Program;
use e2e::sign_in::company::person::Person;
use e2e::sign_in::federated::{Federated, Wanted};
use e2e::upstream::Upstream;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::site::config;
use super::walk::{Outcome, Step, Walk};

/// Refreshes in turn.
const REFRESHES: usize = 20;

/// The most round trips that a sign-in with a provider may take beyond those of one with a password.
const MORE: usize = 2;

/// The commands that a server got.
struct Monitor {
    server: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
    reading: JoinHandle<()>,
}

impl Monitor {
    async fn start(server: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(server).await.expect("a connection");
        stream.write_all(b"MONITOR\r\n").await.expect("sent");
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let read = Arc::clone(&lines);
        let reading = tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while matches!(stream.read_until(b'\n', &mut line).await, Ok(1..)) {
                let text = String::from_utf8_lossy(&line).into_owned();
                read.lock().expect("no holder panics").push(text);
                line.clear();
            }
        });
        let monitor = Self {
            server,
            lines,
            reading,
        };
        monitor.has(|line| line.starts_with("+OK")).await;
        monitor
    }

    async fn has(&self, is_it: impl Fn(&str) -> bool) {
        eventually("the server reports it", async || {
            let lines = self.lines.lock().expect("no holder panics");
            lines.iter().any(|line| is_it(line))
        })
        .await;
    }

    /// The questions about rows since the last call: not those that every gateway asks each second.
    async fn questions(&self) -> usize {
        let mut stream = TcpStream::connect(self.server).await.expect("a connection");
        stream
            .write_all(b"ECHO end-of-count\r\n")
            .await
            .expect("sent");
        self.has(|line| line.contains("end-of-count")).await;
        let lines = std::mem::take(&mut *self.lines.lock().expect("no holder panics"));
        let about = [
            "clients",
            "grants",
            "codes",
            "sessions",
            "sign_ins",
            "assertions",
            "subjects",
        ];
        let is_about_rows = |line: &&String| {
            let names = |table: &&str| line.contains(&format!("\"mcp-gateway:{table}:"));
            line.contains("\"EVALSHA\"") && about.iter().any(names)
        };
        lines.iter().filter(is_about_rows).count()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// Waits until what is done after an answer is done.
async fn settled() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_refresh_asks_the_store_once_whichever_gateway_gets_it() {
    let (store, upstream) = tokio::join!(StoreServer::start(KINDS[0]), Upstream::start());
    let config = config(&upstream, &store.url()).await;
    let replicas = Replicas::start(2, config).await;
    let gateways = &replicas.gateways;
    let mut walk = Walk::before(&gateways[0], Step::Token).await;
    assert_eq!(walk.take(Step::Token).await, Outcome::Done);
    let (client, mut tokens) = (walk.client.clone().unwrap(), walk.tokens.clone().unwrap());
    settled().await;
    let monitor = Monitor::start(store.address).await;
    for number in 0..REFRESHES {
        // The second gateway has seen neither the client nor the grant.
        let gateway = &gateways[(number + 1) % 2];
        let (status, answer) = client.refresh(gateway, &tokens.refresh).await;
        assert_eq!(status, 200, "{answer}");
        tokens = e2e::sign_in::client::Tokens::of(answer);
    }
    assert_eq!(monitor.questions().await, REFRESHES);
    // A token without its hint works too, and takes one more.
    let (bare, hint) = tokens.refresh.split_once('.').expect("a hint");
    assert!(tokens.refresh.len() <= 2048, "{}", tokens.refresh.len());
    assert!(hint.len() > 100);
    let (status, answer) = client.refresh(&gateways[1], bare).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(monitor.questions().await, 2);
    // Revocation takes it with its hint.
    let tokens = e2e::sign_in::client::Tokens::of(answer);
    assert_eq!(client.revoke(&gateways[0], &tokens.refresh).await, 200);
    let (status, _) = client.refresh(&gateways[1], &tokens.refresh).await;
    assert_eq!(status, 400);
}

/// The round trips of a sign-in with a password, from the authorization request to the tokens, where all is warm.
async fn with_password(kind: &str) -> usize {
    let (store, upstream) = tokio::join!(StoreServer::start(kind), Upstream::start());
    let config = config(&upstream, &store.url()).await;
    let replicas = Replicas::start(1, config).await;
    let monitor = Monitor::start(store.address).await;
    let mut count = 0;
    for _ in 0..2 {
        let mut walk = Walk::before(&replicas.gateways[0], Step::Authorize).await;
        settled().await;
        monitor.questions().await;
        for step in [Step::Authorize, Step::SignIn, Step::Consent, Step::Token] {
            assert_eq!(walk.take(step).await, Outcome::Done, "{step:?}");
        }
        settled().await;
        count = monitor.questions().await;
    }
    count
}

/// The same with a provider, and how often its keys were fetched for that.
async fn with_provider(kind: &str) -> (usize, u64) {
    let store = StoreServer::start(kind).await;
    let url = store.url();
    let wanted = [Wanted::plain(Program::Company("oidc"), "company")];
    let federated = Federated::changed(&wanted, |config| {
        let key = config.folder().join("server.key");
        write_secret(&key, "07".repeat(32));
        config
            .set("/authorization_server/key_files", json!([key]))
            .set(
                "/authorization_server/store",
                json!({ "redis": { "url": url } }),
            )
    })
    .await;
    let (gateway, provider) = (&federated.gateway, federated.provider());
    let monitor = Monitor::start(store.address).await;
    let mut count = (0, 0);
    for _ in 0..2 {
        let client = Client::register(gateway).await;
        let mut person = Person::new();
        settled().await;
        monitor.questions().await;
        let keys = provider.asked("jwks").await;
        let consent = federated
            .sign_in(&mut person, &client, provider, "ana")
            .await;
        let code = federated.allow(&mut person, &client, &consent).await;
        client.redeem(gateway, &code).await;
        settled().await;
        count = (
            monitor.questions().await,
            provider.asked("jwks").await - keys,
        );
    }
    let fetched = provider.asked("jwks").await;
    assert!(fetched >= 1, "the keys were never fetched");
    count
}

/// For `make acceptance`.
#[tokio::test]
#[ignore = "a measurement"]
async fn a_sign_in_with_a_provider_asks_the_store_at_most_twice_more_and_fetches_no_key() {
    for kind in KINDS {
        let password = with_password(kind).await;
        let (provider, keys) = with_provider(kind).await;
        println!(
            "{kind}: round trips of a sign-in: {password} with a password, {provider} with a provider; keys fetched: {keys}"
        );
        assert!(password >= 4, "{password}");
        assert!(provider <= password + MORE, "{provider} and {password}");
        assert_eq!(keys, 0);
    }
}

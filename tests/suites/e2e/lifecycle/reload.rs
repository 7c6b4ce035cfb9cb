//! Reload (attacks 26, 149–153): the configuration, its files and its certificates change while requests are served.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::certificates::{Authority, Leaf, client, write_secret};
use e2e::client::sse::{Events, Item};
use e2e::client::{initialize, request, tool};
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER, resource};
use e2e::issuer::{Fault, Issuer};
use e2e::upstream::{Upstream, sessions};
use e2e::world::World;
use rustls::pki_types::ServerName;
use serde_json::json;
use test_support::{Key, Token, key_set};
use tokio::net::TcpStream;

const RELOADS: &str = "mcp_gateway_config_reloads_total";
const LAST: &str = "mcp_gateway_config_last_reload_timestamp_seconds";
const EXPIRY: &str = "mcp_gateway_certificate_expiry_timestamp_seconds";

/// How many reloads had this result.
async fn reloads(gateway: &Gateway, result: &str) -> f64 {
    let metrics = gateway.metrics().await;
    metrics.sum(RELOADS, &[("result", result)])
}

/// Waits until `count` reloads had this result.
async fn reloaded(gateway: &Gateway, result: &str, count: f64) {
    eventually(&format!("{count} {result} reloads"), async || {
        reloads(gateway, result).await >= count
    })
    .await;
}

/// The configuration as JSON pointer and value, on disk.
fn rewrite(gateway: &mut Gateway, change: impl FnOnce(Config) -> Config) {
    gateway.config = change(gateway.config.clone());
    gateway.config.file();
}

/// Rules under which a reader cannot call any tool.
fn writers_only() -> serde_json::Value {
    json!([{ "method": "tools/call", "scopes": ["tasks:write"] }])
}

async fn call(world: &World) -> u16 {
    let call = world.gateway.post(tool(1, "list_tasks"));
    call.token(&world.reader()).send().await.status
}

#[tokio::test]
async fn a_changed_policy_decides_the_next_requests() {
    let mut world = World::start().await;
    let metrics = world.gateway.metrics().await;
    for result in ["accepted", "rejected"] {
        assert!(metrics.has(RELOADS, &[("result", result)]), "{result}");
    }
    assert_eq!(metrics.sum(RELOADS, &[]), 0.0);
    assert!(metrics.sum(LAST, &[]) > 1.0e9);
    assert_eq!(call(&world).await, 200);

    rewrite(&mut world.gateway, |config| {
        config.set("/resources/0/policy/rules", writers_only())
    });
    reloaded(&world.gateway, "accepted", 1.0).await;
    assert_eq!(call(&world).await, 403);
    let line = world.gateway.logged("configuration reloaded").await;
    assert!(line.contains("resources"), "{line}");
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_every_finding_is_logged() {
    // 150
    let mut world = World::start().await;
    let before = world.gateway.metrics().await.sum(LAST, &[]);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let good = world.gateway.config.clone();
    rewrite(&mut world.gateway, |config| {
        config
            .set("/timeouts/header", "10 parsecs")
            .set("/resources/0/upstrem", "http://127.0.0.1:9/mcp")
            .set("/resources/0/policy/rules", writers_only())
    });
    reloaded(&world.gateway, "rejected", 1.0).await;
    assert_eq!(call(&world).await, 200);
    assert_eq!(world.gateway.metrics().await.sum(LAST, &[]), before);
    let line = world.gateway.logged("configuration reload rejected").await;
    for part in ["ERROR", "timeouts.header", "upstrem"] {
        assert!(line.contains(part), "{part} in {line}");
    }

    // When it is corrected, it counts as applied, so that an alert ends.
    world.gateway.config = good;
    world.gateway.config.file();
    reloaded(&world.gateway, "accepted", 1.0).await;
    assert_eq!(reloads(&world.gateway, "rejected").await, 1.0);
    assert!(world.gateway.metrics().await.sum(LAST, &[]) > before);
}

#[tokio::test]
async fn sighup_reads_everything_again_where_nothing_is_watched() {
    let mut world = World::with(|config| config.set("/reload/watch", false)).await;
    rewrite(&mut world.gateway, |config| {
        config.set("/resources/0/policy/rules", writers_only())
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(reloads(&world.gateway, "accepted").await, 0.0);
    assert_eq!(call(&world).await, 200);
    world.gateway.process.signal("HUP");
    reloaded(&world.gateway, "accepted", 1.0).await;
    assert_eq!(call(&world).await, 403);
    // On another SIGHUP it is read again, changed or not.
    world.gateway.process.signal("HUP");
    reloaded(&world.gateway, "accepted", 2.0).await;
}

#[tokio::test]
async fn a_reload_can_switch_file_watching_on() {
    let mut world = World::with(|config| config.set("/reload/watch", false)).await;
    rewrite(&mut world.gateway, |config| {
        config.set("/reload/watch", true)
    });
    world.gateway.process.signal("HUP");
    reloaded(&world.gateway, "accepted", 1.0).await;
    rewrite(&mut world.gateway, |config| {
        config.set("/resources/0/policy/rules", writers_only())
    });
    reloaded(&world.gateway, "accepted", 2.0).await;
    assert_eq!(call(&world).await, 403);
}

#[tokio::test]
async fn a_file_that_is_only_touched_is_not_reloaded() {
    let mut world = World::start().await;
    for _ in 0..3 {
        world.gateway.config.file();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Later changes are noticed; earlier ones were not.
    rewrite(&mut world.gateway, |config| {
        config.set("/log/level", "info")
    });
    reloaded(&world.gateway, "accepted", 1.0).await;
    assert_eq!(reloads(&world.gateway, "accepted").await, 1.0);
    world.gateway.logged("restart required").await;
}

#[tokio::test]
async fn a_half_written_file_is_waited_for() {
    // 151
    let mut world = World::with(|config| config.set("/reload/settle", "500ms")).await;
    rewrite(&mut world.gateway, |config| {
        config.set("/resources/0/policy/rules", writers_only())
    });
    let path = world.gateway.config.folder().join("gateway.yaml");
    let whole = std::fs::read_to_string(&path).unwrap();
    // Truncated where a value is missing, then written in steps that are shorter than the settle time.
    for share in [3, 2] {
        std::fs::write(&path, &whole[..whole.len() / share]).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    std::fs::write(&path, &whole).unwrap();
    reloaded(&world.gateway, "accepted", 1.0).await;
    assert_eq!(reloads(&world.gateway, "rejected").await, 0.0);
    assert_eq!(call(&world).await, 403);
}

/// A folder as Kubernetes mounts it: files are links through `..data` into a folder with a date.
struct Mount {
    folder: PathBuf,
    version: usize,
}

impl Mount {
    fn new(folder: &Path, files: &[(&str, &str)]) -> Self {
        std::fs::create_dir(folder).unwrap();
        let mut mount = Self {
            folder: folder.to_owned(),
            version: 0,
        };
        mount.update(files);
        for (name, _) in files {
            symlink(format!("..data/{name}"), folder.join(name)).unwrap();
        }
        mount
    }

    /// Replaces all files at once, as the kubelet does, and removes the old ones.
    fn update(&mut self, files: &[(&str, &str)]) {
        let old = self.folder.join(format!("..2026_{}", self.version));
        self.version += 1;
        let new = format!("..2026_{}", self.version);
        std::fs::create_dir(self.folder.join(&new)).unwrap();
        for (name, text) in files {
            write_secret(&self.folder.join(&new).join(name), text);
        }
        symlink(&new, self.folder.join("..data_tmp")).unwrap();
        std::fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).unwrap();
        let _ = std::fs::remove_dir_all(old);
    }
}

#[tokio::test]
async fn a_mounted_folder_is_followed_through_its_links() {
    let (first, second) = (Key::es256("first"), Key::es256("second"));
    let sets = [&first, &second].map(|key| key_set(&[key]).to_string());
    let upstream = Upstream::start().await;
    let config = Config::new(&upstream.url(), &[&first]);
    let mut mount = Mount::new(&config.folder().join("mount"), &[("keys.json", &sets[0])]);
    let keys = config.folder().join("mount/keys.json");
    let config = config.set("/issuers/corporate/jwks_file", json!(keys));
    let gateway = Gateway::start(config).await;
    let status = async |key: &Key| {
        let token = Token::new(key, ISSUER, &gateway.uri("/mcp")).sign();
        gateway.post(initialize()).token(&token).send().await.status
    };
    assert_eq!(status(&first).await, 200);
    // Twice, because after the first replacement the watch follows the link to a new folder.
    for (round, (set, valid, void)) in [(&sets[1], &second, &first), (&sets[0], &first, &second)]
        .into_iter()
        .enumerate()
    {
        mount.update(&[("keys.json", set)]);
        reloaded(&gateway, "accepted", round as f64 + 1.0).await;
        eventually("the new key", async || status(valid).await == 200).await;
        assert_eq!(status(void).await, 401, "round {round}");
    }
}

#[tokio::test]
async fn a_missing_file_is_loaded_when_it_is_created() {
    let mut world = World::start().await;
    let keys = world.gateway.config.folder().join("later/keys.json");
    rewrite(&mut world.gateway, |config| {
        config.set("/issuers/corporate/jwks_file", json!(keys))
    });
    reloaded(&world.gateway, "rejected", 1.0).await;
    assert_eq!(call(&world).await, 200);
    std::fs::create_dir(keys.parent().unwrap()).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    std::fs::write(&keys, key_set(&[&world.key]).to_string()).unwrap();
    reloaded(&world.gateway, "accepted", 1.0).await;
    assert_eq!(call(&world).await, 200);
}

#[tokio::test]
async fn sessions_sealed_with_the_random_key_survive_a_reload() {
    let mut world = World::start().await;
    world.upstream.script(sessions());
    let token = world.reader();
    let opened = world.gateway.post(initialize()).token(&token).send().await;
    let session = opened.header("mcp-session-id").to_owned();
    rewrite(&mut world.gateway, |config| {
        config.set("/timeouts/header", "9s")
    });
    reloaded(&world.gateway, "accepted", 1.0).await;
    let list = world
        .gateway
        .post(request(2, "tools/list", json!({})))
        .token(&token)
        .with("mcp-session-id", &session);
    assert_eq!(list.send().await.status, 200);
}

#[tokio::test]
async fn a_stream_survives_the_removal_of_its_route() {
    // 152
    let mut world = World::with(|config| {
        let upstream = config.upstream();
        config.set(
            "/resources/1",
            resource("/other", &upstream, &["corporate"]),
        )
    })
    .await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let open = world
        .gateway
        .get("/mcp")
        .token(&world.reader())
        .with("accept", "text/event-stream");
    let answer = tokio::spawn(open.open());
    let feed = feeds.next().await;
    feed.event("first");
    let mut events = Events::new(answer.await.unwrap());
    assert_eq!(events.data().await, "first");

    rewrite(&mut world.gateway, |config| {
        let upstream = config.upstream();
        config.set(
            "/resources",
            json!([resource("/other", &upstream, &["corporate"])]),
        )
    });
    reloaded(&world.gateway, "accepted", 1.0).await;
    assert_eq!(call(&world).await, 404);
    feed.event("second");
    assert_eq!(events.data().await, "second");
    drop(feed);
    assert_eq!(events.next().await, Item::End);
}

#[tokio::test]
async fn requests_wait_for_the_keys_of_an_issuer_added_later() {
    let issuer = Issuer::start().await;
    let mut world = World::start().await;
    issuer.keys(Fault::Slow(Duration::from_millis(300)));
    let stay = world.reader();
    let identifier = issuer.identifier();
    rewrite(&mut world.gateway, |config| {
        config
            .set("/issuers/second", json!({ "issuer": identifier }))
            .set("/resources/0/issuers", json!(["corporate", "second"]))
            .set("/jwks/wait", "9s")
            .set("/jwks/fetch", "9s")
    });
    reloaded(&world.gateway, "accepted", 1.0).await;
    let token = issuer.token(&world.gateway.uri("/mcp")).sign();
    for token in [&token, &stay] {
        let reply = world.gateway.post(initialize()).token(token).send().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    assert_eq!(world.gateway.admin("/readyz").await.status, 200);
    let age = "mcp_gateway_jwks_age_seconds";
    let labels = [("issuer", "second")];
    assert!(world.gateway.metrics().await.has(age, &labels));

    // Removed again: its tokens are refused, and no more keys are fetched from it.
    rewrite(&mut world.gateway, |config| {
        config
            .set(
                "/issuers",
                json!({ "corporate": { "issuer": ISSUER, "jwks_file": "jwks.json" } }),
            )
            .set("/resources/0/issuers", json!(["corporate"]))
    });
    reloaded(&world.gateway, "accepted", 2.0).await;
    let reply = world.gateway.post(initialize()).token(&token).send().await;
    assert_eq!(reply.status, 401);
    assert!(!world.gateway.metrics().await.has(age, &labels));
}

#[tokio::test]
async fn keys_of_an_issuer_are_kept_when_other_settings_change() {
    let issuer = Issuer::start().await;
    let upstream = Upstream::start().await;
    let mut gateway = Gateway::start(Config::discovering(&upstream, &issuer)).await;
    let token = issuer.token(&gateway.uri("/mcp")).sign();
    let status =
        async |gateway: &Gateway| gateway.post(initialize()).token(&token).send().await.status;
    assert_eq!(status(&gateway).await, 200);
    // The issuer is down: without its cached keys the gateway could not serve.
    issuer.keys(Fault::Status(500));
    issuer.metadata(Fault::Status(500));
    for (count, (pointer, value)) in [
        ("/timeouts/header", "9s"),
        ("/issuers/corporate/clock_skew", "29s"),
        ("/jwks/wait", "1s"),
    ]
    .into_iter()
    .enumerate()
    {
        rewrite(&mut gateway, |config| config.set(pointer, value));
        reloaded(&gateway, "accepted", count as f64 + 1.0).await;
        assert_eq!(status(&gateway).await, 200, "{pointer}");
    }
}

#[tokio::test]
async fn sighup_fetches_the_keys_at_once() {
    // 26
    let issuer = Issuer::start().await;
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(Config::discovering(&upstream, &issuer)).await;
    let token = issuer.token(&gateway.uri("/mcp")).sign();
    let status = async || gateway.post(initialize()).token(&token).send().await.status;
    assert_eq!(status().await, 200);
    issuer.publish(&[&Key::es256("another")]);
    assert_eq!(status().await, 200, "the next refresh is minutes away");
    gateway.process.signal("HUP");
    eventually("the withdrawn key is refused", async || {
        status().await == 401
    })
    .await;
}

/// A listener with the certificate files `tls.crt` and `tls.key` in the configuration's folder.
struct Secure {
    gateway: Gateway,
    authority: Authority,
    key: Key,
    upstream: Upstream,
}

impl Secure {
    async fn start() -> (Self, Leaf) {
        let (authority, upstream, key) = (
            Authority::new(),
            Upstream::start().await,
            Key::es256("first"),
        );
        let leaf = authority.leaf(&["localhost"]);
        let config = Config::new(&upstream.url(), &[&key]);
        leaf.write(config.folder(), "tls");
        let port = config.public.port();
        let config = config
            .set("/public_url", format!("https://localhost:{port}"))
            .set("/listen/0/tls", certificates("tls"));
        let gateway = Gateway::start(config).await;
        let secure = Self {
            gateway,
            authority,
            key,
            upstream,
        };
        (secure, leaf)
    }

    /// The certificate that a new connection receives.
    async fn shown(&self) -> Vec<u8> {
        let config = client(&self.authority, &[b"http/1.1"]);
        let stream = TcpStream::connect(self.gateway.config.public).await;
        let name = ServerName::try_from("localhost").unwrap();
        let stream = tokio_rustls::TlsConnector::from(config)
            .connect(name, stream.unwrap())
            .await
            .unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    /// A client that keeps one connection.
    fn http(&self) -> reqwest::Client {
        let authority = self.authority.pem();
        reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([reqwest::Certificate::from_pem(authority.as_bytes()).unwrap()])
            .resolve("localhost", self.gateway.config.public)
            .build()
            .unwrap()
    }
}

fn certificates(name: &str) -> serde_json::Value {
    json!({ "certificates": [{ "certificate": format!("{name}.crt"), "private_key": format!("{name}.key") }] })
}

#[tokio::test]
async fn a_renewed_certificate_is_used_for_new_connections() {
    // 153
    let (mut secure, first) = Secure::start().await;
    let mut feeds = secure.upstream.streams("text/event-stream");
    let token = Token::new(&secure.key, ISSUER, &secure.gateway.uri("/mcp")).sign();
    let http = secure.http();
    let open = e2e::client::Call::new(&http, http::Method::GET, secure.gateway.uri("/mcp"))
        .token(&token)
        .with("accept", "text/event-stream");
    let answer = tokio::spawn(open.open());
    let feed = feeds.next().await;
    feed.event("first");
    let mut events = Events::new(answer.await.unwrap());
    assert_eq!(events.data().await, "first");
    assert!(secure.shown().await == first.der());

    // With a key of another certificate neither is applied, until its certificate follows.
    let second = secure.authority.leaf(&["localhost"]);
    let folder = secure.gateway.config.folder().to_owned();
    write_secret(&folder.join("tls.key"), &second.private_key);
    reloaded(&secure.gateway, "rejected", 1.0).await;
    assert!(secure.shown().await == first.der());
    let line = secure.gateway.logged("configuration reload rejected").await;
    assert!(line.contains("does not match the certificate"), "{line}");
    std::fs::write(folder.join("tls.crt"), &second.certificate).unwrap();
    reloaded(&secure.gateway, "accepted", 1.0).await;
    assert!(secure.shown().await == second.der());

    // Files of another name; the metric follows.
    let third = secure.authority.leaf(&["localhost"]);
    third.write(&folder, "other");
    rewrite(&mut secure.gateway, |config| {
        config.set("/listen/0/tls", certificates("other"))
    });
    reloaded(&secure.gateway, "accepted", 2.0).await;
    assert!(secure.shown().await == third.der());
    let metrics = secure.gateway.metrics().await;
    let expiries: Vec<_> = metrics
        .series()
        .filter(|series| series.starts_with(EXPIRY))
        .collect();
    assert!(
        expiries.len() == 1 && expiries[0].contains("other.crt"),
        "{expiries:?}"
    );

    feed.event("second");
    assert_eq!(events.data().await, "second");
}

#[tokio::test]
async fn no_request_fails_during_reloads_of_everything() {
    // 151
    let mut world = World::with(|config| config.set("/reload/settle", "20ms")).await;
    let token = world.reader();
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (over, token) = (Arc::clone(&over), token.clone());
            let (http, url) = (e2e::client::http(), world.gateway.url("/mcp"));
            tokio::spawn(async move {
                let mut answered = 0_usize;
                while !over.load(Ordering::Relaxed) {
                    let call = e2e::client::Call::post(&http, url.clone(), initialize());
                    let reply = call.token(&token).send().await;
                    assert_eq!(reply.status, 200, "{}", reply.text());
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    let ends = tokio::time::Instant::now() + Duration::from_secs(3);
    let mut round = 0;
    while tokio::time::Instant::now() < ends {
        round += 1;
        // Written in place, so that it is half-written for a moment, and broken at times.
        let broken = round % 4 == 0;
        rewrite(&mut world.gateway, |config| {
            config
                .set(
                    "/timeouts/header",
                    if broken {
                        "soon".into()
                    } else {
                        format!("{}s", 5 + round % 9)
                    },
                )
                .set("/jwks/wait", format!("{}s", 1 + round % 5))
                .set("/timeouts/upstream_connect", format!("{}s", 1 + round % 3))
        });
        if round % 3 == 0 {
            world.gateway.process.signal("HUP");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.await.unwrap() > 10);
    }
    let accepted = reloads(&world.gateway, "accepted").await;
    assert!(accepted >= 3.0, "{accepted} reloads in {round} rounds");
}

//! Replacing the running process by its successor on the same sockets: no connection is rejected, no request is interrupted,
//! and a successor that cannot serve changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use e2e::certificates::{Authority, client};
use e2e::client::raw::{self, Raw};
use e2e::client::sse::{Events, Item};
use e2e::client::{Call, http, initialize, request};
use e2e::eventually;
use e2e::gateway::command;
use e2e::gateway::config::Config;
use e2e::issuer::{Fault, Issuer};
use e2e::leaks;
use e2e::process::Process;
use e2e::process::port;
use e2e::world::{Table, World};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Timeout for the start or the exit of a debug build.
const A_WHILE: Duration = Duration::from_secs(40);

fn replaceable(config: Config) -> Config {
    let socket = config.folder().join("upgrade.sock");
    config.set("/upgrade_socket", socket.to_str().unwrap())
}

/// Starts a successor with this configuration.
fn successor(config: &Config) -> Process {
    Process::spawn(command(&["run", "--upgrade", "--config"], config))
}

/// Replaces the world's process; panics unless the previous one exits with code 0.
async fn upgrade(world: &mut World) {
    let next = successor(&world.gateway.config);
    let mut last = std::mem::replace(&mut world.gateway.process, next);
    let code = last.exit(A_WHILE).await.code();
    let output = world.gateway.process.output();
    assert_eq!(code, Some(0), "{}\nthe successor: {output}", last.output());
    assert_eq!(leaks::find(&last.output()), None);
}

/// Clients that never stop: requests answered, and those that were not.
#[derive(Default)]
struct Load {
    is_over: AtomicBool,
    answered: AtomicUsize,
    lost: AtomicUsize,
}

impl Load {
    /// Requests one after the other, each on a connection of its own or all on as few as the gateway allows.
    fn client(self: &Arc<Self>, world: &World, keeps: bool) -> JoinHandle<()> {
        let (load, address) = (self.clone(), world.gateway.config.public);
        let body = request(1, "tools/list", json!({}));
        let close = if keeps { "" } else { "Connection: close\r\n" };
        let length = body.len();
        let message = format!(
            "{}{close}Content-Length: {length}\r\n\r\n{body}",
            world.raw_head()
        );
        tokio::spawn(async move {
            let mut idle = None;
            while !load.is_over.load(Ordering::Relaxed) {
                let mut connection = match idle.take() {
                    Some(connection) => connection,
                    None => Raw::connect(address).await,
                };
                connection.send(&message).await;
                let reply = connection.reply_within(A_WHILE).await;
                match reply {
                    Some(reply) if reply.status == 200 && reply.complete => {
                        load.answered.fetch_add(1, Ordering::Relaxed);
                        if keeps && reply.header("connection") != "close" {
                            idle = Some(connection);
                        }
                    }
                    _ => {
                        load.lost.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        })
    }

    async fn more(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        e2e::eventually("requests are still answered", async || {
            self.answered.load(Ordering::Relaxed) > before + 50
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_upgrades_in_a_row_lose_no_request() {
    let mut world = World::with(replaceable).await;
    let load = Arc::new(Load::default());
    let clients: Vec<_> = [true, true, false, false]
        .map(|keeps| load.client(&world, keeps))
        .into();
    for _ in 0..3 {
        load.more().await;
        upgrade(&mut world).await;
    }
    load.more().await;
    load.is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(load.lost.load(Ordering::Relaxed), 0);
    let socket = world.gateway.config.folder().join("upgrade.sock");
    assert!(socket.exists(), "the new process waits for a successor");
    assert_eq!(world.gateway.stop().await, Some(0));
    assert!(!socket.exists(), "its socket goes with it");
}

#[tokio::test]
async fn the_old_process_completes_its_requests() {
    let mut world = World::with(replaceable).await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let listening = world
        .gateway
        .get("/mcp")
        .token(&world.reader())
        .with("accept", "text/event-stream");
    let listening = tokio::spawn(listening.open());
    let first = feeds.next().await;
    first.event("first");
    let mut events = Events::new(listening.await.unwrap());
    assert_eq!(events.data().await, "first");
    let mut feeds = world.upstream.streams("application/json");
    let call = world
        .gateway
        .post(request(7, "tools/call", json!({ "name": "slow" })))
        .token(&world.reader());
    let call = tokio::spawn(call.send());
    let slow = feeds.next().await;

    let next = successor(&world.gateway.config);
    let mut last = std::mem::replace(&mut world.gateway.process, next);
    loop {
        match events.next_within(A_WHILE).await.unwrap() {
            Item::Comment(_) => {}
            end => break assert_eq!(end, Item::End),
        }
    }
    // The successor is ready at once, and the probes answer from it: the old one would report that it drains.
    let page = world.gateway.admin("/readyz").await;
    assert_eq!(
        (page.status, &page.json()["draining"]),
        (200, &json!(false))
    );
    assert!(last.runs(), "a call is under way");
    slow.send(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#);
    drop(slow);
    let reply = call.await.unwrap();
    assert_eq!((reply.status, reply.json()["id"].as_i64()), (200, Some(7)));
    assert_eq!(last.exit(A_WHILE).await.code(), Some(0));
}

#[tokio::test]
async fn a_successor_that_cannot_serve_changes_nothing() {
    // The running process must not apply what is for the successor only.
    let world = World::with(|config| replaceable(config).set("/reload/watch", false)).await;
    let good = &world.gateway.config;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let unused = port::free();
    let _listener = TcpListener::bind(&taken).await;
    let mut table = Table::default();
    let cases = [
        (
            "a wrong configuration",
            good.clone().set("/limits/body_bytes", -5),
            2,
            "limits.body_bytes",
        ),
        (
            "a port that is taken",
            good.clone()
                .set("/listen/1", json!({ "address": taken })),
            1,
            "cannot listen",
        ),
        (
            "keys that cannot be fetched",
            good.clone().set(
                "/issuers/corporate",
                json!({ "issuer": e2e::gateway::config::ISSUER, "jwks_uri": format!("http://{unused}/keys") }),
            ),
            1,
            "corporate",
        ),
        (
            "another upgrade socket",
            good.clone().set(
                "/upgrade_socket",
                good.folder().join("unused.sock").to_str().unwrap(),
            ),
            1,
            "start without --upgrade",
        ),
        (
            "no upgrade socket",
            good.clone().set("/upgrade_socket", json!(null)),
            1,
            "upgrade_socket",
        ),
    ];
    for (name, config, expected, words) in cases {
        let mut next = successor(&config);
        let code = next.exit(A_WHILE).await.code();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let output = next.output();
        table.check(name, code == Some(expected), || {
            format!("{code:?}: {output}")
        });
        table.check(name, output.contains(words), || output.clone());
        let call = world.gateway.post(initialize()).token(&world.reader());
        table.row(name, world.acceptance(call).await);
    }
    assert_eq!(world.gateway.admin("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_successor_that_is_killed_while_it_starts_changes_nothing() {
    let world = World::with(|config| replaceable(config).set("/reload/watch", false)).await;
    let issuer = Issuer::start().await;
    issuer.keys(Fault::Slow(Duration::from_secs(3)));
    let config = world.gateway.config.clone().set(
        "/issuers/corporate",
        json!({ "issuer": e2e::gateway::config::ISSUER, "jwks_uri": issuer.jwks_uri() }),
    );
    let mut next = successor(&config);
    eventually("it fetches keys", async || {
        issuer.counts().values().sum::<usize>() > 0
    })
    .await;
    next.signal("TERM");
    assert_eq!(next.exit(A_WHILE).await.code(), Some(1));
    eventually("it logs the reason", async || {
        next.output().contains("a signal")
    })
    .await;
    let call = world.gateway.post(initialize()).token(&world.reader());
    world.acceptance(call).await.unwrap();
    assert_eq!(world.gateway.admin("/readyz").await.status, 200);
}

#[tokio::test]
async fn an_upgrade_during_a_drain_interrupts_no_request() {
    let mut world = World::with(|config| replaceable(config).set("/shutdown/delay", "5m")).await;
    let mut feeds = world.upstream.streams("application/json");
    let call = world
        .gateway
        .post(request(7, "tools/call", json!({ "name": "slow" })))
        .token(&world.reader());
    let call = tokio::spawn(call.send());
    let slow = feeds.next().await;
    world.gateway.process.signal("TERM");
    world.gateway.readiness(503).await;

    let next = successor(&world.gateway.config);
    let mut last = std::mem::replace(&mut world.gateway.process, next);
    world
        .gateway
        .logged("took over the listening sockets")
        .await;
    world.gateway.readiness(200).await;
    // One signal does not count as two, even with an upgrade in between.
    assert!(last.runs(), "a call is under way: {}", last.output());
    slow.send(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#);
    drop(slow);
    let reply = call.await.unwrap();
    assert_eq!((reply.status, reply.json()["id"].as_i64()), (200, Some(7)));
    // It gets no new connections any more, so it does not wait for its delay.
    assert_eq!(last.exit(A_WHILE).await.code(), Some(0));
}

#[tokio::test]
async fn a_second_process_does_not_take_the_upgrade_socket() {
    let world = World::with(replaceable).await;
    let (public, admin) = (port::free(), port::free());
    let config = world.gateway.config.clone();
    let config = config
        .set("/listen/0/address", public.to_string())
        .set("/admin/address", admin.to_string());
    let mut second = Process::spawn(command(&["run", "--config"], &config));
    assert_eq!(second.exit(A_WHILE).await.code(), Some(1));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(
        second.output().contains("already running"),
        "{}",
        second.output()
    );
}

#[tokio::test]
async fn an_upgrade_socket_that_a_killed_process_left_is_replaced() {
    let mut world = World::with(replaceable).await;
    world.gateway.process.signal("KILL");
    world.gateway.process.exit(A_WHILE).await;
    let socket = world.gateway.config.folder().join("upgrade.sock");
    assert!(socket.exists());
    world.gateway.process = Process::spawn(command(&["run", "--config"], &world.gateway.config));
    world.gateway.serves_admin().await;
    world.gateway.readiness(200).await;
    upgrade(&mut world).await;
}

#[tokio::test]
async fn an_upgrade_can_add_and_remove_listeners() {
    let (old, new) = (port::free(), port::free());
    let mut world = World::with(|config| {
        replaceable(config).set("/listen/1", json!({ "address": old.to_string() }))
    })
    .await;
    let call = |world: &World, address| {
        Call::post(&http(), format!("http://{address}/mcp"), initialize())
            .with("host", &world.gateway.config.public.to_string())
            .token(&world.reader())
    };
    world.acceptance(call(&world, old)).await.unwrap();
    let config = world.gateway.config.clone();
    world.gateway.config = config.set("/listen/1", json!({ "address": new.to_string() }));
    upgrade(&mut world).await;
    world.acceptance(call(&world, new)).await.unwrap();
    assert!(tokio::net::TcpStream::connect(old).await.is_err());
}

#[tokio::test]
async fn a_tls_listener_is_taken_over_too() {
    let authority = Authority::new();
    let leaf = authority.leaf(&["localhost"]);
    let mut world = World::with(|config| {
        let (certificate, private_key) = leaf.write(config.folder(), "tls");
        let files = json!([{ "certificate": certificate, "private_key": private_key }]);
        let url = format!("https://localhost:{}", config.public.port());
        replaceable(config)
            .set("/public_url", url)
            .set("/listen/0/tls", json!({ "certificates": files }))
    })
    .await;
    let address = world.gateway.config.public;
    let ask = async || {
        let mut tls =
            Raw::connect_tls(address, client(&authority, &[b"http/1.1"]), "localhost").await;
        let host = format!("localhost:{}", address.port());
        tls.send(format!(
            "GET /.well-known/oauth-protected-resource/mcp HTTP/1.1\r\nHost: {host}\r\n\r\n"
        ))
        .await;
        (tls.reply().await.map(|reply| reply.status), tls)
    };
    let (status, mut connection) = ask().await;
    assert_eq!(status, Some(200));
    upgrade(&mut world).await;
    assert!(connection.closes(A_WHILE).await);
    assert_eq!(ask().await.0, Some(200));
    // The same listener still refuses a client without TLS.
    let plain = raw::once(address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(plain.is_none_or(|reply| reply.status == 400));
}

#[tokio::test]
async fn sessions_survive_an_upgrade_with_a_configured_key_and_otherwise_it_warns() {
    for keyed in [true, false] {
        let mut world = World::with(|config| {
            let config = replaceable(config);
            if !keyed {
                return config;
            }
            let file = config.write("session.key", "5a".repeat(32));
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&file, mode).unwrap();
            config.set("/sessions/key_files", json!([file]))
        })
        .await;
        upgrade(&mut world).await;
        world.gateway.readiness(200).await;
        let warned = world.gateway.log().await.contains("end with this upgrade");
        assert_eq!(warned, !keyed);
    }
}

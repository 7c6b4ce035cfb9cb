//! Numbers 149 and 154–158: start, exit, and what each listener serves.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use e2e::SOON;
use e2e::client::raw::{self, Raw};
use e2e::client::sse::{Events, Item};
use e2e::client::{initialize, request};
use e2e::gateway::config::Config;
use e2e::gateway::{bare, command};
use e2e::process::Process;
use e2e::process::port;
use e2e::upstream::Answer;
use e2e::world::secure::Secure;
use e2e::world::{Table, World};
use serde_json::json;
use test_support::Key;

fn good() -> Config {
    Config::new("http://127.0.0.1:9/mcp", &[&Key::es256("first")])
}

/// Runs the binary until it exits: exit code and everything it printed.
async fn run(mut process: Process) -> (Option<i32>, String) {
    let code = process.exit(SOON).await.code();
    // The output can be read completely only shortly after the exit.
    tokio::time::sleep(Duration::from_millis(100)).await;
    (code, process.output())
}

#[tokio::test]
async fn attack_149_a_broken_configuration_never_starts() {
    let mut table = Table::default();
    let broken = good()
        .set("/timeouts/header", "10 parsecs")
        .set("/resources/0/upstrem", "http://127.0.0.1:9/mcp")
        .set("/resources/0/issuers", json!(["absent-idp"]))
        .set("/limits/body_bytes", -5)
        .set("/listen/0/address", "somewhere");
    for verb in ["run", "check"] {
        let began = Instant::now();
        let (code, output) = run(Process::spawn(command(&[verb, "--config"], &broken))).await;
        table.check(verb, code == Some(2), || format!("{code:?}: {output}"));
        table.check(verb, began.elapsed() < SOON, || {
            format!("{:?}", began.elapsed())
        });
        for part in [
            "timeouts.header",
            "upstrem",
            "absent-idp",
            "limits.body_bytes",
            "listen",
        ] {
            table.check(verb, output.contains(part), || {
                format!("{part} not in {output}")
            });
        }
    }
    let bomb: String = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, level| {
        format!(
            "{text}a{level}: &a{level} [*a{0}, *a{0}, *a{0}, *a{0}]\n",
            level - 1
        )
    });
    for (name, text) in [
        ("no YAML", "listen: [\n".to_owned()),
        ("nothing", String::new()),
        ("a list", "- a\n- b\n".to_owned()),
        (
            "a key twice",
            "public_url: http://127.0.0.1:1\npublic_url: http://127.0.0.1:2\n".to_owned(),
        ),
        ("an alias bomb", bomb),
        ("deep", "[".repeat(100_000)),
        ("a tag", "public_url: !!python/object x\n".to_owned()),
        (
            "two documents",
            "public_url: http://127.0.0.1:1\n---\nlisten: []\n".to_owned(),
        ),
    ] {
        let config = good();
        let file = config.write("broken.yaml", text);
        let mut command = bare(&["check"]);
        command.arg(file);
        let (code, output) = run(Process::spawn(command)).await;
        table.check(name, code == Some(2), || format!("{code:?}: {output}"));
    }
}

#[tokio::test]
async fn attack_154_sigterm_drains_open_requests_and_exits_at_the_deadline() {
    let mut world = World::with(|config| {
        config
            .set("/shutdown/delay", "1s")
            .set("/shutdown/drain", "20s")
    })
    .await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let token = world.reader();
    let listening = world
        .gateway
        .get("/mcp")
        .token(&token)
        .with("accept", "text/event-stream");
    let listening = tokio::spawn(listening.open());
    let feed = feeds.next().await;
    feed.event("first");
    let mut events = Events::new(listening.await.unwrap());
    assert_eq!(events.data().await, "first");
    let mut answers = world.upstream.streams("application/json");
    let call = world
        .gateway
        .post(request(1, "tools/call", json!({ "name": "slow" })));
    let call = tokio::spawn(call.token(&token).send());
    let running = answers.next().await;
    let began = Instant::now();

    world.gateway.process.signal("TERM");
    world.gateway.readiness(503).await;
    // Still in the delay: connections are accepted.
    let late = world
        .gateway
        .post(request(2, "ping", json!({})))
        .token(&token);
    let late = tokio::spawn(late.send());
    let late_feed = answers.next().await;
    late_feed.send("{}");
    drop(late_feed);
    assert_eq!(late.await.unwrap().status, 200);
    loop {
        match events.next().await {
            Item::Comment(_) => {}
            end => break assert_eq!(end, Item::End, "a clean end and no message"),
        }
    }
    assert!(world.gateway.process.runs(), "it did not wait for the call");
    running.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    drop(running);
    assert_eq!(call.await.unwrap().status, 200);
    assert_eq!(world.gateway.process.exit(SOON).await.code(), Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "it waited for the whole drain"
    );

    // What never ends is closed at the deadline.
    let mut stuck = World::with(|config| config.set("/shutdown/drain", "1s")).await;
    stuck.upstream.script(|_| Answer::Hang);
    let call = stuck.gateway.post(initialize()).token(&stuck.reader());
    let call = tokio::spawn(call.attempt());
    stuck.upstream.received(1).await;
    stuck.gateway.process.signal("TERM");
    stuck.gateway.process.exit(SOON).await;
    drop(call);
}

#[tokio::test]
async fn attack_155_a_port_that_cannot_be_bound_fails_the_start() {
    let taken = TcpListener::bind(port::free()).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    // TEST-NET-1 (RFC 5737) is not an address of this machine.
    for (pointer, address) in [
        ("/listen/0/address", address.as_str()),
        ("/admin/address", &address),
        ("/admin/address", "192.0.2.1:9090"),
    ] {
        let config = good().set(pointer, address);
        let (code, output) = run(Process::spawn(command(&["run", "--config"], &config))).await;
        assert_eq!(code, Some(1), "{pointer} {address}: {output}");
        assert!(output.contains(address), "{output}");
    }
}

#[tokio::test]
async fn attack_156_old_and_weak_tls_is_refused() {
    let secure = Secure::start().await;
    let address = secure.gateway.config.public.to_string();
    let mut table = Table::default();
    for (options, accepted) in [
        (&["-tls1"][..], false),
        (&["-tls1_1"], false),
        (&["-tls1_2"], true),
        (&["-tls1_3"], true),
        (&["-tls1_2", "-cipher", "AES128-GCM-SHA256"], false),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], false),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"], false),
        (
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
            true,
        ),
        (
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"],
            true,
        ),
        (&["-noservername"], true),
        (&["-alpn", "spdy/3"], false),
        (&["-alpn", "h2,http/1.1"], true),
    ] {
        let mut command = tokio::process::Command::new("openssl");
        command.args(["s_client", "-connect", &address]);
        if !options.contains(&"-cipher") {
            command.args(["-cipher", "DEFAULT@SECLEVEL=0"]);
        }
        let output = command
            .args(options)
            .stdin(std::process::Stdio::null())
            .output()
            .await
            .expect("openssl runs");
        table.check(
            &options.join(" "),
            output.status.success() == accepted,
            || String::from_utf8_lossy(&output.stderr).into_owned(),
        );
    }
}

#[tokio::test]
async fn attack_157_plain_http_and_tls_are_not_served_on_each_others_port() {
    let secure = Secure::start().await;
    let plain = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Length: 0\r\n\r\n",
        secure.token()
    );
    let reply = raw::once(secure.gateway.config.public, plain).await;
    assert!(reply.is_none_or(|reply| reply.status == 400));
    assert_eq!(secure.upstream.hits(), 0);
    // A client hello on the plain port: one answer at most, and the connection closes.
    let world = World::start().await;
    let mut connection = Raw::connect(world.gateway.config.public).await;
    connection
        .send(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n")
        .await;
    assert!(connection.closes(SOON).await);
    // Plain HTTP on other addresses than loopback must be configured explicitly.
    let open = || {
        good().set(
            "/listen/0/address",
            format!("0.0.0.0:{}", port::free().port()),
        )
    };
    let (code, output) = run(Process::spawn(command(&["check", "--config"], &open()))).await;
    assert!(
        code == Some(2) && output.contains("plain_http"),
        "{code:?}: {output}"
    );
    let explicit = open().set("/listen/0/plain_http", true);
    let (code, output) = run(Process::spawn(command(&["check", "--config"], &explicit))).await;
    assert_eq!(code, Some(0), "{output}");
}

#[tokio::test]
async fn attack_158_the_admin_listener_is_not_public() {
    let world = World::start().await;
    let mut table = Table::default();
    for path in ["/metrics", "/livez", "/readyz"] {
        table.row(
            path,
            world
                .refusal(world.gateway.get(path), 404, "not_found")
                .await,
        );
        let status = world.gateway.admin(path).await.status;
        table.check(path, status == 200, || format!("admin: {status}"));
    }
    for path in ["/mcp", "/.well-known/oauth-protected-resource/mcp", "/"] {
        let status = world.gateway.admin(path).await.status;
        table.check(path, status == 404, || format!("admin: {status}"));
    }
}

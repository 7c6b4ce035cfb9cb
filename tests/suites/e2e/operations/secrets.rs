//! A canary in every place where a client or an upstream can put one (attacks 143–147): the test searches for it in all output
//! of the gateway: logs, answers and pages for operators, at the most verbose level and in both formats.

use std::time::Duration;

use e2e::certificates::{Authority, client};
use e2e::client::raw::{self, Raw};
use e2e::client::raw_http2::RawHttp2;
use e2e::client::{Call, initialize, request};
use e2e::gateway::config::{Config, ISSUER};
use e2e::gateway::{Gateway, command};
use e2e::leaks;
use e2e::process::Process;
use e2e::upstream::{Answer, Upstream, with};
use e2e::world::Table;
use http::Method;
use serde_json::{Value, json};
use test_support::{Key, Token};

/// Longer than the prefix that a line can show.
const OPAQUE: &str = "opaque-canary-0a1b2c3d4e5f60718293a4b5c6d7e8f9";

const A_WHILE: Duration = Duration::from_secs(40);

struct Setting {
    plain: Gateway,
    tls: std::net::SocketAddr,
    upstream: Upstream,
    authority: Authority,
    token: String,
    expired: String,
}

impl Setting {
    async fn start(format: &str) -> Self {
        let (authority, upstream, key) = (
            Authority::new(),
            Upstream::start().await,
            Key::es256("first"),
        );
        upstream.bodies_may_hold_tokens();
        let config = Config::new(&upstream.url(), &[&key]);
        let (certificate, private_key) =
            authority.leaf(&["localhost"]).write(config.folder(), "tls");
        let files = json!([{ "certificate": certificate, "private_key": private_key }]);
        let tls = e2e::process::port::free();
        let config = config
            .set("/log", json!({ "level": "debug", "format": format }))
            .set("/hosts", json!([format!("localhost:{}", tls.port())]))
            .set(
                "/listen/1",
                json!({ "address": tls.to_string(), "tls": { "certificates": files } }),
            );
        // Environment variables that a library could read.
        let chatty = [("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")];
        let plain = Gateway::start_with(config, &chatty).await;
        let token = Token::new(&key, ISSUER, &plain.uri("/mcp"));
        Self {
            token: token.clone().sign(),
            expired: token.claim("exp", test_support::now() - 3600).sign(),
            plain,
            tls,
            upstream,
            authority,
        }
    }

    /// Heads with a secret in them, most of which no request should have.
    fn heads(&self) -> Vec<String> {
        let host = format!("Host: {}\r\n", self.plain.config.public);
        let mut heads = Vec::new();
        for secret in [OPAQUE, &self.token, &self.expired] {
            let lines = [
                format!("Authorization: Bearer {secret}\r\n"),
                format!("Authorization: bearer  {secret}\r\n"),
                format!("Authorization: Basic {secret}\r\n"),
                format!("Authorization: Bearer {secret}, Bearer {secret}\r\n"),
                format!("Authorization: Bearer {secret}\r\nAuthorization: Bearer {secret}\r\n"),
                format!("Authorization: Bearer {secret}\r\nBad Header: x\r\n"),
                format!("Authorization: Bearer {secret}\r\nX-A: b\0c\r\n"),
                format!("Authorization: Bearer {secret}\r\n folded\r\n"),
                format!("Authorization: Bearer {secret}\r\nContent-Length: +1\r\n"),
                format!(
                    "Authorization: Bearer {secret}\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n"
                ),
                format!("Authorization Bearer {secret}\r\n"),
                format!("{secret}: x\r\n"),
                format!("{secret}\r\n"),
                format!(
                    "Cookie: {secret}\r\nProxy-Authorization: {secret}\r\nX-Api-Key: {secret}\r\n"
                ),
                format!("Mcp-Session-Id: {secret}\r\nLast-Event-ID: {secret}\r\n"),
                format!(
                    "Mcp-Protocol-Version: {secret}\r\nMcp-Method: {secret}\r\nMcp-Name: {secret}\r\n"
                ),
                format!("Content-Type: {secret}\r\nAccept: {secret}\r\n"),
                format!("Expect: {secret}\r\nUpgrade: {secret}\r\n"),
                format!(
                    "X-Mcp-Subject: {secret}\r\nForwarded: for={secret}\r\nX-Forwarded-For: {secret}\r\n"
                ),
            ];
            for line in lines {
                heads.push(format!("POST /mcp HTTP/1.1\r\n{host}{line}\r\n"));
                heads.push(format!("GET /mcp HTTP/1.1\r\n{host}{line}\r\n"));
            }
            for target in [
                format!("/mcp?access_token={secret}"),
                format!("/mcp?{secret}"),
                format!("/{secret}"),
                format!("/mcp/{secret}/x"),
                format!("/mcp#{secret}"),
                format!("http://{secret}@localhost/mcp"),
                format!("/.well-known/oauth-protected-resource/{secret}"),
            ] {
                heads.push(format!("GET {target} HTTP/1.1\r\n{host}\r\n"));
            }
            heads.push(format!("{secret} /mcp HTTP/1.1\r\n{host}\r\n"));
            heads.push(format!("GET /mcp {secret}\r\n{host}\r\n"));
            heads.push(format!("{secret}\r\n\r\n"));
        }
        // Refused hosts and origins are logged in full, because they are names; of a token only a prefix.
        heads.push(format!(
            "GET /mcp HTTP/1.1\r\n{host}Origin: https://{}\r\n\r\n",
            self.token
        ));
        heads.push(format!("GET /mcp HTTP/1.1\r\nHost: {}\r\n\r\n", self.token));
        heads
    }

    /// Messages with a secret where no secret belongs; names are chosen by the client, and are logged.
    fn bodies(&self) -> Vec<String> {
        let secret = &self.token;
        vec![
            secret.clone(),
            format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"x\":{OPAQUE}"),
            request(secret.as_str(), "ping", json!({})),
            request(1, secret, json!({})),
            request(1, "tools/call", json!({ "name": secret })),
            request(
                1,
                "tools/call",
                json!({ "name": "list_tasks", "arguments": { "a": OPAQUE } }),
            ),
            request(
                1,
                "resources/read",
                json!({ "uri": format!("https://a.example/?key={OPAQUE}") }),
            ),
            request(
                1,
                "tools/list",
                json!({ "cursor": OPAQUE, "_meta": { "token": secret } }),
            ),
        ]
    }

    async fn plain_requests(&self, table: &mut Table) {
        for head in self.heads() {
            if let Some(reply) = raw::once(self.plain.config.public, &head).await {
                table.check(
                    &head,
                    !leaks_in(&format!("{:?}{}", reply.headers, reply.text())),
                    || format!("it came back: {reply:?}"),
                );
                let has_product = reply
                    .headers
                    .iter()
                    .any(|(name, _)| name == "server" || name == "x-powered-by");
                table.check(&head, !has_product, || format!("{:?}", reply.headers));
            }
        }
        for body in self.bodies() {
            // A forwarded call is answered by the upstream; only the log is checked.
            let call = self.plain.post(body).token(&self.token);
            let _ = call.attempt().await;
        }
    }

    async fn tls_requests(&self) {
        let protocols: &[&[u8]] = &[b"http/1.1"];
        for head in self.heads() {
            let config = client(&self.authority, protocols);
            let mut tls = Raw::connect_tls(self.tls, config, "localhost").await;
            tls.send(head).await;
            tls.reply().await;
        }
        let authority = format!("localhost:{}", self.tls.port());
        for secret in [OPAQUE, &self.token] {
            let bearer = format!("Bearer {secret}");
            let fields: [(&[u8], &[u8]); 6] = [
                (b"authorization", bearer.as_bytes()),
                (b"cookie", secret.as_bytes()),
                (b"mcp-session-id", secret.as_bytes()),
                (b"Upper-Case", secret.as_bytes()),
                (b"connection", secret.as_bytes()),
                (secret.as_bytes(), b"x\r\ny"),
            ];
            for field in fields {
                let mut http2 =
                    RawHttp2::connect(self.tls, client(&self.authority, &[b"h2"])).await;
                let head: [(&[u8], &[u8]); 5] = [
                    (b":method", b"POST"),
                    (b":scheme", b"https"),
                    (b":path", b"/mcp"),
                    (b":authority", authority.as_bytes()),
                    field,
                ];
                http2.request(&head, secret.as_bytes()).await;
            }
        }
    }

    /// An upstream whose failure contains a secret.
    async fn upstream_failures(&self) {
        let call = || self.plain.post(initialize()).token(&self.token).attempt();
        for status in [101, 299, 500, 599, 999] {
            self.upstream.script(move |_| {
                let mut answer = with(200, "text/plain", OPAQUE);
                *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
                let headers = answer.headers_mut();
                headers.insert("server", OPAQUE.parse().unwrap());
                headers.insert("x-powered-by", OPAQUE.parse().unwrap());
                headers.insert("set-cookie", OPAQUE.parse().unwrap());
                Answer::Full(answer)
            });
            let _ = call().await;
        }
        self.upstream.script(|_| Answer::Drop);
        let _ = call().await;
    }
}

fn leaks_in(text: &str) -> bool {
    text.contains(OPAQUE) || leaks::find(text).is_some()
}

#[tokio::test]
async fn a_canary_is_in_no_output_in_either_format() {
    for format in ["json", "text"] {
        let mut table = Table::default();
        let mut setting = Setting::start(format).await;
        setting.plain_requests(&mut table).await;
        setting.tls_requests().await;
        setting.upstream_failures().await;
        for page in ["/metrics", "/readyz", "/livez"] {
            let text = setting.plain.admin(page).await.text();
            table.check(page, !leaks_in(&text), || text.clone());
            table.check(page, !text.contains("alice"), || text.clone());
        }
        assert_eq!(setting.plain.stop().await, Some(0));
        let log = setting.plain.log().await;
        assert!(log.lines().count() > 100, "{log}");
        for line in log.lines() {
            table.check(format, !leaks_in(line), || line.to_owned());
            if format == "json" {
                let parsed = serde_json::from_str::<Value>(line);
                table.check(format, parsed.is_ok(), || line.to_owned());
            } else {
                // Each line is an event of its own and begins with its time.
                let is_event = line.starts_with("20") && line.is_ascii();
                table.check(format, is_event, || line.to_owned());
            }
        }
    }
}

#[tokio::test]
async fn no_finding_shows_the_secret_of_a_file() {
    let secret = leaks::secret("file-canary-77aa88bb99cc");
    let config = Config::new("http://127.0.0.1:9/mcp", &[&Key::es256("first")]);
    let file = config.write("session.key", format!("{secret}\n"));
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let config = config
        .set("/sessions/key_files", json!([file]))
        .set("/issuers/corporate/jwks_file", json!(file));
    for arguments in [["check", "--config"], ["run", "--config"]] {
        let mut process = Process::spawn(command(&arguments, &config));
        assert_eq!(process.exit(A_WHILE).await.code(), Some(2));
        tokio::time::sleep(Duration::from_millis(50)).await;
        let output = process.output();
        assert!(output.contains("session.key"), "{output}");
        assert!(!output.contains(&secret), "{output}");
    }
}

#[tokio::test]
async fn the_status_of_an_upstream_adds_no_metric_series() {
    // 145
    let world = e2e::world::World::start().await;
    for status in (200..1000).step_by(9) {
        world.upstream.script(move |_| {
            let mut answer = with(200, "application/json", "{}");
            *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
            Answer::Full(answer)
        });
        let call = Call::new(
            &e2e::client::http(),
            Method::DELETE,
            world.gateway.url("/mcp"),
        );
        let _ = call.token(&world.reader()).attempt().await;
        let call = world.gateway.post(request(1, "tools/list", json!({})));
        let _ = call.token(&world.reader()).attempt().await;
    }
    let metrics = world.gateway.metrics().await;
    let label = |series: &str| {
        let (_, rest) = series.split_once("status=\"")?;
        rest.split_once('"').map(|(label, _)| label.to_owned())
    };
    let labels: std::collections::BTreeSet<_> = metrics.series().filter_map(label).collect();
    for label in &labels {
        let is_known =
            label.ends_with("xx") || label.parse::<u16>().is_ok_and(|status| status < 506);
        assert!(is_known, "{labels:?}");
    }
}

//! Users and clients change, and a new process takes over, while people sign in and programs refresh and call.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::client::{Call, Reply, tool};
use e2e::eventually;
use e2e::gateway::config::Config;
use e2e::gateway::{Gateway, command};
use e2e::process::Process;
use e2e::sign_in::browser::{Browser, form};
use e2e::sign_in::client::{Client, REDIRECT, Tokens, call, redemption};
use e2e::sign_in::{PASSWORD, USER, hash, with_users};
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::flows::Site;

/// Timeout for the start or the exit of a debug build.
const A_WHILE: Duration = Duration::from_secs(40);

/// Somebody who is removed.
const LEAVING: &str = "bo";

/// A client of the configuration that is removed.
const REMOVED: &str = "planner";

/// A program that refreshes and calls, and a person who opens consent pages, one after the other until it is over. Each request has
/// a connection of its own.
struct Load<'a> {
    gateway: &'a Gateway,
    http: reqwest::Client,
    is_over: AtomicBool,
    rounds: AtomicUsize,
    /// Requests for which the store was closed for too long.
    unavailable: AtomicUsize,
}

impl<'a> Load<'a> {
    fn on(gateway: &'a Gateway) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0);
        Self {
            gateway,
            http: http.build().expect("a client"),
            is_over: AtomicBool::new(false),
            rounds: AtomicUsize::new(0),
            unavailable: AtomicUsize::new(0),
        }
    }

    /// Runs until it is over; the tokens of the last refresh.
    async fn run(&self, client: &Client, tokens: Tokens, browser: &Browser) -> Tokens {
        let mut tokens = tokens;
        while !self.is_over.load(Ordering::Relaxed) {
            tokens = self.refreshed(client, tokens).await;
            let call = Call::post(&self.http, self.gateway.url("/mcp"), tool(1, "list_tasks"));
            let reply = call.token(&tokens.access).send().await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            let path = client.authorize(self.gateway, "tasks:read");
            let page = self.page(&path, browser).await;
            let page = self.served(page);
            assert!(page.is_none_or(|page| page.text().contains("Allow access?")));
            self.rounds.fetch_add(1, Ordering::Relaxed);
        }
        tokens
    }

    async fn refreshed(&self, client: &Client, tokens: Tokens) -> Tokens {
        let body = form([
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens.refresh.as_str()),
            ("client_id", client.id.as_str()),
        ]);
        let call = Call::new(&self.http, Method::POST, self.gateway.url("/token"))
            .with("content-type", "application/x-www-form-urlencoded")
            .body(body);
        let answer = call.open().await;
        let (status, wait) = (
            answer.status().as_u16(),
            answer.headers().contains_key("retry-after"),
        );
        let text = answer.text().await.expect("text");
        if (status, wait) == (503, true) {
            self.unavailable.fetch_add(1, Ordering::Relaxed);
            return tokens;
        }
        assert_eq!(status, 200, "{text}");
        Tokens::of(serde_json::from_str(&text).expect("JSON"))
    }

    async fn page(&self, path: &str, browser: &Browser) -> Reply {
        let cookies = browser.cookies.iter();
        let cookies: Vec<_> = cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let call = Call::new(&self.http, Method::GET, self.gateway.url(path));
        call.with("cookie", &cookies.join("; ")).send().await
    }

    /// The answer, unless it says that it comes later.
    fn served(&self, reply: Reply) -> Option<Reply> {
        if reply.status == 503 && !reply.header("retry-after").is_empty() {
            self.unavailable.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        assert_eq!(reply.status, 200, "{}", reply.text());
        Some(reply)
    }

    async fn more(&self) {
        let before = self.rounds.load(Ordering::Relaxed);
        eventually("requests are still answered", async || {
            self.rounds.load(Ordering::Relaxed) > before + 5
        })
        .await;
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// A client that was allowed everything by this user, its tokens, and the browser that is still signed in.
async fn signed_in(gateway: &Gateway, client: Client, user: &str) -> (Client, Tokens, Browser) {
    let url = client.authorize(gateway, "tasks:read tasks:write");
    let mut browser = Browser::new(&gateway.uri(""));
    let consent = browser.sign_in(&url, user, PASSWORD).await;
    let location = browser.allow(&consent).await;
    let tokens = client
        .redeem(gateway, &client.code(gateway, &location))
        .await;
    (client, tokens, browser)
}

fn planner() -> Client {
    Client {
        id: REMOVED.to_owned(),
        secret: None,
        registered: Value::Null,
    }
}

fn replaceable(config: Config) -> Config {
    let socket = config.folder().join("upgrade.sock");
    config.set("/upgrade_socket", json!(socket))
}

fn successor(config: &Config) -> Process {
    Process::spawn(command(&["run", "--upgrade", "--config"], config))
}

#[tokio::test]
async fn users_and_clients_change_under_load_and_who_is_removed_ends() {
    let hash = hash(PASSWORD).await;
    let user = |name: &str| json!({ "name": name, "password": hash });
    let users = |names: &[&str]| {
        let users: Vec<_> = names.iter().map(|name| user(name)).collect();
        json!({ "users": users }).to_string()
    };
    let registered = json!([{ "id": REMOVED, "redirect_uris": [REDIRECT] }]);
    let mut site = Site::with(|config| {
        with_users(config, &users(&[USER, LEAVING]))
            .set("/authorization_server/clients", registered.clone())
    })
    .await;
    let gateway = &site.gateway;
    let (client, tokens, browser) = signed_in(gateway, Client::register(gateway).await, USER).await;
    let (planner, planned, _) = signed_in(gateway, planner(), USER).await;
    let (left, of_left, mut leaving) =
        signed_in(gateway, Client::register(gateway).await, LEAVING).await;
    let url = left.authorize(gateway, "tasks:read");
    let consent = leaving.open(&url).await;
    let open = leaving.allow(&consent).await;
    let open = left.code(gateway, &open);
    let consent = leaving.open(&url).await;

    let load = Load::on(gateway);
    let config = gateway.config.clone();
    let changes = async {
        let reloads = |count: f64| async move {
            eventually("the change is in use", async || {
                let metrics = gateway.metrics().await;
                let labels = [("result", "accepted")];
                metrics.sum("mcp_gateway_config_reloads_total", &labels) >= count
            })
            .await;
        };
        load.more().await;
        // Several changes of each kind, the last of which remove somebody and something.
        let mut count = 0.0;
        for names in [&[USER, LEAVING, "newcomer"][..], &[USER, LEAVING], &[USER]] {
            with_users(config.clone(), &users(names));
            count += 1.0;
            reloads(count).await;
            load.more().await;
        }
        for clients in [
            json!([{ "id": REMOVED, "redirect_uris": [REDIRECT] }, { "id": "more", "redirect_uris": [REDIRECT] }]),
            json!([]),
        ] {
            config
                .clone()
                .set("/authorization_server/clients", clients)
                .file();
            count += 1.0;
            reloads(count).await;
            load.more().await;
        }
        load.end();
    };
    let (tokens, ()) = tokio::join!(load.run(&client, tokens, &browser), changes);
    assert_eq!(load.unavailable.load(Ordering::Relaxed), 0);

    // Who is gone can do nothing any more; who stays can do everything.
    let page = leaving.submit(&consent, &[("decision", "allow")]).await;
    assert!(
        page.header("location").starts_with("/authorize?"),
        "{}",
        page.text()
    );
    let page = leaving.open(&url).await;
    assert!(page.text().contains("name=\"password\""), "{}", page.text());
    let fields = [("username", LEAVING), ("password", PASSWORD)];
    assert_eq!(leaving.submit(&page, &fields).await.status, 403);
    let (status, answer) = left.ask(gateway, &redemption(&open)).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
    let (status, answer) = left.refresh(gateway, &of_left.refresh).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
    eventually(
        "the access token of a removed user is refused",
        async || call(gateway, &of_left.access).await.status == 401,
    )
    .await;
    gateway.logged("the user was removed").await;
    let (status, answer) = planner.refresh(gateway, &planned.refresh).await;
    assert_eq!((status, &answer["error"]), (401, &json!("invalid_client")));
    let (status, _) = client.refresh(gateway, &tokens.refresh).await;
    assert_eq!(status, 200);
    assert_eq!(site.gateway.stop().await, Some(0));
}

#[tokio::test]
async fn two_upgrades_in_a_row_hand_over_grants_sessions_and_open_pages() {
    let mut site = Site::with(replaceable).await;
    let gateway = &site.gateway;
    let (client, tokens, browser) = signed_in(gateway, Client::register(gateway).await, USER).await;
    // A page and a code that the first process gave, and the third gets.
    let url = client.authorize(gateway, "tasks:read");
    let mut person = browser.clone();
    let (consent, other) = (person.open(&url).await, person.open(&url).await);
    let location = person.allow(&consent).await;
    let code = client.code(gateway, &location);

    let load = Load::on(gateway);
    let config = gateway.config.clone();
    let upgrades = async {
        load.more().await;
        let mut second = Gateway::ready(successor(&config), config.clone()).await;
        second.logged("took over the listening sockets").await;
        load.more().await;
        let third = Gateway::ready(successor(&config), config.clone()).await;
        third.logged("took over the listening sockets").await;
        assert_eq!(second.process.exit(A_WHILE).await.code(), Some(0));
        load.more().await;
        load.end();
        third
    };
    let (tokens, mut third) = tokio::join!(load.run(&client, tokens, &browser), upgrades);
    println!(
        "{} rounds, {} answers of 503",
        load.rounds.load(Ordering::Relaxed),
        load.unavailable.load(Ordering::Relaxed)
    );
    assert_eq!(site.gateway.process.exit(A_WHILE).await.code(), Some(0));
    client.redeem(&third, &code).await;
    let location = person.allow(&other).await;
    client.redeem(&third, &client.code(&third, &location)).await;
    let (status, answer) = client.refresh(&third, &tokens.refresh).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(call(&third, &Tokens::of(answer).access).await.status, 200);
    assert_eq!(third.stop().await, Some(0));
}

/// The store is the last thing that a successor takes. It is given back, whatever the successor dies of.
#[tokio::test]
async fn after_a_successor_that_cannot_serve_the_old_process_goes_on_with_its_store() {
    let site = Site::with(|config| replaceable(config).set("/reload/watch", false)).await;
    let gateway = &site.gateway;
    let (client, mut tokens, mut browser) =
        signed_in(gateway, Client::register(gateway).await, USER).await;
    let good = gateway.config.clone();
    // Found when the successor has the store already.
    let without_audit = good.clone().set("/audit", json!({ "file": good.folder() }));
    for (name, code, config) in [
        (
            "an audit file that cannot be written",
            1,
            without_audit.clone(),
        ),
        (
            "a wrong configuration",
            2,
            good.clone().set("/limits/body_bytes", -5),
        ),
    ] {
        let mut next = successor(&config);
        assert_eq!(next.exit(A_WHILE).await.code(), Some(code), "{name}");
        let (status, answer) = client.refresh(gateway, &tokens.refresh).await;
        assert_eq!(status, 200, "{name}: {answer}");
        tokens = Tokens::of(answer);
        assert_eq!(call(gateway, &tokens.access).await.status, 200, "{name}");
        let consent = browser.open(&client.authorize(gateway, "tasks:read")).await;
        let location = browser.allow(&consent).await;
        client
            .redeem(gateway, &client.code(gateway, &location))
            .await;
    }
    // A successor that is killed somewhere on its way.
    for pause in [0, 20, 50, 100, 200, 400] {
        let mut next = successor(&without_audit);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        next.signal("KILL");
        next.exit(A_WHILE).await;
        let (status, answer) = client.refresh(gateway, &tokens.refresh).await;
        assert_eq!(status, 200, "{pause} ms: {answer}");
        tokens = Tokens::of(answer);
    }
}

/// Asks the running process for its store, as a successor does, and does not go on.
async fn borrow_store(gateway: &Gateway) -> UnixStream {
    let socket = gateway.config.folder().join("upgrade.sock");
    let mut running = UnixStream::connect(socket)
        .await
        .expect("the upgrade socket");
    while running.read_u8().await.expect("the sockets") != b'.' {}
    running.write_all(b"W").await.expect("it reads");
    assert_eq!(running.read_u8().await.expect("an answer"), b'C');
    running
}

/// Whether the running process still waits for the successor: it does not wait for ever.
fn is_lent(running: &UnixStream) -> bool {
    let read = running.try_read(&mut [0]);
    read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[tokio::test]
async fn while_the_store_is_handed_over_sign_in_waits_and_calls_go_on() {
    let site = Site::with(replaceable).await;
    let gateway = &site.gateway;
    let (client, tokens, mut browser) =
        signed_in(gateway, Client::register(gateway).await, USER).await;
    let url = client.authorize(gateway, "tasks:read");
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.refresh.as_str()),
    ];
    loop {
        let running = borrow_store(gateway).await;
        let began = Instant::now();
        assert_eq!(call(gateway, &tokens.access).await.status, 200);
        assert_eq!(gateway.get("/jwks.json").send().await.status, 200);
        let asked = client.ask(gateway, &refresh);
        let ((status, answer), page) = tokio::join!(asked, browser.open(&url));
        if !is_lent(&running) {
            continue;
        }
        assert!(
            began.elapsed() >= Duration::from_secs(2),
            "they wait for it"
        );
        assert_eq!(
            (status, &answer["error"]),
            (503, &json!("temporarily_unavailable"))
        );
        assert_eq!((page.status, page.header("retry-after")), (503, "2"));
        assert!(page.text().contains("Try again"), "{}", page.text());
        break;
    }
    // The successor is gone: the same token and the same page work.
    eventually("the store is back", async || {
        client.ask(gateway, &refresh).await.0 == 200
    })
    .await;
    let consent = browser.open(&url).await;
    let location = browser.allow(&consent).await;
    client
        .redeem(gateway, &client.code(gateway, &location))
        .await;
}

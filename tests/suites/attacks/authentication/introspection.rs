//! Numbers 105, 111–113, 168, 286–292, 312 and 341: tokens that only their issuer can read.

use std::time::{Duration, Instant};

use e2e::certificates;
use e2e::client::sse::{Events, Item};
use e2e::client::{initialize, tool};
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use e2e::issuer::Fault;
use e2e::issuer::introspection::{Broken, Introspection, alice};
use e2e::upstream::Upstream;
use e2e::world::{Table, World};
use e2e::{eventually, leaks};
use serde_json::{Value, json};
use test_support::{Key, Token};

/// An issuer that is asked, before the resource of the common case, whose other issuer signs its tokens.
struct Asked {
    world: World,
    issuer: Introspection,
}

impl Asked {
    async fn start(settings: Value) -> Self {
        Self::with(settings, |config| config).await
    }

    async fn with(settings: Value, change: impl FnOnce(Config) -> Config) -> Self {
        let issuer = Introspection::start().await;
        let configured = issuer_of(&issuer, settings);
        let world = World::with(|config| {
            let config = config
                .set("/issuers/opaque", configured)
                .set("/resources/0/issuers", json!(["corporate", "opaque"]));
            change(config)
        })
        .await;
        Self { world, issuer }
    }

    fn gateway(&self) -> &Gateway {
        &self.world.gateway
    }

    fn audience(&self) -> String {
        self.gateway().uri("/mcp")
    }

    /// A new token of alice, which appears in no log.
    fn issue(&self, name: &str) -> String {
        let token = leaks::secret(name);
        self.issuer.issues(&token, &self.audience());
        token
    }

    async fn status(&self, token: &str) -> u16 {
        let call = self.gateway().post(initialize()).token(token);
        call.send().await.status
    }

    async fn refused(&self, token: &str, status: u16, reason: &str) -> Result<(), String> {
        let call = self.gateway().post(initialize()).token(token);
        self.world.refusal(call, status, reason).await.map(drop)
    }
}

/// The issuer in the configuration, with a client that authenticates.
fn issuer_of(issuer: &Introspection, settings: Value) -> Value {
    let mut introspection = json!({ "client_auth": "none" });
    for (name, value) in settings.as_object().expect("settings") {
        introspection[name] = value.clone();
    }
    json!({ "issuer": issuer.identifier(), "introspection": introspection })
}

#[tokio::test]
async fn attack_105_invented_tokens_cost_few_questions() {
    let asked = Asked::start(json!({ "negative_cache": "1m" })).await;
    // One token again and again is one question.
    for _ in 0..5 {
        asked
            .refused("invented", 401, "token_inactive")
            .await
            .unwrap();
    }
    assert_eq!(asked.issuer.questions(), 1);

    // Many at once, of one address, get a quarter of the places; the others get 503, and nobody is asked about them.
    let counted = |config: Config| config.set("/limits/exempt_addresses", json!([]));
    let asked = Asked::with(json!({ "calls": 8 }), counted).await;
    asked.issuer.answers(Fault::Slow(Duration::from_secs(2)));
    let calls = (0..20).map(|number| {
        let token = format!("invented-{number}");
        tokio::spawn(asked.gateway().post(initialize()).token(&token).send())
    });
    let calls: Vec<_> = calls.collect();
    let mut statuses = Vec::new();
    for call in calls {
        statuses.push(call.await.unwrap().status);
    }
    let of = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((of(401), of(503)), (2, 18), "{statuses:?}");
    assert_eq!(asked.issuer.questions(), 2);

    // An address that sent too many is not asked for any more; a caller there that was accepted before is.
    let few = |config: Config| counted(config).set("/limits/refusals_per_address", 3);
    let asked = Asked::with(json!({ "cache": "0s" }), few).await;
    let neighbour = asked.issue("opaque-neighbour");
    assert_eq!(asked.status(&neighbour).await, 200);
    for number in 0..10 {
        asked.status(&format!("invented-{number}")).await;
    }
    assert_eq!(asked.issuer.questions(), 4);
    assert_eq!(asked.status(&neighbour).await, 200);
    assert_eq!(asked.issuer.questions(), 5);
}

#[tokio::test]
async fn attack_111_an_open_stream_ends_when_its_token_is_revoked() {
    let asked = Asked::start(json!({ "recheck": "1s" })).await;
    let mut feeds = asked.world.upstream.streams("text/event-stream");
    let token = asked.issue("opaque-listener");
    let listening = asked.gateway().get("/mcp").token(&token);
    let listening = tokio::spawn(listening.with("accept", "text/event-stream").open());
    let feed = feeds.next().await;
    feed.event("one");
    let mut events = Events::new(listening.await.unwrap());
    assert_eq!(events.data().await, "one");

    // While the issuer says yes, and while it says nothing, the stream goes on.
    eventually("it is asked again", async || asked.issuer.questions() > 2).await;
    asked.issuer.answers(Fault::Status(500));
    let failures = asked.issuer.questions();
    eventually("it is asked in vain", async || {
        asked.issuer.questions() > failures
    })
    .await;
    feed.event("two");
    assert_eq!(events.data().await, "two");

    asked.issuer.answers(Fault::None);
    asked.issuer.revokes(&token);
    let revoked = Instant::now();
    assert!(matches!(
        events.next_within(Duration::from_secs(6)).await,
        Some(Item::End)
    ));
    assert!(revoked.elapsed() <= Duration::from_secs(6));
    let line = asked.gateway().logged("would be refused now").await;
    assert!(line.contains("token_inactive"), "{line}");
}

#[tokio::test]
async fn attack_112_a_revoked_token_is_refused_within_the_cache_time() {
    let asked = Asked::start(json!({ "cache": "1s" })).await;
    let token = asked.issue("opaque-revoked");
    assert_eq!(asked.status(&token).await, 200);
    asked.issuer.revokes(&token);
    let revoked = Instant::now();
    eventually("it is refused", async || asked.status(&token).await == 401).await;
    assert!(revoked.elapsed() < Duration::from_secs(3));

    // A token that ends earlier is asked about at its end.
    let asked = Asked::start(json!({ "cache": "1m" })).await;
    let token = leaks::secret("opaque-short");
    let mut answer = alice(&asked.audience());
    answer["exp"] = json!(test_support::now() + 2);
    asked.issuer.knows(&token, answer);
    assert_eq!(asked.status(&token).await, 200);
    asked.issuer.revokes(&token);
    eventually("it is refused at its end", async || {
        asked.status(&token).await == 401
    })
    .await;
}

#[tokio::test]
async fn attack_113_only_a_plain_yes_for_this_resource_is_accepted() {
    let asked = Asked::start(json!({})).await;
    let audience = asked.audience();
    let with = |name: &str, value: Value| {
        let mut answer = alice(&audience);
        answer[name] = value;
        answer
    };
    let mut table = Table::default();
    for (number, (answer, status, reason)) in [
        (json!({}), 503, "introspection_unavailable"),
        (
            with("active", json!("true")),
            503,
            "introspection_unavailable",
        ),
        (with("active", json!(1)), 503, "introspection_unavailable"),
        (with("active", json!(false)), 401, "token_inactive"),
        (with("aud", Value::Null), 401, "missing_claim"),
        (
            with("aud", json!("https://other.example")),
            401,
            "wrong_audience",
        ),
        (
            with("iss", json!("https://other.example")),
            401,
            "wrong_issuer",
        ),
        (with("exp", json!(1)), 401, "expired"),
        (
            with("token_type", json!("refresh_token")),
            401,
            "wrong_token_type",
        ),
        (
            with("cnf", json!({ "jkt": "x" })),
            401,
            "sender_constrained",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let token = format!("opaque-{number}");
        asked.issuer.knows(&token, answer.clone());
        let refused = asked.refused(&token, status, reason).await;
        table.row(&answer.to_string(), refused);
    }
    let token = asked.issue("opaque-good");
    let call = asked.gateway().post(initialize()).token(&token);
    table.row("a good one", asked.world.acceptance(call).await);
}

#[tokio::test]
async fn attack_168_a_token_is_shown_to_its_own_issuer_only() {
    let asked = Asked::start(json!({})).await;
    let mut table = Table::default();
    // A JWT of the issuer that signs, good or bad, and of somebody else.
    let good = asked.world.reader();
    let call = asked.gateway().post(initialize()).token(&good);
    table.row("signed", asked.world.acceptance(call).await);
    let forged = Token::new(&Key::es256("first"), ISSUER, &asked.audience()).sign();
    table.row("forged", asked.refused(&forged, 401, "bad_signature").await);
    let foreign = Token::new(
        &Key::es256("first"),
        "https://other.example",
        &asked.audience(),
    );
    let foreign = foreign.sign();
    table.row(
        "foreign",
        asked.refused(&foreign, 401, "wrong_issuer").await,
    );
    let (header, _) = good.split_once('.').unwrap();
    for (name, token) in [
        ("without signature", format!("{header}.e30")),
        ("without issuer", format!("{header}.e30.c2ln")),
        (
            "encrypted",
            "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.a.b.c.d".to_owned(),
        ),
        ("header alone", format!("{header}.")),
    ] {
        let status = asked.status(&token).await;
        table.check(name, status == 401, || format!("{status}"));
    }
    table.check("questions", asked.issuer.questions() == 0, || {
        format!("{:?}", asked.issuer.asked())
    });

    // A JWT that names the issuer that is asked is shown to it: it may be revoked.
    let own = Token::new(
        &Key::es256("own"),
        asked.issuer.identifier(),
        &asked.audience(),
    );
    let own = own.sign();
    table.row("its own", asked.refused(&own, 401, "token_inactive").await);
    asked.issuer.issues(&own, &asked.audience());
    let asked_once = asked.issuer.questions();
    table.check("its own is shown", asked_once == 1, || {
        format!("{asked_once}")
    });

    // Where no issuer is asked, an opaque token is no token.
    let world = World::start().await;
    let call = world.gateway.post(initialize()).token("opaque");
    table.row("nobody", world.refusal(call, 401, "malformed_token").await);
}

#[tokio::test]
async fn attack_286_many_requests_with_one_token_are_one_question() {
    let asked = Asked::start(json!({})).await;
    asked
        .issuer
        .answers(Fault::Slow(Duration::from_millis(500)));
    let token = asked.issue("opaque-popular");
    let calls: Vec<_> = (0..30)
        .map(|_| tokio::spawn(asked.gateway().post(initialize()).token(&token).send()))
        .collect();
    // The caller that began the question goes away.
    calls[0].abort();
    for call in calls.into_iter().skip(1) {
        assert_eq!(call.await.unwrap().status, 200);
    }
    assert_eq!(asked.issuer.questions(), 1);
}

#[tokio::test]
async fn attack_287_an_issuer_that_cannot_be_asked_is_503_and_never_401() {
    let asked = Asked::start(json!({ "timeout": "300ms" })).await;
    let known = asked.issue("opaque-known");
    assert_eq!(asked.status(&known).await, 200);
    let html = Fault::Body("text/html", "<html>Sign in</html>".into());
    let mut table = Table::default();
    let faults = [
        ("slow", Fault::Slow(Duration::from_secs(5))),
        ("silent", Fault::Hang),
        ("error", Fault::Status(500)),
        ("unknown client", Fault::Status(401)),
        ("a page", html),
        ("elsewhere", Fault::Redirect(asked.issuer.endpoint())),
        ("nothing", Fault::Body("application/json", "".into())),
    ];
    for (number, (name, fault)) in faults.into_iter().enumerate() {
        asked.issuer.answers(fault);
        let token = asked.issue(&format!("opaque-waiting-{number}"));
        let refused = asked
            .refused(&token, 503, "introspection_unavailable")
            .await;
        table.row(name, refused);
        // A failure is remembered of no token, and one that works closes the way to the others.
        asked.issuer.answers(Fault::None);
        eventually(name, async || asked.status(&token).await == 200).await;
    }
    let reply = {
        asked.issuer.answers(Fault::Status(500));
        let call = asked.gateway().post(initialize()).token("opaque-other");
        call.send().await
    };
    table.check(
        "Retry-After",
        !reply.header("retry-after").is_empty(),
        || reply.text(),
    );
    table.check("no challenge", reply.challenge().is_empty(), || {
        reply.challenge().to_owned()
    });
    table.check(
        "known tokens",
        asked.status(&known).await == 200,
        String::new,
    );
}

#[tokio::test]
async fn attack_288_an_answer_that_is_cut_at_any_byte_is_no_answer() {
    let asked = Asked::start(json!({ "cache": "0s" })).await;
    let (token, other) = (asked.issue("opaque-cut"), asked.issue("opaque-other"));
    let whole = alice(&asked.audience()).to_string().len();
    let upstream = asked.world.upstream.hits();
    for cut in 0..whole {
        asked.issuer.breaks_off(Some(cut));
        assert_eq!(asked.status(&token).await, 503, "cut after {cut} bytes");
        // The endpoint works again, so that it is asked about the next one: an answer about another token ends the pause of this one.
        asked.issuer.breaks_off(None);
        assert_eq!(asked.status(&other).await, 200);
        eventually("it works", async || asked.status(&token).await == 200).await;
    }
    assert!(asked.world.upstream.hits() - upstream >= whole);
}

#[tokio::test]
async fn attack_289_an_issuer_that_fails_is_left_alone() {
    let asked = Asked::start(json!({})).await;
    let known = asked.issue("opaque-known");
    assert_eq!(asked.status(&known).await, 200);
    asked.issuer.answers(Fault::Status(502));
    let before = asked.issuer.questions();
    for number in 0..50 {
        let token = format!("opaque-{number}");
        asked
            .refused(&token, 503, "introspection_unavailable")
            .await
            .unwrap();
    }
    let questions = asked.issuer.questions() - before;
    assert!((5..=7).contains(&questions), "{questions}");
    assert_eq!(asked.status(&known).await, 200);
    asked.gateway().logged("is not asked for").await;

    // A pause that it asks for is kept.
    asked.issuer.answers(Fault::None);
    let token = asked.issue("opaque-late");
    eventually("one call finds that it answers", async || {
        asked.status(&token).await == 200
    })
    .await;
    asked
        .issuer
        .answers_with(Some((429, &[("retry-after", "120")])));
    let reply = asked
        .gateway()
        .post(initialize())
        .token("opaque-x")
        .send()
        .await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "120"));
    let questions = asked.issuer.questions();
    for number in 0..5 {
        assert_eq!(asked.status(&format!("opaque-y-{number}")).await, 503);
    }
    assert_eq!(asked.issuer.questions(), questions);
}

#[tokio::test]
async fn attack_290_a_call_that_takes_long_ends_when_its_token_is_revoked() {
    let asked = Asked::start(json!({ "recheck": "1s" })).await;
    asked.world.upstream.script(|_| e2e::upstream::Answer::Hang);
    let token = asked.issue("opaque-caller");
    let call = asked.gateway().post(tool(1, "list_tasks")).token(&token);
    let call = tokio::spawn(call.send());
    asked.world.upstream.received(1).await;
    asked.issuer.revokes(&token);
    let revoked = Instant::now();
    let reply = call.await.unwrap();
    assert_eq!(reply.status, 401, "{}", reply.text());
    assert!(revoked.elapsed() <= Duration::from_secs(6));
    asked.world.upstream.deserted(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn attack_291_a_token_of_another_application_is_no_token_of_ours() {
    let issuer = Introspection::start().await;
    let endpoint = issuer.endpoint();
    let mut table = Table::default();

    let google = |client: &str| {
        json!({
            "azp": client, "aud": client, "sub": "1", "scope": "tasks:read",
            "exp": (test_support::now() + 600).to_string(), "expires_in": "600",
        })
    };
    issuer.knows("ya29.ours", google("ours.apps"));
    issuer.knows("ya29.other", google("other.apps"));
    let world = World::with(|config| {
        let introspection =
            json!({ "kind": "google", "client_id": "ours.apps", "endpoint": endpoint });
        config
            .set(
                "/issuers/google",
                json!({ "issuer": "https://accounts.google.com", "introspection": introspection }),
            )
            .set("/resources/0/issuers", json!(["google"]))
    })
    .await;
    let call = |token| world.gateway.post(initialize()).token(token);
    table.row("Google, ours", world.acceptance(call("ya29.ours")).await);
    table.row(
        "Google, other",
        world
            .refusal(call("ya29.other"), 401, "wrong_audience")
            .await,
    );

    let github = |client: &str| {
        json!({
            "app": { "client_id": client }, "user": { "id": 1, "login": "alice" }, "scopes": ["tasks:read"],
        })
    };
    issuer.knows("gho_ours", github("Iv1.ours"));
    issuer.knows("gho_other", github("Iv1.other"));
    let world = World::with(|config| {
        let secret = config.folder().join("secret");
        certificates::write_secret(&secret, "hunter2hunter2");
        let introspection = json!({
            "kind": "github", "client_id": "Iv1.ours", "endpoint": endpoint, "client_secret_file": secret,
        });
        config
            .set("/issuers/github", json!({ "issuer": "https://github.com/login/oauth", "introspection": introspection }))
            .set("/resources/0/issuers", json!(["github"]))
    })
    .await;
    let call = |token| world.gateway.post(initialize()).token(token);
    table.row("GitHub, ours", world.acceptance(call("gho_ours")).await);
    table.row(
        "GitHub, other",
        world
            .refusal(call("gho_other"), 401, "wrong_audience")
            .await,
    );
    let asked = issuer.asked().pop().unwrap();
    table.check(
        "GitHub is asked as our application",
        asked.headers["authorization"] == "Basic SXYxLm91cnM6aHVudGVyMmh1bnRlcjI=",
        || format!("{asked:?}"),
    );
}

#[tokio::test]
async fn attack_292_what_is_known_of_a_token_is_known_for_one_resource() {
    let issuer = Introspection::start().await;
    let configured = issuer_of(&issuer, json!({}));
    let upstream = Upstream::start().await;
    let key = Key::es256("first");
    let config = Config::new(&upstream.url(), &[&key]);
    let other = e2e::gateway::config::resource("/other", &upstream.url(), &["opaque"]);
    let config = config
        .set("/issuers/opaque", configured)
        .set("/resources/0/issuers", json!(["opaque"]))
        .set("/resources/1", other);
    let gateway = Gateway::start(config).await;
    let token = leaks::secret("opaque-one");
    issuer.issues(&token, &gateway.uri("/mcp"));
    let status = async |path| {
        gateway
            .post_to(path, initialize())
            .token(&token)
            .send()
            .await
            .status
    };
    assert_eq!(status("/mcp").await, 200);
    assert_eq!(status("/other").await, 401);
    assert_eq!(status("/mcp").await, 200);
    assert_eq!(issuer.questions(), 2);
}

#[tokio::test]
async fn attack_312_tokens_at_which_the_issuer_fails_stop_no_other_token() {
    const REFUSALS: usize = 6;
    let behind_proxy = |config: Config| {
        config
            .set("/trusted_proxies", json!(["127.0.0.1"]))
            .set("/forwarded_header", "x-forwarded-for")
            .set("/limits/refusals_per_address", REFUSALS)
    };
    for broken in [403, 404, 500] {
        let asked = Asked::with(json!({ "cache": "0s" }), behind_proxy).await;
        asked.issuer.breaks_at("hostile-", broken);
        let status = async |token: &str, address: &str| {
            let call = asked.gateway().post(initialize()).token(token);
            call.with("x-forwarded-for", address).send().await.status
        };
        let neighbour = asked.issue(&format!("opaque-neighbour-{broken}"));
        assert_eq!(status(&neighbour, "198.51.100.1").await, 200);
        // Fifty addresses send tokens at which the issuer fails, always between those of others.
        for round in 0..3 {
            for address in 1..=50 {
                let token = format!("hostile-{round}-{address}");
                let address = format!("198.51.100.{address}");
                assert_eq!(status(&token, &address).await, 503);
            }
            let good = asked.issue(&format!("opaque-good-{broken}-{round}"));
            assert_eq!(status(&good, "203.0.113.7").await, 200, "{broken}");
        }
        // One of them again and again is not asked about each time.
        let questions = asked.issuer.questions();
        for _ in 0..3 {
            assert_eq!(status("hostile-again", "203.0.113.8").await, 503);
        }
        let about_it = asked.issuer.questions() - questions;
        assert!((1..=2).contains(&about_it), "{about_it}");

        // What was asked in vain counts against the address as a token does that is not active; a caller there that was accepted is served.
        let mut statuses = Vec::new();
        for number in 0..10 {
            let token = format!("hostile-of-one-{number}");
            statuses.push(status(&token, "198.51.100.1").await);
        }
        let of = |wanted| statuses.iter().filter(|status| **status == wanted).count();
        assert!(of(503) <= 4 && of(503) + of(429) == 10, "{statuses:?}");
        assert_eq!(status(&neighbour, "198.51.100.1").await, 200);
    }

    // Its own 503 does not count against the address of a caller who was accepted before.
    let asked = Asked::with(json!({ "cache": "0s" }), behind_proxy).await;
    let (token, helper) = (asked.issue("opaque-accepted"), asked.issue("opaque-helper"));
    let status = async |token: &str, address: &str| {
        let call = asked.gateway().post(initialize()).token(token);
        call.with("x-forwarded-for", address).send().await.status
    };
    assert_eq!(status(&token, "203.0.113.9").await, 200);
    asked.issuer.breaks_at("opaque-accepted", 500);
    let questions = asked.issuer.questions();
    for _ in 0..2 * REFUSALS {
        assert_eq!(status(&token, "203.0.113.9").await, 503);
        // An answer about another token ends the pause of this one.
        assert_eq!(status(&helper, "203.0.113.10").await, 200);
    }
    let asked_in_vain = asked.issuer.questions() - questions;
    assert_eq!(asked_in_vain, 4 * REFUSALS);
    let another = asked.issue("opaque-another");
    assert_eq!(status(&another, "203.0.113.9").await, 200);
}

#[tokio::test]
async fn attack_341_a_token_at_which_no_answer_comes_stops_no_question_about_another() {
    let failures = [
        ("breaks off", Broken::Off),
        ("hangs", Broken::Fault(Fault::Hang)),
        ("502", Broken::Fault(Fault::Status(502))),
        ("503", Broken::Fault(Fault::Status(503))),
        ("504", Broken::Fault(Fault::Status(504))),
    ];
    let mut table = Table::default();
    for (name, broken) in failures {
        let asked = Asked::start(json!({ "cache": "0s", "timeout": "300ms" })).await;
        asked.issuer.fails_at("hostile-", broken);
        // One token at once many times, and again and again.
        let calls: Vec<_> = (0..20)
            .map(|_| asked.gateway().post(initialize()).token("hostile-1").send())
            .map(tokio::spawn)
            .collect();
        for call in calls {
            let status = call.await.unwrap().status;
            table.check(name, status == 503, || status.to_string());
        }
        for _ in 0..12 {
            let status = asked.status("hostile-1").await;
            table.check(name, status == 503, || status.to_string());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let questions = asked.issuer.questions();
        table.check(name, questions <= 4, || format!("{questions} questions"));
        // Nobody got an answer since the start.
        let good = asked.issue("opaque-good");
        let status = asked.status(&good).await;
        table.check(name, status == 200, || status.to_string());
    }
}

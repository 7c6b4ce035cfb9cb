//! Answers of a provider that are not for this browser, not of this provider, or come again.

use e2e::sign_in::browser::form;
use e2e::sign_in::client::{Client, call};
use e2e::sign_in::company::person::{Person, Place};
use e2e::sign_in::company::{Program, Provider};
use e2e::sign_in::federated::{Federated, Wanted};
use e2e::world::Table;
use http::Method;
use reqwest::Url;
use serde_json::json;

const OIDC: Program = Program::Company("oidc");

/// Forged answers in a row.
const FLOOD: usize = 300;

/// More sign-ins than a browser has places for.
const TABS: usize = 12;

/// Somebody goes to a provider and signs in there; the address of the callback, which is not opened.
pub(super) async fn up_to_the_callback(
    federated: &Federated,
    person: &mut Person,
    client: &Client,
    provider: &Provider,
    user: &str,
) -> Url {
    // The provider has no session yet, so that its pages come first.
    let place = federated.leave(person, client, provider).await;
    let place = person
        .sign_in_there_and_stop(place, &provider.origin, user)
        .await;
    assert!(place.page.is_none(), "{}", place.url);
    assert!(place.url.path().starts_with("/callback/"), "{}", place.url);
    place.url
}

/// Opens it as the browser of this person.
async fn open(person: &mut Person, url: &Url) -> Place {
    person.open(url.as_str()).await
}

fn with(url: &Url, changes: &[(&str, Option<&str>)]) -> Url {
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let kept = pairs
        .iter()
        .filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
    let new = changes
        .iter()
        .filter_map(|(name, value)| Some((*name, (*value)?)));
    let mut url = url.clone();
    url.set_query(Some(&form(kept.chain(new))));
    url
}

#[tokio::test]
async fn attack_265_an_answer_of_one_provider_is_nothing_at_the_callback_of_another() {
    let wanted = [Wanted::plain(OIDC, "honest"), Wanted::plain(OIDC, "other")];
    let federated = Federated::changed(&wanted, |config| config).await;
    let client = Client::register(&federated.gateway).await;
    let mut person = Person::new();
    let (honest, other) = (federated.named("honest"), federated.named("other"));
    let callback = up_to_the_callback(&federated, &mut person, &client, honest, "ana").await;
    let mut elsewhere = callback.clone();
    elsewhere.set_path("/callback/other");
    assert_eq!(open(&mut person, &elsewhere).await.status(), 403);
    assert_eq!(
        other.asked("token").await,
        0,
        "the code went to the other provider"
    );
    // The sign-in is not used up by that.
    assert_eq!(open(&mut person, &callback).await.status(), 200);
}

#[tokio::test]
async fn attack_266_an_answer_that_names_another_issuer_is_not_redeemed() {
    let federated = Federated::start(OIDC, json!({})).await;
    let client = Client::register(&federated.gateway).await;
    let mut table = Table::default();
    for iss in [None, Some("https://evil.example"), Some(""), Some("null")] {
        let mut person = Person::new();
        let provider = federated.provider();
        let callback = up_to_the_callback(&federated, &mut person, &client, provider, "ana").await;
        let place = open(&mut person, &with(&callback, &[("iss", iss)])).await;
        table.check(
            &format!("{iss:?}"),
            matches!(place.status(), 400 | 403 | 502),
            || place.text(),
        );
    }
    let mut person = Person::new();
    let provider = federated.provider();
    let callback = up_to_the_callback(&federated, &mut person, &client, provider, "ana").await;
    let twice: Url = format!("{callback}&iss=https%3A%2F%2Fevil.example")
        .parse()
        .unwrap();
    let place = open(&mut person, &twice).await;
    table.check("twice", matches!(place.status(), 400 | 403 | 502), || {
        place.text()
    });
    assert_eq!(provider.asked("token").await, 0);
}

#[tokio::test]
async fn attack_267_a_code_of_another_sign_in_gives_nothing() {
    let federated = Federated::start(OIDC, json!({})).await;
    let provider = federated.provider();
    let client = Client::register(&federated.gateway).await;
    let (mut ana, mut eve) = (Person::new(), Person::new());
    let hers = up_to_the_callback(&federated, &mut ana, &client, provider, "ana").await;
    let own = up_to_the_callback(&federated, &mut eve, &client, provider, "eve").await;
    let code = |url: &Url| {
        url.query_pairs()
            .find(|(name, _)| name == "code")
            .map(|(_, code)| code.into_owned())
    };
    // Eve has Ana's code; the PKCE verifier and the nonce are Ana's.
    let place = open(&mut eve, &with(&own, &[("code", code(&hers).as_deref())])).await;
    assert_eq!(place.status(), 502, "{}", place.text());
    assert!(!place.text().contains("Allow access"), "{}", place.text());
    // What the browser has signs nobody in.
    let place = federated.begin(&mut eve, &client).await;
    assert!(place.text().contains("Continue with"), "{}", place.text());
}

#[tokio::test]
async fn attack_268_a_state_that_this_browser_did_not_leave_with_is_refused() {
    let federated = Federated::start(OIDC, json!({})).await;
    let provider = federated.provider();
    let client = Client::register(&federated.gateway).await;
    let mut person = Person::new();
    let callback = up_to_the_callback(&federated, &mut person, &client, provider, "ana").await;
    let state = callback
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .into_owned();
    let long = "s".repeat(4000);
    let (shorter, longer) = (&state[..state.len() - 1], format!("{state}A"));
    let mut table = Table::default();
    for other in [
        None,
        Some(""),
        Some("another"),
        Some(shorter),
        Some(&longer),
        Some(&long),
        Some("\u{0}"),
        Some("' OR 1=1"),
    ] {
        let place = open(&mut person, &with(&callback, &[("state", other)])).await;
        table.check(
            &format!("{other:?}"),
            matches!(place.status(), 400 | 403),
            || place.text(),
        );
    }
    let twice: Url = format!("{callback}&state=another").parse().unwrap();
    let place = open(&mut person, &twice).await;
    table.check("twice", place.status() == 400, || place.text());
    assert_eq!(provider.asked("token").await, 0);
    assert_eq!(open(&mut person, &callback).await.status(), 200);
}

#[tokio::test]
async fn attack_269_another_browser_at_the_callback_is_refused() {
    let federated = Federated::start(OIDC, json!({})).await;
    let provider = federated.provider();
    let client = Client::register(&federated.gateway).await;
    let mut attacker = Person::new();
    let callback = up_to_the_callback(&federated, &mut attacker, &client, provider, "eve").await;
    // A browser that was never here, and one that is under way itself.
    let (mut fresh, mut busy) = (Person::new(), Person::new());
    up_to_the_callback(&federated, &mut busy, &client, provider, "ana").await;
    for victim in [&mut fresh, &mut busy] {
        victim.cookies_of("127.0.0.1");
        let before = victim.cookies.clone();
        let place = open(victim, &callback).await;
        assert_eq!(place.status(), 403, "{}", place.text());
        assert_eq!(victim.cookies, before, "the browser got a cookie");
    }
    assert_eq!(provider.asked("token").await, 0);
}

#[tokio::test]
async fn attack_270_a_half_done_sign_in_does_not_move_to_another_browser() {
    let federated = Federated::start(OIDC, json!({})).await;
    let provider = federated.provider();
    let host = "127.0.0.1";
    let client = Client::register(&federated.gateway).await;
    let mut attacker = Person::new();
    let callback = up_to_the_callback(&federated, &mut attacker, &client, provider, "eve").await;
    let mut victim = Person::new();
    up_to_the_callback(&federated, &mut victim, &client, provider, "ana").await;
    // The attacker plants the cookies of the own sign-in, but not the one that says which browser it is.
    let planted = attacker.cookies_of(host).clone();
    let planted = planted
        .into_iter()
        .filter(|(name, _)| name.contains("sign-in"));
    let planted: Vec<_> = planted.collect();
    assert!(!planted.is_empty(), "{:?}", attacker.cookies);
    victim.cookies_of(host).extend(planted);
    assert_eq!(open(&mut victim, &callback).await.status(), 403);
    assert_eq!(provider.asked("token").await, 0);
}

#[tokio::test]
async fn attack_271_an_answer_is_taken_once() {
    let federated = Federated::start(OIDC, json!({})).await;
    let provider = federated.provider();
    let client = Client::register(&federated.gateway).await;
    let mut person = Person::new();
    let callback = up_to_the_callback(&federated, &mut person, &client, provider, "ana").await;
    // The browser sends what it had, whatever the answer said.
    let before = person.cookies.clone();
    assert_eq!(open(&mut person, &callback).await.status(), 200);
    for cookies in [before, person.cookies.clone()] {
        person.cookies = cookies;
        let place = open(&mut person, &callback).await;
        assert!(matches!(place.status(), 403 | 502), "{}", place.text());
        assert!(!place.text().contains("Allow access"), "{}", place.text());
    }
}

#[tokio::test]
async fn attack_272_an_error_of_a_provider_is_never_shown_and_stays_one_line_of_the_log() {
    let federated = Federated::start(OIDC, json!({})).await;
    let provider = federated.provider();
    let client = Client::register(&federated.gateway).await;
    let long = "x".repeat(3000);
    for hostile in [
        "<img src=x onerror=alert(1)>",
        "a\r\nb: c\n{\"level\":\"error\"}",
        "\u{202e}evil\u{0}\u{1b}[31m",
        &long,
    ] {
        let mut person = Person::new();
        let callback = up_to_the_callback(&federated, &mut person, &client, provider, "ana").await;
        let refusal = [
            ("code", None),
            ("error", Some("access_denied")),
            ("error_description", Some(hostile)),
            ("error_uri", Some("https://evil.example")),
        ];
        let place = open(&mut person, &with(&callback, &refusal)).await;
        let text = place.text();
        assert_eq!(place.status(), 403, "{text}");
        for part in ["onerror", "evil", "level", "xxxx"] {
            assert!(!text.contains(part), "{part}: {text}");
        }
    }
    // Each line is one JSON object, and none is long.
    let lines = federated.gateway.log_lines().await;
    let told = lines
        .iter()
        .filter(|line| line.to_string().contains("access_denied"));
    let told: Vec<_> = told.collect();
    assert!(told.len() >= 4, "{lines:?}");
    for line in told {
        assert!(line.to_string().len() < 2500, "{line}");
    }
}

#[tokio::test]
async fn attack_273_a_flood_of_answers_asks_the_provider_nothing() {
    let federated = Federated::start(OIDC, json!({})).await;
    let provider = federated.provider();
    let client = Client::register(&federated.gateway).await;
    let mut person = Person::new();
    let callback = up_to_the_callback(&federated, &mut person, &client, provider, "ana").await;
    let asked = provider.stats().await["counts"].clone();
    for number in 0..FLOOD {
        let path = format!("/callback/company?code=c{number}&state=s{number}");
        let reply = federated.gateway.get(&path).send().await;
        assert!(
            matches!(reply.status, 403 | 429 | 503),
            "{}: {}",
            reply.status,
            reply.text()
        );
    }
    assert_eq!(provider.stats().await["counts"], asked);
    assert_eq!(open(&mut person, &callback).await.status(), 200);
}

#[tokio::test]
async fn attack_274_many_sign_ins_at_once_in_one_browser_stay_few_cookies() {
    let federated = Federated::start(OIDC, json!({})).await;
    let provider = federated.provider();
    let client = Client::register(&federated.gateway).await;
    let mut person = Person::new();
    for _ in 0..TABS {
        federated.leave(&mut person, &client, provider).await;
    }
    let cookies = person.cookies_of("127.0.0.1");
    let bytes: usize = cookies
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    assert!(
        cookies.len() <= 6 && bytes < 16 * 1024,
        "{} cookies, {bytes} bytes",
        cookies.len()
    );
    // The last one works.
    let callback = up_to_the_callback(&federated, &mut person, &client, provider, "ana").await;
    assert_eq!(open(&mut person, &callback).await.status(), 200);
}

#[tokio::test]
async fn attack_275_the_callback_is_one_path_and_one_method() {
    let federated = Federated::start(OIDC, json!({})).await;
    let gateway = &federated.gateway;
    let mut table = Table::default();
    for path in [
        "/callback",
        "/callback/",
        "/callback/another",
        "/callback/company/",
        "/callback/company/x",
        "/callback/COMPANY",
        "/callback/%63ompany",
        "/callback/..%2fcompany",
        "//callback/company",
    ] {
        let reply = gateway.get(&format!("{path}?code=x&state=y")).send().await;
        table.check(path, (400..500).contains(&reply.status), || {
            format!("{}", reply.status)
        });
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let call = gateway.request(method.clone(), "/callback/company?code=x&state=y");
        let reply = call
            .with("content-type", "application/x-www-form-urlencoded")
            .body("code=x&state=y")
            .send()
            .await;
        table.check(method.as_str(), (400..500).contains(&reply.status), || {
            format!("{}", reply.status)
        });
        let shared = reply.headers.contains_key("access-control-allow-origin");
        table.check(method.as_str(), !shared, || {
            "other sites may read it".to_owned()
        });
    }
}

#[tokio::test]
async fn attack_276_signing_in_for_somebody_else_changes_nobody() {
    // Ana is signed in here; the attacker makes her browser go on with the attacker's own sign-in.
    let federated = Federated::start(OIDC, json!({})).await;
    let provider = federated.provider();
    let client = Client::register(&federated.gateway).await;
    let mut ana = Person::new();
    let consent = federated.sign_in(&mut ana, &client, provider, "ana").await;
    federated.allow(&mut ana, &client, &consent).await;
    let mut eve = Person::new();
    let callback = up_to_the_callback(&federated, &mut eve, &client, provider, "eve").await;
    assert_eq!(open(&mut ana, &callback).await.status(), 403);
    let place = federated.begin(&mut ana, &client).await;
    let text = place.text();
    assert!(
        text.contains("ana@company.example") && !text.contains("eve@"),
        "{text}"
    );
    let code = federated.allow(&mut ana, &client, &place).await;
    let tokens = client.redeem(&federated.gateway, &code).await;
    assert_eq!(call(&federated.gateway, &tokens.access).await.status, 200);
}

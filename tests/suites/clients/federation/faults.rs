//! A provider that is wrong, slow or down: a page that says so, a line of the log that says why, the request's id on both, and nothing
//! issued.

use std::time::Duration;

use e2e::sign_in::client::{Client, call};
use e2e::sign_in::company::Program;
use e2e::sign_in::company::person::{Person, Place};
use e2e::sign_in::federated::{Federated, Wanted};
use e2e::world::Table;
use serde_json::{Value, json};

/// What a hostile provider writes, and what no page shows.
const HOSTILE: &str =
    "<script>alert(1)</script>\r\n{\"level\":\"error\"} come to https://evil.example";

/// One thing that the provider does wrong: its name, the fault, the statuses that the page may have, and a part of the line of the log.
type Case = (&'static str, Value, &'static [u16], &'static str);

fn wrong_answers() -> Vec<Case> {
    let claims = |claims: Value| json!({ "idToken": { "claims": claims } });
    let signer = |signer: &str| json!({ "idToken": { "signer": signer } });
    let token = |fault: Value| json!({ "endpoints": { "token": fault } });
    let body = |body: Value| token(json!({ "kind": "answer", "body": body }));
    let refusal =
        |error: &str| json!({ "refusal": { "error": error, "error_description": HOSTILE } });
    vec![
        (
            "iss of another issuer",
            claims(json!({ "iss": "https://evil.example" })),
            &[502],
            "(wrong_issuer): iss `https://evil.example`; accepted: `http",
        ),
        (
            "no iss",
            claims(json!({ "iss": null })),
            &[502],
            "missing or empty: `iss`; required:",
        ),
        (
            "iss with a slash",
            claims(json!({ "iss": "http://localhost/" })),
            &[502],
            "(wrong_issuer): iss `http://localhost/`; accepted",
        ),
        (
            "aud of another client",
            claims(json!({ "aud": "another" })),
            &[502],
            "aud `another`; accepted: `gateway` (client_id)",
        ),
        (
            "no aud",
            claims(json!({ "aud": null })),
            &[502],
            "missing or empty: `aud`; required:",
        ),
        (
            "aud of two clients without azp",
            claims(json!({ "aud": ["gateway", "another"] })),
            &[502],
            "no azp beside aud `gateway`, `another`; expected: azp `gateway` (client_id)",
        ),
        (
            "azp of another client",
            claims(json!({ "azp": "another" })),
            &[502],
            "azp `another`; expected: `gateway` (client_id)",
        ),
        (
            "another nonce",
            claims(json!({ "nonce": "another" })),
            &[502],
            "(nonce): another nonce; expected",
        ),
        (
            "no nonce",
            claims(json!({ "nonce": null })),
            &[502],
            "(nonce): no nonce; expected",
        ),
        (
            "no sub",
            claims(json!({ "sub": null })),
            &[502],
            "missing or empty: `sub`; required:",
        ),
        (
            "an empty sub",
            claims(json!({ "sub": "" })),
            &[502],
            "missing or empty: `sub`; required:",
        ),
        (
            "expired",
            claims(json!({ "exp": 1_000_000_000 })),
            &[502],
            "(expired): exp 1000000000 was ",
        ),
        (
            "no exp",
            claims(json!({ "exp": null })),
            &[502],
            "missing or empty: `exp`; required:",
        ),
        (
            "issued in the future",
            claims(json!({ "iat": 4_000_000_000_u64 })),
            &[502],
            "iat 4000000000 is in ",
        ),
        (
            "at_hash of another token",
            claims(json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" })),
            &[502],
            "at_hash `AAAAAAAAAAAAAAAAAAAAAA`; expected",
        ),
        (
            "signed with another key",
            signer("foreign"),
            &[502],
            "(bad_signature): kid ",
        ),
        (
            "not signed",
            signer("none"),
            &[502],
            "alg `none`; accepted: `RS256`",
        ),
        (
            "signed with the client's secret",
            signer("hmac"),
            &[502],
            "alg `HS256`; accepted: `RS256`",
        ),
        ("no ID token", signer("missing"), &[502], "no ID token"),
        (
            "kid of no key",
            json!({ "idToken": { "header": { "kid": "nobody" } } }),
            &[502],
            "kid `nobody`, alg `RS256`; provider company has ",
        ),
        (
            "500 at the token endpoint",
            token(json!({ "kind": "error" })),
            &[502, 503],
            "500",
        ),
        (
            "no answer at all",
            token(json!({ "kind": "refuse" })),
            &[502, 503],
            "token",
        ),
        (
            "a page of HTML",
            token(json!({ "kind": "html" })),
            &[502, 503],
            "token",
        ),
        (
            "a redirect",
            token(json!({ "kind": "redirect", "to": "http://localhost:1/token" })),
            &[502, 503],
            "redirect",
        ),
        (
            "an answer that does not end",
            token(json!({ "kind": "huge" })),
            &[502, 503],
            "token",
        ),
        (
            "invalid_grant",
            token(
                json!({ "kind": "answer", "status": 400, "body": { "error": "invalid_grant", "error_description": HOSTILE } }),
            ),
            &[502],
            "invalid_grant",
        ),
        (
            "invalid_client",
            token(
                json!({ "kind": "answer", "status": 401, "body": { "error": "invalid_client", "error_description": HOSTILE } }),
            ),
            &[502],
            "invalid_client",
        ),
        ("a list", body(json!(["no object"])), &[502], "token"),
        (
            "an ID token that is a number",
            body(json!({ "access_token": "x", "token_type": "Bearer", "id_token": 7 })),
            &[502],
            "token",
        ),
        (
            "access_denied",
            refusal("access_denied"),
            &[403],
            "access_denied",
        ),
        (
            "server_error",
            refusal("server_error"),
            &[502, 503],
            "server_error",
        ),
        (
            "temporarily_unavailable",
            refusal("temporarily_unavailable"),
            &[502, 503],
            "temporarily_unavailable",
        ),
        (
            "an error that nobody knows",
            refusal("<b>odd</b>"),
            &[502, 503],
            "error",
        ),
        (
            "iss of another provider in the response",
            json!({ "response": { "iss": "https://evil.example" } }),
            &[502],
            "iss",
        ),
        (
            "no iss in the response",
            json!({ "response": { "iss": null } }),
            &[502],
            "iss",
        ),
        (
            "neither code nor error",
            json!({ "response": { "code": null } }),
            &[502],
            "code",
        ),
    ]
}

#[tokio::test]
async fn a_wrong_answer_gives_a_page_a_line_of_the_log_and_no_token() {
    let federated = Federated::start(Program::Company("oidc"), json!({})).await;
    let client = Client::register(&federated.gateway).await;
    let mut table = Table::default();
    for (name, fault, statuses, found) in wrong_answers() {
        federated.provider().fault(fault).await;
        let place = attempt(&federated, &client).await;
        federated.provider().recover().await;
        judge(&federated, &mut table, name, &place, (statuses, found)).await;
    }
    // A state that this browser did not leave with.
    let fault = json!({ "response": { "state": "another" } });
    federated.provider().fault(fault).await;
    let place = attempt(&federated, &client).await;
    federated.provider().recover().await;
    table.check("another state", place.status() == 403, || place.text());
    // Nothing of that is remembered: the same client goes on.
    let (_, tokens) = federated.connect(federated.provider(), "ana").await;
    assert_eq!(call(&federated.gateway, &tokens.access).await.status, 200);
}

/// Somebody with a new browser signs in.
async fn attempt(federated: &Federated, client: &Client) -> Place {
    let mut person = Person::new();
    let provider = federated.provider();
    federated
        .sign_in(&mut person, client, provider, "ana")
        .await
}

async fn judge(
    federated: &Federated,
    table: &mut Table,
    name: &str,
    place: &Place,
    (statuses, found): (&[u16], &str),
) {
    let Some(page) = &place.page else {
        return table.check(name, false, || {
            format!("the client was answered: {}", place.url)
        });
    };
    let text = page.text();
    table.check(name, statuses.contains(&page.status), || {
        format!("{}: {text}", page.status)
    });
    for part in ["script>", "evil.example", "odd", "Allow access"] {
        table.check(name, !text.contains(part), || {
            format!("the page has {part}: {text}")
        });
    }
    let id = page.header("x-request-id").to_owned();
    let id = if id.is_empty() { shown_id(&text) } else { id };
    table.check(name, !id.is_empty() && text.contains(&id), || {
        format!("no request id: {text}")
    });
    let line = federated.gateway.logged(&id).await;
    let lines = federated.gateway.log_lines().await;
    let why = lines
        .iter()
        .map(Value::to_string)
        .filter(|line| line.contains(&id));
    let why: Vec<_> = why.collect();
    table.check(name, why.iter().any(|line| line.contains(found)), || {
        format!("{line}: {why:?}")
    });
}

/// The id of the request on a page.
fn shown_id(text: &str) -> String {
    let found = text.split_once("class=\"code\">").map(|(_, rest)| rest);
    found
        .and_then(|rest| rest.split('<').next())
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// Providers that cannot be used: a name, the fault, and a part of the line of the log.
const UNUSABLE: [(&str, &[&str], &str); 5] = [
    (
        "down",
        &[
            "--fault",
            r#"{"endpoints":{"discovery":{"kind":"refuse"}}}"#,
        ],
        "openid-configuration",
    ),
    (
        "html",
        &["--fault", r#"{"endpoints":{"discovery":{"kind":"html"}}}"#],
        "discovery document",
    ),
    (
        "issuer",
        &[
            "--fault",
            r#"{"discovery":{"issuer":"https://evil.example"}}"#,
        ],
        "issuer",
    ),
    (
        "pkce",
        &[
            "--fault",
            r#"{"discovery":{"code_challenge_methods_supported":null}}"#,
        ],
        "PKCE",
    ),
    (
        "keys",
        &["--fault", r#"{"endpoints":{"jwks":{"kind":"error"}}}"#],
        "key",
    ),
];

#[tokio::test]
async fn a_provider_that_cannot_be_used_stops_nobody_else() {
    // So from the start of the gateway on, which looks for their documents.
    let wanted = UNUSABLE.map(|(name, options, _)| Wanted {
        options,
        ..Wanted::plain(Program::Company("oidc"), name)
    });
    let federated = Federated::changed(&wanted, |config| config).await;
    let mut table = Table::default();
    for (name, _, found) in UNUSABLE {
        let provider = federated.named(name);
        let client = Client::register(&federated.gateway).await;
        let mut person = Person::new();
        let place = federated.leave(&mut person, &client, provider).await;
        let place = match place.is_at(&provider.origin) {
            true => person.sign_in_there(place, &provider.origin, "ana").await,
            false => place,
        };
        let expected = (&[502, 503][..], found);
        judge(&federated, &mut table, name, &place, expected).await;
        provider.recover().await;
        // The keys and documents are looked for again.
        e2e::eventually(&format!("{name} is back"), async || {
            let mut person = Person::new();
            let place = federated.leave(&mut person, &client, provider).await;
            let place = match place.is_at(&provider.origin) {
                true => person.sign_in_there(place, &provider.origin, "ana").await,
                false => place,
            };
            let is_back = place.status() == 200;
            if !is_back {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            is_back
        })
        .await;
    }
}

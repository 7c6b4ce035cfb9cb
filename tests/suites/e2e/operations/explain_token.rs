//! `explain-token`: for each reason for which a token is refused, the check that fails; with keys fetched as the gateway fetches them.

use std::io::Write;
use std::process::{Command, Stdio};

use e2e::gateway::config::{Config, ISSUER};
use e2e::gateway::key_file::KeyFile;
use e2e::issuer::introspection::Introspection;
use e2e::issuer::{Fault, Issuer};
use e2e::leaks;
use e2e::process::binary::binary;
use e2e::upstream::Upstream;
use e2e::world::Table;
use serde_json::{Value, json};
use test_support::{Key, Token};

/// The exit code and what is printed for this token.
fn explain(config: &Config, options: &[&str], token: &str) -> (i32, String) {
    let mut child = Command::new(binary("mcp-gateway"))
        .arg("explain-token")
        .arg("--config")
        .arg(config.file())
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the gateway's binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // With a wrong configuration it ends before it reads.
    let _ = stdin.write_all(token.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8(printed).expect("text");
    assert_eq!(leaks::find(&printed), None, "{printed}");
    (output.status.code().expect("an exit code"), printed)
}

/// The only object that is printed.
fn judged(config: &Config, token: &str) -> (i32, Value) {
    let (code, printed) = explain(config, &["--json"], token);
    let value = serde_json::from_str(&printed);
    (
        code,
        value.unwrap_or_else(|error| panic!("{error}: {printed}")),
    )
}

/// The names of the checks that refuse, each with its reason.
fn refusals(judged: &Value) -> Vec<String> {
    let checks = judged["checks"].as_array().expect("a list");
    let refused = checks.iter().filter(|check| check["decision"] == "refused");
    let shown = refused.map(|check| {
        let texts = [&check["name"], &check["reason"]].map(|text| text.as_str().expect("a text"));
        texts.join(" ")
    });
    shown.collect()
}

#[tokio::test]
async fn each_reason_of_a_refused_token_shows_the_check_that_fails() {
    let upstream = Upstream::start().await;
    let (key, other) = (Key::es256("first"), Key::es256("first"));
    let config = Config::new(&upstream.url(), &[&key]);
    let uri = format!("{}/mcp", config.public_url());
    let token = || Token::new(&key, ISSUER, &uri);
    let (code, good) = judged(&config, &token().sign());
    assert_eq!(
        (code, &good["outcome"], &good["kind"]),
        (0, &json!("accepted"), &json!("JWT"))
    );
    assert_eq!(good["principal"]["issuer"], ISSUER);
    assert!(refusals(&good).is_empty(), "{good:#}");

    let mut table = Table::default();
    let long = "a".repeat(9000);
    for (name, text, expected) in [
        ("size", long, "size token_too_large"),
        (
            "characters",
            "two words".to_owned(),
            "characters malformed_credentials",
        ),
        ("form", "opaque".to_owned(), "form malformed_token"),
        (
            "alg",
            token().header("alg", "HS256").sign(),
            "algorithm alg_not_allowed",
        ),
        (
            "jku",
            token().header("jku", "https://a").sign(),
            "header header_not_allowed",
        ),
        (
            "typ",
            token().header("typ", "JWT").sign(),
            "type wrong_token_type",
        ),
        (
            "nonce",
            token().claim("nonce", "a").sign(),
            "type wrong_token_type",
        ),
        (
            "iss",
            Token::new(&key, "https://other.test/", &uri).sign(),
            "issuer wrong_issuer",
        ),
        (
            "kid",
            token().header("kid", "unknown").sign(),
            "key unknown_key",
        ),
        (
            "signature",
            token().signed_by(&other).sign(),
            "signature bad_signature",
        ),
        (
            "aud",
            Token::new(&key, ISSUER, "https://other.test/").sign(),
            "audience wrong_audience",
        ),
        (
            "cnf",
            token().claim("cnf", json!({ "jkt": "a" })).sign(),
            "binding sender_constrained",
        ),
        ("sub", token().without("sub").sign(), "caller missing_claim"),
        (
            "exp",
            token().claim("exp", 1_000_000).without("iat").sign(),
            "expiry expired",
        ),
        (
            "nbf",
            token().claim("nbf", 9_000_000_000_u64).sign(),
            "start not_yet_valid",
        ),
        (
            "lifetime",
            token().claim("exp", 9_000_000_000_u64).sign(),
            "lifetime lifetime_too_long",
        ),
    ] {
        let (code, judged) = judged(&config, &text);
        let found = refusals(&judged);
        let reason = expected.split(' ').next_back().unwrap_or_default();
        let is_right = code == 1 && found == [expected] && judged["reason"] == reason;
        table.check(name, is_right, || format!("{code} {found:?} {judged:#}"));
    }
}

// The issuer answers while this test waits for the command.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_fetched_by_discovery_and_an_issuer_that_is_away_is_no_refusal() {
    let (upstream, mut issuer) = (Upstream::start().await, Issuer::start().await);
    let config = Config::discovering(&upstream, &issuer);
    let uri = format!("{}/mcp", config.public_url());
    let (code, printed) = explain(&config, &[], &issuer.token(&uri).sign());
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains("signature  passed"), "{printed}");
    issuer.stop();
    let (code, printed) = explain(&config, &[], &issuer.token(&uri).sign());
    assert_eq!(code, 2, "{printed}");
    for text in [
        "nobody can say: 503 keys_unavailable",
        "signature  not reached",
        "audience   passed",
        "keys       corporate: ",
    ] {
        assert!(printed.contains(text), "{text}: {printed}");
    }
}

#[tokio::test]
async fn an_api_key_is_explained_and_a_configuration_with_findings_is_reported() {
    let upstream = Upstream::start().await;
    let config = Config::new(&upstream.url(), &[&Key::es256("first")]);
    let file = KeyFile::beside(&config);
    let key = file.reader("one");
    let config = file.configure(config);
    let (code, accepted) = judged(&config, &key);
    assert_eq!((code, &accepted["kind"]), (0, &json!("API key")));
    let principal =
        json!({ "issuer": "api-keys", "subject": "ci", "client": "one", "scopes": ["tasks:read"] });
    assert_eq!(accepted["principal"], principal);
    file.remove("one");
    let (code, refused) = judged(&config, &key);
    assert_eq!(
        (code, refusals(&refused)),
        (1, vec!["key unknown_api_key".to_owned()])
    );

    let (code, printed) = explain(
        &config.set("/resources/0/policy/default", "maybe"),
        &[],
        &key,
    );
    assert!(
        code == 2 && printed.contains("must be `allow` or `deny`"),
        "{code} {printed}"
    );
}

// The issuer answers while this test waits for the command.
#[tokio::test(flavor = "multi_thread")]
async fn an_opaque_token_is_explained_by_what_its_issuer_says() {
    let (upstream, mut issuer) = (Upstream::start().await, Introspection::start().await);
    let introspection = json!({ "client_auth": "none" });
    let asked = json!({ "issuer": issuer.identifier(), "introspection": introspection });
    let config = Config::new(&upstream.url(), &[&Key::es256("first")])
        .set("/issuers/opaque", asked)
        .set("/resources/0/issuers", json!(["corporate", "opaque"]));
    let (token, foreign) = (
        leaks::secret("opaque-explained-4f1c"),
        leaks::secret("opaque-foreign-4f1c"),
    );
    issuer.issues(&token, &format!("{}/mcp", config.public_url()));
    issuer.issues(&foreign, "https://other.test/");

    let (code, yes) = judged(&config, &token);
    assert_eq!(
        (code, &yes["outcome"], &yes["kind"]),
        (0, &json!("accepted"), &json!("opaque")),
        "{yes:#}"
    );
    assert_eq!(yes["principal"]["subject"], "alice");
    assert_eq!(yes["principal"]["issuer"], issuer.identifier());
    assert!(refusals(&yes).is_empty(), "{yes:#}");
    let (code, printed) = explain(&config, &[], &token);
    assert_eq!(code, 0, "{printed}");
    for text in [
        "introspection passed      active, and for this resource",
        "outcome    accepted",
        "subject    alice",
    ] {
        assert!(printed.contains(text), "{text}: {printed}");
    }

    for (text, reason) in [
        ("opaque-nobody-knows", "token_inactive"),
        (&foreign, "wrong_audience"),
    ] {
        let (code, no) = judged(&config, text);
        let expected = [format!("introspection {reason}")];
        assert_eq!((code, &no["outcome"]), (1, &json!("refused")), "{no:#}");
        assert_eq!(
            (&no["reason"], &*refusals(&no)),
            (&json!(reason), &expected[..])
        );
        assert!(!no.to_string().contains(text), "{no:#}");
    }
    let (code, printed) = explain(&config, &[], "opaque-nobody-knows");
    assert!(
        code == 1 && printed.contains("refused: 401 token_inactive"),
        "{code} {printed}"
    );
    // Nothing is remembered: each command asks, once.
    assert_eq!(issuer.questions(), 5);

    issuer.answers(Fault::Status(500));
    says_nobody_can_say(&config, &token, "status 500, expected 200");
    issuer.answers(Fault::None);
    issuer.stop();
    says_nobody_can_say(&config, &token, "issuer opaque could not be asked");
}

/// The issuer gives no answer that can be used, and why.
fn says_nobody_can_say(config: &Config, token: &str, why: &str) {
    let (code, unknown) = judged(config, token);
    assert_eq!(
        (code, &unknown["outcome"], &unknown["reason"]),
        (2, &json!("unknown"), &json!("introspection_unavailable")),
        "{unknown:#}"
    );
    let (code, printed) = explain(config, &[], token);
    assert_eq!(code, 2, "{printed}");
    for text in ["nobody can say: 503 introspection_unavailable", why] {
        assert!(printed.contains(text), "{text}: {printed}");
    }
}

//! Tokens are explained as they are typed; that signatures are verified is tested with the binary.

use std::fs;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD};
use clap::Parser;
use mcp_gateway_core::token::api_key::text::{ApiKey, new_key};
use serde_json::{Value, json};

use super::*;
use crate::config::{self, Environment};

const NOW: UnixTime = UnixTime::new(1_900_000_000);

#[derive(Parser)]
struct Typed {
    #[command(flatten)]
    question: Question,
}

fn key(seed: u8) -> String {
    new_key(&[seed; 64]).unwrap()
}

/// The exit code, and what is printed on stdout and stderr, for a configuration with three resources and a key of seed 7 for `/keys`.
fn explained(typed: &[&str], stdin: &str) -> (u8, String) {
    let folder = tempfile::tempdir().unwrap();
    let digest = ApiKey::parse(&key(7)).unwrap().digest();
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let line = format!(
        r#"{{"name":"build","sha256":"{digest}","subject":"ci","scopes":["read"],"resources":["/keys"],"expires":"never"}}"#
    );
    fs::write(folder.path().join("keys.jsonl"), line).unwrap();
    let text = "\
public_url: https://mcp.example.com
listen: [{ address: '127.0.0.1:8080' }]
api_keys: { files: keys.jsonl }
issuers:
  nobody: { issuer: 'http://127.0.0.1:1' }
resources:
  - { path: /keys, upstream: 'http://127.0.0.1:9/mcp', api_keys: {}, policy: { default: allow } }
  - { path: /both, upstream: 'http://127.0.0.1:9/mcp', issuers: [nobody], api_keys: {}, policy: { default: allow } }
  - { path: /tokens, upstream: 'http://127.0.0.1:9/mcp', issuers: [nobody], policy: { default: allow } }
";
    let config = config::parse(text, folder.path(), &Environment::default()).unwrap();
    let question = Typed::try_parse_from(["explain-token"].iter().chain(typed)).unwrap();
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let mut stdin = stdin.as_bytes();
    let code = explain_token(
        &config,
        &question.question,
        NOW,
        &mut stdin,
        &mut out,
        &mut errors,
    );
    out.extend(errors);
    (code.unwrap(), String::from_utf8(out).unwrap())
}

/// A token that nobody signed.
fn forged(claims: &Value) -> String {
    let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let header = part(r#"{"alg":"RS256","typ":"at+jwt","kid":"a"}"#);
    format!(
        "{header}.{}.c2VjcmV0LXNpZ25hdHVyZQ",
        part(&claims.to_string())
    )
}

#[test]
fn an_api_key_is_explained_from_its_form_to_its_caller() {
    let text = format!("{}\n", key(7));
    let (code, printed) = explained(&["--resource", "/keys"], &text);
    let digest = ApiKey::parse(&key(7)).unwrap().digest();
    let digest: String = digest[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let expected = format!(
        "\
resource   https://mcp.example.com/keys
token      API key

size       passed      40 bytes; expected: 8192 bytes at most (limits.token_bytes)
characters passed      no others; expected: letters, digits and -._~+/, then = (RFC 9110 §11.2)
kind       passed      an API key, and a resource with api_keys; expected: a resource with api_keys
form       passed      40 characters; expected: mgw_ and letters and digits, 40 characters
checksum   passed      that of the key; expected: that of the key
key        passed      `build`, sha256 {digest}...; expected: one of 1 (api_keys.files)
resource   passed      `/keys`; expected: /keys or https://mcp.example.com/keys, or all
expiry     passed      never; expected: in the future
binding    passed      an API key, which is bound to nothing; expected: no cnf, or jkt and a proof, or x5t#S256 and the certificate, with each request

outcome    accepted
issuer     api-keys
subject    ci
client     build
scopes     read
calls      not checked: check --explain shows what the policy allows
"
    );
    assert_eq!((code, printed), (ACCEPTED, expected));
}

#[test]
fn every_resource_judges_a_token_and_one_that_accepts_it_is_enough() {
    let (code, printed) = explained(&["--json"], &key(7));
    let lines = printed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found = lines.map(|line| {
        (
            line["resource"].clone(),
            line["outcome"].clone(),
            line["reason"].clone(),
        )
    });
    let uri = |path: &str| json!(format!("https://mcp.example.com{path}"));
    let expected = [
        (uri("/keys"), json!("accepted"), Value::Null),
        (uri("/both"), json!("refused"), json!("wrong_audience")),
        (
            uri("/tokens"),
            json!("refused"),
            json!("api_keys_not_accepted"),
        ),
    ];
    assert_eq!(
        (code, found.collect::<Vec<_>>()),
        (ACCEPTED, expected.to_vec())
    );
}

#[test]
fn each_outcome_has_its_exit_code_and_no_token_is_printed() {
    let claims = json!({ "iss": "http://127.0.0.1:1", "sub": "ana", "aud": "https://mcp.example.com/both", "exp": NOW.secs() + 60 });
    let mut other = claims.clone();
    other["iss"] = json!("https://other.example");
    let known = forged(&claims);
    let foreign = forged(&other);
    let unknown = key(8);
    for (path, token, code, texts) in [
        (
            "/keys",
            &*unknown,
            REFUSED,
            &[
                "refused: 401 unknown_api_key",
                "key        refused ",
                "resource   not reached",
            ][..],
        ),
        (
            "/keys",
            &known,
            REFUSED,
            &[
                "refused: 401 wrong_issuer",
                "issuer     refused     iss `http://127.0.0.1:1`; expected: no JWT: the resource has no issuers (resources[].issuers)",
            ],
        ),
        (
            "/both",
            &foreign,
            REFUSED,
            &[
                "refused: 401 wrong_issuer",
                "expected: `http://127.0.0.1:1`",
            ],
        ),
        // The keys of this issuer cannot be had: nobody can say.
        (
            "/both",
            &known,
            WRONG,
            &[
                "nobody can say: 503 keys_unavailable",
                "key        not known ",
                "signature  not reached",
                "audience   passed ",
                "keys       nobody: ",
            ],
        ),
        (
            "/both",
            "opaque",
            REFUSED,
            &[
                "refused: 401 malformed_token",
                "token      opaque",
                "form       refused     1 part of 6 bytes (an opaque token, or a part of one?); expected: a JWT",
            ],
        ),
        (
            "/both",
            "two words",
            REFUSED,
            &["refused: 400 malformed_credentials"],
        ),
        ("/both", "", REFUSED, &["no text"]),
    ] {
        let (found, printed) = explained(&["--resource", path], token);
        assert_eq!(found, code, "{printed}");
        for text in texts {
            assert!(printed.contains(text), "{text}\n{printed}");
        }
        assert!(
            token.len() < 20 || !printed.contains(&token[token.len() - 15..]),
            "{printed}"
        );
        let (_, json) = explained(&["--resource", path, "--json"], token);
        let line: Value = serde_json::from_str(&json).unwrap();
        assert!(line["checks"].as_array().unwrap().len() >= 2, "{json}");
        assert_eq!(line["outcome"] == "unknown", code == WRONG, "{json}");
    }
}

#[test]
fn a_resource_that_is_not_there_is_named() {
    let (code, printed) = explained(&["--resource", "/nothing"], "a");
    assert_eq!(code, WRONG);
    assert!(
        printed.contains("unknown resource /nothing: use one of"),
        "{printed}"
    );
}

#[test]
fn a_token_is_sent_to_one_issuer_at_most() {
    let asked = |name: &str| {
        format!(
            "{name}: {{ issuer: 'https://{name}.example', introspection: {{ client_auth: none, endpoint: 'https://{name}.example/i' }} }}"
        )
    };
    let text = format!(
        "\
public_url: https://mcp.example.com
listen: [{{ address: '127.0.0.1:8080' }}]
issuers: {{ {}, {}, plain: {{ issuer: 'https://plain.example' }} }}
resources:
  - {{ path: /a, upstream: 'http://127.0.0.1:9/mcp', issuers: [one, plain], policy: {{ default: allow }} }}
  - {{ path: /b, upstream: 'http://127.0.0.1:9/mcp', issuers: [two], policy: {{ default: allow }} }}
",
        asked("one"),
        asked("two")
    );
    let folder = tempfile::tempdir().unwrap();
    let config = config::parse(&text, folder.path(), &Environment::default()).unwrap();
    let all: Vec<&Resource> = config.resources.iter().collect();
    let found = |resources: &[&Resource], token: &str| {
        let asked = judged::asked(&config, resources, token);
        asked.into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found(&all, "opaque"), "one two");
    assert_eq!(found(&all[..1], "opaque"), "one");
    assert_eq!(found(&all, &key(7)), "");
    assert_eq!(
        found(&all, &forged(&json!({ "iss": "https://one.example" }))),
        ""
    );
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let question = Question::default();
    let code = explain_token(
        &config,
        &question,
        NOW,
        &mut "opaque".as_bytes(),
        &mut out,
        &mut errors,
    );
    let errors = String::from_utf8(errors).unwrap();
    assert_eq!((code.unwrap(), &*out), (WRONG, &b""[..]));
    assert!(
        errors.contains("(one, two): say which resource"),
        "{errors}"
    );
}

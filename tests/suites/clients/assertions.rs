//! The snippets of `docs/assertions.md`: each verifies assertions of the gateway, and refuses everything else.

mod verify;

use std::process::Stdio;

use e2e::client::initialize;
use e2e::process::binary::repository;
use e2e::process::tool::tool;
use e2e::upstream::assertion::{HEADER, KEYS, part, signing};
use e2e::world::World;
use jsonwebtoken::jwk::JwkSet;
use serde_json::{Value, json};
use test_support::{Key, Token, compact, now};

/// The snippet in this language.
fn snippet(language: &str) -> String {
    let page = std::fs::read_to_string(repository("docs/assertions.md")).unwrap();
    let fence = format!("```{language}\n");
    let (_, rest) = page.split_once(&fence).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// What a snippet is given.
struct Given<'a> {
    keys: &'a str,
    assertion: &'a str,
    audience: &'a str,
    issuer: &'a str,
}

/// The claims that a program prints; none where it fails.
async fn run(program: &str, options: &[&str], code: &str, given: &Given<'_>) -> Option<Value> {
    let output = tool(program)
        .args(options)
        .arg(code)
        .args([given.keys, given.assertion, given.audience, given.issuer])
        // Where Node.js looks for packages.
        .current_dir(repository("tests/clients"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let (said, failed) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    match output.status.code() {
        Some(0) => Some(serde_json::from_str(&said).unwrap()),
        // The snippet refused, as opposed to a program that does not run.
        Some(3) => None,
        other => panic!("{program}: {other:?} {said} {failed}"),
    }
}

async fn python(given: &Given<'_>) -> Option<Value> {
    let code = snippet("python")
        + "
import json, sys

url, *rest = sys.argv[1:]
try:
    print(json.dumps(verify(jwt.PyJWKClient(url), *rest)))
except jwt.PyJWTError as error:
    print(error, file=sys.stderr)
    sys.exit(3)
";
    run("python", &["-c"], &code, given).await
}

async fn typescript(given: &Given<'_>) -> Option<Value> {
    let code = snippet("typescript")
        + r#"
import { createRemoteJWKSet, errors } from "jose";

const [url, ...rest] = process.argv.slice(1) as [string, string, string, string];
try {
  console.log(JSON.stringify(await verify(createRemoteJWKSet(new URL(url)), ...rest)));
} catch (error) {
  console.error(error);
  process.exit(error instanceof errors.JOSEError ? 3 : 1);
}
"#;
    let options = ["--no-warnings", "--input-type=module-typescript", "--eval"];
    run("node", &options, &code, given).await
}

async fn rust(given: &Given<'_>) -> Option<Value> {
    let set = e2e::client::http().get(given.keys).send().await.unwrap();
    let set = set.text().await.unwrap();
    let keys: JwkSet = serde_json::from_str(&set).unwrap();
    let caller = verify::verify(&keys, given.assertion, given.audience, given.issuer).ok()?;
    Some(serde_json::to_value(caller).unwrap())
}

#[test]
fn the_snippet_for_rust_is_the_one_that_is_run() {
    let source = include_str!("assertions/verify.rs");
    let (_, code) = source.split_once("\n\n").unwrap();
    assert_eq!(snippet("rust"), code);
}

#[tokio::test]
async fn the_snippets_of_the_documentation_accept_assertions_and_nothing_else() {
    let world = World::with(|config| signing(config, json!({}))).await;
    let call = world.gateway.post(initialize()).token(&world.writer());
    world.acceptance(call).await.unwrap();
    let assertion = world.upstream.last().header(HEADER).unwrap().to_owned();
    let (audience, issuer) = (world.upstream.url(), world.gateway.config.public_url());
    let keys = format!("{issuer}{KEYS}");
    let (header, claims) = (part(&assertion, 0), part(&assertion, 1));
    let kid = header["kid"].as_str().unwrap();
    let other = Token::exactly(&Key::es256(kid), header.clone(), claims.clone()).sign();
    let unknown = Token::exactly(&Key::es256("unknown"), header.clone(), claims.clone()).sign();
    let with_algorithm = |algorithm: &str, typ: &str| {
        let header = json!({ "alg": algorithm, "kid": kid, "typ": typ });
        compact(header.to_string(), claims.to_string(), |_| Vec::new())
    };
    let (none, access) = (
        with_algorithm("none", "mcp-assertion+jwt"),
        with_algorithm("ES256", "at+jwt"),
    );
    let cut = &assertion[..assertion.len() - 8];
    let expired = Token::exactly(&Key::es256(kid), header, claims).claim("exp", now() - 60);
    let expired = expired.sign();
    let good = (assertion.as_str(), audience.as_str(), issuer.as_str());
    let elsewhere = "http://127.0.0.1:9/mcp";
    for (name, (assertion, audience, issuer), is_accepted) in [
        ("good", good, true),
        ("another audience", (good.0, elsewhere, good.2), false),
        (
            "another issuer",
            (good.0, good.1, "https://other.example"),
            false,
        ),
        ("another key", (&other, good.1, good.2), false),
        ("an unknown key", (&unknown, good.1, good.2), false),
        ("alg none", (&none, good.1, good.2), false),
        ("another type", (&access, good.1, good.2), false),
        ("expired", (&expired, good.1, good.2), false),
        ("cut", (cut, good.1, good.2), false),
        ("no JWT", ("x", good.1, good.2), false),
    ] {
        let given = Given {
            keys: &keys,
            assertion,
            audience,
            issuer,
        };
        let found = [
            ("Python", python(&given).await),
            ("TypeScript", typescript(&given).await),
            ("Rust", rust(&given).await),
        ];
        for (language, claims) in found {
            assert_eq!(claims.is_some(), is_accepted, "{language}: {name}");
            if let Some(claims) = claims {
                assert_eq!(claims["sub"], "alice", "{language}");
                assert_eq!(claims["token_iss"], "https://issuer.test/", "{language}");
                assert_eq!(claims["scope"], "tasks:read tasks:write", "{language}");
            }
        }
    }
}

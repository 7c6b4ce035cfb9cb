//! Attack 174 against the SDKs: whatever the spelling of a resource URI, a server reads no resource that the policy denies.
//!
//! The servers answer with the URI of the resource that they read, so the tests see which one it was. Every spelling also goes to
//! the server directly: enough of them must reach the secret there, else the test would prove nothing.

use std::collections::BTreeSet;

use e2e::client::{self, Call, request};
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER, resource};
use e2e::process::Process;
use e2e::process::binary::repository;
use e2e::process::tool::tool;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use test_support::{Key, Token};

/// What the policies deny.
const SECRETS: &[&str] = &[
    "note:///my%20secret",
    "note:///gr%C3%BCn",
    "https://host.example/",
    "https://host.example/secret",
    "http://127.0.0.1/secret",
    "http://[::1]/secret",
    "file:///C:/secret",
    "docs://team/secret",
];

/// What they allow, as clients write it. All of it must be read.
const ORDINARY: &[&str] = &[
    "note:///public/my%20notes",
    "note:///public/caf%C3%A9",
    "note:///public/a,b;c=d",
    "note:///public/100%25",
    "note:///public/A/b/c.txt",
    "https://public.example/a?b=c&d=e#f",
    "https://public.example:8443/a",
    "https://bare.example",
    "http://192.0.2.7/public/",
    "http://[2001:db8::1]/public",
    "file:///public/a-b_c~d.md",
    "file:///D:/public/a.md",
    "docs://public",
    "docs://Public/Team/readme",
    "urn:isbn:0451450523",
    "mailto:team@public.example",
    "git+ssh://git@public.example/repository",
    "postgres://public/table/schema",
];

/// The fewest spellings, and the fewest of them that reach a secret without the gateway.
const SPELLINGS: usize = 600;
const DANGEROUS: usize = 200;

const AT_ONCE: usize = 16;

#[tokio::test]
async fn no_spelling_reads_a_denied_resource_of_a_typescript_server() {
    let mut command = tool("node");
    command.arg(repository("tests/clients/typescript/resources.mjs"));
    attack(command).await;
}

#[tokio::test]
async fn no_spelling_reads_a_denied_resource_of_a_python_server() {
    let mut command = tool("python");
    command.arg(repository("tests/clients/python/resources.py"));
    attack(command).await;
}

async fn attack(mut server: tokio::process::Command) {
    server
        .args(SECRETS)
        .args(ORDINARY.iter().map(|uri| match *uri {
            // The SDK's key for it.
            "https://bare.example" => "https://bare.example/",
            uri => uri,
        }));
    let process = Process::spawn(server);
    let line = process.handle().line("\"port\"").await;
    let ready: Value = serde_json::from_str(&line).expect("one line of JSON");
    let upstream = format!("http://127.0.0.1:{}/mcp", ready["port"]);
    let key = Key::es256("first");
    let gateway = Gateway::start(config(&upstream, &key)).await;
    let http = client::http();

    let spellings = spellings();
    assert!(spellings.len() >= SPELLINGS, "{}", spellings.len());
    let direct = |uri: &str| Call::post(&http, upstream.clone(), read(uri));
    let reached = all(&spellings, direct).await;
    let dangerous = reached.iter().flatten().filter(|uri| is_secret(uri));
    let dangerous = dangerous.count();
    assert!(dangerous >= DANGEROUS, "only {dangerous} reach a secret");

    for path in ["/deny", "/allow"] {
        let token = Token::new(&key, ISSUER, &gateway.uri(path)).sign();
        let through = |uri: &str| gateway.post_to(path, read(uri)).token(&token);
        let reached = all(&spellings, through).await;
        let secrets: Vec<_> = spellings.iter().zip(&reached).collect();
        let secrets: Vec<_> = secrets
            .into_iter()
            .filter(|(_, reached)| reached.as_deref().is_some_and(is_secret))
            .collect();
        assert!(secrets.is_empty(), "{path}: {secrets:#?}");
        let ordinary: Vec<String> = ORDINARY.iter().map(|uri| (*uri).to_owned()).collect();
        let reached = all(&ordinary, through).await;
        for (uri, reached) in ordinary.iter().zip(reached) {
            let expected = uri.replace("bare.example", "bare.example/");
            assert_eq!(reached, Some(expected), "{path} {uri}");
        }
    }
}

/// Two resources before one server: one denies the secrets and allows the rest, one allows the rest by globs and denies all else.
fn config(upstream: &str, key: &Key) -> Config {
    let policy = |path, policy: Value| {
        let mut resource = resource(path, upstream, &["corporate"]);
        resource["policy"] = policy;
        resource
    };
    let denied = json!({ "method": "resources/read", "name": SECRETS, "deny": "No." });
    let allowed = json!({ "method": "resources/read", "name": [
        "note:///public/**", "https://public.example/**", "https://public.example:8443/*", "https://bare.example",
        "http://192.0.2.7/public/**", "http://[2001:db8::1]/*", "file:///public/*", "file:///D:/public/**", "docs://public",
        "docs://Public/**", "urn:isbn:*", "mailto:*@public.example", "git+ssh://git@public.example/*", "postgres://public/**",
    ] });
    let config = Config::new(upstream, &[key]);
    config.set(
        "/resources",
        json!([
            policy("/deny", json!({ "default": "allow", "rules": [denied] })),
            policy("/allow", json!({ "default": "deny", "rules": [allowed] })),
        ]),
    )
}

fn read(uri: &str) -> String {
    request(1, "resources/read", json!({ "uri": uri }))
}

fn is_secret(uri: &str) -> bool {
    SECRETS.contains(&uri)
}

/// The resources that the server reads for these URIs.
async fn all(uris: &[String], call: impl Fn(&str) -> Call) -> Vec<Option<String>> {
    let replies = stream::iter(uris.iter().map(|uri| call(uri).send()));
    let reached = replies.buffered(AT_ONCE).map(|reply| {
        let contents = &reply.json()["result"]["contents"];
        contents[0]["text"].as_str().map(str::to_owned)
    });
    reached.collect().await
}

/// Spellings from reports, and generated ones: one to three rewrites of a secret, with a fixed seed.
fn spellings() -> Vec<String> {
    let reported = [
        "note:///my secret",
        "note:///gr\u{fc}n",
        "https://host.example",
        "https://@host.example/secret",
        "https://:@host.example/secret",
        "https://ho\u{ff53}t.example/secret",
        "https://ho\u{ad}st.example/secret",
        "file:///C|/secret",
        "http://127.1/secret",
        "http://2130706433/secret",
        "http://0x7f000001/secret",
    ];
    let mut random = Random(174);
    let mut spellings: BTreeSet<String> = reported.iter().map(|uri| (*uri).to_owned()).collect();
    while spellings.len() < SPELLINGS {
        let mut uri = random.one(SECRETS).to_owned();
        for _ in 0..=random.below(3) {
            uri = rewrite(&uri, &mut random);
        }
        if !is_secret(&uri) {
            spellings.insert(uri);
        }
    }
    spellings.into_iter().collect()
}

/// One rewrite that some parser or server takes back.
fn rewrite(uri: &str, random: &mut Random) -> String {
    let (scheme, rest) = uri.split_once(':').unwrap_or(("", uri));
    let (host, path) = rest
        .trim_start_matches('/')
        .split_once('/')
        .unwrap_or((rest, ""));
    let places: Vec<usize> = rest
        .char_indices()
        .filter(|(_, one)| one.is_ascii_alphanumeric())
        .map(|(at, _)| at)
        .collect();
    let letter = |random: &mut Random, change: &dyn Fn(char) -> String| match &*places {
        [] => uri.to_owned(),
        places => {
            let at = places[random.below(places.len())];
            let one = rest[at..].chars().next().unwrap_or_default();
            let changed = change(one);
            format!(
                "{scheme}:{}{changed}{}",
                &rest[..at],
                &rest[at + one.len_utf8()..]
            )
        }
    };
    let wide = |one: char| {
        char::from_u32(u32::from(one) + 0xfee0)
            .unwrap_or(one)
            .to_string()
    };
    match random.below(20) {
        0 => uri.replace("%20", " ").replace("%C3%BC", "\u{fc}"),
        1 => uri.replace("%C3", "%c3").replace("%BC", "%bc"),
        2 => format!("{}:{rest}", scheme.to_uppercase()),
        3 => format!("{scheme}:{}", rest.replacen('/', "\\", 1 + random.below(4))),
        4 => format!("{scheme}:/{}", rest.trim_start_matches('/')),
        5 => format!("{scheme}:{}", rest.trim_start_matches('/')),
        6 => format!("{scheme}:/{rest}"),
        7 => format!("{scheme}://{}/{path}", host.to_uppercase()),
        8 => format!("{scheme}://@{host}/{path}"),
        9 => format!("{scheme}://:@{host}/{path}"),
        10 => format!(
            "{scheme}://{host}:{}/{path}",
            random.one(&["443", "80", "", "0080"])
        ),
        11 => format!(" {uri}"),
        12 => format!("{uri} "),
        13 => format!("{scheme}://{host}/x/../{path}"),
        14 => format!("{scheme}://{host}/%2e/{path}"),
        15 => letter(random, &|one| format!("%{:02x}", u32::from(one))),
        16 => letter(random, &wide),
        17 => letter(random, &|one| format!("{one}\u{ad}")),
        18 => letter(random, &|one| {
            format!("{one}{}", ["\t", "\n", "\r"][usize::from(one as u8) % 3])
        }),
        _ => {
            let hosts = [
                "127.1",
                "2130706433",
                "0x7f.1",
                "0177.0.0.1",
                "127.0.0.1.",
                "127.0x1",
            ];
            uri.replace("127.0.0.1", random.one(&hosts))
                .replace("[::1]", random.one(&["[0::1]", "[::0001]", "[::0.0.0.1]"]))
                .replace("C:/", random.one(&["C|/", "c|/../C:/"]))
        }
    }
}

/// A linear congruential generator: the same spellings on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % bound
    }

    fn one<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

//! The output of `check --explain`.

use clap::Parser;

use super::*;
use crate::config::{self, Environment};

const CONFIG: &str = r#"
public_url: https://mcp.example.com
listen: [{ address: '127.0.0.1:8080' }]
issuers:
  corporate: { issuer: 'https://login.example.com/' }
  partner: { issuer: 'https://partner.example.com', subject_claim: email }
  tenants:
    issuer: ['https://login.example.net/{tenantid}/v2.0', 'https://sts.example.net/{tenantid}/']
    tenants: [aaaaaaaa-0000-4000-8000-00000000000a, bbbbbbbb-0000-4000-8000-00000000000b]
    jwks_uri: https://login.example.net/keys
resources:
  - path: /mcp
    upstream: http://127.0.0.1:9000/mcp
    issuers: [corporate]
    scopes:
      required: [tasks:read]
      implies: { tasks:admin: [tasks:write], tasks:write: [tasks:read] }
    policy:
      default: deny
      rules:
        - { method: resources/read, name: ["tasks://**"] }
        - { method: tools/call, principals: bob, deny: "Not Bob." }
        - { method: tools/call, arguments: { priority: [high, urgent] }, scopes: [tasks:admin] }
        - { method: tools/call, name: create_task, scopes: [tasks:write] }
        - { method: tools/call, name: ops, condition: claims.department == "ops" }
        - { method: tools/call, name: hers, clients: console }
        - { method: subscriptions/listen }
  - path: /both
    upstream: http://127.0.0.1:9001/mcp
    issuers: [corporate, partner]
    policy: { default: allow }
  - path: /tenants
    upstream: http://127.0.0.1:9002/mcp
    issuers: [tenants]
    scopes: { prefix: api://1111/, required: [tasks.read] }
    policy:
      default: allow
      rules:
        - { method: tools/call, scopes: [tasks.write] }
"#;

const ALICE: &str = r#"{"sub":"alice","scope":"tasks:read"}"#;

#[derive(Parser)]
struct Typed {
    #[command(flatten)]
    question: Question,
}

/// The exit code, and what is printed on stdout and on stderr.
fn explained(typed: &[&str], stdin: &str) -> (u8, String) {
    explained_of(CONFIG, typed, stdin)
}

/// The same for another configuration.
fn explained_of(config: &str, typed: &[&str], stdin: &str) -> (u8, String) {
    let config = config::parse(config, Path::new("/"), &Environment::default()).unwrap();
    let line = ["check", "--explain"].iter().chain(typed);
    let question = Typed::try_parse_from(line).unwrap().question;
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let now = UnixTime::new(1_000_000);
    let mut stdin = stdin.as_bytes();
    let code = explain(&config, &question, now, &mut stdin, &mut out, &mut errors).unwrap();
    out.extend(errors);
    (code, String::from_utf8(out).unwrap())
}

/// A call of a tool of `/mcp` with these claims.
fn call(claims: &str, name: &str, more: &[&str]) -> (u8, String) {
    let resource = ["--resource", "/mcp", "--claims", claims];
    let tool = ["--method", "tools/call", "--name", name];
    explained(&[&resource[..], &tool, more].concat(), "")
}

#[test]
fn a_call_is_explained_from_the_caller_to_the_outcome() {
    let (code, printed) = call(ALICE, "create_task", &[]);
    let expected = "\
resource  https://mcp.example.com/mcp
issuer    corporate = https://login.example.com/
subject   alice
client    none
scopes    tasks:read
offline   not checked: the token's signature, rate_limits, tasks, protocol_versions
call      tools/call create_task

rules[0]  skipped: applies to resources/read
rules[1]  skipped: denies only the principals bob
rules[2]  skipped: applies to calls with priority \"high\" or \"urgent\"
rules[3]  decides: allows, requires tasks:write

requires  tasks:read tasks:write
missing   tasks:write (tasks:admin implies it)
outcome   refused with 403 insufficient_scope: The access token lacks a scope that this call requires.
cure      Grant the scope at the provider, or change `resources[].policy.rules[].scopes` or `resources[].scopes.required`. `check --explain` shows which rule decides.
challenge scope=\"tasks:read tasks:write\"
";
    assert_eq!((code, printed.as_str()), (REFUSED, expected));
}

#[test]
fn each_outcome_has_its_text_and_its_exit_code() {
    let admin = r#"{"sub":"alice","scope":"tasks:admin"}"#;
    let bob = r#"{"sub":"bob","scope":"tasks:read"}"#;
    let ops = r#"{"sub":"alice","scope":"tasks:read","department":"ops"}"#;
    let other = r#"{"sub":"alice","scope":"tasks:read","department":"sales"}"#;
    let late = r#"{"sub":"alice","scope":"tasks:write","exp":5}"#;
    let high = ["--arguments", r#"{"priority":"high"}"#];
    let look_alike = ["--arguments", r#"{"Priority":"high"}"#];
    let cases: [(&str, &str, &[&str], u8, &str); 10] = [
        (
            admin,
            "any",
            &high,
            ALLOWED,
            "rules[2]  decides: allows, requires tasks:admin\n",
        ),
        (
            bob,
            "ops",
            &[],
            REFUSED,
            "rules[1]  decides: denies, \"Not Bob.\"\n\noutcome   refused with 403 policy_denied: Not Bob.\ncure      `check --explain` shows",
        ),
        (
            ops,
            "ops",
            &[],
            ALLOWED,
            "rules[4]  decides: allows\n\nrequires  tasks:read\noutcome   allowed\n",
        ),
        (
            other,
            "ops",
            &[],
            REFUSED,
            "decides: denies, because it allows only when this is true: claims.department == \"ops\"\n",
        ),
        (
            ALICE,
            "ops",
            &[],
            REFUSED,
            "decides: denies, the condition failed: ",
        ),
        (
            ALICE,
            "hers",
            &[],
            REFUSED,
            "rules[5]  decides: denies, because it allows only the clients console\n",
        ),
        (
            ALICE,
            "none",
            &[],
            REFUSED,
            "rules[6]  skipped: applies to subscriptions/listen\ndefault   decides: deny\n",
        ),
        (
            ALICE,
            "any",
            &look_alike,
            REFUSED,
            "decides: denies, the arguments have look-alike member names\n",
        ),
        (
            late,
            "create_task",
            &[],
            REFUSED,
            "policy    allowed\noutcome   refused with 401 expired: The token has expired.\nfound     exp 5 was 11 d 13 h ago; allowed clock difference: 30 s (issuers.corporate.clock_skew)\ncure      Check the clocks (NTP).",
        ),
        (
            late,
            "a\u{1b}[2J",
            &[],
            WRONG,
            "--name has a control character",
        ),
    ];
    for (claims, name, more, expected, text) in cases {
        let (code, printed) = call(claims, name, more);
        assert_eq!(code, expected, "{claims} {name}: {printed}");
        assert!(printed.contains(text), "{text:?}: {printed}");
        assert!(!printed.contains('\u{1b}'), "{printed}");
    }
}

#[test]
fn a_binding_is_judged_as_the_resource_demands() {
    let print = "_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v4";
    let key = format!(r#"{{"sub":"alice","cnf":{{"jkt":"{print}"}}}}"#);
    let certificate = format!(r#"{{"sub":"alice","cnf":{{"x5t#S256":"{print}"}}}}"#);
    let unreadable = r#"{"sub":"alice","cnf":{}}"#.to_owned();
    let plain = r#"{"sub":"alice"}"#.to_owned();
    let by_key = "not checked: the token's signature, the proof of its key (DPoP), rate_limits";
    let by_certificate =
        "not checked: the token's signature, the certificate of its client, rate_limits";
    let unsigned = "not checked: the token's signature, rate_limits";
    let (bound, unbound) = ("401 sender_constrained", "401 unbound_token");
    for (dpop, claims, code, text) in [
        ("allow", &plain, ALLOWED, unsigned),
        ("allow", &key, ALLOWED, by_key),
        ("allow", &certificate, ALLOWED, by_certificate),
        ("require", &key, ALLOWED, by_key),
        ("require", &plain, REFUSED, unbound),
        ("require", &certificate, REFUSED, bound),
        ("require", &unreadable, REFUSED, bound),
        ("refuse", &key, REFUSED, bound),
    ] {
        let policy = "issuers: [corporate, partner]\n";
        let demanding = format!("{policy}    sender_constraint: {{ dpop: {dpop} }}\n");
        let config = CONFIG.replace(policy, &demanding);
        assert_ne!(config, CONFIG);
        let typed = [
            "--resource",
            "/both",
            "--issuer",
            "corporate",
            "--claims",
            claims,
            "--method",
            "tools/list",
        ];
        let (found, printed) = explained_of(&config, &typed, "");
        assert_eq!(found, code, "{dpop} {claims}\n{printed}");
        assert!(printed.contains(text), "{text}\n{printed}");
        assert!(!printed.contains("also "), "{printed}");
    }
}

#[test]
fn every_target_of_a_call_is_explained() {
    let resource = ["--resource", "/mcp", "--claims", ALICE];
    let listen = [
        "--method",
        "subscriptions/listen",
        "--reference",
        "resource:tasks://1",
    ];
    let another = ["--reference", "resource:tasks://../2"];
    let (code, printed) = explained(&[&resource[..], &listen, &another].concat(), "");
    let expected = "\
target    resources/read tasks://1
rules[0]  decides: allows
target    resources/read tasks://../2
rules     not checked: programs could resolve this URI differently: the URI has dot segments

outcome   refused with 400 ambiguous_uri: The resource URI is ambiguous: programs could read it in more than one way.
cure      Let the client send the plain form of the URI.
";
    assert!(printed.ends_with(expected), "{printed}");
    assert_eq!(code, REFUSED);
    let read = ["--method", "resources/read", "--name", "tasks:///my files"];
    let (_, printed) = explained(&[&resource[..], &read].concat(), "");
    let expected = "\
target    resources/read tasks:///my files
rules[0]  decides: allows
target    resources/read tasks:///my%20files (as a URL parser writes it)
rules[0]  decides: allows
";
    assert!(printed.contains(expected), "{printed}");
    let (code, printed) = explained(&[&resource[..], &["--method", "ping"]].concat(), "");
    assert!(printed.contains("rules     not checked"), "{printed}");
    assert_eq!(code, ALLOWED);
}

#[test]
fn a_token_is_read_from_stdin_and_names_its_issuer() {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let token = |claims: &str| {
        let header = part(r#"{"typ":"at+jwt","alg":"RS256"}"#);
        format!("{header}.{}.AAAA\n", part(claims))
    };
    let good = r#"{"iss":"https://partner.example.com","email":"eve","exp":1000060,"aud":"https://mcp.example.com/both"}"#;
    let cases = [
        (
            token(good),
            ALLOWED,
            "issuer    partner = https://partner.example.com\nsubject   eve\n",
        ),
        (token(&good.replace("1000060", "5")), REFUSED, "401 expired"),
        (
            token(&good.replace("/both", "/mcp")),
            REFUSED,
            "401 wrong_audience: The token is for another resource.\nfound     aud `https://mcp.example.com/mcp`; accepted: `https://mcp.example.com/both`, `https://mcp.example.com/both/` (resources.audience)\ncure      Configure the provider",
        ),
        (
            token(&good.replace("partner", "stranger")),
            REFUSED,
            "401 wrong_issuer: The token's issuer is not accepted here.\nfound     iss `https://stranger.example.com`; accepted: `https://login.example.com/`, `https://partner.example.com`",
        ),
        (
            token(&good.replace("email", "mail")),
            REFUSED,
            "401 missing_claim: The token lacks a required claim.\nfound     missing or empty: `email`; required",
        ),
        (
            "nonsense".to_owned(),
            REFUSED,
            "401 malformed_token: The token is malformed.\nfound     1 part of 8 bytes (an opaque token, or a part of one?)",
        ),
        (
            String::new(),
            REFUSED,
            "400 malformed_credentials: The Authorization header has no well-formed Bearer token.\nfound     no token after Bearer",
        ),
        ("a\nb".to_owned(), REFUSED, "400 malformed_credentials"),
    ];
    let typed = [
        "--resource",
        "/both",
        "--token-file",
        "-",
        "--method",
        "tools/list",
    ];
    for (token, expected, text) in cases {
        let (code, printed) = explained(&typed, &token);
        assert_eq!(code, expected, "{text}: {printed}");
        assert!(printed.contains(text), "{text}: {printed}");
    }
}

#[test]
fn a_resource_is_found_with_and_without_its_final_slash() {
    for name in ["/mcp", "/mcp/", "https://mcp.example.com/mcp/"] {
        let typed = ["--resource", name, "--claims", ALICE, "--method", "ping"];
        let (code, printed) = explained(&typed, "");
        assert_eq!(code, ALLOWED, "{name}: {printed}");
        let begin = "resource  https://mcp.example.com/mcp\n";
        assert!(printed.starts_with(begin), "{name}: {printed}");
    }
}

#[test]
fn invalid_options_are_reported() {
    let mcp = ["--resource", "/mcp", "--claims", ALICE];
    let both = ["--resource", "/both", "--claims", ALICE];
    let with = |claims| ["--resource", "/both", "--claims", claims];
    let iss = with(r#"{"sub":"a","iss":"https://login.example.com/"}"#);
    let list = with("[]");
    let cases: [(&[&str], &[&str], &str); 14] = [
        (
            &["--claims", ALICE],
            &["tools/list"],
            "there are several resources",
        ),
        (
            &["--resource", "/x", "--claims", ALICE],
            &["tools/list"],
            "unknown resource /x",
        ),
        (
            &both,
            &["tools/list"],
            "add --issuer with one of corporate, partner",
        ),
        (
            &both,
            &["tools/list", "--issuer", "x"],
            "x is not an issuer of the resource",
        ),
        (
            &both,
            &["tools/list", "--issuer", "partner"],
            "add the claim email to --claims (subject_claim of the issuer names it)",
        ),
        (
            &iss,
            &["tools/list", "--issuer", "partner"],
            "--issuer partner does not match iss",
        ),
        (
            &list,
            &["tools/list"],
            "--claims are invalid (malformed_token, the payload is not a JSON object)",
        ),
        (&mcp, &["tools/call"], "add --name"),
        (&mcp, &["tools/list", "--name", "x"], "remove --name"),
        (&mcp, &["tool/call"], "did you mean tools/call?"),
        (
            &mcp,
            &["tools/list", "--arguments", "{}"],
            "remove --arguments",
        ),
        (
            &mcp,
            &["tools/call", "--name", "x", "--arguments", "{"],
            "--arguments are invalid (not one JSON document)",
        ),
        (&mcp, &["completion/complete"], "add one --reference"),
        (&mcp, &["roots/list"], "is sent by servers"),
    ];
    for (who, method, text) in cases {
        let (code, printed) = explained(&[who, &["--method"], method].concat(), "");
        assert!(printed.contains(text), "{text}: {printed}");
        assert_eq!((code, printed.lines().count()), (WRONG, 1), "{printed}");
    }
    let typed = [
        "--resource",
        "/mcp",
        "--token-file",
        "/nonexistent",
        "--method",
        "tools/list",
    ];
    let (code, printed) = explained(&typed, "");
    let text = "cannot read the token file /nonexistent";
    assert!(printed.contains(text), "{printed}");
    assert_eq!(code, WRONG);
}

#[test]
fn options_that_depend_on_each_other_are_required_together() {
    let cases: [&[&str]; 6] = [
        &["--method", "tools/list"],
        &["--claims", "{}"],
        &["--explain", "--method", "tools/list"],
        &["--explain", "--claims", "{}"],
        &[
            "--explain",
            "--method",
            "x",
            "--claims",
            "{}",
            "--token-file",
            "-",
        ],
        &[
            "--explain",
            "--method",
            "x",
            "--claims",
            "{}",
            "--reference",
            "task:1",
        ],
    ];
    for typed in cases {
        let line = ["check"].iter().chain(typed);
        assert!(Typed::try_parse_from(line).is_err(), "{typed:?}");
    }
}

/// A call of a tool of `/tenants` with these claims.
fn call_of_tenant(claims: &str) -> (u8, String) {
    let typed = [
        "--resource",
        "/tenants",
        "--claims",
        claims,
        "--method",
        "tools/call",
        "--name",
        "x",
    ];
    explained(&typed, "")
}

#[test]
fn scopes_are_shown_as_in_the_policy_and_as_published() {
    let claims = r#"{"sub":"alice","tid":"bbbbbbbb-0000-4000-8000-00000000000b","scope":"api://1111/tasks.read openid",
        "iss":"https://sts.example.net/bbbbbbbb-0000-4000-8000-00000000000b/"}"#;
    let (code, printed) = call_of_tenant(claims);
    let expected = "\
resource  https://mcp.example.com/tenants
issuer    tenants = https://sts.example.net/bbbbbbbb-0000-4000-8000-00000000000b/
subject   alice
client    none
scopes    openid tasks.read
offline   not checked: the token's signature, rate_limits, tasks, protocol_versions
call      tools/call x

rules[0]  decides: allows, requires tasks.write

requires  tasks.read tasks.write
published api://1111/tasks.read api://1111/tasks.write
missing   tasks.write
outcome   refused with 403 insufficient_scope: The access token lacks a scope that this call requires.
cure      Grant the scope at the provider, or change `resources[].policy.rules[].scopes` or `resources[].scopes.required`. `check --explain` shows which rule decides.
challenge scope=\"api://1111/tasks.read api://1111/tasks.write\"
";
    assert_eq!((code, printed.as_str()), (REFUSED, expected));
}

#[test]
fn the_tenant_of_claims_is_named_and_listed() {
    let iss = |tenant: &str| format!("https://login.example.net/{tenant}/v2.0");
    let (a, b) = (
        "aaaaaaaa-0000-4000-8000-00000000000a",
        "bbbbbbbb-0000-4000-8000-00000000000b",
    );
    let scope = "tasks.read tasks.write";
    for (iss, tid, code, text) in [
        (Some(iss(a)), Some(a), ALLOWED, "outcome   allowed"),
        (Some(iss(a)), None, ALLOWED, "outcome   allowed"),
        (
            Some(iss(a)),
            Some(b),
            REFUSED,
            "refused with 401 wrong_tenant",
        ),
        (
            Some(iss("{tenantid}")),
            None,
            WRONG,
            "is not an issuer of the resource",
        ),
        (
            Some(iss("cccccccc-0000-4000-8000-00000000000c")),
            None,
            WRONG,
            "is not an issuer of the resource",
        ),
        (
            None,
            Some(a),
            WRONG,
            "the issuer tenants has several tenants: add iss to the claims, one of",
        ),
    ] {
        let claims = serde_json::json!({ "sub": "alice", "scope": scope, "iss": iss, "tid": tid });
        let claims = claims.as_object().unwrap().clone();
        let present: serde_json::Map<_, _> = claims
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect();
        let (found, printed) = call_of_tenant(&serde_json::Value::Object(present).to_string());
        assert!(
            found == code && printed.contains(text),
            "{iss:?} {tid:?}: {found} {printed}"
        );
    }
}

#[test]
fn a_call_with_a_token_of_the_built_in_issuer_is_explained() {
    let text = "\
public_url: https://mcp.example.com
listen: [{ address: '127.0.0.1:8080' }]
authorization_server: { directory: /tmp/mcp-gateway-explained, machines: { enabled: true, scopes: read } }
resources: [{ path: /mcp, upstream: 'http://127.0.0.1:9000/mcp', scopes: { required: [read] }, policy: { default: allow } }]
";
    let config = config::parse(text, Path::new("/"), &Environment::default()).unwrap();
    let answered = |claims: &str| {
        let line = [
            "check",
            "--explain",
            "--method",
            "tools/list",
            "--claims",
            claims,
        ];
        let question = Typed::parse_from(line).question;
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let now = UnixTime::new(1_700_000_000);
        let code = explain(
            &config,
            &question,
            now,
            &mut io::empty(),
            &mut out,
            &mut errors,
        );
        (code.unwrap(), String::from_utf8(out).unwrap())
    };
    let (code, printed) = answered(r#"{"sub":"u:ana","scope":"read","exp":1700000300}"#);
    assert_eq!(code, ALLOWED, "{printed}");
    for line in [
        "built-in = https://mcp.example.com",
        "whether its grant has ended",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
    assert_eq!(answered(r#"{"sub":"u:ana"}"#).0, REFUSED);
}

/// A configuration with API keys, and a key of `ci` for `/mcp` that expires at 2,000,000.
fn explained_with_keys(typed: &[&str], stdin: &str) -> (u8, String) {
    use mcp_gateway_core::token::api_key::text::ApiKey;

    let folder = tempfile::tempdir().unwrap();
    let digest = ApiKey::parse(&key()).unwrap().digest();
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let line = format!(
        r#"{{"name":"build","sha256":"{digest}","subject":"ci","scopes":["read"],"resources":["/mcp"],"expires":"1970-01-24T03:33:20Z"}}"#
    );
    std::fs::write(folder.path().join("keys.jsonl"), line).unwrap();
    let text = "\
public_url: https://mcp.example.com
listen: [{ address: '127.0.0.1:8080' }]
api_keys: { files: keys.jsonl }
issuers: { corporate: { issuer: 'https://login.example.com/' } }
resources:
  - path: /mcp
    upstream: http://127.0.0.1:9000/mcp
    api_keys: {}
    policy:
      default: deny
      rules: [{ method: tools/call, name: deploy, clients: build, scopes: [read] }]
  - path: /both
    upstream: http://127.0.0.1:9001/mcp
    issuers: [corporate]
    api_keys: {}
    policy: { default: allow }
  - path: /tokens
    upstream: http://127.0.0.1:9002/mcp
    issuers: [corporate]
    policy: { default: allow }
";
    let config = config::parse(text, folder.path(), &Environment::default()).unwrap();
    let line = [
        "check",
        "--explain",
        "--method",
        "tools/call",
        "--name",
        "deploy",
    ];
    let question = Typed::try_parse_from(line.iter().chain(typed))
        .unwrap()
        .question;
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let (now, mut stdin) = (UnixTime::new(1_999_990), stdin.as_bytes());
    let code = explain(&config, &question, now, &mut stdin, &mut out, &mut errors).unwrap();
    out.extend(errors);
    (code, String::from_utf8(out).unwrap())
}

fn key() -> String {
    mcp_gateway_core::token::api_key::text::new_key(&[7; 64]).unwrap()
}

#[test]
fn a_call_with_an_api_key_is_explained() {
    let key = key();
    let other = key.replace("mgw_7", "mgw_8");
    let caller = "\
issuer    api-keys = api-keys
subject   ci
client    build
scopes    read
offline   not checked: rate_limits, tasks, protocol_versions
";
    for (path, token, code, expected) in [
        (
            "/mcp",
            &key,
            ALLOWED,
            &[caller, "rules[0]  decides: allows, requires read"][..],
        ),
        (
            "/both",
            &key,
            REFUSED,
            &[
                "refused with 401 wrong_audience",
                "key `build` is for `/mcp`; this resource: `/both`",
            ],
        ),
        (
            "/tokens",
            &key,
            REFUSED,
            &[
                "refused with 401 api_keys_not_accepted",
                "key `build`; the resource has no api_keys",
            ],
        ),
        (
            "/mcp",
            &other,
            REFUSED,
            &[
                "refused with 401 malformed_api_key",
                "the checksum of the API key does not match",
            ],
        ),
    ] {
        let typed = ["--resource", path, "--token-file", "-"];
        let (found, printed) = explained_with_keys(&typed, token);
        assert_eq!(found, code, "{printed}");
        for text in expected {
            assert!(printed.contains(text), "{text}\n{printed}");
        }
        assert!(!printed.contains(&token[4..]), "{printed}");
    }
}

#[test]
fn claims_can_stand_for_an_api_key() {
    let claims = r#"{"sub":"ci","client_id":"build","scope":"read"}"#;
    let named = r#"{"iss":"api-keys","sub":"ci","client_id":"build","scope":"read"}"#;
    for (path, claims, more, code, expected) in [
        (
            "/mcp",
            claims,
            &[][..],
            ALLOWED,
            "issuer    api-keys = api-keys",
        ),
        (
            "/both",
            named,
            &[],
            ALLOWED,
            "issuer    api-keys = api-keys",
        ),
        (
            "/both",
            claims,
            &["--issuer", "api-keys"],
            ALLOWED,
            "issuer    api-keys = api-keys",
        ),
        (
            "/both",
            claims,
            &[],
            ALLOWED,
            "issuer    corporate = https://login.example.com/",
        ),
        (
            "/both",
            named,
            &["--issuer", "corporate"],
            WRONG,
            "--issuer corporate does not match iss",
        ),
        (
            "/tokens",
            claims,
            &["--issuer", "api-keys"],
            WRONG,
            "api-keys is not an issuer of the resource",
        ),
        (
            "/mcp",
            "{}",
            &[],
            WRONG,
            "--claims has no subject: add the claim sub",
        ),
    ] {
        let typed = ["--resource", path, "--claims", claims];
        let (found, printed) = explained_with_keys(&[&typed[..], more].concat(), "");
        assert_eq!(found, code, "{path}: {printed}");
        assert!(printed.contains(expected), "{expected}\n{printed}");
    }
}

#[test]
fn a_decision_point_is_named_and_not_asked() {
    let config = CONFIG.replace(
        "  - path: /both\n",
        "  - path: /both\n    decision_point: company\n",
    );
    let config =
        format!("{config}decision_points: {{ company: {{ url: 'https://pdp.example.com' }} }}\n");
    let typed = ["--resource", "/both", "--method", "tools/list", "--claims"];
    let claims = r#"{"iss":"https://login.example.com/","sub":"alice"}"#;
    let (code, printed) = explained_of(&config, &[&typed[..], &[claims]].concat(), "");
    let named = "protocol_versions, the decision point company\n";
    assert!(printed.contains(named) && code == ALLOWED, "{printed}");
}

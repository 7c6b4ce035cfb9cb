//! Decisions, in tables.

use super::super::principal::Principal;
use super::*;
use crate::cel::RequestFacts;
use crate::cel::kept_claims::KeptClaims;
use crate::json::walks;
use crate::mcp::operation::Reference;
use crate::policy::decision_point::asker::Asker;
use crate::time::UnixTime;

fn set(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

fn rule(method: &str, names: &[&str], scopes: &str) -> Rule {
    Rule {
        methods: Methods::Of(vec![method.to_owned()]),
        names: patterns(names),
        scopes: set(scopes),
        ..Rule::default()
    }
}

fn patterns(names: &[&str]) -> Vec<Pattern> {
    names
        .iter()
        .map(|name| Pattern::parse(name).unwrap())
        .collect()
}

fn denies(rule: Rule, text: &str) -> Rule {
    Rule {
        deny: Some(text.into()),
        ..rule
    }
}

fn policy_of(default: DefaultDecision, rules: Vec<Rule>) -> Policy {
    Policy {
        required: set("read"),
        supported: set("read write admin offline_access"),
        implies: Hierarchy::default(),
        default,
        rules: Rules::new(rules),
        hide: Hide::Nothing,
        asked: None,
    }
}

fn policy(default: DefaultDecision) -> Policy {
    policy_of(
        default,
        vec![
            rule("tools/call", &["create", "complete"], "write"),
            rule("tools/call", &["wipe"], "admin write"),
            rule("tools/call", &["wipe"], ""),
            rule("resources/read", &[], "docs"),
            rule("initialize", &[], "admin"),
        ],
    )
}

fn principal(scopes: &str) -> Arc<Principal> {
    Arc::new(Principal {
        issuer: "https://issuer.example".into(),
        subject: "alice".into(),
        client: Some("app".into()),
        scopes: set(scopes),
    })
}

fn identity(id: &str) -> Identity {
    Identity {
        issuer: "https://issuer.example".into(),
        id: id.into(),
    }
}

fn with_caller<T>(scopes: &str, ask: impl FnOnce(&Caller<'_>) -> T) -> T {
    let (principal, claims) = (principal(scopes), KeptClaims::none());
    ask(&Caller {
        principal: &principal,
        claims: &claims,
        asker: &Asker::default(),
        request: RequestFacts {
            http_method: "POST",
            path: "/mcp",
            host: "mcp.example.com",
            client_address: None,
            now: UnixTime::new(0),
        },
    })
}

fn authorize(policy: &Policy, scopes: &str, operation: &Operation<'_>) -> Judged {
    with_caller(scopes, |caller| policy.authorize(caller, operation))
}

/// What decided, and `ok`, the required scopes, or the reason with the rule's message.
fn outcome(policy: &Policy, scopes: &str, operation: &Operation<'_>) -> (String, String) {
    let judged = authorize(policy, scopes, operation);
    let decision = match judged.decision {
        Ok(Permitted::If(_)) => "asks".to_owned(),
        Ok(Permitted::Now(permit)) => {
            assert_eq!(permit.principal().subject.as_ref(), "alice");
            "ok".to_owned()
        }
        Err(refusal) => match (refusal.scopes, refusal.text) {
            (Some(scopes), _) => scopes.to_string(),
            (None, Some(text)) => format!("{}: {text}", refusal.reason.label()),
            (None, None) => refusal.reason.label().to_owned(),
        },
    };
    (judged.by.to_string(), decision)
}

fn named<'a>(method: &'a str, name: &'a str) -> Operation<'a> {
    Operation {
        method: Some(method),
        name: Some(name),
        ..Operation::default()
    }
}

/// `Ok` or the required scopes; `Err("")` means that the policy denies.
fn judge(
    default: DefaultDecision,
    scopes: &str,
    method: Option<&str>,
    name: Option<&str>,
) -> Result<(), String> {
    let operation = Operation {
        method,
        name,
        ..Operation::default()
    };
    match authorize(&policy(default), scopes, &operation).decision {
        Ok(_) => Ok(()),
        Err(Refusal {
            reason: Reason::InsufficientScope,
            scopes,
            ..
        }) => Err(scopes.unwrap().to_string()),
        Err(refusal) => {
            assert_eq!(refusal, Reason::PolicyDenied.into());
            Err(String::new())
        }
    }
}

#[test]
fn the_first_rule_that_matches_decides_and_lists_every_scope_it_requires() {
    use DefaultDecision::{Allow, Deny};
    let call = Some("tools/call");
    for (case, default, scopes, method, name, expected) in [
        ("no rule, allow", Allow, "read", call, Some("list"), Ok(())),
        (
            "no rule, allow, required missing",
            Allow,
            "write",
            call,
            Some("list"),
            Err("read"),
        ),
        (
            "no rule, deny",
            Deny,
            "read write admin",
            call,
            Some("list"),
            Err(""),
        ),
        (
            "rule, all there",
            Deny,
            "read write",
            call,
            Some("create"),
            Ok(()),
        ),
        (
            "rule's scope missing",
            Allow,
            "read",
            call,
            Some("create"),
            Err("read write"),
        ),
        (
            "only the required one missing",
            Allow,
            "write",
            call,
            Some("complete"),
            Err("read write"),
        ),
        (
            "both missing",
            Allow,
            "",
            call,
            Some("create"),
            Err("read write"),
        ),
        (
            "first of two rules",
            Allow,
            "read",
            call,
            Some("wipe"),
            Err("admin read write"),
        ),
        (
            "names are exact",
            Deny,
            "read write",
            call,
            Some("Create"),
            Err(""),
        ),
        (
            "no prefix",
            Deny,
            "read write",
            call,
            Some("create2"),
            Err(""),
        ),
        (
            "methods are exact",
            Deny,
            "read write",
            Some("tools/Call"),
            Some("create"),
            Err(""),
        ),
        (
            "a rule with names needs a name",
            Deny,
            "read write",
            call,
            None,
            Err(""),
        ),
        (
            "a rule without names is for any",
            Deny,
            "read docs",
            Some("resources/read"),
            Some("tasks://all"),
            Ok(()),
        ),
        (
            "another method",
            Deny,
            "read",
            Some("tools/list"),
            None,
            Err(""),
        ),
    ] {
        let expected = expected.map_err(str::to_owned);
        assert_eq!(judge(default, scopes, method, name), expected, "{case}");
    }
}

#[test]
fn methods_that_call_nothing_require_the_required_scopes_only() {
    let methods = [
        Some("initialize"),
        Some("server/discover"),
        Some("ping"),
        Some("notifications/initialized"),
        Some("notifications/of-tomorrow"),
        None,
    ];
    for method in methods {
        assert_eq!(
            judge(DefaultDecision::Deny, "read", method, None),
            Ok(()),
            "{method:?}"
        );
        assert_eq!(
            judge(DefaultDecision::Deny, "write", method, None),
            Err("read".to_owned()),
            "{method:?}"
        );
    }
    for method in ["notifications", "pings", "initialize/x"] {
        assert_eq!(
            judge(DefaultDecision::Deny, "read", Some(method), None),
            Err(String::new()),
            "{method}"
        );
    }
}

#[test]
fn tool_labels_are_a_closed_set() {
    let policy = policy(DefaultDecision::Allow);
    assert_eq!(policy.tool_label("complete"), "complete");
    assert_eq!(policy.tool_label("anything"), "other");
    assert_eq!(policy.tool_label(""), "other");
}

#[test]
fn the_hint_is_the_required_scopes_else_the_supported_ones() {
    let mut policy = policy(DefaultDecision::Allow);
    assert_eq!(policy.hinted_scopes(), set("read"));
    policy.required = set("offline_access");
    assert_eq!(policy.hinted_scopes(), set("admin read write"));
}

#[test]
fn a_rule_that_denies_does_so_with_its_own_message_and_does_not_apply_to_others() {
    let ours = |callers: Callers| Rule {
        callers,
        ..denies(rule("tools/call", &["wipe"], ""), "Ask the owners.")
    };
    let client = |id| Callers {
        clients: vec![identity(id)],
        ..Callers::default()
    };
    for (callers, expected) in [
        (
            Callers::default(),
            ("rules[0]", "policy_denied: Ask the owners."),
        ),
        (
            client("app"),
            ("rules[0]", "policy_denied: Ask the owners."),
        ),
        (client("other"), ("default", "ok")),
    ] {
        let policy = policy_of(DefaultDecision::Allow, vec![ours(callers)]);
        let expected = (expected.0.to_owned(), expected.1.to_owned());
        assert_eq!(
            outcome(&policy, "read", &named("tools/call", "wipe")),
            expected
        );
    }
}

#[test]
fn a_rule_that_allows_refuses_all_other_callers() {
    let only = |callers: Callers| Rule {
        callers,
        ..rule("tools/call", &["create"], "write")
    };
    let subject = |id| Callers {
        principals: vec![identity(id)],
        ..Callers::default()
    };
    for (callers, scopes, expected) in [
        (subject("alice"), "read write", "ok"),
        (subject("alice"), "read", "read write"),
        // A scope would not help.
        (subject("bob"), "read", "policy_denied"),
        (subject("bob"), "read write", "policy_denied"),
    ] {
        // The default allows calls that no rule matches, but a rule matches this one.
        let policy = policy_of(DefaultDecision::Allow, vec![only(callers)]);
        let (by, decision) = outcome(&policy, scopes, &named("tools/call", "create"));
        assert_eq!((by.as_str(), decision.as_str()), ("rules[0]", expected));
    }
}

#[test]
fn rules_are_evaluated_in_order_no_matter_what_they_match_by() {
    let policy = policy_of(
        DefaultDecision::Deny,
        vec![
            rule("tools/call", &["a_special"], "first"),
            rule("tools/call", &["a_*"], "second"),
            rule("tools/call", &["a_special", "b"], "third"),
            denies(
                Rule {
                    methods: Methods::Any,
                    ..Rule::default()
                },
                "no",
            ),
            rule("tools/call", &[], "never"),
        ],
    );
    for (name, by, decision) in [
        ("a_special", "rules[0]", "first read"),
        ("a_other", "rules[1]", "read second"),
        ("b", "rules[2]", "read third"),
        ("c", "rules[3]", "policy_denied: no"),
    ] {
        let outcome = outcome(&policy, "read", &named("tools/call", name));
        assert_eq!(outcome, (by.to_owned(), decision.to_owned()), "{name}");
    }
    let (by, _) = outcome(&policy, "read", &named("of/tomorrow", "x"));
    assert_eq!(by, "rules[3]");
}

#[test]
fn a_rule_can_require_arguments() {
    let asks = Rule {
        arguments: vec![Argument {
            name: "priority".into(),
            values: vec![Value::Text(Pattern::parse("high").unwrap())],
        }],
        ..rule("tools/call", &["create"], "write")
    };
    let policy = policy_of(DefaultDecision::Allow, vec![asks]);
    for (arguments, expected) in [
        (Some(r#"{"priority":"high"}"#), "read write"),
        (Some(r#"{"priority":"low"}"#), "ok"),
        (Some("{}"), "ok"),
        (None, "ok"),
        (Some(r#"{"Priority":"high"}"#), "ambiguous_json"),
        (Some("[]"), "invalid_request"),
    ] {
        let operation = Operation {
            arguments: arguments.map(str::as_bytes),
            ..named("tools/call", "create")
        };
        let (_, decision) = outcome(&policy, "read", &operation);
        assert_eq!(decision, expected, "{arguments:?}");
    }
    // Where no rule reads them, they are not checked.
    let operation = Operation {
        arguments: Some(br#"{"Priority":"high"}"#),
        ..named("tools/call", "list")
    };
    assert_eq!(outcome(&policy, "read", &operation).1, "ok");
}

#[test]
fn a_broader_scope_is_enough_and_the_narrow_one_is_named() {
    let mut policy = policy(DefaultDecision::Deny);
    let (write, read) = (set("write"), set("read"));
    policy.implies = Hierarchy::new([("admin", &write), ("write", &read)]);
    for (scopes, expected) in [
        ("admin", "ok"),
        ("write", "ok"),
        ("read", "read write"),
        ("docs", "read write"),
    ] {
        let (_, decision) = outcome(&policy, scopes, &named("tools/call", "create"));
        assert_eq!(decision, expected, "{scopes}");
    }
}

#[test]
fn a_rule_on_a_resource_decides_everything_that_touches_it() {
    let policy = policy_of(
        DefaultDecision::Deny,
        vec![
            rule("resources/read", &["tasks://open"], "docs"),
            rule("resources/read", &["tasks://public/*"], ""),
            rule("prompts/get", &["plan"], "plan"),
            Rule {
                methods: Methods::Of(vec![
                    "subscriptions/listen".to_owned(),
                    "completion/complete".to_owned(),
                ]),
                ..Rule::default()
            },
        ],
    );
    for method in [
        "resources/read",
        "resources/subscribe",
        "resources/unsubscribe",
    ] {
        let outcome = |name| outcome(&policy, "read", &named(method, name)).1;
        assert_eq!(outcome("tasks://open"), "docs read", "{method}");
        assert_eq!(outcome("tasks://public/a"), "ok", "{method}");
        assert_eq!(outcome("tasks://other"), "policy_denied", "{method}");
    }
    let resource = |uri: &str| Reference::Resource(uri.into());
    let prompt = |name: &str| Reference::Prompt(name.into());
    for (method, references, expected) in [
        ("subscriptions/listen", vec![], "ok"),
        (
            "subscriptions/listen",
            vec![resource("tasks://public/a")],
            "ok",
        ),
        (
            "subscriptions/listen",
            vec![resource("tasks://public/a"), resource("tasks://open")],
            "docs read",
        ),
        (
            "subscriptions/listen",
            vec![resource("tasks://public/a"), resource("tasks://other")],
            "policy_denied",
        ),
        ("completion/complete", vec![prompt("plan")], "plan read"),
        (
            "completion/complete",
            vec![prompt("other")],
            "policy_denied",
        ),
        (
            "completion/complete",
            vec![resource("tasks://public/{id}")],
            "ok",
        ),
    ] {
        let operation = Operation {
            method: Some(method),
            references: &references,
            ..Operation::default()
        };
        let (_, decision) = outcome(&policy, "read", &operation);
        assert_eq!(decision, expected, "{method} {references:?}");
    }
}

#[test]
fn a_subscription_requires_every_scope_of_its_resources() {
    let policy = policy_of(
        DefaultDecision::Allow,
        vec![
            rule("resources/read", &["a://**"], "a"),
            rule("resources/read", &["b://**"], "b"),
        ],
    );
    let references = ["a://1", "b://1", "c://1"].map(|uri| Reference::Resource(uri.into()));
    let operation = Operation {
        method: Some("subscriptions/listen"),
        references: &references,
        ..Operation::default()
    };
    assert_eq!(outcome(&policy, "read", &operation).1, "a b read");
    assert_eq!(outcome(&policy, "read a b", &operation).1, "ok");
}

#[test]
fn an_ambiguous_uri_is_refused_where_rules_name_uris() {
    let speaking = policy_of(
        DefaultDecision::Allow,
        vec![denies(
            rule("resources/read", &["file:///secret/**"], ""),
            "no",
        )],
    );
    let silent = policy_of(
        DefaultDecision::Allow,
        vec![rule("resources/read", &[], "")],
    );
    let hidden = "file:///public/../secret/key";
    for method in ["resources/read", "resources/subscribe"] {
        assert_eq!(
            outcome(&speaking, "read", &named(method, hidden)).1,
            "ambiguous_uri"
        );
        assert_eq!(outcome(&silent, "read", &named(method, hidden)).1, "ok");
    }
    let references = [Reference::Resource(hidden.into())];
    let operation = Operation {
        method: Some("subscriptions/listen"),
        references: &references,
        ..Operation::default()
    };
    assert_eq!(outcome(&speaking, "read", &operation).1, "ambiguous_uri");
    assert_eq!(
        outcome(&speaking, "read", &named("tools/call", "../x")).1,
        "ok"
    );
}

#[test]
fn an_ambiguous_uri_is_refused_where_conditions_read_uris() {
    let conditional = |source| Rule {
        condition: Some(Condition::compile(source).unwrap()),
        ..rule("resources/read", &[], "")
    };
    let read = |source, uri| {
        let policy = policy_of(DefaultDecision::Deny, vec![conditional(source)]);
        outcome(&policy, "read", &named("resources/read", uri)).1
    };
    let source = r#"mcp.name.startsWith("file:///public/")"#;
    assert_eq!(read(source, "file:///public/a"), "ok");
    assert_eq!(read(source, "file:///public/../a"), "ambiguous_uri");
    let source = r#"mcp.method == "resources/read""#;
    assert_eq!(read(source, "file:///public/../a"), "ok");
}

#[test]
fn a_uri_is_allowed_only_if_all_its_readings_are() {
    let secret = "note:///my%20secret";
    let denying = || denies(rule("resources/read", &[secret], ""), "no");
    let allow = policy_of(DefaultDecision::Allow, vec![denying()]);
    let deny = policy_of(
        DefaultDecision::Deny,
        vec![denying(), rule("resources/read", &["note:///**"], "")],
    );
    let scoped = policy_of(
        DefaultDecision::Allow,
        vec![rule("resources/read", &[secret], "admin")],
    );
    for uri in [
        secret,
        "note:///my secret",
        "NOTE:///my%20secret",
        "note:///my%20s%65cret",
        " note:///my%20secret",
        "note:///my%20secret ",
        "note:///\\my secret",
        "note:////my%20secret",
    ] {
        for method in ["resources/read", "resources/subscribe"] {
            let read = |policy| outcome(policy, "read", &named(method, uri)).1;
            assert_eq!(read(&allow), "policy_denied: no", "{uri}");
            assert!(read(&deny).starts_with("policy_denied"), "{uri}");
            assert_eq!(read(&scoped), "admin read", "{uri}");
        }
        let references = [Reference::Resource(uri.into())];
        for method in ["subscriptions/listen", "completion/complete"] {
            let operation = Operation {
                method: Some(method),
                references: &references,
                ..Operation::default()
            };
            assert_eq!(outcome(&allow, "read", &operation).1, "policy_denied: no");
        }
    }
    for uri in ["note:///my%20notes", "note:///my notes", "note:///a*b"] {
        assert_eq!(
            outcome(&allow, "read", &named("resources/read", uri)).1,
            "ok"
        );
        assert_eq!(
            outcome(&deny, "read", &named("resources/read", uri)).1,
            "ok"
        );
    }
}

#[test]
fn a_rule_is_meant_for_every_spelling_of_its_uri_that_parsers_replace() {
    let names = [
        "https://host",
        "note:///my files/*",
        "x:///a%2Fb",
        "http://h:80/**",
    ];
    let policy = policy_of(
        DefaultDecision::Deny,
        vec![rule("resources/read", &names, "")],
    );
    for (uri, expected) in [
        ("https://host", true),
        ("https://host/", true),
        ("https://host/a", false),
        ("note:///my%20files/a", true),
        ("note:///my files/a", true),
        ("note:///my%20files/a%2Fb", false),
        // Encoded, the slash belongs to a name; the rule does not allow the path with this text.
        ("x:///a%2Fb", true),
        ("x:///a/b", false),
        ("http://h:80/a", true),
        ("http://h/a", true),
        ("http://h:81/a", false),
    ] {
        let (_, decision) = outcome(&policy, "read", &named("resources/read", uri));
        assert_eq!(decision == "ok", expected, "{uri} {decision}");
        let reach = with_caller("read", |caller| {
            policy.reach(caller, Listed::Resources, uri)
        });
        assert_eq!(reach == Reach::Usable, expected, "{uri}");
    }
    let tools = policy_of(
        DefaultDecision::Deny,
        vec![rule("tools/call", &["https://host"], "")],
    );
    let called = outcome(&tools, "read", &named("tools/call", "https://host/"));
    assert_eq!(called.1, "policy_denied");
}

#[test]
fn a_condition_holds_for_every_reading_of_a_uri() {
    let conditional = |source| Rule {
        condition: Some(Condition::compile(source).unwrap()),
        ..rule("resources/read", &[], "")
    };
    let secret = r#"mcp.name.startsWith("https://host/secret")"#;
    let denying = policy_of(
        DefaultDecision::Allow,
        vec![denies(conditional(secret), "no")],
    );
    let public = r#"mcp.name.startsWith("https://host/public")"#;
    let allowing = policy_of(DefaultDecision::Deny, vec![conditional(public)]);
    for (uri, denied, allowed) in [
        ("https://host/public/a%20b", "ok", "ok"),
        ("https://host/public/a b", "ok", "ok"),
        ("https://HOST/secret", "policy_denied: no", "policy_denied"),
        ("https:host\\secret", "policy_denied: no", "policy_denied"),
        ("https://host/publi%63", "ok", "policy_denied"),
    ] {
        let read = |policy| outcome(policy, "read", &named("resources/read", uri)).1;
        assert_eq!(
            (&*read(&denying), &*read(&allowing)),
            (denied, allowed),
            "{uri}"
        );
    }
}

#[test]
fn a_uri_that_no_parser_reads_is_refused_where_rules_are_about_schemes() {
    let decide = |rules: Vec<Rule>, uri| {
        let policy = policy_of(DefaultDecision::Allow, rules);
        outcome(&policy, "read", &named("resources/read", uri)).1
    };
    for name in ["file:///secret", "**/secret", "*://secret"] {
        let rules = || vec![denies(rule("resources/read", &[name], ""), "no")];
        for uri in ["https://h:99999/", "https://a b/", "//h", "readme"] {
            assert_eq!(decide(rules(), uri), "ambiguous_uri", "{name} {uri}");
        }
    }
    for name in ["readme", "**"] {
        let rules = vec![rule("resources/read", &[name], "")];
        assert_eq!(decide(rules, "readme"), "ok", "{name}");
    }
}

#[test]
fn a_name_is_allowed_only_if_it_is_without_whitespace_at_its_ends() {
    let policy = policy_of(
        DefaultDecision::Allow,
        vec![denies(rule("tools/call", &["wipe"], ""), "no")],
    );
    for name in ["wipe", " wipe", "wipe ", "wipe\u{a0}", "\u{feff}wipe"] {
        let (_, decision) = outcome(&policy, "read", &named("tools/call", name));
        assert_eq!(decision, "policy_denied: no", "{name:?}");
    }
    for name in ["wi pe", " list", "wipes", "\u{fc}ber", "\u{524a}\u{9664}"] {
        let (_, decision) = outcome(&policy, "read", &named("tools/call", name));
        assert_eq!(decision, "ok", "{name:?}");
    }
}

/// Without a clock: walked again for every rule and every depth, this would not finish in reasonable time.
#[test]
fn nested_arguments_are_walked_once_for_any_number_of_rules() {
    let asks = Rule {
        condition: Some(Condition::compile("mcp.arguments.a == 1").unwrap()),
        ..rule("tools/call", &[], "")
    };
    let policy = policy_of(DefaultDecision::Allow, vec![denies(asks, "no"); 1000]);
    let (open, close) = ("[".repeat(60), "]".repeat(60));
    let values = vec!["1"; 20_000].join(",");
    let arguments = format!(r#"{{"a":2,"b":{open}{values}{close}}}"#);
    let operation = Operation {
        arguments: Some(arguments.as_bytes()),
        ..named("tools/call", "x")
    };
    assert_eq!(outcome(&policy, "read", &operation).1, "ok");
}

#[test]
fn it_is_known_what_a_caller_lacks_to_use_an_entry_of_a_list() {
    let asks = |rule: Rule| Rule {
        arguments: vec![Argument {
            name: "force".into(),
            values: vec![Value::Flag(true)],
        }],
        ..rule
    };
    let stranger = Callers {
        clients: vec![identity("other")],
        ..Callers::default()
    };
    let policy = policy_of(
        DefaultDecision::Deny,
        vec![
            rule("tools/call", &["list"], ""),
            rule("tools/call", &["create"], "write"),
            Rule {
                callers: stranger.clone(),
                ..rule("tools/call", &["theirs"], "")
            },
            denies(rule("tools/call", &["gone"], ""), "no"),
            Rule {
                callers: stranger,
                ..denies(rule("tools/call", &["open"], ""), "no")
            },
            rule("tools/call", &["open"], ""),
            asks(denies(rule("tools/call", &["wipe"], ""), "no")),
            rule("tools/call", &["wipe"], ""),
            asks(rule("tools/call", &["forced"], "")),
            asks(rule("tools/call", &["either"], "write")),
            rule("tools/call", &["either"], ""),
            rule("resources/read", &["a://**"], ""),
        ],
    );
    use Listed::{Prompts, Resources, Templates, Tools};
    use Reach::{Denied, StepUp, Usable};
    for (listed, name, expected) in [
        (Tools, "list", Usable),
        (Tools, "create", StepUp),
        (Tools, "theirs", Denied),
        (Tools, "gone", Denied),
        (Tools, "open", Usable),
        (Tools, "wipe", Usable),
        (Tools, "forced", Usable),
        (Tools, "either", Usable),
        (Tools, "unknown", Denied),
        (Prompts, "list", Denied),
        (Resources, "a://1", Usable),
        (Templates, "a://{id}", Usable),
        (Resources, "b://1", Denied),
    ] {
        let reach = with_caller("read", |caller| policy.reach(caller, listed, name));
        assert_eq!(reach, expected, "{listed:?} {name}");
    }
    for (hide, shown) in [
        (Hide::Nothing, [true, true, true]),
        (Hide::Denied, [false, true, true]),
        (Hide::Unusable, [false, false, true]),
    ] {
        let policy = Policy {
            hide,
            asked: None,
            ..policy.clone()
        };
        let names = ["theirs", "create", "list"];
        let found =
            names.map(|name| with_caller("read", |caller| policy.shows(caller, Tools, name)));
        assert_eq!(found, shown, "{hide:?}");
    }
    let without_required = with_caller("", |caller| policy.reach(caller, Tools, "list"));
    assert_eq!(without_required, StepUp);
}

#[test]
fn exactly_the_entries_shown_as_usable_are_allowed_with_some_arguments() {
    let policy = policy(DefaultDecision::Deny);
    for scopes in ["", "read", "read write", "read write admin"] {
        for name in ["create", "complete", "wipe", "list"] {
            let usable = with_caller(scopes, |caller| policy.reach(caller, Listed::Tools, name));
            let allowed = authorize(&policy, scopes, &named("tools/call", name));
            let allowed = allowed.decision.is_ok();
            assert_eq!(usable == Reach::Usable, allowed, "{scopes} {name}");
        }
    }
}

/// Rules that do not apply to a call because of its arguments, each in its own way.
fn asking_for_arguments(count: usize) -> Vec<Rule> {
    let conditions = [
        r#"mcp.arguments.owner.id == "u9""#,
        r#"has(mcp.arguments.force) && mcp.arguments.count > 3"#,
        r#"mcp.arguments == {"a": 1}"#,
    ];
    let rules = (0..count).flat_map(|_| {
        let asking = Rule {
            arguments: vec![Argument {
                name: "count".into(),
                values: vec![Value::Number(9)],
            }],
            ..denies(rule("tools/call", &["create"], ""), "no")
        };
        let conditional = conditions.map(|source| Rule {
            condition: Some(Condition::compile(source).unwrap()),
            ..denies(rule("tools/call", &["create"], ""), "no")
        });
        std::iter::once(asking).chain(conditional)
    });
    rules.collect()
}

#[test]
fn names_in_arguments_count_where_a_condition_may_read_them() {
    let condition = || Some(Condition::compile("has(mcp.arguments.force)").unwrap());
    let rules = Rules::new(vec![
        Rule {
            condition: condition(),
            ..denies(rule("tools/call", &["create", "delete"], ""), "no")
        },
        rule("tools/call", &["get_*"], ""),
        Rule {
            condition: condition(),
            ..denies(rule("prompts/get", &["p*"], ""), "no")
        },
    ]);
    for (method, name, expected) in [
        ("tools/call", Some("create"), true),
        ("tools/call", Some("delete"), true),
        ("tools/call", Some("get_task"), false),
        ("tools/call", None, false),
        ("prompts/get", Some("anything"), true),
        ("tools/list", None, false),
    ] {
        assert_eq!(
            rules.read_arguments(method, name),
            expected,
            "{method} {name:?}"
        );
    }
}

#[test]
fn arguments_are_walked_over_once_for_any_number_of_rules() {
    let walks = |rules: Vec<Rule>, arguments: &str| {
        let policy = policy_of(DefaultDecision::Allow, rules);
        let operation = Operation {
            arguments: Some(arguments.as_bytes()),
            ..named("tools/call", "create")
        };
        let (walks, judged) = walks::of(|| authorize(&policy, "read", &operation));
        assert!(judged.decision.is_ok(), "{judged:?}");
        walks
    };
    let flat = r#"{"owner":"u1","count":1,"tags":["a"]}"#;
    assert_eq!(walks(Vec::new(), flat), 0);
    let by_value = || asking_for_arguments(1).into_iter().take(1).collect();
    assert_eq!(walks(by_value(), flat), 1);
    // What is in an argument is read again when that is made into a value, but no more often than once.
    let nested = r#"{"owner":{"id":"u1","of":{"a":1}},"count":1,"tags":["a"]}"#;
    for count in [1, 2, 50] {
        assert_eq!(walks(asking_for_arguments(count), nested), 3, "{count}");
    }
}

#[test]
fn a_header_for_an_argument_that_a_rule_reads_requires_the_argument() {
    let conditional = |source| Rule {
        condition: Some(Condition::compile(source).unwrap()),
        ..denies(rule("tools/call", &[], ""), "no")
    };
    let asking = Rule {
        arguments: vec![Argument {
            name: "Query".into(),
            values: vec![Value::Text(Pattern::parse("**DROP**").unwrap())],
        }],
        ..denies(rule("tools/call", &[], ""), "no")
    };
    let outcome = |rule, params: &[&str]| {
        let policy = policy_of(DefaultDecision::Allow, vec![rule]);
        let params: Vec<Box<str>> = params.iter().map(|name| (*name).into()).collect();
        let operation = Operation {
            params_without_argument: &params,
            ..named("tools/call", "x")
        };
        outcome(&policy, "read", &operation).1
    };
    assert_eq!(outcome(asking.clone(), &[]), "ok");
    assert_eq!(outcome(asking.clone(), &["region"]), "ok");
    assert_eq!(outcome(asking, &["query"]), "header_mismatch");
    let reads = conditional("has(mcp.arguments.query)");
    assert_eq!(outcome(reads.clone(), &["region"]), "ok");
    assert_eq!(outcome(reads, &["query"]), "header_mismatch");
    let reads_all = conditional(r#"mcp.arguments == {"a": 1}"#);
    assert_eq!(outcome(reads_all, &["query"]), "header_mismatch");
}

#[test]
fn a_name_is_compared_with_the_patterns_of_all_rules_in_a_bounded_number_of_steps() {
    let policy = policy_of(
        DefaultDecision::Allow,
        vec![rule("resources/read", &["x://*a*b**c"], ""); 100],
    );
    let uri = |length: usize| format!("y://{}", "a".repeat(length - 4));
    for (length, expected) in [(100, "ok"), (8192, "argument_unreadable")] {
        let uri = uri(length);
        let operation = named("resources/read", &uri);
        assert_eq!(outcome(&policy, "read", &operation).1, expected, "{length}");
    }
    let references: Vec<_> = (0..200)
        .map(|_| Reference::Resource(uri(300).into()))
        .collect();
    let operation = Operation {
        method: Some("subscriptions/listen"),
        references: &references,
        ..Operation::default()
    };
    let judged = outcome(&policy, "read", &operation);
    assert_eq!(judged.1, "argument_unreadable");
}

//! Findings about scopes and rules.

mod decision_points;

use mcp_gateway_core::policy::Methods;

use super::*;

#[test]
fn invalid_rules_are_reported() {
    const RULE: &str = "{ method: tools/call, name: [create], scopes: [write] }";
    each_has_its_finding(&[
        (
            RULE,
            "{ method: tools/cal }",
            "resources[0].policy.rules[0].method:19:13 unknown MCP method `tools/cal`",
        ),
        (
            RULE,
            "{ method: Tools/Call }",
            "resources[0].policy.rules[0].method:19:13 unknown MCP method `Tools/Call`",
        ),
        (
            RULE,
            "{ method: ['*'] , deny: no, method_: x }",
            "resources[0].policy.rules[0].method_:19:39 unknown key",
        ),
        (
            RULE,
            "{ name: create }",
            "resources[0].policy.rules[0].method:19:11 required key is missing",
        ),
        (
            RULE,
            "{ method: ping }",
            "resources[0].policy.rules[0].method:19:13 rules do not apply to `ping`: it needs only the required scopes",
        ),
        (
            RULE,
            "{ method: notifications/cancelled }",
            "resources[0].policy.rules[0].method:19:13 rules do not apply to `notifications/cancelled`: it needs only the required scopes",
        ),
        (
            RULE,
            "{ method: sampling/createMessage }",
            "resources[0].policy.rules[0].method:19:13 `sampling/createMessage` is sent by servers, not by clients",
        ),
        (
            RULE,
            "{ method: tools/list, name: create }",
            "resources[0].policy.rules[0].name:19:33 cannot be combined with a method without a name",
        ),
        (
            RULE,
            "{ method: tools/call, name: 'create_?' }",
            "resources[0].policy.rules[0].name:19:33 must not have ? [ ] { } ^ $, which are not wildcards here",
        ),
        (
            RULE,
            "{ method: tools/call, name: 'create_***' }",
            "resources[0].policy.rules[0].name:19:33 has more than two * in a row",
        ),
        (
            RULE,
            "{ method: [tools/call, tools/list], name: a }",
            "resources[0].policy.rules[0].name:19:47 cannot be combined with a method without a name",
        ),
        (
            RULE,
            "{ method: '*', name: a }",
            "resources[0].policy.rules[0].name:19:26 cannot be combined with a method without a name",
        ),
        (
            RULE,
            "{ method: [tools/call, '*'] }",
            "resources[0].policy.rules[0].method[1]:19:34 unknown MCP method `*`",
        ),
        (
            RULE,
            "{ method: tools/call, scopes: write, deny: no }",
            "resources[0].policy.rules[0].scopes:19:33 cannot be combined with `deny`, which denies calls with any scope",
        ),
        (
            RULE,
            "{ method: resources/read, arguments: { a: 1 } }",
            "resources[0].policy.rules[0].arguments:19:37 cannot be combined with a method without arguments",
        ),
        (
            RULE,
            "{ method: tools/call, clients: [] }",
            "resources[0].policy.rules[0].clients:19:33 must not be empty",
        ),
        (
            RULE,
            "{ method: tools/call, condition: }",
            "resources[0].policy.rules[0].condition:19:33 must not be empty",
        ),
        (
            RULE,
            "{ method: tools/call, deny: ~ }",
            "resources[0].policy.rules[0].deny:19:33 must not be empty",
        ),
        (
            RULE,
            "{ method: tools/call, arguments: {} }",
            "resources[0].policy.rules[0].arguments:19:33 must not be empty",
        ),
        (
            RULE,
            "{ method: tools/call, arguments: { a: [] } }",
            "resources[0].policy.rules[0].arguments.a:19:46 must not be empty",
        ),
        (
            RULE,
            "{ method: [] }",
            "resources[0].policy.rules[0].method:19:13 must not be empty",
        ),
        (
            RULE,
            "{ method: tools/call, clients: [{ issuer: corporat, client: a }], deny: no }\n        - { method: tools/call }",
            "resources[0].policy.rules[0].clients[0].issuer:19:45 unknown issuer `corporat` for this resource",
        ),
        (
            RULE,
            "{ method: tools/call, arguments: { a: 1.5 } }",
            "resources[0].policy.rules[0].arguments.a:19:46 must be a whole number, found a decimal number",
        ),
        (
            RULE,
            "{ method: tools/call, arguments: { a: 9007199254740993 } }",
            "resources[0].policy.rules[0].arguments.a:19:46 out of range",
        ),
        (
            RULE,
            "{ method: tools/call, arguments: { a: [b, '***'] } }",
            "resources[0].policy.rules[0].arguments.a[1]:19:53 has more than two * in a row",
        ),
        (
            RULE,
            "{ method: tools/call, clients: [{ issuer: corporat, client: a }] }",
            "resources[0].policy.rules[0].clients[0].issuer:19:45 unknown issuer `corporat` for this resource",
        ),
        (
            RULE,
            "{ method: tools/call, principals: [a, { issuer: corporate, subject: a }] }",
            "resources[0].policy.rules[0].principals[1]:19:49 duplicate entry",
        ),
        (
            RULE,
            "{ method: tools/call, principals: [{ issuer: corporate }] }",
            "resources[0].policy.rules[0].principals[0].subject:19:46 required key is missing",
        ),
        (
            "required: [read]",
            "required: [read]\n      implies: { write: write }",
            "resources[0].scopes.implies.write:15:18 scope implies itself",
        ),
        (
            "required: [read]",
            "required: [read]\n      implies: { 'a b': write }",
            "resources[0].scopes.implies[\"a b\"]:15:18 `a b` is not a valid scope",
        ),
        (
            RULE,
            "{ method: tools/call, name: [a, a] }",
            "resources[0].policy.rules[0].name[1]:19:43 duplicate entry",
        ),
        (
            RULE,
            "{ method: tools/call, scopes: [admin] }",
            "resources[0].policy.rules[0].scopes[0]:19:42 scope `admin` is not in `scopes.supported`",
        ),
        (
            RULE,
            "{ method: tools/call, scopes: ['a b'] }",
            "resources[0].policy.rules[0].scopes[0]:19:42 `a b` is not a valid scope",
        ),
        (
            RULE,
            "{ method: tools/call, scopes: ['a\"b'] }",
            "resources[0].policy.rules[0].scopes[0]:19:42 `a\\\"b` is not a valid scope",
        ),
        (
            "required: [read]",
            "required: [reed]",
            "resources[0].scopes.required[0]:14:18 scope `reed` is not in `scopes.supported`",
        ),
    ]);
}

#[test]
fn rules_after_a_broader_rule_are_refused() {
    let rules = |rules: &[&str]| {
        let lines: String = rules
            .iter()
            .map(|rule| format!("\n        - {rule}"))
            .collect();
        edited(
            "\n        - { method: tools/call, name: [create], scopes: [write] }",
            &lines,
        )
    };
    let hidden = rules(&[
        "{ method: tools/call, scopes: [write] }",
        "{ method: tools/call, name: create }",
    ]);
    assert_eq!(
        only_finding(&hidden),
        "resources[0].policy.rules[1]:20:11 never reached: rules[0] matches all of its calls"
    );
    let repeated = rules(&[
        "{ method: tools/call, name: [a, b] }",
        "{ method: tools/call, name: [c, b] }",
    ]);
    assert_eq!(
        only_finding(&repeated),
        "resources[0].policy.rules[1]:20:11 never reached for `b`: rules[0] matches it"
    );
    for hidden in [
        ["{ method: '*' }", "{ method: tools/call, name: a }"],
        [
            "{ method: resources/read }",
            "{ method: resources/subscribe }",
        ],
        [
            "{ method: tools/call, deny: no }",
            "{ method: tools/call, name: a }",
        ],
        [
            "{ method: tools/call, name: 'a*' }",
            "{ method: tools/call, name: ab }",
        ],
        [
            "{ method: [tools/call, prompts/get] }",
            "{ method: tools/call }",
        ],
    ] {
        let finding = only_finding(&rules(&hidden));
        assert!(finding.contains("never reached"), "{finding}");
    }
    for reached in [
        [
            "{ method: tools/call, clients: a, deny: no }",
            "{ method: tools/call }",
        ],
        [
            "{ method: tools/call, arguments: { a: 1 } }",
            "{ method: tools/call }",
        ],
        ["{ method: tools/call }", "{ method: '*' }"],
        [
            "{ method: tools/call, name: ab }",
            "{ method: tools/call, name: 'a*' }",
        ],
    ] {
        parsed(&rules(&reached));
    }
    parsed(&rules(&[
        "{ method: tools/call, name: a }",
        "{ method: tools/call }",
        "{ method: prompts/get, name: a }",
    ]));
}

#[test]
fn scopes_in_use_are_supported_by_default() {
    let config = parsed(&edited("      supported: [read, write]\n", ""));
    assert_eq!(
        config.resources[0].scopes_supported.to_string(),
        "read write"
    );
}

#[test]
fn a_rule_is_read_with_all_its_keys() {
    let config = parsed(&edited(
        "{ method: tools/call, name: [create], scopes: [write] }",
        "{ method: [tools/call, prompts/get], name: 'create_*', arguments: { urgent: true, level: [3, 'high*'] }, \
         principals: alice, clients: [{ issuer: corporate, client: app }], condition: 'client.id == \"app\"', deny: Not now. }",
    ));
    let rule = &config.resources[0].policy.rules.all()[0];
    let methods = ["tools/call", "prompts/get"].map(str::to_owned);
    assert_eq!(rule.methods, Methods::Of(methods.into()));
    assert!(rule.names[0].matches("create_task"));
    let arguments: Vec<_> = rule
        .arguments
        .iter()
        .map(|own| (&*own.name, own.values.len()))
        .collect();
    assert_eq!(arguments, [("urgent", 1), ("level", 2)]);
    let issuer = &config.issuers["corporate"].issuer;
    assert_eq!(*rule.callers.principals[0].issuer, **issuer);
    assert_eq!(&*rule.callers.principals[0].id, "alice");
    assert_eq!(rule.callers.clients.len(), 1);
    assert!(rule.condition.is_some());
    assert_eq!(rule.deny.as_deref(), Some("Not now."));
}

#[test]
fn an_error_in_a_condition_is_reported_at_its_position() {
    let flow = |condition: &str| format!("{{ method: tools/call, condition: {condition} }}");
    let block = |condition: &str| format!("method: tools/call\n          condition: {condition}");
    let indented = |first: &str, lines: &[&str]| {
        let lines: Vec<_> = lines
            .iter()
            .map(|line| format!("\n            {line}"))
            .collect();
        block(&format!("{first}{}", lines.concat()))
    };
    for (rule, at) in [
        (flow("claims.a == 'b' && WRONG == 1"), "WRONG"),
        (flow("'claims.a && WRONG == 1'"), "WRONG"),
        (flow("\"WRONG == 'ops'\""), "WRONG"),
        (block("claims.a && WRONG == 1"), "WRONG"),
        (indented("|", &["claims.a", "  && WRONG == 1"]), "WRONG"),
        (indented("|-", &["", "claims.a &&", "WRONG == 1"]), "WRONG"),
        (
            indented(">", &["claims.a", "&& claims.b", "&& WRONG == 1"]),
            "WRONG",
        ),
        (indented(">-", &["claims.a && WRONG"]), "WRONG"),
        // Where the file does not have the letters of the text, the position is the beginning of the text.
        (block("claims.a\n            && WRONG == 1"), "claims.a"),
        (flow("'claims.a == ''b'' && WRONG'"), "'claims.a"),
        (flow(r#""claims.a == \"b\" && WRONG""#), "\"claims.a"),
        (block("claims.a == '${NO:-b}' && WRONG"), "claims.a"),
        (indented(">", &["claims.a", "", "&& WRONG"]), "claims.a"),
    ] {
        let text = edited(
            "{ method: tools/call, name: [create], scopes: [write] }",
            &rule,
        );
        let lines = text.lines().zip(1..);
        let found = lines.filter_map(|(line, number)| Some((number, line.find(at)? + 1)));
        let (line, column) = found.last().unwrap();
        let finding = only_finding(&text);
        let expected = format!("resources[0].policy.rules[0].condition:{line}:{column} ");
        assert!(
            finding.starts_with(&expected),
            "{rule}: {finding}, not {expected}"
        );
    }
}

#[test]
fn hide_is_one_of_three_words() {
    use mcp_gateway_core::policy::hide::Hide;
    const POLICY: &str = "policy: { default: deny }";
    each_has_its_finding(&[
        (
            POLICY,
            "policy: { default: deny, hide: all }",
            "resources[1].policy.hide:23:30 must be `nothing`, `denied` or `unusable`",
        ),
        (
            POLICY,
            "policy: { default: deny, hide: true }",
            "resources[1].policy.hide:23:30 must be `nothing`, `denied` or `unusable`",
        ),
    ]);
    for (written, hide) in [
        ("", Hide::Nothing),
        (", hide: nothing", Hide::Nothing),
        (", hide: denied", Hide::Denied),
        (", hide: unusable", Hide::Unusable),
    ] {
        let text = VALID.replace(POLICY, &format!("policy: {{ default: deny{written} }}"));
        let config = parsed(&text);
        assert_eq!(config.resources[1].policy.hide, hide, "{written}");
    }
}

#[test]
fn scopes_are_written_without_the_prefix_of_the_resource() {
    const REQUIRED: &str = "      required: [read]\n";
    let with = |prefix: &str| edited(REQUIRED, &format!("      prefix: {prefix}\n{REQUIRED}"));
    let published = |text: &str| {
        let config = parsed(text);
        let resource = &config.resources[0];
        let all = resource
            .scope_prefixes
            .all_with_prefix(&resource.scopes_supported);
        all.to_string()
    };
    assert_eq!(published(VALID), "read write");
    assert_eq!(
        published(&with("api://1111/")),
        "api://1111/read api://1111/write"
    );
    assert_eq!(
        published(&with("[api://1111/, 'https://x/']")),
        "api://1111/read api://1111/write"
    );
    for (text, expected) in [
        (
            with("api://1111"),
            "resources[0].scopes.prefix:14:7 a scope prefix ends with a separator, such as a slash",
        ),
        (
            with("[a/, a/b/]"),
            "resources[0].scopes.prefix[1]:14:20 a scope prefix cannot begin with another one of the resource",
        ),
        (
            with("'a b/'"),
            "resources[0].scopes.prefix:14:7 a scope prefix has only printable ASCII characters without space, quote and backslash",
        ),
        (
            with("a/")
                .replace("[read]", "[a/read]")
                .replace("[read, ", "[a/read, "),
            "",
        ),
        (
            with("a/").replace("[read]", "[read]\n      implies: { a/write: read }"),
            "resources[0].scopes.implies[\"a/write\"]:16:18 scope `a/write` has the prefix of the resource (scopes.prefix)",
        ),
        (
            with("a/")
                .replace("scopes: [write]", "scopes: [a/write]")
                .replace("[read, write]", "[read, write, a/write]"),
            "",
        ),
    ] {
        if expected.is_empty() {
            let found = findings(&text);
            let is_prefixed = |finding: &Finding| {
                finding
                    .problem
                    .ends_with("has the prefix of the resource (scopes.prefix)")
            };
            assert_eq!(
                (found.len(), found.iter().all(is_prefixed)),
                (2, true),
                "{found:#?}"
            );
            continue;
        }
        assert_eq!(only_finding(&text), expected);
    }
}

//! What is said about scopes and rules.

use super::*;

#[test]
fn rules_speak_of_calls_that_exist() {
    const RULE: &str = "{ method: tools/call, name: [create], scopes: [write] }";
    each_has_its_finding(&[
        (
            RULE,
            "{ method: tools/cal }",
            "resources[0].policy.rules[0].method:19:13 tools/cal is no MCP method",
        ),
        (
            RULE,
            "{ method: Tools/Call }",
            "resources[0].policy.rules[0].method:19:13 Tools/Call is no MCP method",
        ),
        (
            RULE,
            "{ method: '*' }",
            "resources[0].policy.rules[0].method:19:13 * is no MCP method",
        ),
        (
            RULE,
            "{ name: create }",
            "resources[0].policy.rules[0].method:19:11 is missing",
        ),
        (
            RULE,
            "{ method: ping }",
            "resources[0].policy.rules[0].method:19:13 ping takes the required scopes only: this rule would never be asked",
        ),
        (
            RULE,
            "{ method: notifications/cancelled }",
            "resources[0].policy.rules[0].method:19:13 notifications/cancelled takes the required scopes only: this rule would never be asked",
        ),
        (
            RULE,
            "{ method: sampling/createMessage }",
            "resources[0].policy.rules[0].method:19:13 sampling/createMessage goes from the server to the client: this rule would never be asked",
        ),
        (
            RULE,
            "{ method: tools/list, name: create }",
            "resources[0].policy.rules[0].name:19:33 stands beside a method that acts on nothing with a name",
        ),
        (
            RULE,
            "{ method: tools/call, name: 'create_*' }",
            "resources[0].policy.rules[0].name:19:33 has a *, but names are exact",
        ),
        (
            RULE,
            "{ method: tools/call, name: [a, a] }",
            "resources[0].policy.rules[0].name[1]:19:43 is listed twice",
        ),
        (
            RULE,
            "{ method: tools/call, scopes: [admin] }",
            "resources[0].policy.rules[0].scopes[0]:19:42 admin is not in scopes.supported",
        ),
        (
            RULE,
            "{ method: tools/call, scopes: ['a b'] }",
            "resources[0].policy.rules[0].scopes[0]:19:42 a b is not one scope",
        ),
        (
            RULE,
            "{ method: tools/call, scopes: ['a\"b'] }",
            "resources[0].policy.rules[0].scopes[0]:19:42 a\\\"b is not one scope",
        ),
        (
            "required: [read]",
            "required: [reed]",
            "resources[0].scopes.required[0]:14:18 reed is not in scopes.supported",
        ),
    ]);
}

#[test]
fn rules_behind_a_broader_one_are_refused() {
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
        "resources[0].policy.rules[1]:20:11 is never reached: rules[0] matches every such call"
    );
    let repeated = rules(&[
        "{ method: tools/call, name: [a, b] }",
        "{ method: tools/call, name: [c, b] }",
    ]);
    assert_eq!(
        only_finding(&repeated),
        "resources[0].policy.rules[1]:20:11 is never reached for b: rules[0] matches it"
    );
    parsed(&rules(&[
        "{ method: tools/call, name: a }",
        "{ method: tools/call }",
        "{ method: prompts/get, name: a }",
    ]));
}

#[test]
fn scopes_that_are_not_listed_are_those_in_use() {
    let config = parsed(&edited("      supported: [read, write]\n", ""));
    assert_eq!(
        config.resources[0].scopes_supported.to_string(),
        "read write"
    );
}

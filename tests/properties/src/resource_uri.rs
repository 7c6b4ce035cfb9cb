//! Resource URIs: what a parser makes of a URI is denied only if the URI is, whatever the rule; and an ordinary URI is not read twice.

use std::sync::Arc;

use mcp_gateway_core::cel::RequestFacts;
use mcp_gateway_core::cel::kept_claims::KeptClaims;
use mcp_gateway_core::mcp::operation::Operation;
use mcp_gateway_core::policy::decision_point::asker::Asker;
use mcp_gateway_core::policy::hide::Hide;
use mcp_gateway_core::policy::{
    Caller, DefaultDecision, Hierarchy, Judged, Methods, Pattern, Policy, Rule, Rules,
};
use mcp_gateway_core::principal::Principal;
use mcp_gateway_core::scope::ScopeSet;
use mcp_gateway_core::time::UnixTime;
use url::Url;

/// A URI; after a line feed, a pattern that a rule denies. Without a pattern the rule denies what the parser makes of the URI.
pub fn resource_uri(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (uri, pattern) = match text.split_once('\n') {
        Some((uri, pattern)) => (uri, Some(pattern)),
        None => (text, None),
    };
    let parsed = Url::parse(uri).ok().map(String::from);
    if let Some(parsed) = &parsed {
        let literal = pattern.is_none() && !parsed.contains('*');
        if let Some(pattern) = pattern.or_else(|| literal.then_some(parsed)) {
            denied_with(uri, parsed, pattern);
        }
    }
    ordinary(uri, parsed.as_deref());
}

/// A rule that denies the parsed URI denies the URI, and a rule that allows the URI allows the parsed one.
fn denied_with(uri: &str, parsed: &str, pattern: &str) {
    let Ok(pattern) = Pattern::parse(pattern) else {
        return;
    };
    let denying = policy(DefaultDecision::Allow, rule(&pattern, Some("No.".into())));
    if pattern.matches(parsed) {
        assert!(
            !allows(&denying, uri),
            "{uri:?} passes, {parsed:?} is denied"
        );
    }
    if pattern.matches(uri) {
        assert!(!allows(&denying, uri), "{uri:?} passes as it was sent");
    }
    let allowing = policy(DefaultDecision::Deny, rule(&pattern, None));
    if allows(&allowing, uri) {
        assert!(
            allows(&allowing, parsed),
            "{uri:?} passes, {parsed:?} does not"
        );
    }
}

/// A URI that has one reading is the parser's.
fn ordinary(uri: &str, parsed: Option<&str>) {
    let other = Pattern::parse("other://nothing").unwrap();
    let policy = policy(DefaultDecision::Allow, rule(&other, Some("No.".into())));
    let caller_sees = with_caller(|caller| {
        let operation = operation(uri);
        let explained = policy.explain(caller, &operation);
        (explained.touched.len(), explained.decision.is_ok())
    });
    if caller_sees == (1, true) {
        assert_eq!(parsed, Some(uri), "one reading, and not the parser's");
    }
}

fn rule(pattern: &Pattern, deny: Option<Arc<str>>) -> Rule {
    Rule {
        methods: Methods::Of(vec!["resources/read".to_owned()]),
        names: vec![pattern.clone()],
        deny,
        ..Rule::default()
    }
}

fn policy(default: DefaultDecision, rule: Rule) -> Policy {
    Policy {
        required: ScopeSet::default(),
        supported: ScopeSet::default(),
        implies: Hierarchy::default(),
        default,
        rules: Rules::new(vec![rule]),
        hide: Hide::Nothing,
        asked: None,
    }
}

fn operation(uri: &str) -> Operation<'_> {
    Operation {
        method: Some("resources/read"),
        name: Some(uri),
        ..Operation::default()
    }
}

fn allows(policy: &Policy, uri: &str) -> bool {
    let judged: Judged = with_caller(|caller| policy.authorize(caller, &operation(uri)));
    judged.decision.is_ok()
}

fn with_caller<T>(ask: impl FnOnce(&Caller<'_>) -> T) -> T {
    let principal = Arc::new(Principal {
        issuer: "https://issuer.example".into(),
        subject: "alice".into(),
        client: None,
        scopes: ScopeSet::default(),
    });
    ask(&Caller {
        principal: &principal,
        claims: &KeptClaims::none(),
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

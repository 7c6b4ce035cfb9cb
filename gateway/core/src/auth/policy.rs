//! What a principal may call: the resource's required scopes, then rules of which the first that matches decides.

pub mod hide;
pub mod pattern;

use std::sync::Arc;

use super::decision::{Permit, Refusal};
use super::principal::Principal;
use super::reason::Reason;
use super::scope::{OFFLINE_ACCESS, ScopeSet};

/// Methods that open or keep a connection and call nothing: the required scopes suffice, whatever the rules say.
const ALWAYS_OPEN: [&str; 3] = ["initialize", "server/discover", "ping"];

/// The label of tools that no rule names.
const OTHER_TOOL: &str = "other";

/// The policy of one protected resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Scopes that every call takes.
    pub required: ScopeSet,
    /// Scopes that the resource knows: told to clients, not judged.
    pub supported: ScopeSet,
    /// What happens to a call that no rule matches.
    pub default: DefaultDecision,
    /// First match decides.
    pub rules: Vec<Rule>,
}

/// What happens to a call that no rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultDecision {
    /// The required scopes suffice.
    Allow,
    /// Refused, whatever the scope.
    Deny,
}

/// One rule: which calls it speaks of, and what they take beyond the required scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The exact JSON-RPC method.
    pub method: String,
    /// The exact names (tool, prompt, resource URI, task); none means any.
    pub names: Vec<String>,
    /// What a call takes besides the required scopes.
    pub scopes: ScopeSet,
}

/// What is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operation<'a> {
    /// The JSON-RPC method. None for GET, DELETE and the answer to a server's request: they call nothing.
    pub method: Option<&'a str>,
    /// The tool, prompt, resource URI or task that the method is about.
    pub name: Option<&'a str>,
}

impl Policy {
    /// Judges one call.
    ///
    /// # Errors
    /// [`Reason::InsufficientScope`] with every scope the call takes, so that the client steps up once;
    /// [`Reason::PolicyDenied`] when no scope would help.
    pub fn authorize(
        &self,
        principal: Arc<Principal>,
        operation: &Operation<'_>,
    ) -> Result<Permit, Refusal> {
        let extra = self.extra_scopes(operation)?;
        let granted = &principal.scopes;
        if granted.contains_all(&self.required)
            && extra.is_none_or(|scopes| granted.contains_all(scopes))
        {
            return Ok(Permit::new(principal));
        }
        Err(Refusal {
            scopes: Some(extra.map_or_else(
                || self.required.clone(),
                |scopes| self.required.union(scopes),
            )),
            ..Reason::InsufficientScope.into()
        })
    }

    /// The metric label of a tool: its name where a rule names it, else `other`, so that labels stay a closed set.
    pub fn tool_label<'a>(&'a self, name: &str) -> &'a str {
        let tools = self.rules.iter().filter(|rule| rule.method == "tools/call");
        let label = tools.flat_map(|rule| &rule.names).find(|own| *own == name);
        label.map_or(OTHER_TOOL, String::as_str)
    }

    /// What a client without a token is told to ask for: the required scopes, else the supported ones, never
    /// `offline_access`.
    pub fn hinted_scopes(&self) -> ScopeSet {
        let required = self.required.without(OFFLINE_ACCESS);
        if required.is_empty() {
            return self.supported.without(OFFLINE_ACCESS);
        }
        required
    }

    /// The scopes beyond the required ones, by the rule that decides.
    fn extra_scopes(&self, operation: &Operation<'_>) -> Result<Option<&ScopeSet>, Reason> {
        let Some(method) = operation.method.filter(|method| !is_always_open(method)) else {
            return Ok(None);
        };
        match self
            .rules
            .iter()
            .find(|rule| rule.matches(method, operation.name))
        {
            Some(rule) => Ok(Some(&rule.scopes)),
            None if self.default == DefaultDecision::Allow => Ok(None),
            None => Err(Reason::PolicyDenied),
        }
    }
}

impl Rule {
    fn matches(&self, method: &str, name: Option<&str>) -> bool {
        self.method == method
            && (self.names.is_empty()
                || name.is_some_and(|name| self.names.iter().any(|own| own == name)))
    }
}

pub(super) fn is_always_open(method: &str) -> bool {
    ALWAYS_OPEN.contains(&method) || method.starts_with("notifications/")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn set(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    fn rule(method: &str, names: &[&str], scopes: &str) -> Rule {
        Rule {
            method: method.to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            scopes: set(scopes),
        }
    }

    fn policy(default: DefaultDecision) -> Policy {
        Policy {
            required: set("read"),
            supported: set("read write admin offline_access"),
            default,
            rules: vec![
                rule("tools/call", &["create", "complete"], "write"),
                rule("tools/call", &["wipe"], "admin write"),
                rule("tools/call", &["wipe"], ""),
                rule("resources/read", &[], "docs"),
                rule("initialize", &[], "admin"),
            ],
        }
    }

    fn principal(scopes: &str) -> Arc<Principal> {
        Arc::new(Principal {
            issuer: "https://issuer.example".into(),
            subject: "alice".into(),
            client: None,
            scopes: set(scopes),
        })
    }

    /// `Ok` or the scopes that are asked for; `Err("")` stands for a policy that says no.
    fn judge(
        default: DefaultDecision,
        scopes: &str,
        method: Option<&str>,
        name: Option<&str>,
    ) -> Result<(), String> {
        match policy(default).authorize(principal(scopes), &Operation { method, name }) {
            Ok(permit) => {
                assert_eq!(permit.principal().subject.as_ref(), "alice");
                Ok(())
            }
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
    fn the_first_rule_that_matches_decides_and_lists_every_scope_it_takes() {
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
    fn what_calls_nothing_takes_the_required_scopes_only() {
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
}

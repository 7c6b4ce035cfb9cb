//! A resource's scopes and its policy.

use mcp_gateway_core::auth::{
    policy::{DefaultDecision, Policy},
    scope::ScopeSet,
};

use super::{
    super::reader::{Item, Section},
    quoted, rules,
};

/// Reads `scopes` and `policy` of a resource.
pub(super) fn policy(resource: &Section<'_>) -> Option<Policy> {
    let scopes = resource.section("scopes");
    let required = scope_tokens(&scopes, "required");
    let listed = scopes.get("supported").is_some();
    let supported = scope_tokens(&scopes, "supported");
    scopes.finish();
    let names: Vec<String> = supported.iter().map(|(_, scope)| scope.clone()).collect();
    for (item, scope) in required
        .iter()
        .filter(|(_, scope)| listed && !names.contains(scope))
    {
        item.report(
            format_args!("{} is not in scopes.supported", quoted(scope)),
            "Add it there, so that clients know of it",
        );
    }
    let required = scope_set(&required);
    let section = resource
        .required("policy", "Write policy: { default: allow }, or deny")?
        .section();
    let default = section
        .required(
            "default",
            "Write allow, where the required scopes suffice for what no rule matches, or deny",
        )
        .and_then(|item| {
            item.choice(&[
                ("allow", DefaultDecision::Allow),
                ("deny", DefaultDecision::Deny),
            ])
        });
    let rules = rules::rules(&section, listed.then_some(&names));
    section.finish();
    let supported = if listed {
        scope_set(&supported)
    } else {
        rules
            .iter()
            .fold(required.clone(), |all, rule| all.union(&rule.scopes))
    };
    Some(Policy {
        required,
        supported,
        default: default?,
        rules,
    })
}

/// The scopes below a key, each with where it stands.
pub(super) fn scope_tokens<'a>(
    section: &Section<'a>,
    key: &'static str,
) -> Vec<(Item<'a>, String)> {
    let tokens = section.one_or_many(key).into_iter().filter_map(|item| {
        let text = item.text()?;
        if ScopeSet::parse(&text).is_ok_and(|set| set.len() == 1) {
            return Some((item, text));
        }
        item.report(
            format_args!("{} is not one scope", quoted(&text)),
            "Write each scope apart, [a, b], without spaces, quotes and backslashes in them",
        );
        None
    });
    tokens.collect()
}

/// Scopes that [`scope_tokens`] found fit, as a set.
pub(super) fn scope_set(tokens: &[(Item<'_>, String)]) -> ScopeSet {
    ScopeSet::from_tokens(tokens.iter().map(|(_, scope)| scope)).unwrap_or_default()
}

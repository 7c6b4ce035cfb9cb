//! A resource's scopes and its policy.

use mcp_gateway_core::{
    policy::{DefaultDecision, Hierarchy, Policy, Rules, hide::Hide},
    scope::ScopeSet,
};

use super::{
    super::reader::{Item, Section},
    identities, quoted,
    rules::{self, Vocabulary},
};

/// The words for what is hidden.
const HIDE: [(&str, Hide); 3] = [
    ("nothing", Hide::Nothing),
    ("denied", Hide::Denied),
    ("unusable", Hide::Unusable),
];

/// Reads `scopes` and `policy` of a resource that trusts these issuers.
pub(super) fn policy(resource: &Section<'_>, issuers: identities::Issuers<'_>) -> Option<Policy> {
    let scopes = resource.section("scopes");
    let required = scope_tokens(&scopes, "required");
    let listed = scopes.get("supported").is_some();
    let supported = scope_tokens(&scopes, "supported");
    let implies = hierarchy(&scopes);
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
    let hide = section.choice("hide", Hide::default(), &HIDE);
    let vocabulary = Vocabulary {
        scopes: listed.then_some(&names),
        issuers,
    };
    let rules = rules::rules(&section, &vocabulary);
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
        implies,
        default: default?,
        rules: Rules::new(rules),
        hide,
    })
}

/// Reads `implies`: each broader scope with the narrower ones that it grants too.
fn hierarchy(scopes: &Section<'_>) -> Hierarchy {
    let section = scopes.section("implies");
    let entries: Vec<_> = section
        .entries()
        .into_iter()
        .filter_map(|(broader, item)| {
            if ScopeSet::parse(&broader).is_ok_and(|set| set.len() == 1) {
                let narrower = scope_set(&tokens(item.one_or_many()));
                return Some((item, broader, narrower));
            }
            item.report(
                format_args!("{} is not one scope", quoted(&broader)),
                "Write one scope, without spaces, quotes and backslashes, before the colon",
            );
            None
        })
        .collect();
    let hierarchy = Hierarchy::new(
        entries
            .iter()
            .map(|(_, broader, narrower)| (&**broader, narrower)),
    );
    for (item, broader, narrower) in &entries {
        let own = ScopeSet::from_tokens([broader]).unwrap_or_default();
        if narrower
            .iter()
            .any(|scope| scope == broader || implies(&hierarchy, scope, &own))
        {
            item.report(
                "implies itself in the end",
                "Remove one of the implications: the broader scope implies the narrower one only",
            );
        }
    }
    hierarchy
}

fn implies(hierarchy: &Hierarchy, scope: &str, other: &ScopeSet) -> bool {
    let scope = ScopeSet::from_tokens([scope]).unwrap_or_default();
    hierarchy.suffices(&scope, other)
}

/// The scopes below a key, each with where it stands.
pub(super) fn scope_tokens<'a>(
    section: &Section<'a>,
    key: &'static str,
) -> Vec<(Item<'a>, String)> {
    tokens(section.one_or_many(key))
}

fn tokens(items: Vec<Item<'_>>) -> Vec<(Item<'_>, String)> {
    let tokens = items.into_iter().filter_map(|item| {
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

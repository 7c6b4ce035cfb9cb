//! Scopes: each a single token (RFC 6749 §3.3), and which scopes imply others.

use mcp_gateway_core::{policy::Hierarchy, scope::ScopeSet};

use crate::config::{
    check::common::quoted,
    reading::reader::{Item, Section},
};

/// Reads `implies`: each broader scope with the narrower scopes that it also grants.
pub(super) fn hierarchy(scopes: &Section<'_>) -> Hierarchy {
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
                format_args!("`{}` is not a valid scope", quoted(&broader)),
                "Write one scope before the colon, without spaces, quotes and backslashes",
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
                "scope implies itself",
                "Remove one of the entries: only a broader scope implies a narrower one",
            );
        }
    }
    hierarchy
}

fn implies(hierarchy: &Hierarchy, scope: &str, other: &ScopeSet) -> bool {
    let scope = ScopeSet::from_tokens([scope]).unwrap_or_default();
    hierarchy.suffices(&scope, other)
}

/// The scopes below a key, each with its item.
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
            format_args!("`{}` is not a valid scope", quoted(&text)),
            "Write a list, such as [a, b]. A scope has no spaces, quotes and backslashes",
        );
        None
    });
    tokens.collect()
}

/// Valid scopes from [`scope_tokens`], as a set.
pub(super) fn scope_set(tokens: &[(Item<'_>, String)]) -> ScopeSet {
    ScopeSet::from_tokens(tokens.iter().map(|(_, scope)| scope)).unwrap_or_default()
}

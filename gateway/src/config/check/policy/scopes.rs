//! Scopes: each a single token (RFC 6749 §3.3), and which scopes imply others.

use mcp_gateway_core::{
    policy::Hierarchy,
    scope::ScopeSet,
    scope_prefix::{ScopePrefixError, ScopePrefixes},
    similar,
};

use crate::config::{
    check::common::quoted,
    reading::reader::{Item, Section, did_you_mean},
};

/// Longest description of a scope, in characters.
const MAX_DESCRIPTION: usize = 200;

/// Reads `prefix`.
pub(super) fn prefixes(scopes: &Section<'_>) -> ScopePrefixes {
    let items = scopes.one_or_many("prefix");
    let texts: Option<Vec<_>> = items.iter().map(Item::text).collect();
    ScopePrefixes::new(&texts.unwrap_or_default()).unwrap_or_else(|(at, error)| {
        let fix = match error {
            ScopePrefixError::NotAScopeToken => {
                "Write what is before the scopes, such as api://ID/"
            }
            ScopePrefixError::NoSeparator => "Write it with its separator, such as api://ID/",
            ScopePrefixError::Overlap => "Remove one of the two",
        };
        if let Some(item) = items.get(at) {
            item.report(error, fix);
        }
        ScopePrefixes::default()
    })
}

/// Reads `implies`: each broader scope with the narrower scopes that it also grants.
pub(super) fn hierarchy(scopes: &Section<'_>, prefixes: &ScopePrefixes) -> Hierarchy {
    let section = scopes.section("implies");
    let entries: Vec<_> = section
        .entries()
        .into_iter()
        .filter_map(|(broader, item)| {
            if ScopeSet::parse(&broader).is_ok_and(|set| set.len() == 1) {
                refuse_prefixed(&item, &broader, prefixes);
                let narrower = scope_set(&tokens(item.one_or_many(), prefixes));
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

/// Reads `descriptions`: scopes with what each allows.
pub(super) fn descriptions<'a>(scopes: &Section<'a>) -> Vec<(Item<'a>, String, String)> {
    let entries = scopes.section("descriptions").entries().into_iter();
    let read = entries.filter_map(|(scope, item)| {
        let sentence = item.text()?;
        if sentence.chars().count() > MAX_DESCRIPTION || sentence.chars().any(char::is_control) {
            item.report(
                format_args!("must be one line of at most {MAX_DESCRIPTION} characters"),
                "Write one sentence, such as Read your tasks",
            );
        }
        Some((item, scope, sentence))
    });
    read.collect()
}

/// Reports descriptions of scopes that the resource does not have: nobody is asked for them.
pub(super) fn refuse_unknown(described: &[(Item<'_>, String, String)], supported: &ScopeSet) {
    for (item, scope, _) in described {
        if supported.contains(scope) {
            continue;
        }
        let problem = format!("scope `{}` is not in `scopes.supported`", quoted(scope));
        match similar::nearest(scope, supported.iter()) {
            Some(near) => item.report(problem, did_you_mean(near)),
            None => item.report(problem, "Add it there, or remove its description"),
        }
    }
}

fn implies(hierarchy: &Hierarchy, scope: &str, other: &ScopeSet) -> bool {
    let scope = ScopeSet::from_tokens([scope]).unwrap_or_default();
    hierarchy.suffices(&scope, other)
}

/// The scopes below a key, each with its item.
pub(super) fn scope_tokens<'a>(
    section: &Section<'a>,
    key: &'static str,
    prefixes: &ScopePrefixes,
) -> Vec<(Item<'a>, String)> {
    tokens(section.one_or_many(key), prefixes)
}

fn tokens<'a>(items: Vec<Item<'a>>, prefixes: &ScopePrefixes) -> Vec<(Item<'a>, String)> {
    let tokens = items.into_iter().filter_map(|item| {
        let text = item.text()?;
        if ScopeSet::parse(&text).is_ok_and(|set| set.len() == 1) {
            refuse_prefixed(&item, &text, prefixes);
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

fn refuse_prefixed(item: &Item<'_>, scope: &str, prefixes: &ScopePrefixes) {
    let own = prefixes.without_prefix(scope);
    if own != scope {
        item.report(
            format_args!(
                "scope `{}` has the prefix of the resource (scopes.prefix)",
                quoted(scope)
            ),
            format_args!(
                "Write {}: challenges and metadata add the prefix",
                quoted(own)
            ),
        );
    }
}

/// Valid scopes from [`scope_tokens`], as a set.
pub(super) fn scope_set(tokens: &[(Item<'_>, String)]) -> ScopeSet {
    ScopeSet::from_tokens(tokens.iter().map(|(_, scope)| scope)).unwrap_or_default()
}

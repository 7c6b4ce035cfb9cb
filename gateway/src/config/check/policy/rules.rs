//! The rules of a policy. Each must match calls that exist, and must not be hidden by an earlier rule.

use mcp_gateway_core::{
    mcp::method::McpMethod,
    policy::{Methods, Pattern, Rule},
    scope_prefix::ScopePrefixes,
};

use super::{
    arguments, condition, identities,
    pattern::pattern,
    scopes::{scope_set, scope_tokens},
};
use crate::config::{
    check::common::{quoted, without_repeats},
    methods::{self, MethodKind},
    reading::reader::{EMPTY, Item, Section, did_you_mean},
};

/// What a rule may refer to.
pub(super) struct RuleVocabulary<'a> {
    /// The scopes that the resource supports, where it lists them.
    pub(super) scopes: Option<&'a [String]>,
    /// The prefixes that scopes must not have here.
    pub(super) prefixes: &'a ScopePrefixes,
    /// The resource's issuers.
    pub(super) issuers: identities::Issuers<'a>,
}

/// Reads the rules below `rules`.
pub(super) fn rules(policy: &Section<'_>, vocabulary: &RuleVocabulary<'_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (index, item) in policy.list("rules").into_iter().enumerate() {
        let before = item.findings();
        let rule = rule(item.section(), vocabulary);
        // An invalid rule may be broader than intended: other rules are not compared with it.
        let Some(rule) = rule.filter(|_| item.findings() == before) else {
            continue;
        };
        refuse_hidden(&item, &rule, &rules);
        rules.push((index, rule));
    }
    rules.into_iter().map(|(_, rule)| rule).collect()
}

fn rule(section: Section<'_>, vocabulary: &RuleVocabulary<'_>) -> Option<Rule> {
    refuse_vacant(&section);
    let methods = methods(&section);
    let names = names(&section, methods.as_ref());
    let arguments = arguments::arguments(&section, methods.as_ref());
    let scopes = scopes(&section, vocabulary);
    let callers = identities::callers(&section, &vocabulary.issuers);
    let condition = section.get("condition");
    let condition = condition.and_then(|item| condition::condition(&item));
    let deny = section.text("deny").map(Into::into);
    if deny.is_some() && section.get("scopes").is_some() {
        section.report_at(
            "scopes",
            "cannot be combined with `deny`, which denies calls with any scope",
            "Remove it, or remove `deny` to require the scopes",
        );
    }
    section.finish();
    Some(Rule {
        methods: methods?,
        names,
        arguments,
        scopes,
        callers,
        condition,
        deny,
    })
}

/// A key without a value would restrict nothing, and the rule would allow more than intended.
fn refuse_vacant(section: &Section<'_>) {
    for (key, item) in section.entries() {
        // An empty list of scopes says explicitly that no scope is required.
        let says_none = key == "scopes" && !item.is_null();
        if item.is_vacant() && !says_none && !(key == "method" && item.is_null()) {
            item.report(
                EMPTY,
                "Write a value, or remove the key if the rule does not depend on it",
            );
        }
    }
}

/// One method, several, or `*` for every method that rules apply to.
fn methods(section: &Section<'_>) -> Option<Methods> {
    let fix = "Write an MCP method, such as tools/call, or \"*\" for every method";
    let items = section.required("method", fix)?.one_or_many();
    if let [item] = &*items
        && item.any_text().as_deref() == Some("*")
    {
        return Some(Methods::Any);
    }
    let methods = items.into_iter().filter_map(|item| {
        let method = method(&item)?;
        Some((item, method))
    });
    let methods = without_repeats(methods.collect());
    (!methods.is_empty()).then_some(Methods::Of(methods))
}

fn method(item: &Item<'_>) -> Option<String> {
    let method = item.text()?;
    match methods::kind(&method) {
        Some(MethodKind::Named | MethodKind::Nameless) => {}
        Some(MethodKind::AlwaysOpen) => item.report(
            format_args!(
                "rules do not apply to `{}`: it needs only the required scopes",
                quoted(&method)
            ),
            "Remove the method from the rules",
        ),
        Some(MethodKind::FromServer) => item.report(
            format_args!("`{}` is sent by servers, not by clients", quoted(&method)),
            "Remove the method from the rules",
        ),
        None => {
            let problem = format!("unknown MCP method `{}`", quoted(&method));
            match methods::mistyped(&method) {
                Some(near) => item.report(problem, did_you_mean(near)),
                None => item.report(problem, "Write an MCP method, such as tools/call"),
            }
        }
    }
    Some(method)
}

/// Exact names and globs.
fn names(section: &Section<'_>, methods: Option<&Methods>) -> Vec<Pattern> {
    let items = section.one_or_many("name");
    if !items.is_empty() && methods.is_some_and(|methods| !act_on_names(methods)) {
        section.report_at(
            "name",
            "cannot be combined with a method without a name",
            "Remove it, or use only methods with a name, such as tools/call",
        );
    }
    let are_uris = methods.is_some_and(act_on_uris);
    let names = items.into_iter().filter_map(|item| {
        let pattern = pattern(&item)?;
        if !are_uris && pattern.as_str().contains(LOOK_LIKE_WILDCARDS) {
            item.report(
                "must not have ? [ ] { } ^ $, which are not wildcards here",
                "List each name, or use the wildcards * and **",
            );
        }
        Some((item, pattern))
    });
    without_repeats(names.collect())
}

/// Wildcards of other pattern languages. No name of a tool or prompt has them (MCP 2025-11-25, *Tool Names*).
const LOOK_LIKE_WILDCARDS: [char; 7] = ['?', '[', ']', '{', '}', '^', '$'];

/// URIs and URI templates may have any of these characters.
fn act_on_uris(methods: &Methods) -> bool {
    match methods {
        Methods::Any => false,
        Methods::Of(methods) => methods
            .iter()
            .any(|method| McpMethod::of(method).is_about_resources()),
    }
}

fn act_on_names(methods: &Methods) -> bool {
    match methods {
        Methods::Any => false,
        Methods::Of(methods) => methods
            .iter()
            .all(|method| methods::kind(method) != Some(MethodKind::Nameless)),
    }
}

fn scopes(
    section: &Section<'_>,
    vocabulary: &RuleVocabulary<'_>,
) -> mcp_gateway_core::scope::ScopeSet {
    let scopes = scope_tokens(section, "scopes", vocabulary.prefixes);
    for (item, scope) in &scopes {
        if vocabulary
            .scopes
            .is_some_and(|supported| !supported.contains(scope))
        {
            item.report(
                format_args!("scope `{}` is not in `scopes.supported`", quoted(scope)),
                "Add it there: clients read the scopes from that list",
            );
        }
    }
    scope_set(&scopes)
}

/// The first match decides: a call that an earlier rule decides never reaches this rule.
fn refuse_hidden(item: &Item<'_>, rule: &Rule, earlier: &[(usize, Rule)]) {
    let earlier = || {
        let earlier = earlier.iter();
        earlier.filter(|(_, earlier)| decides_all(earlier) && covers(earlier, rule))
    };
    let fix = "Move it before that rule, or remove it: the first matching rule decides";
    if let Some((index, _)) = earlier().find(|(_, earlier)| earlier.names.is_empty()) {
        return item.report(
            format_args!("never reached: rules[{index}] matches all of its calls"),
            fix,
        );
    }
    for name in rule.names.iter().filter(|name| name.is_exact()) {
        let name = name.as_str();
        let hides = |earlier: &Rule| earlier.names.iter().any(|own| own.matches(name));
        if let Some((index, _)) = earlier().find(|(_, earlier)| hides(earlier)) {
            item.report(
                format_args!(
                    "never reached for `{}`: rules[{index}] matches it",
                    quoted(name)
                ),
                fix,
            );
        }
    }
}

/// Whether the rule decides every call that it matches. A rule that denies only some callers leaves the others to later rules.
fn decides_all(rule: &Rule) -> bool {
    let denies_some = rule.condition.is_some() || !rule.callers.is_everybody();
    rule.arguments.is_empty() && (rule.deny.is_none() || !denies_some)
}

/// Whether every method of `rule` is one of `earlier`.
fn covers(earlier: &Rule, rule: &Rule) -> bool {
    match &rule.methods {
        Methods::Any => earlier.methods == Methods::Any,
        Methods::Of(methods) => methods.iter().all(|method| earlier.methods.cover(method)),
    }
}

//! The rules of a policy: that each speaks of calls that exist, and is not hidden behind an earlier one.

use mcp_gateway_core::{
    mcp::method::McpMethod,
    policy::{Methods, Pattern, Rule},
};

use super::{
    arguments, condition, identities,
    pattern::pattern,
    scopes::{scope_set, scope_tokens},
};
use crate::config::{
    check::common::{quoted, without_repeats},
    methods::{self, MethodKind},
    reading::reader::{Item, Section},
};

/// What a rule may refer to.
pub(super) struct RuleVocabulary<'a> {
    /// What scopes must be among, where the resource lists them.
    pub(super) scopes: Option<&'a [String]>,
    /// The resource's issuers.
    pub(super) issuers: identities::Issuers<'a>,
}

/// Reads the rules below `rules`.
pub(super) fn rules(policy: &Section<'_>, vocabulary: &RuleVocabulary<'_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (index, item) in policy.list("rules").into_iter().enumerate() {
        let before = item.findings();
        let rule = rule(item.section(), vocabulary);
        // What is wrong with a rule may have left it broader than it is meant: others are not measured by it.
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
    let scopes = scopes(&section, vocabulary.scopes);
    let callers = identities::callers(&section, &vocabulary.issuers);
    let condition = section.get("condition");
    let condition = condition.and_then(|item| condition::condition(&item));
    let deny = section.text("deny").map(Into::into);
    if deny.is_some() && section.get("scopes").is_some() {
        section.report_at(
            "scopes",
            "stands beside deny: what is denied is denied whatever the scope",
            "Remove it, or remove deny to ask for the scopes",
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

/// A key that says nothing reads like one that asks for nothing, and so lets pass what it was to hold back.
fn refuse_vacant(section: &Section<'_>) {
    for (key, item) in section.entries() {
        // An empty list of scopes says in so many words that none is asked for.
        let says_none = key == "scopes" && !item.is_null();
        if item.is_vacant() && !says_none && !(key == "method" && item.is_null()) {
            item.report(
                "is empty",
                "Write a value, or remove the key: without it the rule asks for nothing here",
            );
        }
    }
}

/// One method, several, or `*` for every one that rules are asked about.
fn methods(section: &Section<'_>) -> Option<Methods> {
    let mend = "Write an MCP method, such as tools/call, or \"*\" for every one";
    let items = section.required("method", mend)?.one_or_many();
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
                "{} takes the required scopes only: this rule would never be asked",
                quoted(&method)
            ),
            "Remove the rule",
        ),
        Some(MethodKind::FromServer) => item.report(
            format_args!(
                "{} goes from the server to the client: this rule would never be asked",
                quoted(&method)
            ),
            "Remove the rule",
        ),
        None => {
            let problem = format!("{} is no MCP method", quoted(&method));
            match methods::mistyped(&method) {
                Some(near) => item.report(problem, format_args!("Perhaps {near} is meant")),
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
            "stands beside a method that acts on nothing with a name",
            "Remove it, or write methods such as tools/call alone",
        );
    }
    let are_uris = methods.is_some_and(act_on_uris);
    let names = items.into_iter().filter_map(|item| {
        let pattern = pattern(&item)?;
        if !are_uris && pattern.as_str().contains(LOOK_LIKE_WILDCARDS) {
            item.report(
                "has one of ? [ ] { } ^ $, which stand for themselves here",
                "Write each name apart, with * and ** alone for what differs",
            );
        }
        Some((item, pattern))
    });
    without_repeats(names.collect())
}

/// In other languages of patterns. No tool or prompt is named so (MCP 2025-11-25, *Tool Names*).
const LOOK_LIKE_WILDCARDS: [char; 7] = ['?', '[', ']', '{', '}', '^', '$'];

/// URIs and their templates may have any of these.
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
    supported: Option<&[String]>,
) -> mcp_gateway_core::scope::ScopeSet {
    let scopes = scope_tokens(section, "scopes");
    for (item, scope) in &scopes {
        if supported.is_some_and(|supported| !supported.contains(scope)) {
            item.report(
                format_args!("{} is not in scopes.supported", quoted(scope)),
                "Add it there, so that clients know of it",
            );
        }
    }
    scope_set(&scopes)
}

/// First match decides: a call that an earlier rule decides never comes to this one.
fn refuse_hidden(item: &Item<'_>, rule: &Rule, earlier: &[(usize, Rule)]) {
    let earlier = || {
        let earlier = earlier.iter();
        earlier.filter(|(_, earlier)| decides_all(earlier) && covers(earlier, rule))
    };
    let mend = "Move it before that one, or remove it: the first match decides";
    if let Some((index, _)) = earlier().find(|(_, earlier)| earlier.names.is_empty()) {
        return item.report(
            format_args!("is never reached: rules[{index}] matches every such call"),
            mend,
        );
    }
    for name in rule.names.iter().filter(|name| name.is_exact()) {
        let name = name.as_str();
        let hides = |earlier: &Rule| earlier.names.iter().any(|own| own.matches(name));
        if let Some((index, _)) = earlier().find(|(_, earlier)| hides(earlier)) {
            item.report(
                format_args!(
                    "is never reached for {}: rules[{index}] matches it",
                    quoted(name)
                ),
                mend,
            );
        }
    }
}

/// Whether no call that it speaks of goes on to the next rule. A rule that denies some leaves the others.
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

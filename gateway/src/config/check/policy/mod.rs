//! A resource's scopes and its policy.

mod arguments;
pub(super) mod condition;
pub(super) mod decision_points;
pub(super) mod identities;
pub(super) mod pattern;
mod rules;
mod scopes;

use std::collections::BTreeMap;

use mcp_gateway_core::{
    policy::{DefaultDecision, Policy, Rules},
    scope_prefix::ScopePrefixes,
};

pub(super) use self::condition::condition;
use self::{
    rules::RuleVocabulary,
    scopes::{descriptions, hierarchy, prefixes, refuse_unknown, scope_set, scope_tokens},
};
use super::common::quoted;
use crate::config::{
    declaration::{parts::vocabulary::Vocabulary, policy::HIDE},
    reading::reader::Section,
};

/// What `scopes` and `policy` of a resource say.
pub(super) struct Read {
    pub(super) policy: Policy,
    pub(super) prefixes: ScopePrefixes,
    /// What scopes allow, for people.
    pub(super) descriptions: BTreeMap<String, String>,
}

/// Reads `scopes` and `policy` of a resource that trusts these issuers.
pub(super) fn policy(resource: &Section<'_>, issuers: identities::Issuers<'_>) -> Option<Read> {
    let scopes = resource.section("scopes");
    let prefixes = prefixes(&scopes);
    let required = scope_tokens(&scopes, "required", &prefixes);
    let listed = scopes.get("supported").is_some();
    let supported = scope_tokens(&scopes, "supported", &prefixes);
    let implies = hierarchy(&scopes, &prefixes);
    let described = descriptions(&scopes);
    scopes.finish();
    let names: Vec<String> = supported.iter().map(|(_, scope)| scope.clone()).collect();
    for (item, scope) in required
        .iter()
        .filter(|(_, scope)| listed && !names.contains(scope))
    {
        item.report(
            format_args!("scope `{}` is not in `scopes.supported`", quoted(scope)),
            "Add it there: clients read the scopes from that list",
        );
    }
    let required = scope_set(&required);
    let section = resource
        .required(
            "policy",
            "Add policy: { default: deny } or policy: { default: allow }",
        )?
        .section();
    let default = section
        .required(
            "default",
            "Set it to deny, or to allow: then the required scopes are enough for calls that no rule matches",
        )
        .and_then(|item| item.choice(DefaultDecision::WORDS));
    let hide = HIDE.read(&section);
    let vocabulary = RuleVocabulary {
        scopes: listed.then_some(&names),
        prefixes: &prefixes,
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
    let policy = Policy {
        required,
        supported,
        implies,
        default: default?,
        rules: Rules::new(rules),
        hide,
        asked: None,
    };
    refuse_unknown(&described, &policy.supported);
    let descriptions = described.into_iter();
    Some(Read {
        policy,
        prefixes,
        descriptions: descriptions
            .map(|(_, scope, sentence)| (scope, sentence))
            .collect(),
    })
}

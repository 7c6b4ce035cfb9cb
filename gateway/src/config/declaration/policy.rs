//! What a principal may call: `policy` of a resource, and its rules.

pub(crate) mod decision_point;

use mcp_gateway_core::policy::{DefaultDecision, hide::Hide};

use super::parts::{
    key::{Key, Kind, Table, defaulted, list, map, one_or_many, optional, required},
    setting::{Setting, word},
    value::Word,
    vocabulary::{Vocabulary, words},
};
use crate::config::methods::{self, MethodKind};

impl Vocabulary for DefaultDecision {
    const NAME: &'static str = "Decision";
    const WORDS: &'static [(&'static str, Self)] = &[("allow", Self::Allow), ("deny", Self::Deny)];
}

/// The entries that are hidden in lists.
pub(crate) const HIDE: Setting<Word<Hide>> = word(
    "hide",
    Hide::Nothing,
    "Entries that tools/list, prompts/list, resources/list and resources/templates/list hide from a caller: nothing, denied (entries that no scope would allow) or unusable (entries that its token cannot call).",
);

impl Vocabulary for Hide {
    const NAME: &'static str = "Hide";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("nothing", Self::Nothing),
        ("denied", Self::Denied),
        ("unusable", Self::Unusable),
    ];
}

/// `policy`.
pub(super) fn policy() -> Table {
    Table {
        name: "Policy",
        keys: vec![
            required(
                "default",
                words::<DefaultDecision>(),
                "Decision on calls that no rule matches: allow (with the required scopes) or deny.",
            ),
            HIDE.key(),
            defaulted(
                "rules",
                list(Kind::Table(rule())),
                "none",
                "Rules, checked in order. The first rule that matches a call decides it.",
            ),
        ],
    }
}

fn rule() -> Table {
    Table {
        name: "Rule",
        keys: vec![
            required(
                "method",
                one_or_many(method()),
                "MCP methods that the rule matches, such as tools/call. Write \"*\" for every method.",
            ),
            defaulted(
                "name",
                one_or_many(Kind::Text),
                "any",
                "Names of tools and prompts, or URIs of resources, that the rule matches. * matches any characters except a slash, ** any characters.",
            ),
            defaulted(
                "arguments",
                map(one_or_many(Kind::Scalar)),
                "any",
                "Top-level arguments that the rule matches, with their values: text with * and **, whole numbers, true or false.",
            ),
            defaulted(
                "scopes",
                one_or_many(Kind::Text),
                "nothing",
                "Scopes that these calls require, in addition to the required scopes of the resource.",
            ),
            defaulted(
                "principals",
                one_or_many(Kind::TextOr(principal())),
                "all",
                "Principals that the rule allows, or denies if deny is set.",
            ),
            defaulted(
                "clients",
                one_or_many(Kind::TextOr(client())),
                "all",
                "Clients that the rule allows, or denies if deny is set.",
            ),
            defaulted(
                "condition",
                Kind::Text,
                "always",
                "CEL expression over claims, client, mcp and request. The rule allows, or denies if deny is set, when it is true.",
            ),
            defaulted(
                "deny",
                Kind::Text,
                "none, the rule allows",
                "Deny the matching calls, with this message to the client.",
            ),
        ],
    }
}

/// A method that rules apply to, or `*`.
pub(super) fn method() -> Kind {
    let ruled =
        methods::all().filter(|(_, kind)| matches!(kind, MethodKind::Named | MethodKind::Nameless));
    let ruled = ruled.map(|(name, _)| name);
    Kind::Word("Method", ruled.chain(["*"]).collect())
}

fn principal() -> Table {
    Table {
        name: "PrincipalOfIssuer",
        keys: vec![
            required("issuer", Kind::Text, "Name of an issuer of the resource."),
            tenant(),
            required(
                "subject",
                Kind::Text,
                "The subject, as in the tokens of the issuer.",
            ),
        ],
    }
}

fn tenant() -> Key {
    optional(
        "tenant",
        Kind::Text,
        "The tenant, for an issuer with several.",
    )
}

fn client() -> Table {
    Table {
        name: "ClientOfIssuer",
        keys: vec![
            required("issuer", Kind::Text, "Name of an issuer of the resource."),
            tenant(),
            required(
                "client",
                Kind::Text,
                "The client id, as in the tokens of the issuer.",
            ),
        ],
    }
}

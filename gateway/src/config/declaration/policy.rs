//! What a principal may call: `policy` of a resource, and its rules.

use mcp_gateway_core::policy::{DefaultDecision, hide::Hide};

use super::parts::{
    key::{Kind, Table, defaulted, list, map, one_or_many, required},
    setting::{Setting, word},
    value::Word,
    vocabulary::{Vocabulary, words},
};
use crate::config::methods::{self, MethodKind};

impl Vocabulary for DefaultDecision {
    const NAME: &'static str = "Decision";
    const WORDS: &'static [(&'static str, Self)] = &[("allow", Self::Allow), ("deny", Self::Deny)];
}

/// What of lists is hidden.
pub(crate) const HIDE: Setting<Word<Hide>> = word(
    "hide",
    Hide::Nothing,
    "What of tools/list, prompts/list, resources/list and resources/templates/list a caller does not see: nothing, denied (what no scope would open to it) or unusable (what its token cannot call).",
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
                "What no rule matches: allow (the required scopes suffice) or deny.",
            ),
            HIDE.key(),
            defaulted(
                "rules",
                list(Kind::Table(rule())),
                "none",
                "The first that matches decides.",
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
                "The MCP method, such as tools/call; one or a list, or \"*\" for every one.",
            ),
            defaulted(
                "name",
                one_or_many(Kind::Text),
                "any",
                "Names of tools and prompts, URIs of resources; * stands for what has no slash, ** for anything.",
            ),
            defaulted(
                "arguments",
                map(one_or_many(Kind::Scalar)),
                "any",
                "Top-level arguments and what they must be: texts with * and **, whole numbers, true or false.",
            ),
            defaulted(
                "scopes",
                one_or_many(Kind::Text),
                "nothing",
                "What these calls take besides the required scopes.",
            ),
            defaulted(
                "principals",
                one_or_many(Kind::TextOr(principal())),
                "all",
                "The subjects it lets pass, or denies.",
            ),
            defaulted(
                "clients",
                one_or_many(Kind::TextOr(client())),
                "all",
                "The clients it lets pass, or denies.",
            ),
            defaulted(
                "condition",
                Kind::Text,
                "always",
                "When it lets pass, or denies: CEL over claims, client, mcp and request.",
            ),
            defaulted("deny", Kind::Text, "it allows", "The words it denies with."),
        ],
    }
}

/// A method that rules can speak of, or `*`.
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
            required(
                "issuer",
                Kind::Text,
                "The name of an issuer of the resource.",
            ),
            required(
                "subject",
                Kind::Text,
                "The subject, as the issuer's tokens have it.",
            ),
        ],
    }
}

fn client() -> Table {
    Table {
        name: "ClientOfIssuer",
        keys: vec![
            required(
                "issuer",
                Kind::Text,
                "The name of an issuer of the resource.",
            ),
            required(
                "client",
                Kind::Text,
                "The client id, as the issuer's tokens have it.",
            ),
        ],
    }
}

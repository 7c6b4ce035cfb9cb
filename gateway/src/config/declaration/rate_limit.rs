//! How often a resource may be called: an element of `rate_limits`.

use std::{ops::RangeInclusive, time::Duration};

use mcp_gateway_core::rate::Per;

use super::{
    parts::{
        amounts::{DAY, SECOND},
        key::{Kind, Table, defaulted, one_or_many, required},
        vocabulary::{Vocabulary, words},
    },
    policy,
};

/// Calls within the time, and at once.
pub(crate) const CALLS: RangeInclusive<usize> = 1..=1_000_000;

/// The time in which calls are granted.
pub(crate) const WITHIN: RangeInclusive<Duration> = SECOND..=DAY;

impl Vocabulary for Per {
    const NAME: &'static str = "Per";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("principal", Self::Principal),
        ("client", Self::Client),
        ("tool", Self::Tool),
        ("resource", Self::Resource),
    ];
}

/// An element of `rate_limits`.
pub(super) fn rate_limit() -> Table {
    Table {
        name: "RateLimit",
        keys: vec![
            required(
                "per",
                words::<Per>(),
                "What has calls of its own: each principal, each client, each tool of name, or the resource.",
            ),
            required(
                "calls",
                Kind::Count(CALLS),
                "How many calls are granted within the time.",
            ),
            required("within", Kind::Time(WITHIN), "The time in which they are."),
            defaulted("burst", Kind::Count(CALLS), "calls", "How many at once."),
            defaulted(
                "method",
                one_or_many(policy::method()),
                "every one that rules can speak of; tools/call with per: tool",
                "Methods that count.",
            ),
            defaulted(
                "name",
                one_or_many(Kind::Text),
                "any",
                "Names that count, exact or with * and **; per: tool takes exact ones and must have them.",
            ),
        ],
    }
}

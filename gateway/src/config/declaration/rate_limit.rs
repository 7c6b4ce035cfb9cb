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

/// The range of `calls` and `burst`.
pub(crate) const CALLS: RangeInclusive<usize> = 1..=1_000_000;

/// The range of `within`.
pub(crate) const WITHIN: RangeInclusive<Duration> = SECOND..=DAY;

impl Vocabulary for Per {
    const NAME: &'static str = "Per";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("principal", Self::Principal),
        ("subject", Self::Subject),
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
                "What is counted separately: each principal (issuer, subject and client), each subject with all its clients, each client, each tool in name, or the whole resource.",
            ),
            required(
                "calls",
                Kind::Count(CALLS),
                "Most calls in the time of within. More get 429 with Retry-After.",
            ),
            required(
                "within",
                Kind::Time(WITHIN),
                "The time for this number of calls.",
            ),
            defaulted(
                "burst",
                Kind::Count(CALLS),
                "calls",
                "Most calls at once, before the average rate applies.",
            ),
            defaulted(
                "method",
                one_or_many(policy::method()),
                "every method that rules apply to; tools/call with per: tool",
                "Methods that are counted.",
            ),
            defaulted(
                "name",
                one_or_many(Kind::Text),
                "any",
                "Names that are counted, exact or with * and **. With per: tool, exact names are required.",
            ),
        ],
    }
}

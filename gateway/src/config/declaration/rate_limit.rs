//! How often a resource may be called: an element of `rate_limits`. How several gateways count together: `rate_limits` of the document.

use std::{ops::RangeInclusive, time::Duration};

use mcp_gateway_core::rate::Per;

use super::{
    authorization_server,
    parts::{
        amounts::{DAY, SECOND},
        key::{Kind, Table, defaulted, one_or_many, optional, required},
        section::section,
        setting::{time, word},
        vocabulary::{Vocabulary, words},
    },
    policy,
};

section! {
    /// How several gateways count the rate limits of all resources together.
    #[derive(Copy)]
    pub struct SharedRateLimits {
        /// Longest time that a question to the store takes. A call of a burst also waits for the questions before its own, twenty times as long at most.
        wait: Duration = time(Duration::from_millis(50), Duration::from_millis(1)..=SECOND),
        /// What holds while the store does not answer: open (each gateway counts for itself) or closed (calls that a limit counts get 503).
        without_store: WithoutStore = word(WithoutStore::Open),
    }
    and [optional(
        "store",
        Kind::Table(authorization_server::store()),
        "The Redis or Valkey server in which the gateways count. It can be that of authorization_server. Without it, each gateway counts for itself. A change requires a restart.",
    )]
}

/// What holds while the store of the rate limits does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutStore {
    /// Each gateway counts for itself.
    Open,
    /// Calls that a limit counts are refused.
    Closed,
}

impl Vocabulary for WithoutStore {
    const NAME: &'static str = "WithoutStore";
    const WORDS: &'static [(&'static str, Self)] =
        &[("open", Self::Open), ("closed", Self::Closed)];
}

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

//! Decision points, which are asked after the policy: an entry of `decision_points`.

use std::time::Duration;

use mcp_gateway_core::policy::decision_point::asking::WithoutAnswer;

use crate::config::declaration::{
    issuer,
    parts::{
        amounts::{HOUR, MINUTE, MOMENT, ZERO, minutes, seconds},
        key::{Kind, Table, defaulted, one_or_many, optional, required},
        section::section,
        setting::{Optional, Setting, count, flag, optional_time, time, word},
        value::{Flag, Time},
        vocabulary::Vocabulary,
    },
};

section! {
    /// How a decision point is asked.
    #[derive(Copy)]
    pub struct DecisionPointSettings {
        /// Deadline of one answer; then there is none.
        timeout: Duration = time(Duration::from_millis(500), MOMENT..=MINUTE),
        /// How long an answer, yes or no, holds for the same principal and question; 0s asks about every call. It is also how often it is asked again about an open listening stream, at least every minute.
        cache: Duration = time(seconds(10), ZERO..=HOUR),
        /// Most answers in the cache.
        cached_answers: usize = count(10_000, 1..=10_000_000),
        /// Most questions in flight. More wait, as long as timeout.
        questions: usize = count(64, 1..=10_000),
        /// Most questions in flight about one subject. More get 429.
        questions_per_principal: usize = count(16, 1..=10_000),
        /// Most entries of a list in one question.
        batch: usize = count(200, 1..=10_000),
        /// What holds while it gives no answer: refuse (503), or allow_what_policy_allows. An answer that is wrong is a refusal in any case.
        without_answer: WithoutAnswer = word(WithoutAnswer::Refuse),
    }
    and [
        TOTAL_TIMEOUT.key(),
        required(
            "url",
            Kind::Text,
            "URL of the decision point. It is asked at /access/v1/evaluation and /access/v1/evaluations below it. https, or http to loopback."
        ),
        optional(
            "bearer_file",
            Kind::Text,
            "File with the bearer token that it requires, not writable by all users. It is read again when it changes."
        ),
        optional(
            "credentials_file",
            Kind::Text,
            "File with user:password that it requires (Basic), instead of a token, readable only by owner and group. It is read again when it changes."
        ),
        optional(
            "ca_file",
            Kind::Text,
            "PEM file with trusted CA certificates for reaching it, instead of the system's."
        ),
        defaulted(
            "proxy",
            Kind::TextOr(issuer::proxy()),
            "outbound.proxy",
            "The forward proxy for reaching it, in the forms of outbound.proxy; none reaches it directly."
        ),
        optional(
            "context",
            Kind::Table(context()),
            "What questions say besides the subject, its issuer, client and scopes, the method, and the tool, prompt or resource."
        )
    ]
}

impl Vocabulary for WithoutAnswer {
    const NAME: &'static str = "WithoutAnswer";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("refuse", Self::Refuse),
        ("allow_what_policy_allows", Self::AllowWhatPolicyAllows),
    ];
}

/// How many times the deadline of one answer is the default of [`TOTAL_TIMEOUT`].
pub(crate) const ANSWERS_IN_TOTAL: u32 = 10;

/// Twice the least deadline of one answer.
const TWO_MOMENTS: Duration = MOMENT.saturating_mul(2);

/// The deadline of all answers that one call or list needs.
pub(crate) const TOTAL_TIMEOUT: Optional<Time> = optional_time(
    "total_timeout",
    "ten times timeout",
    TWO_MOMENTS..=minutes(10),
    "Deadline of all answers that one call or list needs, over all its batches, at least twice timeout; then it is refused, whatever without_answer says.",
);

/// Whether questions have the address of the client.
pub(crate) const CLIENT_ADDRESS: Setting<Flag> = flag(
    "client_address",
    false,
    "Say from which address the client calls. A call from an unknown address is then refused.",
);

fn context() -> Table {
    Table {
        name: "DecisionPointContext",
        keys: vec![
            defaulted(
                "claims",
                one_or_many(Kind::Text),
                "none",
                "Claims of the token, by name (subject.properties.claims).",
            ),
            defaulted(
                "arguments",
                one_or_many(Kind::Text),
                "none",
                "Top-level arguments of the call, by name (context.arguments). An argument that readers could read differently is a refusal.",
            ),
            CLIENT_ADDRESS.key(),
        ],
    }
}

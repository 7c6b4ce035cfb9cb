//! Several instances of an MCP server: keys of `upstream` about its endpoints.

use std::time::Duration;

use crate::config::declaration::parts::{
    amounts::{DAY, HOUR, MINUTE, MOMENT, SECOND, minutes, seconds},
    key::{Key, Kind, Table, defaulted, list, optional, required},
    section::{Settings, section},
    setting::{Optional, Setting, count, flag, optional_count, optional_time, time, word},
    value::{Count, Flag, Time},
    vocabulary::Vocabulary,
};

/// The share of an endpoint.
pub(crate) const WEIGHT: Setting<Count<u32>> = count(
    "weight",
    1,
    1..=1000,
    "Share of the calls that this endpoint gets, relative to the weights of the others.",
);

/// Whether each address of a name is an endpoint.
pub(crate) const RESOLVE: Setting<Flag> = flag(
    "resolve",
    false,
    "Use every address of the host of url as an endpoint, such as those of a headless service. Host and TLS name stay those of url.",
);

/// How often the name is resolved.
pub(crate) const RESOLVE_INTERVAL: Optional<Time> = optional_time(
    "resolve_interval",
    "5s",
    SECOND..=HOUR,
    "How often the addresses are looked up, with resolve.",
);

/// The default of [`RESOLVE_INTERVAL`].
pub(crate) const DEFAULT_RESOLVE_INTERVAL: Duration = seconds(5);

/// The most calls of one endpoint.
pub(crate) const MAX_CALLS: Optional<Count<usize>> = optional_count(
    "max_calls",
    "no limit",
    1..=1_000_000,
    "Most calls that one endpoint is at work on; further ones wait (queue). Listening streams do not count.",
);

/// What a health check asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// A connection, with TLS where the URL is https.
    Tcp,
    /// A GET request.
    Http,
    /// A message of MCP: `server/discover`, or `ping` in a session of the gateway's own.
    Mcp,
}

impl Vocabulary for CheckKind {
    const NAME: &'static str = "CheckKind";
    const WORDS: &'static [(&'static str, Self)] =
        &[("tcp", Self::Tcp), ("http", Self::Http), ("mcp", Self::Mcp)];
}

section! {
    /// How endpoints are checked.
    #[derive(Copy)]
    pub struct HealthCheckSettings {
        /// What is asked: tcp (a connection, with TLS for https), http (a GET request of path), or mcp (server/discover; where the server does not know it, ping in a session of the gateway's own). Any answer with a status below 500 is a sign of life, whatever its body is.
        kind: CheckKind = word(CheckKind::Tcp),
        /// Time between two checks of an endpoint.
        interval: Duration = time(seconds(5), SECOND..=HOUR),
        /// Deadline of a check.
        timeout: Duration = time(seconds(2), MOMENT..=MINUTE),
        /// Checks in a row that must succeed before an endpoint that was left out gets calls again.
        rise: u32 = count(2, 1..=100),
        /// Checks in a row that must fail before an endpoint is left out.
        fall: u32 = count(3, 1..=100),
    }
    and [defaulted("path", Kind::Text, "the path of the endpoint", "Path of the request, for kind http.")]
}

section! {
    /// How endpoints whose calls fail are left out.
    #[derive(Copy)]
    pub struct EjectionSettings {
        /// Whether they are. The last endpoint that can be used is not left out, and no more than half of those that can be reached.
        enabled: bool = flag(true),
        /// Calls in a row that fail, before an endpoint is left out: without a connection, with 502, 503 or 504, or without an answer, where the endpoint answers nothing else meanwhile.
        failures: u32 = count(5, 1..=100),
        /// Time within which they fail, without the time that the calls waited. For as long, an answer to another caller keeps the calls of one caller alone from having an endpoint left out.
        within: Duration = time(seconds(10), SECOND..=minutes(10)),
        /// How long an endpoint is left out at first. Each time that follows without an answer between them is twice as long.
        first: Duration = time(seconds(10), SECOND..=HOUR),
        /// The longest time that an endpoint is left out.
        longest: Duration = time(minutes(5), SECOND..=DAY),
    }
}

section! {
    /// How calls wait for an endpoint.
    #[derive(Copy)]
    pub struct QueueSettings {
        /// Most calls that wait, a quarter of them of one principal; further ones get 503.
        calls: usize = count(100, 0..=10_000),
        /// Longest time that a call waits; then it gets 503.
        time: Duration = time(SECOND, MOMENT..=MINUTE),
    }
}

/// The keys of `upstream` about its endpoints.
pub(super) fn keys() -> Vec<Key> {
    vec![
        optional(
            "endpoints",
            list(Kind::TextOr(endpoint())),
            "Several instances of the MCP server, instead of url: URLs, or mappings with url and weight. At most 100.",
        ),
        RESOLVE.key(),
        RESOLVE_INTERVAL.key(),
        optional(
            "health_check",
            Kind::Table(HealthCheckSettings::table()),
            "Check the endpoints, and leave out those that are dead. Without it they are not checked.",
        ),
        optional(
            "ejection",
            Kind::Table(EjectionSettings::table()),
            "When an endpoint is left out because calls to it fail.",
        ),
        MAX_CALLS.key(),
        optional(
            "queue",
            Kind::Table(QueueSettings::table()),
            "How calls wait while each endpoint has max_calls.",
        ),
    ]
}

fn endpoint() -> Table {
    Table {
        name: "Endpoint",
        keys: vec![
            required("url", Kind::Text, "URL of this instance, with its path."),
            WEIGHT.key(),
        ],
    }
}

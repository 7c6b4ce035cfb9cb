//! The gateway from outside: the real binary, a recording upstream behind it, hostile and ordinary clients before it.
//!
//! Numbers in comments are rows of the threat table: each test that stands for one names it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

/// Connections: who may open them, how long they last, how many there are, and what their bytes say.
mod transport {
    mod addresses;
    mod client_certificates;
    mod framing;
    mod http2_attacks;
    mod limits;
    mod misdirected;
    mod slow_peers;
    mod tls;
}

/// Who calls: tokens and the keys they are verified with, where a client without one is sent, and which pages may ask.
mod authentication {
    mod challenge_and_metadata;
    mod cors_and_origin;
    mod keys;
    mod tokens;
}

/// What a caller may do: policies, conditions, rate limits, filtered lists, and the audit log of decisions.
mod authorization {
    mod audit;
    mod conditions;
    mod lists;
    mod policy;
    mod policy_examples;
    mod rate_limits;
}

/// MCP: messages, versions, sessions, tasks and request states.
mod protocol {
    mod messages;
    mod request_state;
    mod sessions;
    mod tasks;
    mod versions;
}

/// What reaches the upstream, and how its answers and event streams come back.
mod forwarding {
    mod identity;
    mod listening;
    mod streams;
    mod upstreams;
}

/// What operators see: logs, metrics, no secrets, and a machine that is short of resources.
mod operations {
    mod idle;
    mod logs;
    mod pressure;
    mod prometheus;
    mod secrets;
    mod telemetry;
}

/// The process: first start, reload, upgrade, end.
mod lifecycle {
    mod demo;
    mod drain;
    mod process;
    mod reload;
    mod upgrade;
    mod walkthrough;
}

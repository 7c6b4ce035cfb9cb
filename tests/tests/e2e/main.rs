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

mod addresses;
mod audit;
mod challenge_and_metadata;
mod client_certificates;
mod conditions;
mod cors_and_origin;
mod demo;
mod drain;
mod framing;
mod http2_attacks;
mod identity;
mod keys;
mod limits;
mod listening;
mod lists;
mod logs;
mod messages;
mod misdirected;
mod policy;
mod policy_examples;
mod pressure;
mod process;
mod prometheus;
mod rate_limits;
mod reload;
mod request_state;
mod secrets;
mod sessions;
mod slow_peers;
mod streams;
mod tasks;
mod telemetry;
mod tls;
mod tokens;
mod upgrade;
mod upstreams;
mod versions;
mod walkthrough;

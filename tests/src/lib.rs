//! What the end-to-end suites share: starting the real binaries, and playing everybody around them.
//!
//! - [`binary`], [`process`] and [`port`] find and run programs and keep what they print;
//! - [`gateway`] is the gateway under test, [`config`] writes its YAML file, [`world`] is the common case of both;
//! - [`upstream`] is an MCP server that records every request and fails the test if a credential arrived;
//! - [`issuer`] is an authorization server with faults as switches, [`tokens`] mints what it would have issued;
//! - [`refusal`] is what every refusal owes, checked in one place; [`secure`] is the common case behind TLS;
//! - [`client`], [`raw`], [`raw_http2`], [`sse`] and [`metrics`] are the ways in: ordinary HTTP, exact bytes, event streams, scrapes;
//! - [`tasks`] is the example MCP server, where a real upstream is wanted, and [`relay`] watches what it is sent;
//! - [`tool`] finds Python and Node.js, for the suites with programs of theirs;
//! - [`certificates`] makes a CA and leaves; [`serve`] is the small HTTP server under both doubles.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a harness fails by panicking"
)]

pub mod binary;
pub mod certificates;
pub mod client;
pub mod config;
pub mod gateway;
pub mod issuer;
pub mod leaks;
pub mod metrics;
pub mod port;
pub mod process;
pub mod raw;
pub mod raw_http2;
pub mod refusal;
pub mod relay;
pub mod secure;
pub mod serve;
pub mod sse;
pub mod tasks;
pub mod tokens;
pub mod tool;
pub mod upstream;
pub mod world;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long anything that should happen at once may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(10);

/// Seconds since the epoch.
#[allow(
    clippy::disallowed_methods,
    reason = "tokens are minted for the real clock of the real binary"
)]
pub fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64
}

/// Waits until `condition` holds, for at most [`SOON`]; `what` tells what was awaited.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + SOON;
    while !condition().await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{what}: not within {SOON:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

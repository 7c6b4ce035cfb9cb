//! What the end-to-end suites share: starting the real binaries, and simulating their peers.
//!
//! - [`process`] finds and runs programs, on free ports, and stores what they print;
//! - [`gateway`] is the gateway under test, with its configuration file and its metrics; below it are several of them behind one address,
//!   with a store that they share;
//! - [`upstream`] is an MCP server that records every request and fails the test if a credential arrived; below it are the
//!   example server, where a real one is needed, and a relay that records what it is sent;
//! - [`issuer`] is an authorization server with faults as switches, [`proxy`] a forward proxy before it, and below it one that is asked about its tokens; keys and tokens come from the crate `test-support`;
//! - [`client`] is the client: ordinary HTTP, and below it exact bytes, HTTP/2 frames and event streams;
//! - [`world`] is the common case of all of them, below it the same behind TLS, and the checks that every refusal must pass;
//! - [`sign_in`] is a person with a browser at the built-in authorization server, and the client that sends them there; below it are the
//!   programs that stand for a company's identity provider;
//! - [`certificates`] makes a CA and leaves; [`serve`] is the small HTTP server under issuer and upstream; [`leaks`] finds
//!   what must never appear.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a harness fails by panicking"
)]

pub mod certificates;
pub mod client;
pub mod gateway;
pub mod issuer;
pub mod leaks;
pub mod process;
pub mod proxy;
pub mod serve;
pub mod sign_in;
pub mod upstream;
pub mod world;

use std::time::Duration;

/// Timeout for what should happen at once, on a busy machine.
pub const SOON: Duration = Duration::from_secs(10);

/// Waits until `condition` holds, for at most [`SOON`]; `what` names it in the failure.
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

//! Real clients through the gateway: each gets from a challenge to a token of a certified identity provider, and
//! uses everything the task server offers. Needs what `tests/clients/setup.sh` installs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod assertions;
mod decision_engines;
mod endpoints;
mod health_checks;
mod keys;
mod mutual_tls;
mod setting;
mod upstream_credentials;

/// What the SDKs do when the gateway allows it: every operation, both eras, sessions, and requests of the server.
mod sdks {
    pub(crate) mod asking;
    mod bound_tokens;
    pub(crate) mod programs;
    pub(crate) mod rust_sdk;
    pub(crate) mod sessions;
    pub(crate) mod versions;
}

/// HTTP+SSE, the transport of MCP 2024-11-05: real servers of it, and real clients.
mod http_sse {
    mod servers;
    mod walk;
}

/// The built-in authorization server: clients that know the URL alone, and a person at a browser.
mod sign_in {
    pub(crate) mod caller;
    pub(crate) mod inspector;
    pub(crate) mod ledger;
    pub(crate) mod lifetimes;
    pub(crate) mod programs;
    pub(crate) mod rust_sdk;
    pub(crate) mod sdks;
}

/// People who sign in with a provider: each kind of provider, its faults, refreshes.
mod federation {
    mod client_keys;
    mod faults;
    mod presets;
    mod refreshing;
    mod replicas;
    mod seeds;
}

/// Opaque tokens: the Python SDK's own servers, and a provider that is asked.
mod opaque {
    mod providers;
    mod simple_auth;
}

/// What the SDKs do with a refusal: step-up, denial by a rule, rate limits.
mod refusals {
    pub(crate) mod denial;
    pub(crate) mod fair_use;
    pub(crate) mod rust_step_up;
    pub(crate) mod spellings;
    pub(crate) mod step_up;
}

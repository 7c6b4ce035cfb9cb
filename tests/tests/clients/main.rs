//! Real clients through the gateway: each finds its way from a challenge to a token of a certified identity provider, and
//! uses everything the task server has. Needs what `tests/clients/setup.sh` installs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod asking;
mod denial;
mod fair_use;
mod keys;
mod programs;
mod provider;
mod run;
mod rust_sdk;
mod rust_step_up;
mod sessions;
mod setting;
mod step_up;
mod versions;

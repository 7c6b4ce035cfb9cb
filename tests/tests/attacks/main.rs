//! The threat list, shown: one test for each number of `tests/attacks.md` that applies, named by it, with every variant
//! of its row as a table inside. [`numbers`] compares that list with these sources.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod browser_and_headers;
mod framing;
mod keys;
mod lifecycle;
mod messages;
mod numbers;
mod outbound;
mod passing_on;
mod presenting;
mod secrets;
mod streams;
mod targets;
mod tokens;

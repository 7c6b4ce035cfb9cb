//! The threat list, shown: one test for each number of `tests/attacks.md` that applies, named by it, with every variant
//! of its row as a table inside. [`numbers`] compares that list with these sources.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod numbers;

/// Tokens, the keys they are verified with, and how a token is presented.
mod authentication {
    mod keys;
    mod presenting;
    mod tokens;
}

/// What a request may look like: its framing, target, headers and message.
mod requests {
    mod browser_and_headers;
    mod framing;
    mod messages;
    mod targets;
}

/// What passes through: streams, sessions, headers, and what the gateway fetches itself.
mod forwarding {
    mod outbound;
    mod passing_on;
    mod streams;
}

/// Start and end of the process, and what its output gives away.
mod operations {
    mod lifecycle;
    mod secrets;
}

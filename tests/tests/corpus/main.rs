//! The corpora: hostile and ordinary inputs as data files, each case a test of its own.
//!
//! A module a subject. It says what a case of `tests/corpus/SUBJECT` looks like and what is done with it; [`suite`] reads
//! the files and makes the tests. `cargo test -p e2e --test corpus 'dot segment'` runs those whose name says so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod messages;
mod suite;
mod targets;
mod text;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    trials.extend(messages::trials());
    trials.extend(targets::trials());
    trials.extend(suite::names_are_unique(&trials));
    libtest_mimic::run(&arguments, trials).exit_code()
}

//! The corpora: hostile and ordinary inputs as data files, each case a test of its own.
//!
//! One module per subject. It has the fields of a case of `tests/corpus/SUBJECT` and runs it; [`suite`] reads
//! the files and makes the tests. `cargo test -p e2e --test corpus 'dot segment'` runs those with this text in their name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod client_certificates;
mod introspection;
mod key_sets;
mod messages;
mod proofs;
mod replay;
mod suite;
mod targets;
mod text;
mod tokens;
mod wire;

/// What is signed: by whom, and how a case changes it.
mod signed {
    pub(crate) mod edits;
    pub(crate) mod signers;
}

use std::{path::Path, process::ExitCode};

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    if let Some(folder) = std::env::var_os("CORPUS_SEEDS") {
        write_seeds(Path::new(&folder));
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    trials.extend(tokens::trials());
    trials.extend(proofs::trials());
    trials.extend(introspection::trials());
    trials.extend(key_sets::trials());
    trials.extend(messages::trials());
    trials.extend(targets::trials());
    trials.extend(client_certificates::trials());
    trials.extend(replay::trials());
    trials.extend(wire::trials());
    trials.extend(suite::names_are_unique(&trials));
    let conclusion = libtest_mimic::run(&arguments, trials);
    wire::finish();
    conclusion.exit_code()
}

/// The seeds of fuzzing (`make fuzz`).
fn write_seeds(folder: &Path) {
    tokens::write_seeds(folder);
    proofs::write_seeds(folder);
    introspection::write_seeds(folder);
    key_sets::write_seeds(folder);
    messages::write_seeds(folder);
    targets::write_seeds(folder);
    client_certificates::write_seeds(folder);
    replay::write_seeds(folder);
}

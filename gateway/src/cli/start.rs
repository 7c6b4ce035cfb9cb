//! `mcp-gateway run`: a checked configuration, or everything that is wrong with it; then the gateway.

use std::{io::Write, path::Path, process::ExitCode};

use super::{cannot_run, check};
use crate::{
    app::{Prepared, Start},
    config::Finding,
};

/// Runs the gateway with the configuration at `path`.
pub(super) fn run(
    path: &Path,
    env_file: Option<&Path>,
    start: Start,
    errors: &mut impl Write,
) -> ExitCode {
    let config = match check::load(path, env_file) {
        Ok(config) => config,
        Err(findings) => return wrong(path, &findings, errors),
    };
    match Prepared::new(&config, start).and_then(Prepared::serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cannot_run(&error, errors),
    }
}

fn wrong(path: &Path, findings: &[Finding], errors: &mut impl Write) -> ExitCode {
    // Nobody reads it when stderr is closed; the exit code says it too.
    let _ = check::report(path, findings, errors);
    ExitCode::from(check::WRONG)
}

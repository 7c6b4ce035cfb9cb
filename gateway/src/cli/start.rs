//! `mcp-gateway run`: checks the configuration, reports all findings, or runs the gateway.

use std::{io::Write, path::Path, process::ExitCode};

use super::{
    check,
    exit::{self, report_cannot_run},
};
use crate::{
    app::{Prepared, Start},
    config::Finding,
    fetch::internet::Outside,
};

/// Runs the gateway with the configuration at `path`. Documents of strangers come from `outside`.
pub(super) fn run(
    path: &Path,
    env_file: Option<&Path>,
    start: Start,
    outside: Outside,
    errors: &mut impl Write,
) -> ExitCode {
    let config = match check::load(path, env_file) {
        Ok(config) => config,
        Err(findings) => return report_findings(path, &findings, errors),
    };
    match Prepared::new(&config, start, outside).and_then(Prepared::serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report_cannot_run(&error, errors),
    }
}

fn report_findings(path: &Path, findings: &[Finding], errors: &mut impl Write) -> ExitCode {
    // Fails only when stderr is closed. The exit code reports the findings too.
    let _ = check::report(path, findings, errors);
    ExitCode::from(exit::WRONG)
}

//! Exit codes, and the error line of a gateway that cannot run.

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

/// Exit code: success.
pub(super) const OK: u8 = 0;

/// Exit code: the gateway cannot run.
pub(super) const CANNOT_RUN: u8 = 1;

/// Exit code: invalid configuration, or invalid options of `check --explain`.
pub(super) const WRONG: u8 = 2;

/// The exit code of a command that only prints. It fails if it cannot print.
pub(super) fn exit_code(printed: io::Result<u8>) -> ExitCode {
    ExitCode::from(printed.unwrap_or(CANNOT_RUN))
}

/// Prints one error line and returns the exit code of a gateway that cannot run.
pub(super) fn report_cannot_run(error: &dyn Display, to: &mut dyn Write) -> ExitCode {
    // Fails only when stderr is closed.
    let _ = writeln!(to, "mcp-gateway: {error}");
    ExitCode::from(CANNOT_RUN)
}

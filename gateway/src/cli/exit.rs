//! How a command ends: its exit code, and the one line of a gateway that cannot run.

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

/// Exit code: all is well.
pub(super) const OK: u8 = 0;

/// Exit code: the gateway cannot run.
const CANNOT_RUN: u8 = 1;

/// Exit code: the configuration is wrong, or the question about it.
pub(super) const WRONG: u8 = 2;

/// The exit code of a command that only prints; one that could not print has failed.
pub(super) fn exit_code(printed: io::Result<u8>) -> ExitCode {
    ExitCode::from(printed.unwrap_or(CANNOT_RUN))
}

/// Prints one clear line and gives the exit code of a gateway that cannot run.
pub(super) fn report_cannot_run(error: &dyn Display, to: &mut dyn Write) -> ExitCode {
    // Nobody reads it when stderr is closed.
    let _ = writeln!(to, "mcp-gateway: {error}");
    ExitCode::from(CANNOT_RUN)
}

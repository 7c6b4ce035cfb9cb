//! `mcp-gateway key`: makes, lists and removes API keys in a key file. A running gateway that reads the file follows it.
//!
//! A new key is printed alone on standard output, so that a script can take it; what people read is on standard error.

mod key_file;
mod listing;
mod new;

use std::io::{self, Write};

use clap::Subcommand;
use mcp_gateway_core::time::UnixTime;

use self::{key_file::KeyFile, new::NewKey};
use super::exit::{CANNOT_RUN, OK};
use crate::config::api_keys::{edit, file};

/// What happens after a key was removed.
const AFTER: &str = "A running gateway refuses the key within a second, if it accepts its configuration: look for `configuration reload rejected` in its log.";

/// What is done.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Make a key and print it. Nobody can see it a second time: the file keeps only its digest.
    New(NewKey),
    /// List the keys of a file.
    List {
        #[command(flatten)]
        file: KeyFile,
        /// Print JSON, one object in each line, as they are in the file.
        #[arg(long)]
        json: bool,
    },
    /// Remove a key. A running gateway refuses it within a second, and ends streams that were opened with it, if its configuration is
    /// accepted then: see `mcp_gateway_config_last_reload_successful`.
    Remove {
        /// Its name, as `list` prints it.
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        file: KeyFile,
    },
}

impl Action {
    /// Does it. Returns the exit code: 1 where the file cannot be used, 2 where an option cannot.
    ///
    /// # Errors
    /// `out` or `errors` cannot be written.
    pub(super) fn execute(
        &self,
        now: UnixTime,
        out: &mut dyn Write,
        errors: &mut dyn Write,
    ) -> io::Result<u8> {
        match self {
            Self::New(new) => new.execute(now, out, errors),
            Self::List { file, json } => list(file, *json, now, out, errors),
            Self::Remove { name, file } => match edit::remove(&file.file, name) {
                Ok(()) => {
                    writeln!(out, "removed: {name}")?;
                    writeln!(errors, "{AFTER}").map(|()| OK)
                }
                Err(error) => writeln!(errors, "mcp-gateway: {error}").map(|()| CANNOT_RUN),
            },
        }
    }
}

fn list(
    KeyFile { file }: &KeyFile,
    is_json: bool,
    now: UnixTime,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> io::Result<u8> {
    match file::read(file) {
        Ok(keys) => {
            let text = listing::text(&keys, is_json, now);
            out.write_all(text.as_bytes()).map(|()| OK)
        }
        Err(findings) => {
            for finding in findings {
                writeln!(errors, "{}", finding.in_file(file))?;
            }
            Ok(CANNOT_RUN)
        }
    }
}

#[cfg(test)]
mod tests;

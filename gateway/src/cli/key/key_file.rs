//! Which key file a command reads and changes.

use std::path::PathBuf;

use clap::Args;

/// The file with the keys.
#[derive(Args, Debug)]
pub(in crate::cli) struct KeyFile {
    /// Key file, one of api_keys.files in the configuration.
    #[arg(long, short, value_name = "FILE")]
    pub(super) file: PathBuf,
}

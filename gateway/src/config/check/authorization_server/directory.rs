//! The directory of the authorization server's state. It may be missing: it is made at the first start.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::config::{
    folder::{self, FolderError},
    reading::reader::Section,
};

/// Bytes in the path of the directory: the path of the control socket in it must fit into 107 bytes.
const MAX_PATH: usize = 90;

const FORM: &str =
    "Write a directory that only the gateway uses, such as state or /var/lib/mcp-gateway";

/// Reads `directory`.
pub(super) fn directory(section: &Section<'_>) -> Option<PathBuf> {
    let item = section.required("directory", FORM)?;
    let path = item.path()?;
    if path.as_os_str().len() > MAX_PATH {
        item.report(
            format_args!("path of the directory must not be longer than {MAX_PATH} bytes"),
            "Use a shorter path, such as /var/lib/mcp-gateway",
        );
    } else if let Err(error) = check(&path) {
        item.report(
            error,
            "Use a directory of the user of the gateway that others cannot write to; a missing one is made, its parent must be there",
        );
    }
    Some(path)
}

fn check(path: &Path) -> Result<(), FolderError> {
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => folder::check_can_hold(path),
        _ => folder::check_holds_state(path),
    }
}

//! The directory of the state: the file of an embedded store, keys, the control socket. Nobody but the gateway's user may use it.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

use super::error::OpenError;

/// Permissions of the directory.
const MODE: u32 = 0o700;

/// Makes the directory, or checks that it is private.
///
/// # Errors
/// It cannot be made, or others can use it.
pub(super) fn prepare(path: &Path) -> Result<(), OpenError> {
    let unusable = |error| OpenError::Directory {
        path: path.to_owned(),
        error,
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(MODE);
    builder.create(path).map_err(unusable)?;
    let mode = fs::metadata(path).map_err(unusable)?.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(OpenError::Exposed {
            path: path.to_owned(),
            mode,
        })
    }
}

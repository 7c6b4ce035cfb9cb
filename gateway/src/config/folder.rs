//! Folders in which nobody else can put, replace or remove anything: where a socket may stand that gives power over the
//! gateway.

use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::process::geteuid;
use thiserror::Error;

/// Permission bits that let group and others write.
const OTHERS_WRITE: u32 = 0o022;

/// The bit of a folder in which only the owner of an entry can replace it, as in /tmp.
const STICKY: u32 = 0o1000;

/// The system's own user, who can do everything anyway.
const ROOT: u32 = 0;

/// Why a folder is not ours alone.
#[derive(Debug, Error)]
pub enum FolderError {
    /// The path names no file in a folder.
    #[error("names no file in a folder")]
    NoFolder,
    /// The folder is not there or cannot be looked at.
    #[error("stands in {}, which cannot be used: {error}", .path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The folder belongs to another user.
    #[error("stands in {}, which belongs to another user", .0.display())]
    Foreign(PathBuf),
    /// Somebody else can write to the folder, or to one above it.
    #[error("stands below {}, where others can write", .0.display())]
    Open(PathBuf),
}

/// Sees to it that the folder of `path` belongs to this process's user and that no other user could put a file there, nor
/// another folder in its place. Symbolic links are followed first.
///
/// # Errors
/// What is wrong with the folder, or with one above it.
pub fn of_our_own(path: &Path) -> Result<(), FolderError> {
    let named = path.parent().ok_or(FolderError::NoFolder)?;
    let named = if named.as_os_str().is_empty() {
        Path::new(".")
    } else {
        named
    };
    let folder = named
        .canonicalize()
        .map_err(|error| unusable(named, error))?;
    let us = geteuid().as_raw();
    let found = look(&folder)?;
    if found.uid() != us {
        return Err(FolderError::Foreign(folder));
    }
    if found.mode() & OTHERS_WRITE != 0 {
        return Err(FolderError::Open(folder));
    }
    folder
        .ancestors()
        .skip(1)
        .try_for_each(|above| safe_above(above, us))
}

fn safe_above(folder: &Path, us: u32) -> Result<(), FolderError> {
    let found = look(folder)?;
    if ![us, ROOT].contains(&found.uid()) {
        return Err(FolderError::Foreign(folder.to_owned()));
    }
    if found.mode() & OTHERS_WRITE != 0 && found.mode() & STICKY == 0 {
        return Err(FolderError::Open(folder.to_owned()));
    }
    Ok(())
}

fn look(folder: &Path) -> Result<Metadata, FolderError> {
    let found = folder.metadata().map_err(|error| unusable(folder, error))?;
    if found.is_dir() {
        Ok(found)
    } else {
        Err(unusable(folder, io::ErrorKind::NotADirectory.into()))
    }
}

fn unusable(path: &Path, error: io::Error) -> FolderError {
    FolderError::Unusable {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn only_a_folder_that_we_alone_write_to_will_do() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&inner, &link).unwrap();
        let cases = [
            (0o700, 0o700, true),
            (0o700, 0o755, true),
            (0o755, 0o700, true),
            (0o700, 0o770, false),
            (0o700, 0o702, false),
            (0o777, 0o700, false),
            (0o1777, 0o700, true),
        ];
        for (above, mode, fit) in cases {
            fs::set_permissions(directory.path(), fs::Permissions::from_mode(above)).unwrap();
            fs::set_permissions(&inner, fs::Permissions::from_mode(mode)).unwrap();
            for folder in [&inner, &link] {
                let found = of_our_own(&folder.join("socket"));
                assert_eq!(found.is_ok(), fit, "{above:o} {mode:o}: {found:?}");
            }
        }
        fs::write(inner.join("file"), "").unwrap();
        for path in ["/nowhere/at/all/socket", "/"] {
            assert!(of_our_own(Path::new(path)).is_err(), "{path}");
        }
        assert!(of_our_own(&inner.join("file/socket")).is_err());
    }
}

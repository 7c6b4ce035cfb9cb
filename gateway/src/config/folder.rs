//! Directories that no other user can change. A socket that gives control over the gateway must be in such a directory.

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

/// The permission bit that lets everybody write.
const ALL_WRITE: u32 = 0o002;

/// The sticky bit: only the owner of an entry can replace it, as in /tmp.
const STICKY: u32 = 0o1000;

/// The root user, who can change any directory.
const ROOT: u32 = 0;

/// Why other users could change a directory.
#[derive(Debug, Error)]
pub enum FolderError {
    /// The path has no file name.
    #[error("must be the path of a file in a directory")]
    NoFolder,
    /// The folder does not exist or cannot be read.
    #[error("directory {} cannot be used: {error}", .path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The folder belongs to another user.
    #[error("directory {} must not belong to another user", .0.display())]
    Foreign(PathBuf),
    /// Another user can write to the folder, or to a parent.
    #[error("directory {} must not be writable by other users", .0.display())]
    Open(PathBuf),
}

/// Checks that the folder of `path` belongs to the user of this process, and that no other user can create a file in it or
/// replace the folder. Symbolic links are resolved first.
///
/// # Errors
/// What is wrong with the folder, or with a parent.
pub fn check_private(path: &Path) -> Result<(), FolderError> {
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

/// Checks that a folder can hold state: that it belongs to the user of this process or to root, and that not everybody can
/// write to it. The group may: Kubernetes mounts volumes for the group of the pod.
///
/// # Errors
/// What is wrong with the folder, or with a parent.
pub fn check_holds_state(path: &Path) -> Result<(), FolderError> {
    let folder = path.canonicalize().map_err(|error| unusable(path, error))?;
    let us = geteuid().as_raw();
    let found = look(&folder)?;
    if ![us, ROOT].contains(&found.uid()) {
        return Err(FolderError::Foreign(folder));
    }
    if found.mode() & ALL_WRITE != 0 {
        return Err(FolderError::Open(folder));
    }
    (folder.ancestors().skip(1)).try_for_each(|above| safe_for(above, us, ALL_WRITE))
}

/// Checks that a folder can be made at `path` which then holds state: its parent is there, and not everybody can replace what is
/// in it.
///
/// # Errors
/// What is wrong with the parent, or with a folder above it.
pub fn check_can_hold(path: &Path) -> Result<(), FolderError> {
    let parent = path.parent().ok_or(FolderError::NoFolder)?;
    let parent = match parent.as_os_str().is_empty() {
        true => Path::new("."),
        false => parent,
    };
    let parent = parent
        .canonicalize()
        .map_err(|error| unusable(parent, error))?;
    let us = geteuid().as_raw();
    (parent.ancestors()).try_for_each(|above| safe_for(above, us, ALL_WRITE))
}

fn safe_above(folder: &Path, us: u32) -> Result<(), FolderError> {
    safe_for(folder, us, OTHERS_WRITE)
}

/// Whether nobody with one of these permission bits can replace what is in the folder.
fn safe_for(folder: &Path, us: u32, writers: u32) -> Result<(), FolderError> {
    let found = look(folder)?;
    if ![us, ROOT].contains(&found.uid()) {
        return Err(FolderError::Foreign(folder.to_owned()));
    }
    if found.mode() & writers != 0 && found.mode() & STICKY == 0 {
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
    fn only_a_folder_that_no_other_user_can_write_to_is_accepted() {
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
                let found = check_private(&folder.join("socket"));
                assert_eq!(found.is_ok(), fit, "{above:o} {mode:o}: {found:?}");
            }
        }
        fs::write(inner.join("file"), "").unwrap();
        for path in ["/nowhere/at/all/socket", "/"] {
            assert!(check_private(Path::new(path)).is_err(), "{path}");
        }
        assert!(check_private(&inner.join("file/socket")).is_err());
    }

    #[test]
    fn state_is_held_by_a_folder_that_not_everybody_can_write_to() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        for (above, mode, fit) in [
            (0o700, 0o700, true),
            (0o700, 0o2775, true),
            (0o775, 0o700, true),
            (0o1777, 0o700, true),
            (0o777, 0o700, false),
            (0o700, 0o702, false),
            (0o700, 0o1777, false),
        ] {
            fs::set_permissions(directory.path(), fs::Permissions::from_mode(above)).unwrap();
            fs::create_dir(&state).unwrap();
            fs::set_permissions(&state, fs::Permissions::from_mode(mode)).unwrap();
            let found = check_holds_state(&state);
            assert_eq!(found.is_ok(), fit, "{above:o} {mode:o}: {found:?}");
            fs::remove_dir(&state).unwrap();
            let found = check_can_hold(&state);
            assert_eq!(found.is_ok(), above != 0o777, "{above:o}: {found:?}");
        }
        assert!(check_can_hold(Path::new("/nowhere/at/all")).is_err());
        assert!(check_holds_state(Path::new("/nowhere/at/all")).is_err());
    }
}

//! Files with keys. What is read must not be exposed; what is written is complete and durable before its name leads to it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use mcp_gateway_oauth::keys::ring::RingError;
use thiserror::Error;

use crate::new_key::NewKeyError;

/// Permissions of a file that the server makes.
const MODE: u32 = 0o600;

/// Permission bits of others, whom no key file may allow anything.
const OTHERS: u32 = 0o007;

/// Permission bits of group and others.
const GROUP_AND_OTHERS: u32 = 0o077;

/// The largest file with keys, in bytes.
const MAX_BYTES: u64 = 256 * 1024;

/// Why a file with keys cannot be used. Shows nothing of what is in it.
#[derive(Debug, Error)]
#[error("{}: {problem}", path.display())]
pub(crate) struct KeyFileError {
    pub(crate) path: PathBuf,
    #[source]
    pub(crate) problem: KeyFileProblem,
}

/// What is wrong with it.
#[derive(Debug, Error)]
pub(crate) enum KeyFileProblem {
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("cannot be written: {0}")]
    Unwritable(io::Error),
    #[error("is not a regular file")]
    NotAFile,
    #[error("is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("has mode {0:04o}: other users must not have access. Use mode 0600")]
    Exposed(u32),
    #[error(
        "is not a key: 32 random bytes are expected, also as 64 hexadecimal digits or 44 characters of base64"
    )]
    NotAKey,
    #[error("has no signing keys: {0}")]
    NotARing(#[from] RingError),
    #[error("cannot have a new signing key: {0}")]
    SigningKey(#[from] NewKeyError),
    #[error("cannot have a new key: the random source of the system fails")]
    Random,
}

impl KeyFileProblem {
    /// The error of this file.
    pub(super) fn at(self, path: &Path) -> KeyFileError {
        KeyFileError {
            path: path.to_owned(),
            problem: self,
        }
    }
}

/// Who may have made a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MadeBy {
    /// The operator: the group may read it, as Kubernetes mounts secrets.
    Operator,
    /// The server.
    Server,
}

/// The content of a file with keys; none where there is no file.
pub(super) fn read(path: &Path, made_by: MadeBy) -> Result<Option<Vec<u8>>, KeyFileProblem> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(KeyFileProblem::Unreadable(error)),
        // Opening a pipe would wait until somebody writes.
        Ok(found) if !found.is_file() => return Err(KeyFileProblem::NotAFile),
        Ok(_) => {}
    }
    let file = File::open(path).map_err(KeyFileProblem::Unreadable)?;
    let mode = file.metadata().map_err(KeyFileProblem::Unreadable)?;
    let mode = mode.permissions().mode() & 0o7777;
    let forbidden = match made_by {
        MadeBy::Operator => OTHERS,
        MadeBy::Server => GROUP_AND_OTHERS,
    };
    if mode & forbidden != 0 {
        return Err(KeyFileProblem::Exposed(mode));
    }
    let mut content = Vec::new();
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut content);
    read.map_err(KeyFileProblem::Unreadable)?;
    match content.len() as u64 > MAX_BYTES {
        true => Err(KeyFileProblem::TooLarge),
        false => Ok(Some(content)),
    }
}

/// Replaces the file, or makes it. A reader sees all of the old content or all of the new, after a crash too.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), KeyFileProblem> {
    let aside = aside(path);
    write_aside(&aside, content)
        .and_then(|()| fs::rename(&aside, path))
        .and_then(|()| sync_directory(path))
        .map_err(KeyFileProblem::Unwritable)
}

/// Makes the file unless there is one. A process that starts at the same time may have made it: that one stays.
pub(super) fn make(path: &Path, content: &[u8]) -> Result<(), KeyFileProblem> {
    let aside = aside(path);
    write_aside(&aside, content).map_err(KeyFileProblem::Unwritable)?;
    let linked = match fs::hard_link(&aside, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    };
    let removed = fs::remove_file(&aside);
    linked
        .and(removed)
        .and_then(|()| sync_directory(path))
        .map_err(KeyFileProblem::Unwritable)
}

fn write_aside(aside: &Path, content: &[u8]) -> io::Result<()> {
    // A process that was killed may have left it.
    if let Err(error) = fs::remove_file(aside)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(aside)?;
    // The mask of the process may have taken bits away.
    file.set_permissions(fs::Permissions::from_mode(MODE))?;
    file.write_all(content)?;
    file.sync_all()
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    name.into()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_is_made_once_and_replaced_whole_and_nobody_else_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(read(&path, MadeBy::Server).unwrap().is_none());
        make(&path, b"one").unwrap();
        make(&path, b"two").unwrap();
        assert_eq!(read(&path, MadeBy::Server).unwrap().unwrap(), b"one");
        // Left by a process that was killed.
        fs::write(aside(&path), "torn").unwrap();
        replace(&path, b"three").unwrap();
        assert_eq!(read(&path, MadeBy::Server).unwrap().unwrap(), b"three");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(names(folder.path()), ["key"]);
    }

    #[test]
    fn an_exposed_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "key").unwrap();
        for (mode, by_operator, by_server) in [
            (0o600, true, true),
            (0o400, true, true),
            (0o440, true, false),
            (0o660, true, false),
            (0o604, false, false),
            (0o602, false, false),
            (0o644, false, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let is_read =
                |made_by| !matches!(read(&path, made_by), Err(KeyFileProblem::Exposed(_)));
            let found = (is_read(MadeBy::Operator), is_read(MadeBy::Server));
            assert_eq!(found, (by_operator, by_server), "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_file_or_too_large_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let read = |path: &Path| read(path, MadeBy::Server).unwrap_err();
        assert!(matches!(read(folder.path()), KeyFileProblem::NotAFile));
        let path = folder.path().join("large");
        replace(&path, &vec![0; 256 * 1024 + 1]).unwrap();
        assert!(matches!(read(&path), KeyFileProblem::TooLarge));
        let nowhere = folder.path().join("missing/key");
        let error = make(&nowhere, b"x").unwrap_err().at(&nowhere);
        assert!(error.to_string().contains("missing/key: cannot be written"));
    }
}

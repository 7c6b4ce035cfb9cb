//! The file that audit lines are appended to.
//!
//! Before each write the file is checked by its name: if it was renamed or removed, a new one is created. So rotation needs
//! no signal: `logrotate` renames the file, and the next line goes to a new one. Only the gateway's user may read a new
//! file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Permissions of a new file.
const MODE: u32 = 0o600;

/// An open file and its name.
#[derive(Debug)]
pub(super) struct AuditFile {
    path: PathBuf,
    file: File,
    /// Device and number of the open file.
    identity: (u64, u64),
}

impl AuditFile {
    /// Opens the file at `path`, and creates it if there is none.
    ///
    /// # Errors
    /// It cannot be opened for appending.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(MODE)
            .open(path)?;
        let identity = identity(&file.metadata()?);
        Ok(Self {
            path: path.to_owned(),
            file,
            identity,
        })
    }

    /// Whether the name still refers to the open file.
    fn is_in_place(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| identity(&found) == self.identity)
    }
}

impl Write for AuditFile {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if !self.is_in_place() {
            *self = Self::open(&self.path)?;
        }
        self.file.write(lines)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn identity(found: &fs::Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_appended_to_and_belongs_to_its_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        for line in ["one\n", "two\n"] {
            AuditFile::open(&path)
                .unwrap()
                .write_all(line.as_bytes())
                .unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            MODE
        );
    }

    #[test]
    fn a_file_that_was_renamed_or_removed_is_created_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, renamed) = (
            folder.path().join("audit.log"),
            folder.path().join("audit.log.1"),
        );
        let mut file = AuditFile::open(&path).unwrap();
        file.write_all(b"one\n").unwrap();
        fs::rename(&path, &renamed).unwrap();
        file.write_all(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&renamed).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        fs::remove_file(&path).unwrap();
        file.write_all(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn without_its_folder_lines_are_lost_until_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, path) = (folder.path().join("a"), folder.path().join("a/audit.log"));
        fs::create_dir(&inner).unwrap();
        let mut file = AuditFile::open(&path).unwrap();
        fs::remove_dir_all(&inner).unwrap();
        assert!(file.write_all(b"lost\n").is_err());
        fs::create_dir(&inner).unwrap();
        file.write_all(b"kept\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept\n");
    }
}

//! The inputs of a configuration: its file, the environment file, and every file that it names, each with a digest of its
//! content. Two readings with equal inputs read the same content.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};

use crate::config::{
    files::{self, FileError},
    secret::Secret,
};

/// Files and their state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs(BTreeMap<PathBuf, FileState>);

/// The state of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileState {
    /// No readable file.
    Unreadable,
    /// A file: its permissions, which decide whether it can hold a secret, and the SHA-256 of its content.
    File { mode: u32, digest: [u8; 32] },
}

impl Inputs {
    /// The state of these files now.
    pub fn of<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let states = files
            .into_iter()
            .map(|path| (path.clone(), state(path).unwrap_or(FileState::Unreadable)));
        Self(states.collect())
    }

    /// The files.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.keys()
    }

    /// Whether each of these files has the same state in `other`.
    pub fn are_within(&self, other: &Self) -> bool {
        self.0
            .iter()
            .all(|(path, state)| other.0.get(path) == Some(state))
    }

    /// Files that only one of both has, or that have another state.
    pub fn differing_from(&self, other: &Self) -> BTreeSet<PathBuf> {
        let all = self.0.keys().chain(other.0.keys());
        all.filter(|path| self.0.get(*path) != other.0.get(*path))
            .cloned()
            .collect()
    }

    /// Adds the files of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

fn state(path: &Path) -> Result<FileState, FileError> {
    let file = files::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let content = match files::contents(&file) {
        Ok(content) => Secret::new(content),
        Err(FileError::Empty) => Secret::new(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut digest = Context::new(&SHA256);
    digest.update(content.expose());
    let digest = digest.finish();
    Ok(FileState::File {
        mode,
        digest: digest.as_ref().first_chunk().copied().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn only_content_and_permissions_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let files = [path.clone()];
        let look = || Inputs::of(&files);
        let missing = look();
        fs::write(&path, "").unwrap();
        let empty = look();
        fs::write(&path, "content").unwrap();
        let written = look();
        assert!(missing != empty && empty != written && missing != written);

        fs::write(&path, "content").unwrap();
        assert_eq!(written, look(), "written again");
        let other = folder.path().join("other");
        fs::write(&other, "content").unwrap();
        fs::set_permissions(&other, fs::metadata(&path).unwrap().permissions()).unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(written, look(), "replaced by an equal file");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_ne!(written, look(), "other permissions");
    }

    #[test]
    fn files_that_differ_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b", "c"].map(|name| folder.path().join(name));
        for path in &paths {
            fs::write(path, "1").unwrap();
        }
        let [a, b, c] = &paths;
        let before = Inputs::of([a, b]);
        fs::write(b, "2").unwrap();
        let after = Inputs::of([a, b, c]);
        let differing: Vec<_> = after.differing_from(&before).into_iter().collect();
        assert_eq!(differing, [b.clone(), c.clone()]);
        assert!(Inputs::of([a]).are_within(&before) && !after.are_within(&before));
    }
}

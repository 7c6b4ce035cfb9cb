//! Changes of a key file by `mcp-gateway key`: a key is added or removed, and all other lines stay as they are.
//!
//! The file is replaced whole, so that a gateway reads all of the old or all of the new one. It keeps its owner, group and mode. Two
//! commands at once change it one after the other: each locks the file that it read, and begins again where that was replaced
//! meanwhile.

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use mcp_gateway_core::token::api_key::{
    entry::KeyEntry,
    ring::{KeyRing, RingError},
};
use thiserror::Error;

use super::{file, line};
use crate::config::{files::FileError, reading::finding::Finding};

/// Permissions of a new file. The group may read it, because a gateway often runs as another user than the operator.
const MODE: u32 = 0o640;

/// What a new file begins with.
const HEAD: &str = "# API keys of mcp-gateway, one a line, by their digests. Add one with `mcp-gateway key new`.\n";

/// How often a change begins again because another command replaced the file.
const MOST_ATTEMPTS: usize = 100;

/// How long a command waits for another one that has locked the file.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// The time between two attempts to lock it.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Why a key file cannot be changed.
#[derive(Debug, Error)]
pub enum EditError {
    /// It cannot be read.
    #[error("{} {error}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: FileError,
    },
    /// It has lines that cannot be used.
    #[error("{} cannot be changed: {finding}", .path.display())]
    Findings {
        /// The file.
        path: PathBuf,
        /// The first finding, as a line.
        finding: String,
    },
    /// It cannot be written.
    #[error("{} cannot be written: {error}", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another command has locked it, or others replace it all the time.
    #[error("{} is being changed by other commands. Try again", .0.display())]
    Busy(PathBuf),
    /// The key cannot be added.
    #[error("{0} in the key file. Use another name, or remove that key first")]
    Refused(RingError),
    /// No key has the name.
    #[error("no key has the name {0}")]
    NoSuchKey(String),
}

/// Adds a key. Makes the file if there is none.
///
/// # Errors
/// [`EditError`]; the file is as it was.
pub fn add(path: &Path, entry: &KeyEntry) -> Result<(), EditError> {
    change(path, true, |text, keys| {
        let mut ring = KeyRing::default();
        let all = keys.iter().map(|(_, key)| key).chain([entry]);
        for key in all {
            ring.add(key.clone()).map_err(EditError::Refused)?;
        }
        let mut changed = text.to_owned();
        if !changed.is_empty() && !changed.ends_with('\n') {
            changed.push('\n');
        }
        changed.push_str(&line::write(entry));
        changed.push('\n');
        Ok(changed)
    })
}

/// Removes the key with this name.
///
/// # Errors
/// [`EditError`]; the file is as it was.
pub fn remove(path: &Path, name: &str) -> Result<(), EditError> {
    change(path, false, |text, keys| {
        let found = keys.iter().find(|(_, key)| key.name == name);
        let (number, _) = found.ok_or_else(|| EditError::NoSuchKey(name.to_owned()))?;
        let lines = text.split_inclusive('\n').enumerate();
        let others = lines.filter(|(index, _)| index + 1 != *number);
        Ok(others.map(|(_, line)| line).collect())
    })
}

/// Replaces the text of a file.
fn change(
    path: &Path,
    may_be_new: bool,
    edit: impl Fn(&str, &[file::NumberedKey]) -> Result<String, EditError>,
) -> Result<(), EditError> {
    for _ in 0..MOST_ATTEMPTS {
        // The file itself is replaced, not a link that leads to it.
        let place = path.canonicalize().unwrap_or_else(|_| new_place(path));
        let Some(locked) = Locked::open(&place, may_be_new)? else {
            continue;
        };
        let changed = edit(&locked.text, &locked.keys)?;
        let written = locked.replace(&changed);
        return written.map_err(|error| EditError::Unwritable { path: place, error });
    }
    Err(EditError::Busy(path.to_owned()))
}

/// Where a new file is made, with the folder written out: that of a bare name is the current one.
fn new_place(path: &Path) -> PathBuf {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// A file that no other command changes.
struct Locked<'p> {
    place: &'p Path,
    file: File,
    text: String,
    keys: Vec<file::NumberedKey>,
}

impl<'p> Locked<'p> {
    /// Opens, locks and reads a file; none if another command replaced it meanwhile.
    fn open(place: &'p Path, may_be_new: bool) -> Result<Option<Self>, EditError> {
        let unusable = |error: FileError| EditError::Unusable {
            path: place.to_owned(),
            error,
        };
        let file = opened(place, may_be_new).map_err(|error| unusable(error.into()))?;
        if !file.metadata().is_ok_and(|found| found.is_file()) {
            return Err(unusable(FileError::NotAFile));
        }
        if !lock(&file).map_err(|error| unusable(error.into()))? {
            return Err(EditError::Busy(place.to_owned()));
        }
        if !is_at(&file, place) {
            return Ok(None);
        }
        let bytes = file::guarded(&file).map_err(unusable)?;
        let findings = |findings: Vec<Finding>| first(place, &findings);
        let text = String::from_utf8(bytes).map_err(|_| EditError::Findings {
            path: place.to_owned(),
            finding: "it must be UTF-8 text".to_owned(),
        })?;
        Ok(Some(Self {
            place,
            file,
            keys: file::parse(&text).map_err(findings)?,
            text,
        }))
    }

    /// Replaces the file by one with the same owner, group and mode.
    fn replace(&self, text: &str) -> io::Result<()> {
        let aside = aside(self.place);
        let written = self.write_aside(&aside, text);
        let replaced = written.and_then(|()| fs::rename(&aside, self.place));
        if replaced.is_err() {
            // Fails where it was not made.
            let _ = fs::remove_file(&aside);
        }
        replaced?;
        // The change is made. Some file systems cannot put a folder on the disk; then only a loss of power could undo it.
        if let Some(Ok(folder)) = self.place.parent().map(File::open) {
            let _ = folder.sync_all();
        }
        Ok(())
    }

    fn write_aside(&self, aside: &Path, text: &str) -> io::Result<()> {
        let before = self.file.metadata()?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(before.mode() & 0o600)
            .open(aside)?;
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
            // Without its owner and group the gateway could perhaps not read it any more.
            fchown(&file, Some(before.uid()), Some(before.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(before.mode() & 0o7777))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }
}

/// Locks a file; false if another command has it for too long.
fn lock(file: &File) -> io::Result<bool> {
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn opened(place: &Path, may_be_new: bool) -> io::Result<File> {
    match OpenOptions::new().read(true).open(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && may_be_new => {
            make(place)?;
            File::open(place)
        }
        opened => opened,
    }
}

/// Makes the file. Another command may have made it at the same time.
fn make(place: &Path) -> io::Result<()> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(place);
    match made {
        Ok(mut file) => file.write_all(HEAD.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether the path leads to this file.
fn is_at(file: &File, place: &Path) -> bool {
    let number = |found: fs::Metadata| (found.dev(), found.ino());
    let (ours, there) = (file.metadata().map(number), fs::metadata(place).map(number));
    matches!((ours, there), (Ok(ours), Ok(there)) if ours == there)
}

fn first(place: &Path, findings: &[Finding]) -> EditError {
    let finding = findings.first();
    let finding = finding.map(|finding| finding.in_file(Path::new("line")).to_string());
    EditError::Findings {
        path: place.to_owned(),
        finding: finding.unwrap_or_default(),
    }
}

fn aside(place: &Path) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use mcp_gateway_core::token::api_key::text::{ApiKey, new_key};

    use super::*;

    fn entry(name: &str, seed: u8) -> KeyEntry {
        let key = new_key(&[seed; 64]).unwrap();
        let digest = ApiKey::parse(&key).unwrap().digest();
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        line::read(&format!(
            r#"{{"name":"{name}","sha256":"{digest}","subject":"ci","resources":"all","expires":"never"}}"#
        ))
        .unwrap()
    }

    fn names(path: &Path) -> Vec<String> {
        let keys = file::read(path).unwrap();
        keys.into_iter().map(|(_, key)| key.name).collect()
    }

    #[test]
    fn keys_are_added_and_removed_and_other_lines_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.jsonl");
        add(&path, &entry("one", 1)).unwrap();
        let made = fs::read_to_string(&path).unwrap();
        assert!(made.starts_with("# API keys"), "{made}");
        let mode = fs::metadata(&path).unwrap().mode() & 0o777;
        assert_eq!(mode & !0o640, 0, "{mode:o}");
        fs::write(&path, format!("{made}\n# Ours, by hand:")).unwrap();
        add(&path, &entry("two", 2)).unwrap();
        assert_eq!(names(&path), ["one", "two"]);
        remove(&path, "one").unwrap();
        let left = fs::read_to_string(&path).unwrap();
        assert!(
            left.contains("\n# Ours, by hand:\n{\"name\":\"two\""),
            "{left}"
        );
        remove(&path, "two").unwrap();
        assert!(names(&path).is_empty());
        let entries = fs::read_dir(folder.path()).unwrap();
        assert_eq!(entries.count(), 1, "nothing else is left");
    }

    #[test]
    fn the_folder_of_a_bare_name_is_the_current_one() {
        let here = std::env::current_dir().unwrap().canonicalize().unwrap();
        for path in ["no-such-file", "./no-such-file"] {
            assert_eq!(new_place(Path::new(path)), here.join("no-such-file"));
        }
        let nowhere = Path::new("/no/such/folder/keys.jsonl");
        assert_eq!(new_place(nowhere), nowhere);
    }

    #[test]
    fn mode_and_links_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("keys.jsonl"), folder.path().join("link"));
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
        symlink("keys.jsonl", &link).unwrap();
        add(&link, &entry("one", 1)).unwrap();
        assert_eq!(names(&path), ["one"]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o604);
        assert!(link.symlink_metadata().unwrap().is_symlink());
    }

    #[test]
    fn what_cannot_be_done_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.jsonl");
        assert!(matches!(
            remove(&path, "one"),
            Err(EditError::Unusable { .. })
        ));
        assert!(!path.exists());
        add(&path, &entry("one", 1)).unwrap();
        let before = fs::read_to_string(&path).unwrap();
        for (outcome, expected) in [
            (
                add(&path, &entry("one", 2)),
                "another key has the same name",
            ),
            (
                add(&path, &entry("two", 1)),
                "another entry has the same digest",
            ),
            (remove(&path, "two"), "no key has the name two"),
        ] {
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
        fs::write(&path, format!("{before}{{}}\n")).unwrap();
        let error = add(&path, &entry("two", 2)).unwrap_err().to_string();
        assert!(error.contains("line:3:1: name: is missing"), "{error}");
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let error = add(&path, &entry("two", 2)).unwrap_err().to_string();
        assert!(
            error.contains("must not be writable by all users"),
            "{error}"
        );
        let error = add(folder.path(), &entry("two", 2))
            .unwrap_err()
            .to_string();
        assert!(error.contains("is not a regular file"), "{error}");
    }

    #[test]
    fn commands_at_the_same_time_all_have_their_effect() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.jsonl");
        thread::scope(|scope| {
            for seed in 0..8 {
                let path = &path;
                scope.spawn(move || add(path, &entry(&format!("k{seed}"), seed)).unwrap());
            }
        });
        let mut found = names(&path);
        found.sort();
        assert_eq!(found, ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"]);
    }
}

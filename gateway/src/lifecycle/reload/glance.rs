//! What a glance at the files shows, without reading them: enough to notice a change where the system reports none, as on
//! network file systems and below mounts that were replaced.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    time::Duration,
};

use mcp_gateway_core::time::UnixTime;

use crate::clock;

/// How old a change must be until a later one cannot have the same time: some file systems count in steps of a second or two.
const COARSEST_TIME: Duration = Duration::from_secs(2);

/// The files as a glance shows them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Glance(BTreeMap<PathBuf, Option<Look>>);

/// One file. A changed file has another one, unless its times were set back.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    /// Device and inode: other ones after a rename, the switch of a link, and a mount.
    place: (u64, u64),
    size: u64,
    mode: u32,
    /// When the content changed, and when anything changed: seconds and nanoseconds.
    changed: [(i64, i64); 2],
    /// Changed just now: another change may follow with the same time, so it is looked at again.
    is_recent: bool,
}

impl Glance {
    /// At these files, which are not opened.
    pub(super) fn at(files: &BTreeSet<PathBuf>) -> Self {
        let now = clock::now();
        let look = |path: &PathBuf| {
            let found = fs::metadata(path).ok().map(|file| Look::of(&file, now));
            (path.clone(), found)
        };
        Self(files.iter().map(look).collect())
    }
}

impl Look {
    fn of(file: &Metadata, now: UnixTime) -> Self {
        let changed = [
            (file.mtime(), file.mtime_nsec()),
            (file.ctime(), file.ctime_nsec()),
        ];
        let newest = UnixTime::new(file.mtime().max(file.ctime()));
        Self {
            place: (file.dev(), file.ino()),
            size: file.size(),
            mode: file.mode(),
            changed,
            is_recent: now.since(newest) <= COARSEST_TIME,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt, thread::sleep};

    use super::*;

    #[test]
    fn a_glance_shows_every_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let other = folder.path().join("other");
        let files = BTreeSet::from([path.clone()]);
        let changes: [(&str, &dyn Fn()); 6] = [
            ("created", &|| fs::write(&path, "1").unwrap()),
            ("written in place", &|| fs::write(&path, "22").unwrap()),
            ("the same size", &|| fs::write(&path, "33").unwrap()),
            ("replaced", &|| {
                fs::write(&other, "33").unwrap();
                fs::rename(&other, &path).unwrap();
            }),
            ("other permissions", &|| {
                fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            }),
            ("removed", &|| fs::remove_file(&path).unwrap()),
        ];
        for (name, change) in changes {
            let before = Glance::at(&files);
            // The time of a file moves in steps of a few milliseconds.
            sleep(Duration::from_millis(20));
            change();
            assert_ne!(before, Glance::at(&files), "{name}");
        }
    }

    #[test]
    fn a_recent_change_is_looked_at_again_when_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "1").unwrap();
        let file = fs::metadata(&path).unwrap();
        let changed = UnixTime::new(file.mtime().max(file.ctime()));
        let after = |seconds| Look::of(&file, changed.plus(Duration::from_secs(seconds)));
        assert_eq!(after(0), after(2));
        assert_ne!(after(2), after(3));
        assert_eq!(after(3), after(9));
    }

    #[test]
    fn files_at_rest_look_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "1").unwrap();
        let files = BTreeSet::from([path.clone(), folder.path().join("missing")]);
        let before = Glance::at(&files);
        fs::read(&path).unwrap();
        assert_eq!(before, Glance::at(&files));
    }
}

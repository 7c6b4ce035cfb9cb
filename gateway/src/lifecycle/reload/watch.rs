//! Requests a reload when a file may have changed.
//!
//! Directories are watched, not files: editors write a new file and rename it over the old one, and Kubernetes replaces a
//! symbolic link above all files of a mount. So every directory is watched in which a part of a file's path is looked up:
//! the file's own directory, and the directories of symbolic links on its path. If a directory is missing, the nearest
//! existing one above it is watched until it is created.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::{Component, Path, PathBuf},
};

use notify::{
    ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode},
};

use super::trigger::ReloadTrigger;

/// Symbolic links on the path of one file; the same limit as in Linux.
const MAX_LINKS: usize = 40;

/// The watched directories.
#[derive(Debug)]
pub(crate) struct FileWatch {
    trigger: ReloadTrigger,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    has_warned: bool,
}

impl FileWatch {
    pub(crate) const fn new(trigger: ReloadTrigger) -> Self {
        Self {
            trigger,
            watcher: None,
            watched: BTreeSet::new(),
            has_warned: false,
        }
    }

    /// Watches these files from now on, and no others. A failure is logged once; SIGHUP works without a watch.
    pub(crate) fn watch_files(&mut self, files: &BTreeSet<PathBuf>) {
        let mut directories = BTreeSet::new();
        for file in files {
            add_directories(file, &mut directories);
        }
        if let Err(error) = self.watch_directories(directories)
            && !self.has_warned
        {
            self.has_warned = true;
            tracing::warn!(
                "cannot watch the configuration files (reload.watch), send SIGHUP after each change: {error}"
            );
        }
    }

    /// Stops watching.
    pub(crate) fn stop(&mut self) {
        self.watcher = None;
        self.watched.clear();
    }

    /// Watches every directory again, even one that is watched: another directory may have replaced it.
    fn watch_directories(&mut self, directories: BTreeSet<PathBuf>) -> notify::Result<()> {
        let watcher = match &mut self.watcher {
            Some(watcher) => watcher,
            none => none.insert(watcher(self.trigger.clone())?),
        };
        for gone in self.watched.difference(&directories) {
            // A directory that was removed is not watched any more, so an error does not matter.
            let _ = watcher.unwatch(gone);
        }
        self.watched = directories;
        let mut watched = Ok(());
        for directory in &self.watched {
            match watcher.watch(directory, RecursiveMode::NonRecursive) {
                Ok(()) => {}
                // The directory was removed just now: the next check finds what is there instead.
                Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => {
                    self.trigger.request()
                }
                Err(error) => watched = Err(error),
            }
        }
        watched
    }
}

fn watcher(trigger: ReloadTrigger) -> notify::Result<RecommendedWatcher> {
    notify::recommended_watcher(move |event: notify::Result<Event>| {
        if !event.is_ok_and(|event| only_reads(event.kind)) {
            trigger.request();
        }
    })
}

/// Reading files, as the gateway itself does, changes nothing.
const fn only_reads(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if !matches!(access, AccessKind::Close(AccessMode::Write)))
}

/// Adds every directory in which a change can change where `path` leads.
fn add_directories(path: &Path, directories: &mut BTreeSet<PathBuf>) {
    let Ok(path) = std::path::absolute(path) else {
        return;
    };
    let mut links = 0;
    let mut current = PathBuf::from("/");
    let mut steps = steps(&path);
    while let Some(step) = steps.pop() {
        if step == ".." {
            current.pop();
            continue;
        }
        let next = current.join(&step);
        let target = fs::read_link(&next).ok().filter(|_| links < MAX_LINKS);
        if let Some(target) = target {
            links += 1;
            directories.insert(current.clone());
            if target.is_absolute() {
                current = PathBuf::from("/");
            }
            steps.extend(self::steps(&target));
        } else if next.is_dir() {
            current = next;
        } else {
            break;
        }
    }
    directories.insert(current);
}

/// The parts of a path, the first one last.
fn steps(path: &Path) -> Vec<OsString> {
    let steps = path.components().rev();
    steps
        .filter(|step| matches!(step, Component::Normal(_) | Component::ParentDir))
        .map(|step| step.as_os_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn directories(path: &Path) -> Vec<PathBuf> {
        let mut directories = BTreeSet::new();
        add_directories(path, &mut directories);
        directories.into_iter().collect()
    }

    #[test]
    fn every_directory_on_the_path_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        // As Kubernetes mounts a secret.
        fs::create_dir_all(root.join("mount/..2026_01")).unwrap();
        fs::write(root.join("mount/..2026_01/tls.crt"), "x").unwrap();
        symlink("..2026_01", root.join("mount/..data")).unwrap();
        symlink("..data/tls.crt", root.join("mount/tls.crt")).unwrap();
        // A link elsewhere, and a circular one.
        fs::create_dir(root.join("links")).unwrap();
        symlink(root.join("mount"), root.join("links/there")).unwrap();
        symlink("circle", root.join("links/circle")).unwrap();
        let at = |names: &[&str]| names.iter().map(|name| root.join(name)).collect::<Vec<_>>();
        let cases: [(&str, &[&str]); 7] = [
            ("mount/..2026_01/tls.crt", &["mount/..2026_01"]),
            ("mount/tls.crt", &["mount", "mount/..2026_01"]),
            ("links/../mount/..2026_01/tls.crt", &["mount/..2026_01"]),
            (
                "links/there/tls.crt",
                &["links", "mount", "mount/..2026_01"],
            ),
            ("mount/missing", &["mount"]),
            ("mount/missing/too/tls.crt", &["mount"]),
            ("links/circle", &["links"]),
        ];
        for (path, expected) in cases {
            assert_eq!(directories(&root.join(path)), at(expected), "{path}");
        }
    }
}

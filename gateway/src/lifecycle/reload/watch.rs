//! Requests a reload when a file may have changed.
//!
//! Directories are watched: editors write a new file and rename it over the old one, and Kubernetes replaces a symbolic link
//! above all files of a mount. So every directory is watched in which a part of a file's path is looked up: the file's own
//! directory, and the directories of symbolic links on its path. If a directory is missing, the nearest existing one above it
//! is watched until it is created. Other files of these directories, such as logs, cause no reload.
//!
//! The files are watched as well: one that is a mount of its own is written elsewhere, in a directory that is not seen here.
//! A file that a program has written and not closed yet may be half-written; it is not read yet.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use notify::{
    ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode},
};

use super::{trigger::ReloadTrigger, writers::Writers};

/// Symbolic links on the path of one file; the same limit as in Linux.
const MAX_LINKS: usize = 40;

/// The watched directories and files.
#[derive(Debug)]
pub(crate) struct FileWatch {
    trigger: ReloadTrigger,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    writers: Arc<Writers>,
    /// The paths whose changes matter: read by the watcher's thread.
    relevant: Arc<ArcSwap<BTreeSet<PathBuf>>>,
    has_warned: bool,
}

impl FileWatch {
    pub(crate) fn new(trigger: ReloadTrigger) -> Self {
        Self {
            trigger,
            watcher: None,
            watched: BTreeSet::new(),
            writers: Arc::default(),
            relevant: Arc::default(),
            has_warned: false,
        }
    }

    /// Whether a program is still writing one of the files.
    pub(crate) fn is_being_written(&self) -> bool {
        self.writers.are_writing()
    }

    /// Watches these files from now on, and no others. A failure is logged once; a glance each second notices changes without
    /// a watch.
    pub(crate) fn watch_files(&mut self, files: &BTreeSet<PathBuf>) {
        let mut watched = BTreeSet::new();
        let mut relevant = BTreeSet::new();
        for file in files {
            add_lookups(file, &mut watched, &mut relevant);
        }
        // A directory can be removed, too.
        relevant.extend(watched.iter().cloned());
        watched.extend(relevant.iter().filter(|entry| is_file(entry)).cloned());
        self.relevant.store(Arc::new(relevant));
        if let Err(error) = self.watch_all(watched)
            && !self.has_warned
        {
            self.has_warned = true;
            tracing::warn!(
                "the system does not report changes of the configuration files (reload.watch): the gateway looks at them each second: {error}"
            );
        }
    }

    /// Stops watching.
    pub(crate) fn stop(&mut self) {
        self.watcher = None;
        self.watched.clear();
        self.writers.forget_all();
    }

    /// Watches every path again, even one that is watched: another directory or file may have replaced it.
    fn watch_all(&mut self, paths: BTreeSet<PathBuf>) -> notify::Result<()> {
        let watcher = match &mut self.watcher {
            Some(watcher) => watcher,
            none => none.insert(watcher(
                self.trigger.clone(),
                self.relevant.clone(),
                self.writers.clone(),
            )?),
        };
        for gone in self.watched.difference(&paths) {
            // What was removed is not watched any more, so an error does not matter.
            let _ = watcher.unwatch(gone);
        }
        self.watched = paths;
        let mut watched = Ok(());
        for path in &self.watched {
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {}
                // The path was removed just now: the next check finds what is there instead.
                Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => {
                    self.trigger.request()
                }
                Err(error) => watched = Err(error),
            }
        }
        watched
    }
}

fn watcher(
    trigger: ReloadTrigger,
    relevant: Arc<ArcSwap<BTreeSet<PathBuf>>>,
    writers: Arc<Writers>,
) -> notify::Result<RecommendedWatcher> {
    notify::recommended_watcher(move |event: notify::Result<Event>| {
        let is_relevant = event.map_or(true, |event| {
            let is_relevant = is_relevant(&event, &relevant.load());
            if is_relevant {
                writers.note(&event);
            }
            is_relevant
        });
        // An error may mean that events were lost.
        if is_relevant {
            trigger.request();
        }
    })
}

fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|entry| entry.is_file())
}

/// Whether the event can change where a path leads, or what its file contains.
fn is_relevant(event: &Event, relevant: &BTreeSet<PathBuf>) -> bool {
    let names_one = || event.paths.iter().any(|path| relevant.contains(path));
    !only_reads(event.kind) && (event.need_rescan() || event.paths.is_empty() || names_one())
}

/// Reading files, as the gateway itself does, changes nothing.
const fn only_reads(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if !matches!(access, AccessKind::Close(AccessMode::Write)))
}

/// Adds every directory in which a change can change where `path` leads, and the entries that are looked up in them.
fn add_lookups(path: &Path, directories: &mut BTreeSet<PathBuf>, entries: &mut BTreeSet<PathBuf>) {
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
            entries.insert(next);
            if target.is_absolute() {
                current = PathBuf::from("/");
            }
            steps.extend(self::steps(&target));
        } else if next.is_dir() {
            current = next;
        } else {
            entries.insert(next);
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

    use notify::event::{DataChange, ModifyKind};

    use super::*;

    fn lookups(path: &Path) -> (Vec<PathBuf>, BTreeSet<PathBuf>) {
        let mut directories = BTreeSet::new();
        let mut entries = BTreeSet::new();
        add_lookups(path, &mut directories, &mut entries);
        (directories.into_iter().collect(), entries)
    }

    fn directories(path: &Path) -> Vec<PathBuf> {
        lookups(path).0
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

    #[test]
    fn other_files_of_a_watched_directory_are_not_relevant() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir(root.join("..2026_01")).unwrap();
        fs::write(root.join("..2026_01/tls.crt"), "x").unwrap();
        symlink("..2026_01", root.join("..data")).unwrap();
        symlink("..data/tls.crt", root.join("tls.crt")).unwrap();
        let (_, entries) = lookups(&root.join("tls.crt"));
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let event = |name: &str| Event::new(written).add_path(root.join(name));
        for (name, expected) in [
            ("tls.crt", true),
            ("..data", true),
            ("..2026_01/tls.crt", true),
            ("audit.log", false),
            ("..data_tmp", false),
        ] {
            assert_eq!(is_relevant(&event(name), &entries), expected, "{name}");
        }
        let (_, missing) = lookups(&root.join("missing/too/tls.crt"));
        assert!(is_relevant(&event("missing"), &missing));
        // An overflow of the kernel's queue names no path.
        assert!(is_relevant(&Event::new(EventKind::Other), &missing));
    }
}

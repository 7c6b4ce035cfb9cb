//! The store of tasks: a list in memory, saved in a JSON file that is never half written.
//!
//! Readers get the present list without waiting. Writers take turns; a change is visible, and subscribers are notified,
//! only after its file is on disk: temporary file in the same directory, `fsync`, rename, `fsync` of the
//! directory. One process owns one file.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use time::OffsetDateTime;
use tokio::sync::{Mutex, broadcast};

use crate::tasks::task::{NewTask, Task, TaskError, TaskId, TaskList};

/// The initial content of the data file.
const SEED: &str = include_str!("../../tasks.json");
/// Largest data file that is read, in bytes; a list at all its limits is smaller.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// How many changes a slow subscriber may fall behind before it is notified that everything may have changed.
const CHANGES_KEPT: usize = 64;

/// The tasks, and their file. Clones share both.
#[derive(Clone, Debug)]
pub struct TaskStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    tasks: ArcSwap<TaskList>,
    /// Held by the one writer whose turn it is, until its file is in place.
    turn: Arc<Mutex<()>>,
    changes: broadcast::Sender<Change>,
}

/// What happened to which task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Added(TaskId),
    Updated(TaskId),
}

impl TaskStore {
    /// Opens the data file, or creates it (and its directory) with five sample tasks when it does not exist.
    ///
    /// Reads and writes the disk before it returns: meant for the start of a program.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] when the file is not a list of tasks: it names the position, and the file stays as it
    /// is. [`StoreError::Io`] when the file cannot be read or created.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let tasks = match read(path) {
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                seed(path)?
            }
            read => read?,
        };
        // Through a symbolic link the rename would replace the link instead of the file.
        let path = fs::canonicalize(path).map_err(|source| StoreError::io(path, source))?;
        let inner = Inner {
            path,
            tasks: ArcSwap::from_pointee(tasks),
            turn: Arc::default(),
            changes: broadcast::Sender::new(CHANGES_KEPT),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The data file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The tasks as they are now.
    pub(crate) fn tasks(&self) -> Arc<TaskList> {
        self.inner.tasks.load_full()
    }

    /// Every later change.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Change> {
        self.inner.changes.subscribe()
    }

    /// Adds a task.
    pub(crate) async fn create(
        &self,
        new: NewTask,
        now: OffsetDateTime,
    ) -> Result<Task, StoreError> {
        self.change(move |tasks| {
            let task = tasks.create(new, now)?;
            Ok((Some(Change::Added(task.id)), task))
        })
        .await
    }

    /// Marks a task as completed.
    pub(crate) async fn complete(
        &self,
        id: TaskId,
        now: OffsetDateTime,
    ) -> Result<Task, StoreError> {
        self.change(move |tasks| {
            let before = tasks.get(id).cloned();
            let task = tasks.complete(id, now)?;
            let changed = before.as_ref() != Some(&task);
            Ok((changed.then_some(Change::Updated(id)), task))
        })
        .await
    }

    /// Waits for its turn, then runs one change to its end on a thread that may block.
    ///
    /// It completes even if the caller is dropped meanwhile: the turn belongs to the change, not to the caller.
    async fn change<F>(&self, change: F) -> Result<Task, StoreError>
    where
        F: FnOnce(&mut TaskList) -> Result<(Option<Change>, Task), TaskError> + Send + 'static,
    {
        let turn = Arc::clone(&self.inner.turn).lock_owned().await;
        let inner = Arc::clone(&self.inner);
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            inner.apply(change)
        });
        work.await.map_err(|_| StoreError::Interrupted)?
    }
}

impl Inner {
    fn apply<F>(&self, change: F) -> Result<Task, StoreError>
    where
        F: FnOnce(&mut TaskList) -> Result<(Option<Change>, Task), TaskError>,
    {
        let mut tasks = TaskList::clone(&self.tasks.load());
        let (change, task) = change(&mut tasks)?;
        if let Some(change) = change {
            write(&self.path, &tasks)?;
            self.tasks.store(Arc::new(tasks));
            // Sending without a subscriber is not an error.
            let _ = self.changes.send(change);
        }
        Ok(task)
    }
}

fn read(path: &Path) -> Result<TaskList, StoreError> {
    let failed = |source| StoreError::io(path, source);
    let file = File::open(path).map_err(failed)?;
    let mut text = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(StoreError::TooLarge {
            path: path.to_owned(),
        });
    }
    serde_json::from_slice(&text).map_err(|source| StoreError::Damaged {
        path: path.to_owned(),
        source,
    })
}

fn seed(path: &Path) -> Result<TaskList, StoreError> {
    let tasks = serde_json::from_str(SEED).map_err(|source| StoreError::Damaged {
        path: "the built-in tasks.json".into(),
        source,
    })?;
    fs::create_dir_all(directory(path)).map_err(|source| StoreError::io(path, source))?;
    write(path, &tasks)?;
    Ok(tasks)
}

fn write(path: &Path, tasks: &TaskList) -> Result<(), StoreError> {
    replace(path, tasks).map_err(|source| StoreError::io(path, source))
}

/// Replaces the old content with the new: a reader sees one or the other, also after a power failure.
fn replace(path: &Path, tasks: &TaskList) -> io::Result<()> {
    let directory = directory(path);
    // The temporary file removes itself when anything below fails.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    let mut text = serde_json::to_vec_pretty(tasks)?;
    text.push(b'\n');
    file.write_all(&text)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(directory)?.sync_all()
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Why tasks could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The data file is not a list of tasks.
    #[error("{} is damaged and was not changed: {source}", path.display())]
    Damaged {
        /// The data file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// The data file is larger than any list of tasks within the limits.
    #[error("{} is larger than {MAX_FILE_BYTES} bytes and was not changed", path.display())]
    TooLarge {
        /// The data file.
        path: PathBuf,
    },
    /// The data file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The data file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The change itself is refused; nothing was written.
    #[error("{0}")]
    Refused(String),
    /// The program was shut down while the change was made.
    #[error("the change was interrupted")]
    Interrupted,
}

impl StoreError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

impl From<TaskError> for StoreError {
    fn from(error: TaskError) -> Self {
        Self::Refused(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-08-22 12:00 UTC);

    fn new_task(title: &str) -> NewTask {
        serde_json::from_value(serde_json::json!({ "title": title })).unwrap()
    }

    fn files_in(directory: &Path) -> Vec<String> {
        fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_missing_file_is_created_with_the_sample_tasks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/directory/tasks.json");
        let store = TaskStore::open(&path).unwrap();
        assert_eq!(store.tasks().len(), 5);
        assert_eq!(read(&path).unwrap(), *store.tasks());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_hundred_concurrent_writers_lose_no_task_and_leave_no_temporary_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tasks.json");
        let store = TaskStore::open(&path).unwrap();
        let writers = (0..100).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .create(new_task(&format!("task of writer {n}")), NOW)
                    .await
            })
        });
        let mut ids = BTreeSet::new();
        for writer in writers.collect::<Vec<_>>() {
            ids.insert(writer.await.unwrap().unwrap().id);
        }
        assert_eq!(ids.len(), 100);

        let after_restart = TaskStore::open(&path).unwrap();
        assert_eq!(after_restart.tasks().len(), 105);
        assert_eq!(*after_restart.tasks(), *store.tasks());
        assert_eq!(files_in(directory.path()), ["tasks.json"]);
    }

    #[tokio::test]
    async fn a_change_outlives_its_caller_and_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tasks.json");
        let store = TaskStore::open(&path).unwrap();
        let id = "task-1".parse().unwrap();
        let mut changes = store.changes();
        // Polled once, then dropped: the caller is gone while the file is written.
        tokio::select! { biased; _ = store.complete(id, NOW) => {} () = std::future::ready(()) => {} }
        assert_eq!(changes.recv().await.unwrap(), Change::Updated(id));
        assert_eq!(
            TaskStore::open(&path)
                .unwrap()
                .tasks()
                .get(id)
                .unwrap()
                .completed_at,
            Some(NOW)
        );
    }

    #[tokio::test]
    async fn a_change_without_effect_is_neither_notified_nor_written() {
        let directory = tempfile::tempdir().unwrap();
        let store = TaskStore::open(directory.path().join("tasks.json")).unwrap();
        let mut changes = store.changes();
        let before = fs::metadata(store.path()).unwrap().modified().unwrap();
        store
            .complete("task-5".parse().unwrap(), NOW)
            .await
            .unwrap();
        let refused = store
            .complete("task-77".parse().unwrap(), NOW)
            .await
            .unwrap_err();
        assert_eq!(refused.to_string(), "there is no task-77");
        assert!(changes.try_recv().is_err());
        assert_eq!(
            fs::metadata(store.path()).unwrap().modified().unwrap(),
            before
        );
    }

    #[test]
    fn a_damaged_file_is_named_with_its_position_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tasks.json");
        let cases = [
            ("truncated", &SEED[..300], "EOF"),
            ("empty", "", "line 1 column 0"),
            ("of another shape", "[]", "line 1 column"),
            (
                "with an impossible date",
                &SEED.replace("2026-10-15", "2026-13-15"),
                "line 34 column",
            ),
            (
                "with a duplicate id",
                &SEED.replace("task-2", "task-1"),
                "duplicate task id task-1",
            ),
            (
                "with an unknown field",
                &SEED.replace("\"description\"", "\"descripton\""),
                "unknown field `descripton`",
            ),
        ];
        for (name, text, expected) in cases {
            fs::write(&path, text).unwrap();
            let error = TaskStore::open(&path).unwrap_err().to_string();
            assert!(
                error.contains(expected) && error.contains(path.to_str().unwrap()),
                "{name}: {error}"
            );
            assert!(error.contains("line"), "{name}: {error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "{name}");
        }
    }

    #[tokio::test]
    async fn a_failed_write_keeps_the_old_tasks_and_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tasks.json");
        let store = TaskStore::open(&path).unwrap();
        let before = store.tasks();
        // A directory at the path of the file: the temporary file can be written, but not renamed.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(
            store.create(new_task("lost"), NOW).await,
            Err(StoreError::Io { .. })
        ));
        assert_eq!(*store.tasks(), *before);
        assert_eq!(files_in(directory.path()), ["tasks.json"]);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_symbolic_link_is_followed_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("real.json");
        let link = directory.path().join("link.json");
        TaskStore::open(&file).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        TaskStore::open(&link)
            .unwrap()
            .create(new_task("through the link"), NOW)
            .await
            .unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(TaskStore::open(&file).unwrap().tasks().len(), 6);
    }
}

//! Files that a program has written and not closed yet. What is in them may be half of what it will be, and half of a valid
//! configuration can be valid.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use notify::{
    Event, EventKind,
    event::{AccessKind, AccessMode, ModifyKind},
};

/// How long after its last write a file that stays open is waited for: some programs never close one.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The files that are being written, with the time of the last write. As many as there are files in the configuration.
#[derive(Debug, Default)]
pub(super) struct Writers(Mutex<BTreeMap<PathBuf, Instant>>);

impl Writers {
    /// Notes an event of a file that matters.
    pub(super) fn note(&self, event: &Event) {
        let mut writing = self.lock();
        for path in &event.paths {
            match event.kind {
                EventKind::Modify(ModifyKind::Data(_)) => {
                    writing.insert(path.clone(), Instant::now());
                }
                // Closed, or another file has this name now.
                EventKind::Access(AccessKind::Close(AccessMode::Write))
                | EventKind::Modify(ModifyKind::Name(_))
                | EventKind::Create(_)
                | EventKind::Remove(_) => {
                    writing.remove(path);
                }
                _ => {}
            }
        }
    }

    /// Whether a file is being written.
    pub(super) fn are_writing(&self) -> bool {
        let mut writing = self.lock();
        writing.retain(|_, last| last.elapsed() < LONGEST_PAUSE);
        !writing.is_empty()
    }

    /// Forgets all of them: closing is not noticed any more.
    pub(super) fn forget_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, RemoveKind, RenameMode};

    use super::*;

    #[test]
    fn a_written_file_is_waited_for_until_it_is_closed_or_replaced() {
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let event = |kind, path: &str| Event::new(kind).add_path(path.into());
        for end in [
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            EventKind::Modify(ModifyKind::Name(RenameMode::To)),
            EventKind::Create(CreateKind::File),
            EventKind::Remove(RemoveKind::File),
        ] {
            let writers = Writers::default();
            writers.note(&event(written, "/a"));
            assert!(writers.are_writing());
            writers.note(&event(
                EventKind::Access(AccessKind::Open(AccessMode::Any)),
                "/a",
            ));
            writers.note(&event(end, "/b"));
            assert!(writers.are_writing());
            writers.note(&event(end, "/a"));
            assert!(!writers.are_writing(), "{end:?}");
        }
    }
}

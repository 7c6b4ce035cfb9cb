//! Counts the walks over documents, for tests that limit their number.

use std::cell::Cell;

thread_local! {
    static WALKS: Cell<usize> = const { Cell::new(0) };
}

/// Counts one walk over a whole document or a part of it.
pub(super) fn count() {
    WALKS.set(WALKS.get() + 1);
}

/// The number of walks of this thread while a function runs.
pub(crate) fn of<T>(run: impl FnOnce() -> T) -> (usize, T) {
    let before = WALKS.get();
    let done = run();
    (WALKS.get() - before, done)
}

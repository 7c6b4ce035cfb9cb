//! How often documents were walked over, for tests that hold how often that may be.

use std::cell::Cell;

thread_local! {
    static WALKS: Cell<usize> = const { Cell::new(0) };
}

/// Notes one walk over a whole document or a part of it.
pub(super) fn count() {
    WALKS.set(WALKS.get() + 1);
}

/// The walks of this thread while something runs.
pub(crate) fn of<T>(run: impl FnOnce() -> T) -> (usize, T) {
    let before = WALKS.get();
    let done = run();
    (WALKS.get() - before, done)
}

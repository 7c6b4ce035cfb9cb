//! Where the database is: open, being opened, or closed. A store is closed for a moment when a new process takes over, and is opened
//! again after a commit has failed, since redb then refuses everything.

use std::{
    fmt,
    sync::{Mutex, PoisonError, RwLock},
};

use redb::Database;

use crate::authorization_server::store::error::OpenError;

/// Opens the database.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, OpenError> + Send + Sync>;

/// A database, and how to open it.
pub(super) struct Place {
    opener: Opener,
    state: RwLock<State>,
    /// Held while it is being opened.
    opening: Mutex<()>,
}

enum State {
    /// It can be used.
    Open(Database),
    /// It is being opened.
    Opening,
    /// It was closed so that another process can have it.
    Left,
    /// It failed, or could not be opened.
    Failed,
}

impl fmt::Debug for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Place(is_open: {})", self.is_open())
    }
}

impl Place {
    /// A place whose database is open.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn open(opener: Opener) -> Result<Self, OpenError> {
        let database = opener()?;
        Ok(Self {
            opener,
            state: RwLock::new(State::Open(database)),
            opening: Mutex::new(()),
        })
    }

    /// Whether the database is open.
    pub(super) fn is_open(&self) -> bool {
        self.with(|_| ()).is_some()
    }

    /// Uses the database while it is open. It stays open until `using` returns.
    pub(super) fn with<T>(&self, using: impl FnOnce(&Database) -> T) -> Option<T> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Open(database) => Some(using(database)),
            State::Opening | State::Left | State::Failed => None,
        }
    }

    /// Whether the database has failed, so that it must be opened again.
    pub(super) fn has_failed(&self) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        matches!(*state, State::Failed)
    }

    /// Closes the database as soon as nobody uses it, for another process.
    pub(super) fn leave(&self) {
        drop(self.exchange(State::Left));
    }

    /// Closes a database that has failed.
    pub(super) fn fail(&self) {
        drop(self.exchange(State::Failed));
    }

    /// Opens the database, unless it is open.
    ///
    /// # Errors
    /// It has failed.
    pub(super) fn reopen(&self) -> Result<(), OpenError> {
        let _one = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_open() {
            return Ok(());
        }
        self.exchange(State::Opening);
        let (state, opened) = match (self.opener)() {
            Ok(database) => (State::Open(database), Ok(())),
            Err(error) => (State::Failed, Err(error)),
        };
        self.exchange(state);
        opened
    }

    fn exchange(&self, state: State) -> State {
        let mut current = self.state.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, state)
    }
}

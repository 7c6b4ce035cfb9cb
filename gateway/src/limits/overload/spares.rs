//! Descriptors held back for a listener that must answer when the process has none left.
//!
//! They refer to a socket that is not used. Closing one makes room for a connection. When the connection ends, its descriptor
//! becomes a spare again in one step: if it were closed first, another thread that waits for a descriptor would take it.

use std::{
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixDatagram,
    },
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Descriptors held back, at most a number of them.
#[derive(Debug)]
pub(crate) struct Spares {
    most: usize,
    /// What they refer to; none where it could not be opened.
    unused: Option<UnixDatagram>,
    kept: Mutex<Vec<OwnedFd>>,
}

impl Spares {
    /// Holds `most` descriptors back, or as many of them as there are.
    pub(crate) fn hold(most: usize) -> Self {
        let spares = Self {
            most,
            unused: UnixDatagram::unbound().ok(),
            kept: Mutex::default(),
        };
        spares.fill();
        spares
    }

    /// Holds more descriptors back, while some are missing and the process has any.
    pub(crate) fn fill(&self) {
        let mut kept = self.kept();
        while kept.len() < self.most
            && let Some(unused) = &self.unused
            && let Ok(spare) = unused.as_fd().try_clone_to_owned()
        {
            kept.push(spare);
        }
    }

    /// Closes one, so that another descriptor can be opened. False where none is left.
    pub(crate) fn give(&self) -> bool {
        self.kept().pop().is_some()
    }

    /// Closes what `used` refers to. If a spare is missing, its descriptor becomes one.
    pub(crate) fn take_back(&self, mut used: OwnedFd) {
        let mut kept = self.kept();
        if kept.len() < self.most
            && let Some(unused) = &self.unused
            && rustix::io::dup2(unused, &mut used).is_ok()
        {
            kept.push(used);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<OwnedFd>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        os::{fd::AsRawFd, unix::net::UnixStream},
    };

    use super::*;

    #[test]
    fn what_was_given_comes_back_and_no_more() {
        let spares = Spares::hold(2);
        assert!(spares.give() && spares.give() && !spares.give());
        for expected in [1, 2, 2] {
            let (mut one, other) = UnixStream::pair().unwrap();
            let number = other.as_raw_fd();
            spares.take_back(other.into());
            assert_eq!(one.read(&mut [0]).unwrap(), 0, "the connection is closed");
            let kept = spares.kept();
            assert_eq!(kept.len(), expected);
            let is_kept = kept.iter().any(|spare| spare.as_raw_fd() == number);
            assert!(is_kept || kept.len() == 2);
        }
        assert!(spares.give());
        spares.fill();
        assert_eq!(spares.kept().len(), 2);
    }
}

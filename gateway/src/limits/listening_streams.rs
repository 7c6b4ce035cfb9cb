//! The number of open listening streams: for each principal, over all resources, and in total.
//!
//! A listening stream costs memory as long as its client likes, and costs the client nothing. So one principal may hold a
//! few (`limits.listening_streams_per_principal`) and all together a limited number (`limits.listening_streams`); answers to
//! running calls are not counted. A stream is counted until its [`ListeningStream`] is dropped, however it ends.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mcp_gateway_core::{
    principal::{Principal, Who},
    refusal::reason::Reason,
};

use crate::config::Limits;

/// The listening streams of the process. An entry has at least one stream, so there are never more entries than streams.
#[derive(Debug, Default)]
pub(crate) struct ListeningStreams(Mutex<OpenStreams>);

#[derive(Debug, Default)]
struct OpenStreams {
    all: usize,
    by_principal: HashMap<Who, usize>,
}

impl ListeningStreams {
    /// Counts one more stream of this principal.
    ///
    /// # Errors
    /// [`Reason::TooManyStreams`] at the principal's limit, [`Reason::StreamsExhausted`] at the total limit.
    pub(crate) fn try_acquire(
        self: &Arc<Self>,
        principal: &Principal,
        limits: &Limits,
    ) -> Result<ListeningStream, Reason> {
        let who = principal.who();
        let mut open = self.lock();
        let own = open.by_principal.get(&who).copied().unwrap_or(0);
        if own >= limits.listening_streams_per_principal {
            return Err(Reason::TooManyStreams);
        }
        if open.all >= limits.listening_streams {
            return Err(Reason::StreamsExhausted);
        }
        open.all += 1;
        open.by_principal.insert(who.clone(), own + 1);
        Ok(ListeningStream {
            streams: self.clone(),
            who,
        })
    }

    fn release(&self, who: &Who) {
        let mut open = self.lock();
        open.all = open.all.saturating_sub(1);
        let is_last = match open.by_principal.get_mut(who) {
            Some(own) => {
                *own = own.saturating_sub(1);
                *own == 0
            }
            None => false,
        };
        if is_last {
            open.by_principal.remove(who);
        }
    }

    fn lock(&self) -> MutexGuard<'_, OpenStreams> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open listening stream; dropping it removes it from the count.
#[derive(Debug)]
pub(crate) struct ListeningStream {
    streams: Arc<ListeningStreams>,
    who: Who,
}

impl Drop for ListeningStream {
    fn drop(&mut self) {
        self.streams.release(&self.who);
    }
}

#[cfg(test)]
mod tests {
    use mcp_gateway_core::scope::ScopeSet;

    use super::*;

    fn principal(issuer: &str, subject: &str, client: Option<&str>) -> Principal {
        Principal {
            issuer: issuer.into(),
            subject: subject.into(),
            client: client.map(Into::into),
            scopes: ScopeSet::default(),
        }
    }

    fn limits(own: usize, all: usize) -> Limits {
        Limits {
            listening_streams_per_principal: own,
            listening_streams: all,
            ..Limits::default()
        }
    }

    #[test]
    fn a_principal_is_issuer_subject_and_client() {
        let streams = Arc::new(ListeningStreams::default());
        let limits = limits(1, 100);
        let first = principal("a", "b", Some("c"));
        let _held = streams.try_acquire(&first, &limits).unwrap();
        assert_eq!(
            streams.try_acquire(&first, &limits).unwrap_err(),
            Reason::TooManyStreams
        );
        for other in [
            principal("A", "b", Some("c")),
            principal("a", "B", Some("c")),
            principal("a", "b", Some("C")),
            principal("a", "b", None),
        ] {
            streams.try_acquire(&other, &limits).unwrap();
        }
        let rescoped = Principal {
            scopes: ScopeSet::parse("x").unwrap(),
            ..first
        };
        assert!(streams.try_acquire(&rescoped, &limits).is_err());
    }

    #[test]
    fn a_stream_that_ends_is_not_counted_any_more() {
        let streams = Arc::new(ListeningStreams::default());
        let limits = limits(2, 3);
        let (one, other) = (principal("a", "1", None), principal("a", "2", None));
        let mut held = vec![
            streams.try_acquire(&one, &limits).unwrap(),
            streams.try_acquire(&one, &limits).unwrap(),
            streams.try_acquire(&other, &limits).unwrap(),
        ];
        assert_eq!(
            streams.try_acquire(&other, &limits).unwrap_err(),
            Reason::StreamsExhausted
        );
        held.remove(0);
        held.push(streams.try_acquire(&other, &limits).unwrap());
        held.clear();
        let open = streams.lock();
        assert_eq!((open.all, open.by_principal.len()), (0, 0));
    }
}

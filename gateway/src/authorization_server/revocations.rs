//! Grants of the built-in authorization server that ended before their last access token expires. Resources of this process
//! refuse such tokens at once, and end open listening streams.
//!
//! The map is in memory, filled from the store at the start. An entry leaves when the last token of its grant has expired. While
//! nothing is revoked, asking costs one atomic read.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mcp_gateway_core::{time::UnixTime, token::grant::GrantId};
use tokio::sync::watch;

/// The most grants whose end is remembered: about 50 MB. More cannot be ended before the first of them leave.
const MOST: usize = 500_000;

/// How long an entry stays after the last token expired: the clock may be set back a little.
const MARGIN: Duration = Duration::from_secs(60);

/// As many grants ended as can be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MOST} grants have ended whose tokens are still valid: no further one can be ended now")]
pub(crate) struct TooManyRevoked;

/// Grants that have ended.
#[derive(Debug, Default)]
pub(crate) struct Revocations {
    /// Whether there is any.
    any: AtomicBool,
    ended: RwLock<Ended>,
    changes: watch::Sender<()>,
}

/// Each grant with the end of its last token, and the same in the order of these ends.
#[derive(Debug, Default)]
struct Ended {
    until: HashMap<GrantId, UnixTime>,
    order: BTreeSet<(UnixTime, GrantId)>,
}

impl Revocations {
    /// Whether this grant has ended.
    pub(crate) fn is_revoked(&self, grant: &GrantId) -> bool {
        self.any.load(Ordering::Acquire)
            && (self.ended.read().unwrap_or_else(PoisonError::into_inner))
                .until
                .contains_key(grant)
    }

    /// From now on, refuses the tokens of these grants. Each is remembered until its last token has expired. At the start these
    /// are the rows of the store; later, call it before the change is committed.
    ///
    /// # Errors
    /// [`TooManyRevoked`]: nothing was added.
    pub(crate) fn revoke(
        &self,
        grants: impl IntoIterator<Item = (GrantId, UnixTime)>,
        now: UnixTime,
    ) -> Result<(), TooManyRevoked> {
        let grants: Vec<_> = grants.into_iter().collect();
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        ended.forget_until(now);
        if ended.until.len().saturating_add(grants.len()) > MOST {
            return Err(TooManyRevoked);
        }
        for (grant, until) in grants {
            ended.insert(grant, until.plus(MARGIN));
        }
        self.any.store(!ended.until.is_empty(), Ordering::Release);
        drop(ended);
        self.changes.send_replace(());
        Ok(())
    }

    /// Forgets grants whose last token has expired; to be called now and then.
    pub(crate) fn forget_expired(&self, now: UnixTime) {
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        ended.forget_until(now);
        self.any.store(!ended.until.is_empty(), Ordering::Release);
    }

    /// Changes when another grant has ended.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

impl Ended {
    /// The later end counts.
    fn insert(&mut self, grant: GrantId, until: UnixTime) {
        let known = self.until.get(&grant).copied();
        if known.is_some_and(|known| known >= until) {
            return;
        }
        if let Some(known) = known {
            self.order.remove(&(known, grant));
        }
        self.until.insert(grant, until);
        self.order.insert((until, grant));
    }

    fn forget_until(&mut self, now: UnixTime) {
        while let Some(&(until, grant)) = self.order.first()
            && until <= now
        {
            self.order.pop_first();
            self.until.remove(&grant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: GrantId = [1; 16];
    const B: GrantId = [2; 16];

    fn at(seconds: i64) -> UnixTime {
        UnixTime::new(seconds)
    }

    #[test]
    fn a_grant_is_refused_until_its_last_token_has_expired() {
        let revocations = Revocations::default();
        assert!(!revocations.is_revoked(&A));
        revocations.revoke([(A, at(100))], at(0)).unwrap();
        assert!(revocations.is_revoked(&A) && !revocations.is_revoked(&B));
        // An earlier end does not shorten it.
        revocations
            .revoke([(A, at(50)), (B, at(200))], at(0))
            .unwrap();
        for (now, a, b) in [(159, true, true), (160, false, true), (260, false, false)] {
            revocations.forget_expired(at(now));
            assert_eq!(revocations.is_revoked(&A), a, "{now}");
            assert_eq!(revocations.is_revoked(&B), b, "{now}");
        }
        let ended = revocations.ended.read().unwrap();
        assert!(ended.until.is_empty() && ended.order.is_empty());
        assert!(!revocations.any.load(Ordering::Relaxed));
    }

    #[test]
    fn streams_notice_a_grant_that_ends() {
        let revocations = Revocations::default();
        let changes = revocations.changes();
        assert!(!changes.has_changed().unwrap());
        revocations.revoke([(A, at(100))], at(0)).unwrap();
        assert!(changes.has_changed().unwrap());
    }

    #[test]
    fn no_more_grants_are_remembered_than_the_limit_and_expired_ones_make_room() {
        let revocations = Revocations::default();
        let grant = |number: usize| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            id
        };
        let all = (0..MOST).map(|number| (grant(number), at(100)));
        revocations.revoke(all, at(0)).unwrap();
        let one_more = [(grant(MOST), at(100))];
        assert_eq!(revocations.revoke(one_more, at(0)), Err(TooManyRevoked));
        assert!(!revocations.is_revoked(&grant(MOST)));
        revocations.revoke(one_more, at(160)).unwrap();
        assert!(revocations.is_revoked(&grant(MOST)) && !revocations.is_revoked(&grant(0)));
    }
}

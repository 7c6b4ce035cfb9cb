//! Grants of the built-in authorization server that ended before their last access token expires. Resources of this process
//! refuse such tokens at once, and end open listening streams.
//!
//! The map is in memory, filled from the store at the start. An entry leaves when the last token of its grant has expired. While
//! nothing is revoked, asking costs one atomic read. Grants that have no place in the map are in a filter ([`left_out`]), which takes a
//! few others for them: a store in this process decides about those. One on another machine is not asked for each call, so these few
//! are refused until the last token of the grants without a place has expired.

mod left_out;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mcp_gateway_core::{time::UnixTime, token::evidence::grant::GrantId};
use mcp_gateway_oauth::{grant::machine, id::Id};
use tokio::sync::watch;

use self::left_out::LeftOut;

/// The most grants whose end is remembered in memory: about 50 MB. The store has all of them.
const MOST: usize = 500_000;

/// How long an entry stays after the last token expired: the clock may be set back a little.
const MARGIN: Duration = Duration::from_secs(60);

/// Asks the store whether the tokens of a grant are refused. A store that cannot say so at once refuses them.
type Lookup = Box<dyn Fn(&GrantId) -> bool + Send + Sync>;

/// Grants that have ended.
#[derive(Default)]
pub(crate) struct Revocations {
    /// Whether there is any.
    any: AtomicBool,
    ended: RwLock<Ended>,
    store: Option<Lookup>,
    changes: watch::Sender<()>,
}

/// Each grant with the end of its last token, and the same in the order of these ends.
#[derive(Debug, Default)]
struct Ended {
    until: HashMap<GrantId, UnixTime>,
    order: BTreeSet<(UnixTime, GrantId)>,
    /// Grants that had no place.
    left_out: LeftOut,
    /// When the last token of these grants expires.
    left_out_until: Option<UnixTime>,
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").finish_non_exhaustive()
    }
}

impl Revocations {
    /// None yet. `lookup` asks the store for those that may be among the grants without a place.
    pub(crate) fn with_store(lookup: impl Fn(&GrantId) -> bool + Send + Sync + 'static) -> Self {
        Self {
            store: Some(Box::new(lookup)),
            ..Self::default()
        }
    }

    /// Whether the tokens of this grant are refused.
    pub(crate) fn is_revoked(&self, grant: &GrantId) -> bool {
        self.any.load(Ordering::Acquire) && self.is_among_ended(grant)
    }

    fn is_among_ended(&self, grant: &GrantId) -> bool {
        let ended = self.ended.read().unwrap_or_else(PoisonError::into_inner);
        let (is_known, may_be_left_out) = (ended.has(grant), ended.may_be_left_out(grant));
        drop(ended);
        is_known || may_be_left_out && self.store.as_ref().is_none_or(|lookup| lookup(grant))
    }

    /// From now on, refuses the tokens of these grants, which are in the store. Each is remembered until its last token has expired.
    pub(crate) fn revoke(
        &self,
        grants: impl IntoIterator<Item = (GrantId, UnixTime)>,
        now: UnixTime,
    ) {
        let mut grants = grants.into_iter().peekable();
        if grants.peek().is_none() {
            return;
        }
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        ended.forget_until(now);
        let was_complete = ended.left_out_until.is_none();
        for (grant, until) in grants {
            ended.insert(grant, until.plus(MARGIN));
        }
        let is_complete = ended.left_out_until.is_none();
        self.any.store(!ended.is_empty(), Ordering::Release);
        drop(ended);
        if was_complete && !is_complete {
            tracing::warn!(
                "more than {MOST} grants have ended whose tokens have not expired: further ones are kept in a filter, by which a few other tokens may be refused"
            );
        }
        self.changes.send_replace(());
    }

    /// Forgets grants whose last token has expired; to be called now and then.
    pub(crate) fn forget_expired(&self, now: UnixTime) {
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        ended.forget_until(now);
        self.any.store(!ended.is_empty(), Ordering::Release);
    }

    /// Changes when another grant has ended.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

impl Ended {
    /// By its own id, or with all tokens of a machine.
    fn has(&self, grant: &GrantId) -> bool {
        let all = machine::of_all(Id::new(*grant));
        self.until.contains_key(grant) || self.until.contains_key(all.as_bytes())
    }

    /// The same among those without a place.
    fn may_be_left_out(&self, grant: &GrantId) -> bool {
        let all = machine::of_all(Id::new(*grant));
        self.left_out.may_have(grant) || self.left_out.may_have(all.as_bytes())
    }

    fn is_empty(&self) -> bool {
        self.until.is_empty() && self.left_out_until.is_none()
    }

    /// The later end counts.
    fn insert(&mut self, grant: GrantId, until: UnixTime) {
        let known = self.until.get(&grant).copied();
        if known.is_some_and(|known| known >= until) {
            return;
        }
        if let Some(known) = known {
            self.order.remove(&(known, grant));
        } else if self.until.len() >= MOST {
            self.left_out_until = self.left_out_until.max(Some(until));
            self.left_out.insert(&grant);
            return;
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
        self.left_out_until = self.left_out_until.filter(|until| *until > now);
        if self.left_out_until.is_none() {
            self.left_out.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicUsize};

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
        revocations.revoke([(A, at(100))], at(0));
        assert!(revocations.is_revoked(&A) && !revocations.is_revoked(&B));
        // An earlier end does not shorten it.
        revocations.revoke([(A, at(50)), (B, at(200))], at(0));
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
        revocations.revoke([(A, at(100))], at(0));
        assert!(changes.has_changed().unwrap());
    }

    #[test]
    fn all_tokens_of_a_machine_end_by_one_entry() {
        let token = |client, number| *machine::of_token(client, Id::new([number; 16])).as_bytes();
        let revocations = Revocations::default();
        let all = *machine::of_all(Id::new(token("a", 1))).as_bytes();
        revocations.revoke([(all, at(100))], at(0));
        assert!(revocations.is_revoked(&token("a", 1)) && revocations.is_revoked(&token("a", 2)));
        assert!(!revocations.is_revoked(&token("b", 1)));
    }

    #[test]
    fn grants_without_a_place_are_refused_until_their_tokens_expire() {
        let grant = |number: usize| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            id[8] = 1;
            id
        };
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let revocations = Revocations::with_store(move |asked| {
            count.fetch_add(1, Ordering::Relaxed);
            *asked == grant(MOST)
        });
        let all = (0..MOST).map(|number| (grant(number), at(100)));
        revocations.revoke(all, at(0));
        assert!(!revocations.is_revoked(&grant(MOST)));
        revocations.revoke([(grant(MOST), at(200)), (grant(MOST + 1), at(100))], at(0));
        assert!(revocations.is_revoked(&grant(0)));
        assert_eq!(asked.load(Ordering::Relaxed), 0, "the map has it");
        assert!(revocations.is_revoked(&grant(MOST)));
        // The store knows better than the filter.
        assert!(!revocations.is_revoked(&grant(MOST + 1)));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        assert!(!revocations.is_revoked(&grant(MOST + 2)));
        assert_eq!(
            asked.load(Ordering::Relaxed),
            2,
            "the filter does not have it"
        );
        revocations.forget_expired(at(160));
        assert!(revocations.is_revoked(&grant(MOST)) && !revocations.is_revoked(&grant(0)));
        revocations.forget_expired(at(260));
        let before = asked.load(Ordering::Relaxed);
        assert!(!revocations.is_revoked(&grant(MOST)));
        assert_eq!(asked.load(Ordering::Relaxed), before);
        assert!(!revocations.any.load(Ordering::Relaxed));
    }
}

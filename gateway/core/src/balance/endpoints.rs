//! A set of endpoints: which one gets a call, what its calls and checks say about it, and which calls wait.
//!
//! An ejection holds only while another endpoint is usable: ejections alone never leave a set without endpoints. Checks do, since
//! they find out about each endpoint by itself. An endpoint that can be reached is ejected only if at most half of those are out
//! then: callers can cause failures, and are to slow others down by half at most.

use std::time::Duration;

use super::{
    choice::{Load, less_loaded_of_two},
    ejection::{self, Ejection, FailedCall, MayEject},
    health::{self, Health},
    outcome::{Outcome, Verdict},
    slow_start::weight_at,
    waiting::{Caller, Ticket, Waiting},
};

/// How a set of endpoints is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// When endpoints are ejected; none: never.
    pub ejection: Option<ejection::Settings>,
    /// How many checks decide; none: there are none, and every endpoint is alive.
    pub health: Option<health::Settings>,
    /// The most calls of one endpoint; none: no limit.
    pub max_calls: Option<u32>,
    /// The most calls that wait for one of the endpoints.
    pub queue: usize,
}

/// One endpoint of a set, from when it is added until it is removed. One that is removed and added again is another member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member(u64);

/// Which endpoint a call needs.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// Any one, except those that were tried already.
    Any(&'a [Member]),
    /// The one that holds what the call is about: its session, its task.
    Only(Member),
}

impl Wanted<'_> {
    const fn member(self) -> Option<Member> {
        match self {
            Self::Any(_) => None,
            Self::Only(member) => Some(member),
        }
    }
}

/// The endpoint of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen<K> {
    /// The endpoint.
    pub key: K,
    /// Which member of the set it is.
    pub member: Member,
}

/// Why a call has no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Each one that it may use has as many calls as it may have.
    Busy,
    /// The endpoint that it needs was removed, or health checks find it dead.
    Gone,
    /// None is healthy.
    NoneHealthy,
    /// All endpoints were tried.
    NoOther,
}

/// An endpoint that is left out, or back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<K> {
    /// Calls to it failed: it is left out until this instant.
    Ejected {
        /// The endpoint.
        chosen: Chosen<K>,
        /// When it is back.
        until: Duration,
    },
    /// It answered a call of a session while it was ejected.
    Returned(K),
    /// Checks found it dead.
    Died(K),
    /// Checks found it alive again.
    Recovered(K),
}

/// The state of one endpoint.
#[derive(Debug)]
struct Endpoint<K> {
    key: K,
    member: Member,
    weight: u32,
    calls: u32,
    /// Since when it is new or back.
    fresh_since: Duration,
    ejection: Ejection,
    health: Health,
}

impl<K: Clone> Endpoint<K> {
    fn chosen(&self) -> Chosen<K> {
        Chosen {
            key: self.key.clone(),
            member: self.member,
        }
    }

    fn is_in(&self, now: Duration) -> bool {
        self.health.is_alive() && self.ejection.until(now).is_none()
    }

    fn is_gone(&self, now: Duration) -> bool {
        !self.health.is_alive() || self.ejection.is_unreachable(now)
    }

    fn has_room(&self, max_calls: Option<u32>) -> bool {
        max_calls.is_none_or(|most| self.calls < most)
    }

    fn load(&self, now: Duration) -> Load {
        Load {
            weight: weight_at(self.weight, now.saturating_sub(self.fresh_since)),
            calls: self.calls,
        }
    }
}

/// What is known about one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State<'a, K> {
    /// The endpoint.
    pub key: &'a K,
    /// Which member of the set it is.
    pub member: Member,
    /// Its calls under way.
    pub calls: u32,
    /// Whether checks find it alive.
    pub is_alive: bool,
    /// Whether it is ejected.
    pub is_ejected: bool,
    /// When its last ejection ends, or has ended, if no call was answered since.
    pub ejection_end: Option<Duration>,
}

/// Endpoints `K`, and calls that wait for one, woken by a `W`.
#[derive(Debug)]
pub struct Endpoints<K, W> {
    settings: Settings,
    /// By member, in order.
    endpoints: Vec<Endpoint<K>>,
    waiting: Waiting<Member, W>,
    next: u64,
}

impl<K: Clone + PartialEq, W> Endpoints<K, W> {
    /// A set without endpoints.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            endpoints: Vec::new(),
            waiting: Waiting::default(),
            next: 0,
        }
    }

    /// How the set is used.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How many calls wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What is known about each endpoint.
    pub fn states(&self, now: Duration) -> impl Iterator<Item = State<'_, K>> {
        self.endpoints.iter().map(move |endpoint| State {
            key: &endpoint.key,
            member: endpoint.member,
            calls: endpoint.calls,
            is_alive: endpoint.health.is_alive(),
            is_ejected: endpoint.ejection.until(now).is_some(),
            ejection_end: endpoint.ejection.last_end(),
        })
    }

    /// The endpoint for which `is_it` holds.
    pub fn find(&self, is_it: impl Fn(&K) -> bool) -> Option<Member> {
        let mut endpoints = self.endpoints.iter();
        let found = endpoints.find(|endpoint| is_it(&endpoint.key));
        found.map(|endpoint| endpoint.member)
    }

    /// Uses these endpoints with their weights, and this way, from now on. Those that are equal to one in the set keep its state, as far
    /// as there still are ejections and checks. Calls to those that are removed go on; nothing more is known about them.
    pub fn replace(&mut self, settings: Settings, endpoints: Vec<(K, u32)>, now: Duration) {
        self.settings = settings;
        self.endpoints
            .retain(|known| endpoints.iter().any(|(key, _)| *key == known.key));
        for known in &mut self.endpoints {
            if settings.health.is_none() {
                known.health = Health::default();
            }
            if settings.ejection.is_none() {
                known.ejection = Ejection::default();
            }
        }
        for (key, weight) in endpoints {
            let mut known = self.endpoints.iter_mut();
            match known.find(|known| known.key == key) {
                Some(known) => (known.key, known.weight) = (key, weight),
                None => self.add(key, weight, now),
            }
        }
    }

    fn add(&mut self, key: K, weight: u32, now: Duration) {
        let member = Member(self.next);
        self.next += 1;
        self.endpoints.push(Endpoint {
            key,
            member,
            weight,
            calls: 0,
            fresh_since: now,
            ejection: Ejection::default(),
            health: Health::default(),
        });
    }

    /// The endpoint of a new call, which counts from now on ([`Endpoints::release`]). Calls that wait come first.
    ///
    /// # Errors
    /// There is none; where all are busy, the call may wait ([`Endpoints::wait`]).
    pub fn choose(
        &mut self,
        wanted: Wanted<'_>,
        now: Duration,
        seed: u64,
    ) -> Result<Chosen<K>, Denied> {
        if !self.waiting.is_empty() && self.waiting.has(wanted.member()) {
            return Err(Denied::Busy);
        }
        let chosen = self.search(wanted, self.settings.max_calls, (now, seed))?;
        chosen.calls = chosen.calls.saturating_add(1);
        Ok(chosen.chosen())
    }

    /// The endpoint of a stream that only listens. It does not count as a call, and needs no place among them.
    ///
    /// # Errors
    /// There is none.
    pub fn choose_for_stream(
        &mut self,
        wanted: Wanted<'_>,
        now: Duration,
        seed: u64,
    ) -> Result<Chosen<K>, Denied> {
        let chosen = self.search(wanted, None, (now, seed))?;
        Ok(chosen.chosen())
    }

    /// Lets a call wait for an endpoint. What wakes it comes out of [`Endpoints::grant`].
    ///
    /// # Errors
    /// [`Denied::Busy`]: too many calls wait, of all callers or of this one.
    pub fn wait(&mut self, caller: Caller, wanted: Wanted<'_>, waker: W) -> Result<Ticket, Denied> {
        let most = self.settings.queue;
        let pushed = self.waiting.push(caller, wanted.member(), waker, most);
        pushed.map_err(|_| Denied::Busy)
    }

    /// A call waits no longer. Returns whether it still waited; else it was granted.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        self.waiting.remove(ticket)
    }

    /// The next call that need not wait any longer: its endpoint, or why there is none. It is to be asked for after each change.
    pub fn grant(&mut self, now: Duration, seed: u64) -> Option<(W, Result<Chosen<K>, Denied>)> {
        let mut waiting = std::mem::take(&mut self.waiting);
        let granted = waiting.take(|member| {
            let wanted = member.map_or(Wanted::Any(&[]), Wanted::Only);
            let chosen = self.choose(wanted, now, seed);
            (!matches!(chosen, Err(Denied::Busy))).then_some(chosen)
        });
        self.waiting = waiting;
        granted
    }

    /// A call ended, with its whole answer.
    pub fn release(&mut self, member: Member) {
        if let Some(endpoint) = self.get(member) {
            endpoint.calls = endpoint.calls.saturating_sub(1);
        }
    }

    /// The head of the answer to a call of this caller came, or none comes. The call began at `began`.
    pub fn report(
        &mut self,
        member: Member,
        outcome: Outcome,
        caller: Caller,
        (began, now): (Duration, Duration),
    ) -> Option<Change<K>> {
        let settings = self.settings.ejection?;
        match outcome.verdict() {
            Verdict::Nothing => None,
            Verdict::Works => {
                let endpoint = self.get(member)?;
                let is_back = endpoint.ejection.answered(caller, began, now);
                is_back.then(|| {
                    endpoint.fresh_since = now;
                    Change::Returned(endpoint.key.clone())
                })
            }
            Verdict::Fails | Verdict::FailsIfSilent => {
                let may = self.may_eject(member, now);
                let endpoint = self.get(member)?;
                let call = FailedCall {
                    caller,
                    outcome,
                    began,
                    now,
                };
                let until = endpoint.ejection.failed(&settings, call, may)?;
                endpoint.fresh_since = until;
                let chosen = endpoint.chosen();
                Some(Change::Ejected { chosen, until })
            }
        }
    }

    /// Which ejections of an endpoint leave enough others.
    fn may_eject(&self, member: Member, now: Duration) -> MayEject {
        let mut others = self.endpoints.iter().filter(|one| one.member != member);
        let reachable = || self.endpoints.iter().filter(|one| !one.is_gone(now));
        let ejected = reachable().filter(|one| !one.is_in(now));
        MayEject {
            unreachable: others.any(|other| other.is_in(now)),
            answering: ejected.count() < reachable().count() / 2,
        }
    }

    /// A check of an endpoint ended.
    pub fn checked(&mut self, member: Member, is_alive: bool, now: Duration) -> Option<Change<K>> {
        let settings = self.settings.health?;
        let endpoint = self.get(member)?;
        if !endpoint.health.checked(settings, is_alive) {
            return None;
        }
        let key = endpoint.key.clone();
        if !is_alive {
            return Some(Change::Died(key));
        }
        endpoint.fresh_since = endpoint.fresh_since.max(now);
        Some(Change::Recovered(key))
    }

    /// The endpoint that a call gets where one may have so many.
    fn search(
        &mut self,
        wanted: Wanted<'_>,
        max_calls: Option<u32>,
        (now, seed): (Duration, u64),
    ) -> Result<&mut Endpoint<K>, Denied> {
        match wanted {
            Wanted::Any(tried) => self.any(tried, max_calls, (now, seed)),
            Wanted::Only(member) => self.only(member, max_calls, now),
        }
    }

    fn any(
        &mut self,
        tried: &[Member],
        max_calls: Option<u32>,
        (now, seed): (Duration, u64),
    ) -> Result<&mut Endpoint<K>, Denied> {
        let ejections_hold = self.endpoints.iter().any(|endpoint| endpoint.is_in(now));
        let is_usable = |endpoint: &Endpoint<K>| {
            let is_in = match ejections_hold {
                true => endpoint.is_in(now),
                false => endpoint.health.is_alive(),
            };
            is_in && !tried.contains(&endpoint.member)
        };
        let usable = self.endpoints.iter().filter(|one| is_usable(one));
        let mut is_any_usable = false;
        let free = usable
            .inspect(|_| is_any_usable = true)
            .filter(|endpoint| endpoint.has_room(max_calls));
        let candidates = free.map(|endpoint| (endpoint.member, endpoint.load(now)));
        match less_loaded_of_two(candidates, seed) {
            Some(member) => self.get(member).ok_or(Denied::NoneHealthy),
            None if is_any_usable => Err(Denied::Busy),
            None if tried.is_empty() => Err(Denied::NoneHealthy),
            None => Err(Denied::NoOther),
        }
    }

    fn only(
        &mut self,
        member: Member,
        max_calls: Option<u32>,
        now: Duration,
    ) -> Result<&mut Endpoint<K>, Denied> {
        let mut others = self.endpoints.iter();
        let has_others = others.any(|other| other.member != member && other.health.is_alive());
        let is_alone = self.endpoints.len() == 1;
        let endpoint = self.get(member).ok_or(Denied::Gone)?;
        // Its sessions begin anew only where another one can be used. Where there is nothing else, a call finds out itself.
        match endpoint.is_gone(now) {
            true if has_others => return Err(Denied::Gone),
            true if !is_alone && !endpoint.health.is_alive() => return Err(Denied::NoneHealthy),
            _ => {}
        }
        match endpoint.has_room(max_calls) {
            true => Ok(endpoint),
            false => Err(Denied::Busy),
        }
    }

    fn get(&mut self, member: Member) -> Option<&mut Endpoint<K>> {
        let endpoints = &mut self.endpoints;
        let index = endpoints.binary_search_by_key(&member, |endpoint| endpoint.member);
        endpoints.get_mut(index.ok()?)
    }
}

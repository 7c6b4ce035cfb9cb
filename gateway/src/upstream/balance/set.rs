//! The endpoints of an upstream in use, and the calls that have one of them.
//!
//! One lock is held for each decision, less than a microsecond. What calls that wait are granted is sent to them after it was
//! released.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mcp_gateway_core::{
    balance::{
        endpoints::{Change, Chosen, Denied, Endpoints, Member, Wanted},
        outcome::Outcome,
        resolution::{MAX_ADDRESSES, Resolution},
        waiting::{Caller, Ticket},
    },
    endpoint_id::EndpointId,
};
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
    time::{Instant, sleep, timeout},
};

use super::{events, instance::Instance, plan::Plan};
use crate::{telemetry::metrics::Metrics, upstream::endpoint::Endpoint};

/// How long a caller is asked to wait where no endpoint can be used.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The metric label of an endpoint that is the only one: metrics name no address of an upstream where the configuration names one alone.
const THE_ONLY_ONE: &str = "0";

/// What a call that waits is sent.
type Granted = Result<Call, Denied>;

/// What wakes a call that waits, and whose it is.
type Waker = (Caller, oneshot::Sender<Granted>);

/// The endpoints of one upstream.
#[derive(Debug)]
pub(crate) struct EndpointSet {
    /// The metric label of the resource.
    resource: String,
    metrics: Arc<Metrics>,
    started: Instant,
    seeds: AtomicU64,
    state: Mutex<State>,
    /// Notified when endpoints were added or removed.
    replaced: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    plan: Arc<Plan>,
    endpoints: Endpoints<Arc<Instance>, Waker>,
    resolved: Resolved,
}

/// The addresses of the name, where it is resolved.
#[derive(Debug, Default)]
struct Resolved {
    addresses: Resolution<IpAddr>,
    /// Each address that is an endpoint, with its number among the metrics.
    instances: BTreeMap<IpAddr, (usize, Arc<Instance>)>,
    was_tried: bool,
}

/// Which endpoint a message needs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Needs {
    /// Any one.
    Any,
    /// The one with this id, which issued what the message is about.
    Only(EndpointId),
}

impl EndpointSet {
    /// The set of a resource with this label, with the endpoints of `plan`.
    pub(crate) fn new(plan: &Arc<Plan>, resource: &str, metrics: &Arc<Metrics>) -> Arc<Self> {
        let mut seed = [0; 8];
        // Without randomness the choice is as good; it is only the same after each start.
        let _ = aws_lc_rs::rand::fill(&mut seed);
        let set = Self {
            resource: resource.to_owned(),
            metrics: metrics.clone(),
            started: Instant::now(),
            seeds: AtomicU64::new(u64::from_ne_bytes(seed)),
            state: Mutex::new(State {
                plan: plan.clone(),
                endpoints: Endpoints::new(plan.settings),
                resolved: Resolved::default(),
            }),
            replaced: watch::Sender::new(()),
        };
        set.use_endpoints(plan);
        Arc::new(set)
    }

    /// Uses the endpoints of another plan from now on. Those that stay keep their state; calls to those that are removed continue.
    pub(crate) fn follow(self: &Arc<Self>, plan: &Arc<Plan>) {
        if Arc::ptr_eq(&self.lock().plan, plan) {
            return;
        }
        let (added, removed) = self.use_endpoints(plan);
        events::replaced(&self.resource, &added, &removed);
        self.settle();
    }

    fn use_endpoints(&self, plan: &Arc<Plan>) -> (Vec<Arc<Instance>>, Vec<Arc<Instance>>) {
        let mut state = self.lock();
        let state = &mut *state;
        let previous = std::mem::replace(&mut state.plan, plan.clone());
        match plan.resolve.as_ref() {
            None => {
                state.resolved = Resolved::default();
                let known: Vec<_> = state.instances();
                let endpoints = plan.endpoints.iter();
                let is_one_of_several = plan.endpoints.len() > 1;
                let list = endpoints.map(|(endpoint, weight)| {
                    let label = if is_one_of_several {
                        endpoint.shown()
                    } else {
                        THE_ONLY_ONE
                    };
                    (self.instance(endpoint, &known, label), *weight)
                });
                self.replace(state, list.collect())
            }
            Some(resolve) => {
                let pattern = |plan: &Plan| plan.endpoints.first().map(|(first, _)| first.clone());
                let is_same_name =
                    (previous.resolve.as_ref()).is_some_and(|old| old.host == resolve.host);
                let is_same = pattern(&previous)
                    .zip(pattern(plan))
                    .is_some_and(|(old, new)| Arc::ptr_eq(&old, &new));
                if !is_same_name {
                    state.resolved = Resolved::default();
                } else if !is_same {
                    state.resolved.instances.clear();
                }
                self.use_addresses(state)
            }
        }
    }

    /// Makes the addresses of the name the endpoints. Until the first lookup ends, the name itself is the only one, as without `resolve`:
    /// a reload leaves no gap.
    fn use_addresses(&self, state: &mut State) -> (Vec<Arc<Instance>>, Vec<Arc<Instance>>) {
        let Some((pattern, weight)) = state.plan.endpoints.first().cloned() else {
            return (Vec::new(), Vec::new());
        };
        if !state.resolved.was_tried {
            let instance = self.instance(&pattern, &state.instances(), THE_ONLY_ONE);
            return self.replace(state, vec![(instance, weight)]);
        }
        let resolved = &mut state.resolved;
        let addresses = resolved.addresses.addresses();
        resolved
            .instances
            .retain(|address, _| addresses.contains(address));
        for address in addresses {
            if resolved.instances.contains_key(address) {
                continue;
            }
            let is_free =
                |number: &usize| resolved.instances.values().all(|(used, _)| used != number);
            let number = (0..MAX_ADDRESSES).find(is_free);
            // It was made from a URL that could be used.
            if let (Some(number), Ok(endpoint)) = (number, pattern.at(*address)) {
                let label = number.to_string();
                let instance = Instance::new(endpoint, label, (&self.metrics, &self.resource));
                resolved.instances.insert(*address, (number, instance));
            }
        }
        let instances = resolved.instances.values();
        let list = instances
            .map(|(_, instance)| (instance.clone(), weight))
            .collect();
        self.replace(state, list)
    }

    fn replace(
        &self,
        state: &mut State,
        list: Vec<(Arc<Instance>, u32)>,
    ) -> (Vec<Arc<Instance>>, Vec<Arc<Instance>>) {
        let before = state.instances();
        let settings = state.plan.settings;
        state.endpoints.replace(settings, list, self.now());
        let after = state.instances();
        let missing = |from: &[Arc<Instance>], among: &[Arc<Instance>]| {
            let missing = from.iter().filter(|one| !among.contains(one));
            missing.cloned().collect::<Vec<_>>()
        };
        let changed = (missing(&after, &before), missing(&before, &after));
        if changed != (Vec::new(), Vec::new()) {
            // Who looks then waits for the lock.
            self.replaced.send_replace(());
        }
        changed
    }

    /// The one of `known` for this endpoint and label, with its counters, or a new one.
    fn instance(
        &self,
        endpoint: &Arc<Endpoint>,
        known: &[Arc<Instance>],
        label: &str,
    ) -> Arc<Instance> {
        let same = known
            .iter()
            .find(|known| Arc::ptr_eq(&known.endpoint, endpoint) && known.label == label);
        let new = || {
            Instance::new(
                endpoint.clone(),
                label.to_owned(),
                (&self.metrics, &self.resource),
            )
        };
        same.map_or_else(new, Arc::clone)
    }

    /// The metric label of the resource.
    pub(super) fn resource(&self) -> &str {
        &self.resource
    }

    /// An endpoint for a message of this caller. `listens`: the answer is a stream that only listens, which is not counted.
    ///
    /// # Errors
    /// There is none; where all are busy, a call may [wait](Self::wait).
    pub(crate) fn choose(
        self: &Arc<Self>,
        needs: Needs,
        listens: bool,
        caller: Caller,
    ) -> Result<Call, Denied> {
        self.take(needs, listens, caller, &[])
    }

    fn take(
        self: &Arc<Self>,
        needs: Needs,
        listens: bool,
        caller: Caller,
        tried: &[Member],
    ) -> Result<Call, Denied> {
        let mut state = self.lock();
        let wanted = state.wanted(needs, tried)?;
        let (now, seed) = (self.now(), self.seed());
        let chosen = match listens {
            true => state.endpoints.choose_for_stream(wanted, now, seed),
            false => state.endpoints.choose(wanted, now, seed),
        };
        drop(state);
        chosen.map(|chosen| self.call(chosen, !listens, caller, now))
    }

    /// An endpoint for a call, after a wait.
    ///
    /// # Errors
    /// None was free in time, or too many calls wait.
    pub(crate) async fn wait(
        self: &Arc<Self>,
        needs: Needs,
        caller: Caller,
    ) -> Result<Call, Denied> {
        let (waker, granted) = oneshot::channel();
        let (ticket, longest) = {
            let mut state = self.lock();
            let wanted = state.wanted(needs, &[])?;
            let ticket = state.endpoints.wait(caller, wanted, (caller, waker))?;
            (ticket, state.plan.queue_time)
        };
        let _leaving = Leaving { set: self, ticket };
        // An ejection may have ended since the last change.
        self.settle();
        match timeout(longest, granted).await {
            Ok(Ok(granted)) => granted,
            Ok(Err(_)) | Err(_) => Err(Denied::Busy),
        }
    }

    fn call(
        self: &Arc<Self>,
        chosen: Chosen<Arc<Instance>>,
        is_counted: bool,
        caller: Caller,
        began: Duration,
    ) -> Call {
        Call {
            caller,
            set: self.clone(),
            instance: chosen.key,
            member: chosen.member,
            began,
            is_counted,
        }
    }

    /// Lets calls go on that need not wait any longer.
    fn settle(self: &Arc<Self>) {
        let mut granted = Vec::new();
        {
            let mut state = self.lock();
            if state.endpoints.waiting() == 0 {
                return;
            }
            let now = self.now();
            while let Some(((caller, waker), chosen)) = state.endpoints.grant(now, self.seed()) {
                let call = chosen.map(|chosen| self.call(chosen, true, caller, now));
                granted.push((waker, call));
            }
        }
        for (waker, call) in granted {
            // A caller that is gone drops its call, which frees the endpoint again.
            let _ = waker.send(call);
        }
    }

    fn note(self: &Arc<Self>, change: &Change<Arc<Instance>>) {
        let now = self.now();
        events::changed(&self.resource, change, now);
        if let Change::Ejected { chosen, until } = change {
            chosen.key.ejections.inc();
            let (set, member, until) = (Arc::downgrade(self), chosen.member, *until);
            let left = until.saturating_sub(now);
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(async move {
                    sleep(left).await;
                    if let Some(set) = set.upgrade() {
                        set.ejection_ended(member, until);
                    }
                });
            }
        }
        self.settle();
    }

    /// The time of an ejection is over. If a call was answered before, the endpoint was back before.
    fn ejection_ended(self: &Arc<Self>, member: Member, until: Duration) {
        let now = self.now();
        let back = {
            let state = self.lock();
            let mut states = state.endpoints.states(now);
            let found = states.find(|state| state.member == member);
            found
                .filter(|state| !state.is_ejected && state.ejection_end == Some(until))
                .map(|state| state.key.clone())
        };
        if let Some(instance) = back {
            events::ejection_over(&self.resource, &instance);
        }
        self.settle();
    }

    /// A check of an endpoint ended.
    pub(super) fn checked(self: &Arc<Self>, member: Member, is_alive: bool) {
        let change = self.lock().endpoints.checked(member, is_alive, self.now());
        if let Some(change) = change {
            self.note(&change);
        }
    }

    /// The endpoints that are to be checked.
    pub(super) fn members(&self) -> Vec<(Member, Arc<Instance>)> {
        let state = self.lock();
        let states = state.endpoints.states(self.now());
        states
            .map(|state| (state.member, state.key.clone()))
            .collect()
    }

    /// The name of `plan` was looked up.
    pub(super) fn looked_up(
        self: &Arc<Self>,
        plan: &Arc<Plan>,
        answer: Result<Vec<IpAddr>, String>,
    ) {
        let Some(resolve) = &plan.resolve else { return };
        let mut state = self.lock();
        if !Arc::ptr_eq(&state.plan, plan) {
            return;
        }
        let (now, host) = (self.now(), &resolve.host);
        let resolved = &mut state.resolved;
        let had_failed =
            std::mem::replace(&mut resolved.was_tried, true) && resolved.addresses.fails();
        let problem = match &answer {
            Ok(_) => "the answer has no address".to_owned(),
            Err(problem) => problem.clone(),
        };
        let changed = match answer {
            Ok(addresses) => resolved.addresses.answered(addresses, now),
            Err(_) => Err(resolved.addresses.failed(now)),
        };
        let result = if changed.is_ok() { "ok" } else { "failed" };
        let labels = [self.resource.as_str(), result];
        self.metrics
            .endpoint_resolutions
            .with_label_values(&labels)
            .inc();
        match &changed {
            Ok(change) => {
                if had_failed {
                    events::resolves_again(&self.resource, host);
                }
                events::left_out(&self.resource, host, change);
            }
            Err(failure) => events::unresolved(&self.resource, host, failure, &problem),
        }
        let (added, mut removed) = self.use_addresses(&mut state);
        // The name itself was one only until now.
        removed.retain(|instance| !plan.has(&instance.endpoint));
        drop(state);
        events::replaced(&self.resource, &added, &removed);
        self.settle();
    }

    /// Notified when endpoints were added or removed.
    pub(crate) fn replaced(&self) -> watch::Receiver<()> {
        self.replaced.subscribe()
    }

    /// Whether the endpoint with this id was removed. While nothing is known about the addresses of a name, it was not.
    pub(crate) fn has_removed(&self, id: EndpointId) -> bool {
        let state = self.lock();
        matches!(state.wanted(Needs::Only(id), &[]), Err(Denied::Gone))
    }

    /// Whether its name was looked up once, where its endpoints are the addresses of a name.
    pub(crate) fn was_tried(&self) -> bool {
        let state = self.lock();
        state.plan.resolve.is_none() || state.resolved.was_tried
    }

    /// Sets the metrics of the endpoints as they are.
    pub(crate) fn observe(&self) {
        let state = self.lock();
        let whole = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        for one in state.endpoints.states(self.now()) {
            let labels = [self.resource.as_str(), one.key.label.as_str()];
            let in_flight = self
                .metrics
                .endpoint_calls_in_flight
                .with_label_values(&labels);
            in_flight.set(i64::from(one.calls));
            let usable = self.metrics.endpoint_usable.with_label_values(&labels);
            usable.set(i64::from(one.is_alive && !one.is_ejected));
        }
        let waiting = &self.metrics.endpoint_calls_waiting;
        let waiting = waiting.with_label_values(&[&self.resource]);
        waiting.set(whole(state.endpoints.waiting()));
    }

    fn seed(&self) -> u64 {
        self.seeds.fetch_add(1, Ordering::Relaxed)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn instances(&self) -> Vec<Arc<Instance>> {
        let states = self.endpoints.states(Duration::ZERO);
        states.map(|state| state.key.clone()).collect()
    }

    fn wanted<'a>(&self, needs: Needs, tried: &'a [Member]) -> Result<Wanted<'a>, Denied> {
        let Needs::Only(id) = needs else {
            return Ok(Wanted::Any(tried));
        };
        let found = self.endpoints.find(|instance| instance.endpoint.id() == id);
        // Without an answer of the name server nothing is known about an address.
        let resolved = &self.resolved;
        let is_unresolved = self.plan.resolve.is_some()
            && (!resolved.was_tried || resolved.addresses.addresses().is_empty());
        found.map(Wanted::Only).ok_or(match is_unresolved {
            true => Denied::NoneHealthy,
            false => Denied::Gone,
        })
    }
}

/// A call that waits no longer when this is dropped.
struct Leaving<'a> {
    set: &'a Arc<EndpointSet>,
    ticket: Ticket,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.set.lock().endpoints.leave(self.ticket);
    }
}

/// A call with its endpoint, which is at work on it until this is dropped.
#[derive(Debug)]
pub(crate) struct Call {
    set: Arc<EndpointSet>,
    instance: Arc<Instance>,
    member: Member,
    caller: Caller,
    /// Since the start of the set.
    began: Duration,
    is_counted: bool,
}

impl Call {
    /// Where the call goes.
    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.instance.endpoint
    }

    /// The head of the answer came, or none comes.
    pub(crate) fn report(&self, outcome: Outcome) {
        self.instance.count(outcome);
        let (set, now) = (&self.set, self.set.now());
        let change =
            set.lock()
                .endpoints
                .report(self.member, outcome, self.caller, (self.began, now));
        if let Some(change) = change {
            set.note(&change);
        }
    }

    /// Whether another endpoint can be used.
    pub(crate) fn has_others(&self) -> bool {
        let state = self.set.lock();
        let mut states = state.endpoints.states(self.set.now());
        states.any(|one| one.member != self.member && one.is_alive && !one.is_ejected)
    }

    /// The same call at another endpoint than those that were tried already, if there is one without a wait. This one is among the
    /// tried ones from now on.
    pub(crate) fn elsewhere(&self, tried: &mut Tried) -> Option<Self> {
        tried.0.push(self.member);
        let listens = !self.is_counted;
        let other = self
            .set
            .take(Needs::Any, listens, self.caller, &tried.0)
            .ok()?;
        let metrics = &self.set.metrics;
        let retries = metrics
            .endpoint_retries
            .with_label_values(&[&self.set.resource]);
        retries.inc();
        Some(other)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.is_counted {
            let mut state = self.set.lock();
            state.endpoints.release(self.member);
            let has_waiting = state.endpoints.waiting() > 0;
            drop(state);
            if has_waiting {
                self.set.settle();
            }
        }
    }
}

/// The endpoints that a message was sent to in vain.
#[derive(Debug, Default)]
pub(crate) struct Tried(Vec<Member>);

impl Tried {
    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

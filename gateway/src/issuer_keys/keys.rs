//! The keys of one issuer, refreshed in the background.
//!
//! Each issuer has one [`IssuerKeys`] and one task that runs it, so at most one fetch is active. The task fetches at start,
//! then every `refresh`, sooner after failures (with growing, jittered pauses), and at once when a request has an unknown
//! key id: a few times, then once per `cool_down`. Until a fetch that began after such a request has succeeded, it is not
//! known whether the issuer has the key, and the answer is 503: on 401, clients discard their tokens. While the issuer is
//! unavailable, fetched keys stay in use for `stale`; after that, what needs them fails: its resources answer 503, nobody signs in with
//! the provider. A request never waits longer than `wait`.
//!
//! The task lives as long as the keys may be used: by the current snapshot, and by requests that still use an older one.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use mcp_gateway_core::{
    refusal::{Refusal, reason::Reason},
    token::key_set::{KeySet, ParsedKeySet},
};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout, timeout_at},
};

use super::{
    fetch_budget::FetchBudget, fetch_pause::fetch_pause, key_fetcher::KeyFetcher,
    key_state::KeyState, rejected_keys::RejectedKeys,
};
use crate::{
    config::{Issuer, Jwks, KeySource, Route, UsedFor},
    fetch::error::FetchError,
    telemetry::{log_interval::LogInterval, metrics::Metrics},
};

/// The least time between two fetches that an operator requested.
const LEAST_BETWEEN_REFRESHES: Duration = Duration::from_secs(1);

/// The least time between two fetches that are requested because there are no keys.
const LEAST_BETWEEN_ATTEMPTS: Duration = Duration::from_secs(2);

/// The least time after which a client is asked to try again.
const LEAST_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The least time between two lines about failed fetches.
const LEAST_BETWEEN_FAILURES: Duration = Duration::from_secs(1);

/// The number of requested and of completed fetches, which waiting requests watch. They differ by one while a fetch is due
/// or active, and never by more.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FetchProgress {
    asked: u64,
    ended: u64,
}

impl FetchProgress {
    const fn is_under_way(self) -> bool {
        self.asked > self.ended
    }
}

/// The keys of one issuer.
#[derive(Debug)]
pub(crate) struct IssuerKeys {
    issuer: Issuer,
    settings: Jwks,
    fetcher: KeyFetcher,
    begun: Instant,
    metrics: Arc<Metrics>,
    state: ArcSwap<KeyState>,
    progress: watch::Sender<FetchProgress>,
    /// Changes when other keys are in use, or keys are usable again.
    changes: watch::Sender<()>,
    /// Wakes the task: a fetch is requested, or the keys are not used any more.
    wake: Arc<Notify>,
    /// The fetches that requests may still cause.
    budget: Mutex<FetchBudget>,
    /// The last fetch failed: the next success is logged.
    failing: AtomicBool,
    failure_lines: LogInterval,
    rejected_keys: RejectedKeys,
    /// The configuration does not have this issuer any more. Only fetches for requests in progress are made.
    retired: AtomicBool,
    last_refresh: Mutex<Option<Instant>>,
    /// When somebody who had no keys requested a fetch last.
    last_attempt: Mutex<Option<Instant>>,
}

impl IssuerKeys {
    /// `previous`, if it has the keys of the same issuer from the same source and no CA file is in `changed_files`: otherwise
    /// the first requests would have to wait. If only the settings, the proxy or the bearer token differ, the same keys, which
    /// are fetched in the new way from then on. Else no keys yet: [`IssuerKeys::run`] fetches them.
    ///
    /// # Errors
    /// A CA file cannot be used.
    pub(crate) fn reuse_or_new(
        previous: Option<&Arc<Self>>,
        issuer: &Issuer,
        settings: Jwks,
        metrics: &Arc<Metrics>,
        changed_files: &BTreeSet<PathBuf>,
    ) -> Result<Arc<Self>, FetchError> {
        let settings = own_settings(issuer, settings);
        let has_changed = |file| changed_files.contains(file);
        let is_same = |previous: &&Arc<Self>| {
            previous.are_of(issuer) && !issuer.ca_file.as_ref().is_some_and(has_changed)
        };
        let Some(previous) = previous.filter(is_same) else {
            return Self::new(issuer.clone(), settings, metrics.clone()).map(Arc::new);
        };
        let is_proxy_changed = matches!(
            &issuer.route,
            Route::Proxy(proxy) if proxy.ca_file.as_ref().is_some_and(has_changed)
        );
        if is_proxy_changed || !previous.are_fetched_like(issuer) {
            let fetcher = KeyFetcher::new(issuer, settings)?;
            return Ok(Arc::new(previous.fetched_by(fetcher, issuer, settings)));
        }
        if previous.settings == settings {
            return Ok(previous.clone());
        }
        let fetcher = previous.fetcher.with_settings(settings);
        Ok(Arc::new(previous.fetched_by(fetcher, issuer, settings)))
    }

    fn new(issuer: Issuer, settings: Jwks, metrics: Arc<Metrics>) -> Result<Self, FetchError> {
        let budget = budget(&issuer, settings);
        let tried = u64::from(issuer.keys == KeySource::BuiltIn);
        Ok(Self {
            fetcher: KeyFetcher::new(&issuer, settings)?,
            issuer,
            settings,
            begun: Instant::now(),
            metrics,
            state: ArcSwap::default(),
            progress: watch::Sender::new(FetchProgress {
                asked: tried,
                ended: tried,
            }),
            changes: watch::Sender::default(),
            wake: Arc::default(),
            budget,
            failing: AtomicBool::new(false),
            failure_lines: LogInterval::every(LEAST_BETWEEN_FAILURES),
            rejected_keys: RejectedKeys::default(),
            retired: AtomicBool::new(false),
            last_refresh: Mutex::default(),
            last_attempt: Mutex::default(),
        })
    }

    /// Whether `issuer` has the same source of keys. The content of its CA file is not compared.
    fn are_of(&self, issuer: &Issuer) -> bool {
        let source = |issuer: &Issuer| {
            let Issuer {
                name,
                issuer,
                keys,
                ca_file,
                allow_http,
                ..
            } = issuer.clone();
            (name, issuer, keys, ca_file, allow_http)
        };
        source(&self.issuer) == source(issuer)
    }

    /// Whether the keys of `issuer` are requested with the same credential by the same route.
    fn are_fetched_like(&self, issuer: &Issuer) -> bool {
        let way = |issuer: &Issuer| (issuer.route.clone(), issuer.bearer_file.clone());
        way(&self.issuer) == way(issuer)
    }

    /// Whether fetching reads one of these files: the keys themselves, or a credential.
    pub(crate) fn come_from(&self, files: &BTreeSet<PathBuf>) -> bool {
        let source = self.issuer.keys.file();
        let credentials = match &self.issuer.route {
            Route::Proxy(proxy) => proxy.credentials_file.as_ref(),
            Route::Unset | Route::Direct => None,
        };
        let read = [source, credentials, self.issuer.bearer_file.as_ref()];
        read.into_iter().flatten().any(|file| files.contains(file))
    }

    /// The same keys, fetched in another way from now on.
    fn fetched_by(&self, fetcher: KeyFetcher, issuer: &Issuer, settings: Jwks) -> Self {
        let tried = u64::from(self.was_tried());
        Self {
            issuer: issuer.clone(),
            settings,
            fetcher,
            begun: self.begun,
            metrics: self.metrics.clone(),
            state: ArcSwap::new(self.state.load_full()),
            progress: watch::Sender::new(FetchProgress {
                asked: tried,
                ended: tried,
            }),
            changes: watch::Sender::default(),
            wake: Arc::default(),
            budget: budget(&self.issuer, settings),
            failing: AtomicBool::new(self.failing.load(Ordering::Relaxed)),
            failure_lines: LogInterval::every(LEAST_BETWEEN_FAILURES),
            rejected_keys: self.rejected_keys.clone(),
            retired: AtomicBool::new(false),
            last_refresh: Mutex::default(),
            last_attempt: Mutex::default(),
        }
    }

    /// Puts the keys of the built-in authorization server in use. Tokens that a removed or changed key signed are not accepted any
    /// more.
    pub(crate) fn publish(&self, keys: KeySet) {
        self.put_in_use(keys, Instant::now());
    }

    /// Whether the keys are published in this process. They are never fetched.
    pub(crate) fn are_built_in(&self) -> bool {
        self.issuer.keys == KeySource::BuiltIn
    }

    /// Whether calls are verified with them, or only requests to the token endpoint.
    pub(crate) fn are_for_calls(&self) -> bool {
        self.issuer.is_for_calls()
    }

    /// The name in the configuration.
    pub(crate) fn name(&self) -> &str {
        &self.issuer.name
    }

    /// The keys in use. Waits for the first fetch if it has not completed yet.
    ///
    /// # Errors
    /// [`Reason::KeysUnavailable`] when there are none, or they are older than the stale window.
    pub(crate) async fn current(&self) -> Result<Arc<KeyState>, Reason> {
        if self.progress.borrow().ended == 0 {
            self.wait_for_fetch(0, Instant::now() + self.settings.wait)
                .await;
        }
        self.usable().ok_or(Reason::KeysUnavailable)
    }

    /// The keys in use, for a person who signs in. If there are none, they are fetched again at once, however long the pause after the
    /// last failure is, but not within [`LEAST_BETWEEN_ATTEMPTS`] of the last time: an issuer that is back works within seconds.
    ///
    /// # Errors
    /// As [`IssuerKeys::current`].
    pub(crate) async fn current_soon(&self) -> Result<Arc<KeyState>, Reason> {
        let deadline = Instant::now() + self.settings.wait;
        // Read before the keys, which are replaced before a fetch counts as ended.
        let ended = self.progress.borrow().ended;
        if let Some(state) = self.usable() {
            return Ok(state);
        }
        if self.request_attempt() {
            self.wait_for_fetch(ended, deadline).await;
        }
        self.usable().ok_or(Reason::KeysUnavailable)
    }

    /// Keys newer than `seen`, which lack the key of a request that came at `arrived`. Waits for the fetch that is active, or
    /// for one that the budget grants; until `wait` after `arrived` at most. The fetch may have begun before `arrived`.
    ///
    /// # Errors
    /// As [`IssuerKeys::current`]. [`Reason::UnknownKeyPending`] when no fetch is allowed, succeeded, or ended in time;
    /// [`Reason::UnknownKey`] where there is nothing to fetch.
    pub(crate) async fn newer_than(
        &self,
        seen: &Arc<KeyState>,
        arrived: Instant,
    ) -> Result<Arc<KeyState>, Refusal> {
        let deadline = arrived + self.settings.wait;
        loop {
            // Read before the keys, which are replaced before a fetch counts as ended.
            let ended = self.progress.borrow().ended;
            if let Some(newer) = self.other_than(seen)? {
                return Ok(newer);
            }
            if self.are_built_in() {
                return Err(Reason::UnknownKey.into());
            }
            match self.request_fetch_within_budget() {
                Ok(()) => {
                    self.wait_for_fetch(ended, deadline).await;
                    return self.other_than(seen)?.ok_or_else(|| self.pending());
                }
                Err(wait) if Instant::now() + wait <= deadline => sleep(wait).await,
                Err(_) => return Err(self.pending()),
            }
        }
    }

    /// The keys in use, if they are not the ones `seen`.
    fn other_than(&self, seen: &Arc<KeyState>) -> Result<Option<Arc<KeyState>>, Reason> {
        let now = self.usable().ok_or(Reason::KeysUnavailable)?;
        Ok((!Arc::ptr_eq(&now, seen)).then_some(now))
    }

    /// The refusal of a token whose key may have been published since the last fetch.
    fn pending(&self) -> Refusal {
        let wait = self.lock_budget().wait(Instant::now());
        Refusal {
            retry_after: Some(wait.max(LEAST_RETRY_AFTER)),
            ..Reason::UnknownKeyPending.into()
        }
    }

    /// The keys in use, without waiting: for cache hits and the readiness page.
    pub(crate) fn usable(&self) -> Option<Arc<KeyState>> {
        let state = self.state.load_full();
        state.is_usable(self.settings.stale).then_some(state)
    }

    /// Changes when other keys are in use, or keys are usable again after a time without.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Whether a first fetch has completed, successful or not.
    pub(crate) fn was_tried(&self) -> bool {
        self.progress.borrow().ended > 0
    }

    /// Sets the metric for the age of the keys: since the start, while there are none. Keys that are not fetched have no age.
    pub(crate) fn observe_age(&self) {
        if self.are_built_in() {
            return;
        }
        let since = self.state.load().confirmed().unwrap_or(self.begun);
        self.metrics
            .jwks_age
            .with_label_values(&[self.name()])
            .set(since.elapsed().as_secs_f64());
    }

    /// Refreshes the keys as long as they are in use.
    pub(crate) fn run(self: Arc<Self>) -> impl Future<Output = ()> + Send + 'static {
        let wake = self.wake.clone();
        let fetched = (!self.are_built_in()).then(|| Arc::downgrade(&self));
        async move {
            if let Some(fetched) = fetched {
                keep_fresh(fetched, wake).await;
            }
        }
    }

    /// Fetches the keys because an operator requested it: at once, or [`LEAST_BETWEEN_REFRESHES`] after the last time.
    pub(crate) async fn refresh(self: Arc<Self>) {
        let now = Instant::now();
        let due = {
            let mut last = self
                .last_refresh
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let due = last.map_or(now, |last| now.max(last + LEAST_BETWEEN_REFRESHES));
            if last.is_some_and(|last| last > now) {
                // A fetch is already requested.
                return;
            }
            *last = Some(due);
            due
        };
        tokio::time::sleep_until(due.into()).await;
        self.request_fetch();
    }

    /// Stops the refresh: the configuration in use does not have this issuer any more.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Fetches once and puts the keys in use, for a command that judges one token: no task runs them.
    ///
    /// # Errors
    /// Why they cannot be had.
    pub(crate) async fn fetch_once(&self) -> Result<(), FetchError> {
        self.mark_asked();
        let begun = Instant::now();
        let fetched = self.fetch().await;
        let fetched = fetched.map(|parsed| self.replace(parsed, begun));
        self.progress
            .send_modify(|progress| progress.ended = progress.asked);
        fetched
    }

    /// Fetches once and applies the outcome. Returns how many fetches have failed since the last success.
    async fn fetch_and_apply(&self, failures: u32) -> u32 {
        self.mark_asked();
        let begun = Instant::now();
        let fetched = self.fetch().await;
        let failures = if self.apply(fetched, begun) {
            0
        } else {
            failures + 1
        };
        self.progress
            .send_modify(|progress| progress.ended = progress.asked);
        failures
    }

    /// Waits until more than `ended` fetches have completed, at most until `deadline`.
    async fn wait_for_fetch(&self, ended: u64, deadline: Instant) {
        let mut progress = self.progress.subscribe();
        let next = progress.wait_for(|progress| progress.ended > ended);
        // In time or not, the present keys are used.
        let _ = timeout_at(deadline.into(), next).await;
    }

    fn mark_asked(&self) {
        self.progress
            .send_modify(|progress| progress.asked = progress.ended + 1);
    }

    /// Requests a fetch, unless one is requested or active already.
    ///
    /// # Errors
    /// The budget grants none yet: how long until it does.
    fn request_fetch_within_budget(&self) -> Result<(), Duration> {
        let mut budget = self.lock_budget();
        if !self.progress.borrow().is_under_way() {
            budget.take(Instant::now())?;
            self.request_fetch();
        }
        Ok(())
    }

    /// Requests a fetch, unless one is requested or active already. Returns whether one is under way then.
    fn request_attempt(&self) -> bool {
        let mut last = (self.last_attempt.lock()).unwrap_or_else(PoisonError::into_inner);
        if self.progress.borrow().is_under_way() || !self.was_tried() {
            return true;
        }
        let is_due = last.is_none_or(|last| last.elapsed() >= LEAST_BETWEEN_ATTEMPTS);
        if is_due && !self.are_built_in() {
            *last = Some(Instant::now());
            self.request_fetch();
        }
        is_due
    }

    fn lock_budget(&self) -> MutexGuard<'_, FetchBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests a fetch, regardless of the budget.
    pub(crate) fn request_fetch(&self) {
        if self.are_built_in() {
            return;
        }
        // The issuer may have moved its keys.
        self.fetcher.forget_discovered();
        self.mark_asked();
        self.wake.notify_one();
    }

    /// One attempt. A failure also drops the stored result of discovery.
    async fn fetch(&self) -> Result<ParsedKeySet, FetchError> {
        let fetched = self.fetcher.fetch(&self.issuer, self.settings.fetch).await;
        let fetched = fetched.and_then(|parsed| self.require_usable_key(parsed));
        if fetched.is_err() {
            self.fetcher.forget_discovered();
        }
        fetched
    }

    fn require_usable_key(&self, parsed: ParsedKeySet) -> Result<ParsedKeySet, FetchError> {
        if parsed.keys.is_empty() {
            self.record_rejected(&parsed);
            return Err(FetchError::Document("the key set has no usable key".into()));
        }
        Ok(parsed)
    }

    /// Applies the outcome of a fetch that began at `begun`. Returns whether it was a success.
    fn apply(&self, fetched: Result<ParsedKeySet, FetchError>, begun: Instant) -> bool {
        let outcome = fetched.map(|parsed| self.replace(parsed, begun));
        let label = outcome.as_ref().err().map_or("ok", FetchError::label);
        self.metrics
            .jwks_fetches
            .with_label_values(&[self.name(), label])
            .inc();
        if let Err(error) = &outcome
            && self.failure_lines.is_due()
        {
            let serving = if self.usable().is_some() {
                "the previous keys stay in use until they are stale (jwks.stale)"
            } else {
                without_keys(self.issuer.used_for)
            };
            let hint = self.fetcher.hint(error);
            let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
            tracing::error!(
                issuer = self.name(),
                "key set (JWKS) fetch failed, {serving}: {error}{hint}"
            );
        }
        if outcome.is_err() {
            self.failing.store(true, Ordering::Relaxed);
        }
        outcome.is_ok()
    }

    fn record_rejected(&self, parsed: &ParsedKeySet) {
        self.rejected_keys
            .record(&parsed.rejected, self.name(), &self.metrics);
    }

    fn replace(&self, parsed: ParsedKeySet, begun: Instant) {
        self.record_rejected(&parsed);
        let old = self.state.load_full();
        if !old.keys().same_keys(&parsed.keys) || self.failing.swap(false, Ordering::Relaxed) {
            let keys = parsed.keys.len();
            tracing::info!(issuer = self.name(), keys, "key set loaded");
        }
        self.put_in_use(parsed.keys, begun);
    }

    /// Puts keys in use that were true at `begun`.
    fn put_in_use(&self, keys: KeySet, begun: Instant) {
        let old = self.state.load_full();
        let was_usable = self.usable().is_some();
        let next = old.next(keys, begun);
        let is_changed = next.generation() != old.generation() || !was_usable;
        self.state.store(Arc::new(next));
        if is_changed {
            self.changes.send_replace(());
        }
    }
}

/// The settings as they apply to this issuer: keys of the built-in authorization server are never stale, and nothing about them
/// changes with the configuration, so that a reload keeps them.
fn own_settings(issuer: &Issuer, settings: Jwks) -> Jwks {
    match issuer.keys {
        KeySource::BuiltIn => Jwks {
            stale: Duration::MAX,
            ..Jwks::default()
        },
        KeySource::Discovery
        | KeySource::Uri(_)
        | KeySource::File(_)
        | KeySource::Introspection => settings,
    }
}

fn budget(issuer: &Issuer, settings: Jwks) -> Mutex<FetchBudget> {
    Mutex::new(match issuer.keys {
        KeySource::File(_) | KeySource::BuiltIn | KeySource::Introspection => {
            FetchBudget::for_file(settings)
        }
        KeySource::Discovery | KeySource::Uri(_) => FetchBudget::for_issuer(settings),
    })
}

/// What stops while there are no keys.
const fn without_keys(used_for: UsedFor) -> &'static str {
    match used_for {
        UsedFor::Resources => "requests that need them get 503",
        UsedFor::SigningIn => "nobody can sign in with the provider",
        UsedFor::TrustedTokens => "the token endpoint answers 503 to its tokens",
    }
}

impl Drop for IssuerKeys {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

/// Fetches, then pauses without a strong reference to the keys: when the last one is dropped, this ends.
async fn keep_fresh(weak: Weak<IssuerKeys>, wake: Arc<Notify>) {
    let mut failures = 0;
    loop {
        let Some(keys) = weak.upgrade() else { return };
        let is_asked = keys.progress.borrow().is_under_way();
        let is_retired = || keys.retired.load(Ordering::Relaxed);
        if is_asked || !is_retired() {
            failures = keys.fetch_and_apply(failures).await;
        }
        let pause = (!is_retired()).then(|| fetch_pause(failures, keys.settings.refresh));
        drop(keys);
        match pause {
            Some(pause) => {
                let _ = timeout(pause, wake.notified()).await;
            }
            None => wake.notified().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use mcp_gateway_core::{
        http::{authority::Scheme, outbound::no_proxy::NoProxy},
        token::{algorithm::Algorithm, claim_path::ClaimPath},
    };

    use super::*;
    use crate::config::ForwardProxy;

    const KEYS: &str = "keys.json";
    const CA: &str = "ca.pem";

    /// Keys in a file, so that nothing is fetched and the CA file is not read.
    fn issuer() -> Issuer {
        Issuer {
            name: "a".to_owned(),
            issuer: "https://a.example".to_owned(),
            token_types: Vec::new(),
            algorithms: Algorithm::ALL.to_vec(),
            keys: KeySource::File(KEYS.into()),
            ca_file: Some(CA.into()),
            allow_http: false,
            names: Vec::new(),
            authorization_servers: Vec::new(),
            bearer_file: None,
            route: Route::Unset,
            scope_claims: Vec::new(),
            subject_claim: ClaimPath::named("sub"),
            client_claims: Vec::new(),
            clock_skew: Duration::ZERO,
            max_lifetime: Duration::from_secs(3600),
            ignored_headers: Vec::new(),
            used_for: UsedFor::Resources,
            introspection: None,
        }
    }

    fn reuse_or_new(
        previous: Option<&Arc<IssuerKeys>>,
        issuer: &Issuer,
        settings: Jwks,
        changed_files: &[&str],
    ) -> Arc<IssuerKeys> {
        let metrics = Arc::new(Metrics::new().unwrap());
        let changed_files = changed_files.iter().map(PathBuf::from).collect();
        IssuerKeys::reuse_or_new(previous, issuer, settings, &metrics, &changed_files).unwrap()
    }

    #[test]
    fn keys_are_reused_unless_their_source_differs() {
        let settings = Jwks::default();
        let old = reuse_or_new(None, &issuer(), settings, &[]);
        let is_reused = |issuer: &Issuer, changed_files: &[&str]| {
            let new = reuse_or_new(Some(&old), issuer, settings, changed_files);
            Arc::ptr_eq(&old, &new)
        };
        assert!(is_reused(&issuer(), &[]));
        // The task reads the key file again; the token settings of an issuer do not affect its keys.
        assert!(is_reused(&issuer(), &[KEYS]));
        let more_skew = Issuer {
            clock_skew: Duration::from_secs(9),
            ..issuer()
        };
        assert!(is_reused(&more_skew, &[]));

        assert!(!is_reused(&issuer(), &[CA]));
        let others: [fn(&mut Issuer); 4] = [
            |issuer| issuer.issuer = "https://b.example".to_owned(),
            |issuer| issuer.keys = KeySource::File("other.json".into()),
            |issuer| issuer.ca_file = None,
            |issuer| issuer.allow_http = true,
        ];
        for change in others {
            let mut other = issuer();
            change(&mut other);
            assert!(!is_reused(&other, &[]), "{other:?}");
        }
    }

    /// The key set of one key.
    const KEY: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    /// Keys in a file of this folder, and a cool-down longer than requests wait.
    async fn running(folder: &tempfile::TempDir, cool_down: Duration) -> Arc<IssuerKeys> {
        let file = folder.path().join(KEYS);
        std::fs::write(&file, KEY).unwrap();
        let issuer = Issuer {
            keys: KeySource::File(file),
            ..issuer()
        };
        let keys = reuse_or_new(None, &issuer, Jwks::default(), &[]);
        *keys.lock_budget() = FetchBudget::for_issuer(Jwks {
            cool_down,
            ..Jwks::default()
        });
        tokio::spawn(keys.clone().run());
        keys.current().await.unwrap();
        keys
    }

    #[tokio::test]
    async fn published_keys_are_used_at_once_and_never_fetched() {
        let issuer = Issuer {
            keys: KeySource::BuiltIn,
            ca_file: None,
            ..issuer()
        };
        let short = Jwks {
            stale: Duration::ZERO,
            ..Jwks::default()
        };
        let keys = reuse_or_new(None, &issuer, short, &[]);
        // Nobody waits for keys that nobody fetches.
        assert!(keys.was_tried());
        assert_eq!(keys.current().await.unwrap_err(), Reason::KeysUnavailable);
        keys.clone().run().await;
        keys.request_fetch();
        assert!(!keys.progress.borrow().is_under_way());

        let parsed = || KeySet::parse(KEY.as_bytes()).unwrap().keys;
        let changes = keys.changes();
        keys.publish(parsed());
        assert!(changes.has_changed().unwrap());
        let seen = keys.current().await.unwrap();
        let arrived = Instant::now();
        let refusal = keys.newer_than(&seen, arrived).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::UnknownKey);
        keys.publish(parsed());
        let same = keys.newer_than(&seen, arrived).await.unwrap();
        assert_eq!(same.generation(), seen.generation());
        assert!(arrived.elapsed() < Jwks::default().wait);

        // A reload keeps them, whatever it changes about fetching.
        let kept = reuse_or_new(Some(&keys), &issuer, Jwks::default(), &[]);
        assert!(Arc::ptr_eq(&keys, &kept));
        keys.publish(KeySet::default());
        assert!(keys.usable().is_none());
    }

    #[tokio::test]
    async fn keys_that_cannot_be_fetched_again_are_pending() {
        let folder = tempfile::tempdir().unwrap();
        let keys = running(&folder, Duration::from_secs(30)).await;
        let refused = async |arrived| {
            let seen = keys.usable().unwrap();
            keys.newer_than(&seen, arrived).await.map(drop)
        };
        // A fetch that fails says nothing about a key; nor does the lack of one.
        std::fs::write(folder.path().join(KEYS), "none").unwrap();
        let fetches = || keys.progress.borrow().ended;
        let before = fetches();
        for round in 0..6 {
            let refusal = refused(Instant::now()).await.unwrap_err();
            assert_eq!(refusal.reason, Reason::UnknownKeyPending);
            let wait = refusal.retry_after.unwrap();
            let expected = if round < 3 { 1..=1 } else { 2..=30 };
            assert!(expected.contains(&wait.as_secs()), "{round}: {wait:?}");
        }
        assert_eq!(fetches() - before, 4);
    }

    #[tokio::test]
    async fn a_request_waits_for_a_fetch_that_is_allowed_soon() {
        let folder = tempfile::tempdir().unwrap();
        let keys = running(&folder, Duration::from_millis(50)).await;
        for _ in 0..8 {
            let arrived = Instant::now();
            let seen = keys.usable().unwrap();
            let newer = keys.newer_than(&seen, arrived).await.unwrap();
            assert!(newer.is_fetched_after(arrived) && !Arc::ptr_eq(&newer, &seen));
        }
    }

    #[tokio::test]
    async fn somebody_who_signs_in_asks_again_for_keys_that_could_not_be_fetched() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(KEYS);
        let issuer = Issuer {
            keys: KeySource::File(file.clone()),
            ..issuer()
        };
        // Nobody runs them: each fetch is one of this test.
        let keys = reuse_or_new(None, &issuer, Jwks::default(), &[]);
        let waited_at = |instant| *keys.last_attempt.lock().unwrap() = Some(instant);
        let is_under_way = || keys.progress.borrow().is_under_way();
        // The first fetch is waited for, and not requested twice.
        assert!(keys.request_attempt() && !is_under_way());
        keys.fetch_and_apply(0).await;
        assert!(keys.request_attempt() && is_under_way());
        assert!(keys.request_attempt());
        keys.fetch_and_apply(8).await;
        assert_eq!(keys.progress.borrow().ended, 2);
        // Not again at once, for any caller.
        let long = Duration::from_secs(3600);
        waited_at(Instant::now() + long);
        assert!(!keys.request_attempt() && !is_under_way());
        let refused = keys.current_soon().await.unwrap_err();
        assert_eq!(refused, Reason::KeysUnavailable);
        // But soon, however long the pause after so many failures would be.
        std::fs::write(&file, KEY).unwrap();
        waited_at(Instant::now() - LEAST_BETWEEN_ATTEMPTS);
        let (state, _) = tokio::join!(keys.current_soon(), keys.fetch_and_apply(9));
        assert_eq!(state.unwrap().keys().len(), 1);
        // Keys that can be used are used, and nothing is requested.
        assert!(keys.current_soon().await.is_ok() && !is_under_way());
    }

    #[tokio::test]
    async fn requests_at_the_same_time_share_a_fetch() {
        let folder = tempfile::tempdir().unwrap();
        let keys = running(&folder, Duration::from_secs(30)).await;
        let (seen, before) = (keys.usable().unwrap(), keys.progress.borrow().ended);
        let arrived = Instant::now();
        let one = || keys.newer_than(&seen, arrived);
        let (a, b, c) = tokio::join!(one(), one(), one());
        assert!(a.is_ok() && b.is_ok() && c.is_ok());
        assert_eq!(keys.progress.borrow().ended - before, 1);
    }

    #[tokio::test]
    async fn keys_stay_in_use_when_they_are_fetched_in_another_way() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(KEYS);
        std::fs::write(&file, KEY).unwrap();
        let issuer = Issuer {
            keys: KeySource::File(file),
            ..issuer()
        };
        let settings = Jwks::default();
        let old = reuse_or_new(None, &issuer, settings, &[]);
        old.fetch_and_apply(0).await;
        let proxy = |ca_file: Option<&str>| {
            Route::Proxy(ForwardProxy {
                scheme: Scheme::Http,
                authority: "proxy.example:3128".parse().unwrap(),
                credentials_file: Some("credentials".into()),
                no_proxy: NoProxy::default(),
                ca_file: ca_file.map(PathBuf::from),
            })
        };
        let changes: [fn(&mut Issuer); 2] = [
            |issuer| issuer.route = Route::Direct,
            |issuer| issuer.bearer_file = Some("token".into()),
        ];
        for change in changes {
            let mut other = issuer.clone();
            change(&mut other);
            let new = reuse_or_new(Some(&old), &other, settings, &[]);
            assert!(!Arc::ptr_eq(&new, &old), "{other:?}");
            assert!(Arc::ptr_eq(&old.usable().unwrap(), &new.usable().unwrap()));
        }
        let through = |ca_file| Issuer {
            route: proxy(ca_file),
            bearer_file: Some("token".into()),
            ..issuer.clone()
        };
        let old = reuse_or_new(None, &through(Some(CA)), settings, &[]);
        let is_reused = |changed: &[&str]| {
            let new = reuse_or_new(Some(&old), &through(Some(CA)), settings, changed);
            Arc::ptr_eq(&old, &new)
        };
        // Credentials are read for each fetch; one that changed causes a fetch.
        assert!(is_reused(&["token", "credentials"]) && !is_reused(&[CA]));
        for (name, expected) in [("token", true), ("credentials", true), (CA, false)] {
            let changed = BTreeSet::from([PathBuf::from(name)]);
            assert_eq!(old.come_from(&changed), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn other_settings_apply_to_the_same_keys() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(KEYS);
        std::fs::write(&file, KEY).unwrap();
        let issuer = Issuer {
            keys: KeySource::File(file),
            ..issuer()
        };
        let old = reuse_or_new(None, &issuer, Jwks::default(), &[]);
        old.fetch_and_apply(0).await;
        let slower = Jwks {
            refresh: Duration::from_secs(9999),
            ..Jwks::default()
        };
        let new = reuse_or_new(Some(&old), &issuer, slower, &[]);
        assert!(!Arc::ptr_eq(&old, &new));
        assert_eq!((new.settings, new.was_tried()), (slower, true));
        assert!(Arc::ptr_eq(&old.usable().unwrap(), &new.usable().unwrap()));
    }
}

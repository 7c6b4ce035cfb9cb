//! Taking a changed configuration over while requests go on.
//!
//! On SIGHUP, and when a file changes that the configuration is made of ([`watch`]), everything is read and checked again
//! as at start. A valid configuration is made ready whole and then exchanged; requests under way keep what they began
//! with. An invalid one changes nothing and is logged. Files are read once they have stayed the same for `reload.settle`, so that a
//! half-written one is neither used nor complained about.
//!
//! All of it runs on a thread of its own: no slow disk holds up a request.

pub(crate) mod certificates;
pub(crate) mod changes;
mod trigger;
mod watch;

use std::{
    collections::BTreeSet,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    thread,
    time::Instant,
};

use tokio::sync::mpsc;

use crate::{
    clock,
    config::{Config, Finding, Inputs, Loaded, Source},
    issuer_keys::{keys::IssuerKeys, refresher::RefreshOrder},
    shared::Gateway,
    snapshot::{KeysByIssuer, Snapshot},
    telemetry::metrics::Metrics,
};
use certificates::Certificates;
pub(crate) use trigger::{ReloadRequests, ReloadTrigger};
use watch::FileWatch;

/// How many times `reload.settle` files may go on changing. Then what is there is taken if it is good, so that constant
/// writing does not keep every change away.
const MAX_SETTLE_PAUSES: u32 = 10;

/// Reads the configuration again when the trigger asks for it.
#[derive(Debug)]
pub(crate) struct Reloader {
    source: Source,
    trigger: ReloadTrigger,
    requests: ReloadRequests,
    gateway: Arc<Gateway>,
    certificates: Certificates,
    key_orders: mpsc::Sender<RefreshOrder>,
    watch: FileWatch,
    /// The configuration at start: what cannot change while the process runs is compared with it.
    started: Config,
    /// The configuration in use.
    config: Config,
    /// What it was read from.
    applied: Inputs,
    /// What was found when everything was read last, accepted or rejected.
    last_read: Inputs,
    /// The files to look at: those of the configuration in use, and those that the last one read would be made of.
    files: BTreeSet<PathBuf>,
}

/// Files as they were found.
struct FoundInputs {
    inputs: Inputs,
    /// They have stayed so for long enough.
    is_settled: bool,
}

impl Reloader {
    /// For a gateway that serves `loaded`.
    pub(crate) fn new(
        loaded: Loaded,
        (trigger, requests): (ReloadTrigger, ReloadRequests),
        gateway: Arc<Gateway>,
        certificates: Certificates,
        key_orders: mpsc::Sender<RefreshOrder>,
    ) -> Self {
        let Loaded {
            config,
            source,
            inputs,
        } = loaded;
        Self {
            source,
            watch: FileWatch::new(trigger.clone()),
            trigger,
            requests,
            gateway,
            certificates,
            key_orders,
            started: config.clone(),
            config,
            files: inputs.files().cloned().collect(),
            last_read: inputs.clone(),
            applied: inputs,
        }
    }

    /// Starts on a thread of its own, which lives as long as the process.
    ///
    /// # Errors
    /// The system grants no thread.
    pub(crate) fn start(self) -> io::Result<()> {
        let named = thread::Builder::new().name("reload".into());
        named.spawn(move || self.run()).map(drop)
    }

    fn run(mut self) {
        // What changed while the process started is found at once.
        if self.config.reload.watch {
            self.trigger.request();
        }
        while self.requests.wait() {
            let reload = catch_unwind(AssertUnwindSafe(|| self.reload_if_changed()));
            if reload.is_err() {
                count_reload(self.gateway.metrics(), "rejected");
                tracing::error!(
                    "configuration reload panicked (a bug, please report it): still using the previous configuration"
                );
            }
        }
    }

    fn reload_if_changed(&mut self) {
        let found = self.wait_until_settled();
        let is_forced = self.trigger.take_forced();
        if self.gateway.process_state().is_draining()
            || (found.inputs == self.last_read && !is_forced)
        {
            return;
        }
        let reading = self.source.read();
        let is_new = !reading.inputs.are_within(&found.inputs);
        self.files.extend(reading.inputs.files().cloned());
        if (is_new && found.is_settled) || (reading.outcome.is_err() && !found.is_settled) {
            // Something is being written, or a file is named that was not looked at before.
            if is_forced {
                self.trigger.force();
            }
            return self.trigger.request();
        }
        let applied = reading
            .outcome
            .map_err(|findings| join_findings(&self.source, &findings))
            .and_then(|config| self.apply(config, reading.inputs.clone()));
        match applied {
            Ok(()) => {
                self.last_read = reading.inputs;
                // Look once more, which watches the files that are to be watched from now on.
                if self.config.reload.watch {
                    self.trigger.request();
                }
            }
            Err(problem) => {
                self.last_read = found.inputs;
                self.last_read.extend(reading.inputs);
                self.reject(&problem);
            }
        }
        if is_forced {
            self.fetch_all_keys();
        }
    }

    /// Looks at the files until two looks are alike, or [`MAX_SETTLE_PAUSES`] ends.
    fn wait_until_settled(&mut self) -> FoundInputs {
        let began = Instant::now();
        let mut inputs = self.read_inputs();
        loop {
            let settle = self.config.reload.settle;
            thread::sleep(settle);
            let next = self.read_inputs();
            let is_settled = next == inputs;
            inputs = next;
            if is_settled || began.elapsed() > settle.saturating_mul(MAX_SETTLE_PAUSES) {
                return FoundInputs { inputs, is_settled };
            }
        }
    }

    /// The state of every file, which are watched from before it is taken.
    fn read_inputs(&mut self) -> Inputs {
        if self.config.reload.watch {
            self.watch.watch_files(&self.files);
        } else {
            self.watch.stop();
        }
        Inputs::of(&self.files)
    }

    /// Makes `config` ready and exchanges it for the one in use; a failure changes nothing.
    fn apply(&mut self, config: Config, inputs: Inputs) -> Result<(), String> {
        let changed = inputs.differing_from(&self.applied);
        let old = self.gateway.snapshot();
        let snapshot = Snapshot::build(&config, self.gateway.metrics(), Some(&old), &changed);
        let snapshot = Arc::new(snapshot.map_err(|error| error.to_string())?);
        let renewed = self.certificates.renew(&config.listen, &changed);
        let renewed = renewed.map_err(|error| error.to_string())?;

        // Nothing fails from here on.
        self.start_refreshing(&snapshot.keys, &old.keys);
        self.gateway.exchange(snapshot.clone());
        self.certificates.exchange(renewed, self.gateway.metrics());
        retire_unused_keys(&old.keys, &snapshot.keys, self.gateway.metrics());
        let is_stale = |keys: &&Arc<IssuerKeys>| keys.come_from(&changed);
        snapshot
            .keys
            .values()
            .filter(is_stale)
            .for_each(|keys| keys.request_fetch());
        changes::log_changes(&self.config, &config, &changed);
        changes::warn_of_restart(&self.started, &config);
        changes::warn_of_lone_sessions(Some(&self.config), &config);
        note_loaded(self.gateway.metrics());
        count_reload(self.gateway.metrics(), "accepted");
        self.config = config;
        self.files = inputs.files().cloned().collect();
        self.applied = inputs;
        Ok(())
    }

    /// Begins to fetch the keys that are new, before any request asks for them.
    fn start_refreshing(&self, keys: &KeysByIssuer, previous: &KeysByIssuer) {
        for keys in keys_not_in(keys, previous) {
            self.send_order(RefreshOrder::Start(keys.clone()));
        }
    }

    fn send_order(&self, order: RefreshOrder) {
        // An order is lost only where the process ends.
        let _ = self.key_orders.blocking_send(order);
    }

    fn reject(&mut self, problem: &str) {
        count_reload(self.gateway.metrics(), "rejected");
        tracing::error!(
            "configuration reload rejected: still using the previous configuration: {problem}"
        );
        let applied = self.applied.files().chain(self.last_read.files());
        self.files = applied.cloned().collect();
    }

    /// An operator asks for everything anew, the keys of every issuer included.
    fn fetch_all_keys(&self) {
        for keys in self.gateway.snapshot().keys.values() {
            self.send_order(RefreshOrder::FetchNow(keys.clone()));
        }
    }
}

/// Makes both results known, as zero, and says when the configuration was loaded.
pub(crate) fn note_start(metrics: &Metrics) {
    for result in ["accepted", "rejected"] {
        metrics.config_reloads.with_label_values(&[result]);
    }
    note_loaded(metrics);
    metrics.config_last_reload_successful.set(1);
}

fn note_loaded(metrics: &Metrics) {
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds fit a double for the next hundred million years"
    )]
    metrics.config_last_reload.set(clock::now().secs() as f64);
}

fn count_reload(metrics: &Metrics, result: &str) {
    metrics.config_reloads.with_label_values(&[result]).inc();
    let was_accepted = i64::from(result == "accepted");
    metrics.config_last_reload_successful.set(was_accepted);
}

/// Those of `keys` that are not among `others`.
fn keys_not_in<'a>(
    keys: &'a KeysByIssuer,
    others: &'a KeysByIssuer,
) -> impl Iterator<Item = &'a Arc<IssuerKeys>> {
    keys.iter()
        .filter(|(name, keys)| {
            !others
                .get(*name)
                .is_some_and(|other| Arc::ptr_eq(keys, other))
        })
        .map(|(_, keys)| keys)
}

/// Stops fetching the keys that are replaced or gone. A counter stays where its issuer or resource goes, as Prometheus
/// expects; keys that nobody holds have no age.
fn retire_unused_keys(old: &KeysByIssuer, new: &KeysByIssuer, metrics: &Metrics) {
    for keys in keys_not_in(old, new) {
        keys.retire();
        if !new.contains_key(keys.name()) {
            // It has none if nobody has asked for it yet.
            let _ = metrics.jwks_age.remove_label_values(&[keys.name()]);
        }
    }
}

/// Every finding, on one line.
fn join_findings(source: &Source, findings: &[Finding]) -> String {
    let lines = findings
        .iter()
        .map(|finding| finding.in_file(source.file()).to_string());
    lines.collect::<Vec<_>>().join(" ")
}

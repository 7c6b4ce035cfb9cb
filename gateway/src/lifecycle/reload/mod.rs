//! Reloading the configuration while requests are served.
//!
//! On SIGHUP, and when a file of the configuration changes ([`watch`], and a [`glance`] each second where the system reports
//! no changes), everything is read and checked again as at start. A valid configuration is prepared completely and then
//! replaces the previous one; requests in progress keep theirs. An invalid one changes nothing and is logged. Files are read
//! when they have not changed for `reload.settle`, and no program is still writing them, so that a half-written file is
//! neither used nor reported.
//!
//! All of it runs on its own thread, so a slow disk delays no request.

pub(crate) mod certificates;
pub(crate) mod changes;
mod glance;
mod mounts;
mod trigger;
mod watch;
mod writers;

use std::{
    collections::BTreeSet,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use crate::{
    clock,
    config::{Config, Finding, Inputs, Loaded, Source},
    issuer_keys::{keys::IssuerKeys, refresher::RefreshOrder},
    shared::Gateway,
    snapshot::Snapshot,
    telemetry::metrics::Metrics,
    verify::KeysByIssuer,
};
use certificates::Certificates;
use glance::Glance;
use mounts::MountedFiles;
use trigger::Waited;
pub(crate) use trigger::{ReloadRequests, ReloadTrigger};
use watch::FileWatch;

/// For how many times `reload.settle` files may keep changing. After that they are used if they are valid and no program has
/// them open for writing, so that constant writing does not block every change.
const MAX_SETTLE_PAUSES: u32 = 10;

/// How long a program may take to write a file. After that the file is used if it is valid.
const LONGEST_WRITE: Duration = Duration::from_secs(60);

/// The time between two glances at the files. Each wakes the process once.
const GLANCE: Duration = Duration::from_secs(1);

/// Reads the configuration again when the trigger requests it.
#[derive(Debug)]
pub(crate) struct Reloader {
    source: Source,
    trigger: ReloadTrigger,
    requests: ReloadRequests,
    gateway: Arc<Gateway>,
    certificates: Certificates,
    key_orders: mpsc::Sender<RefreshOrder>,
    watch: FileWatch,
    /// What the files looked like before they were last read.
    seen: Glance,
    mounted: MountedFiles,
    /// The configuration at start, to find changes that require a restart.
    started: Config,
    /// The configuration in use.
    config: Config,
    /// The files it was read from.
    applied: Inputs,
    /// The files of the last reading, accepted or rejected.
    last_read: Inputs,
    /// The files to check: those of the configuration in use, and those of the last one that was read.
    files: BTreeSet<PathBuf>,
}

/// The state of the files.
struct FoundInputs {
    inputs: Inputs,
    /// They have not changed for `reload.settle`.
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
            seen: Glance::default(),
            mounted: MountedFiles::default(),
            started: config.clone(),
            config,
            files: inputs.files().cloned().collect(),
            last_read: inputs.clone(),
            applied: inputs,
        }
    }

    /// Starts on its own thread, which lives as long as the process.
    ///
    /// # Errors
    /// The system cannot create a thread.
    pub(crate) fn start(self) -> io::Result<()> {
        let named = thread::Builder::new().name("reload".into());
        named.spawn(move || self.run()).map(drop)
    }

    fn run(mut self) {
        // Finds changes that were made while the process started.
        if self.config.reload.watch {
            MountedFiles::announce(&self.files);
            self.trigger.request();
        }
        while self.wait_for_change() {
            let reload = catch_unwind(AssertUnwindSafe(|| self.reload_if_changed()));
            if reload.is_err() {
                count_reload(self.gateway.metrics(), "rejected");
                tracing::error!(
                    "configuration reload panicked (a bug, please report it): still using the previous configuration"
                );
            }
        }
    }

    /// Waits for a request, or until the files look different. False when nothing can come any more.
    fn wait_for_change(&self) -> bool {
        let pause = self.config.reload.watch.then_some(GLANCE);
        loop {
            match self.requests.wait(pause) {
                Waited::Requested => return true,
                Waited::Closed => return false,
                Waited::TimedOut if Glance::at(&self.files) != self.seen => return true,
                Waited::TimedOut => {}
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
            // A file is being written, or the configuration names a file that was not checked before.
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
                // Check once more, which also watches the new set of files.
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

    /// Reads the state of the files until it is the same twice, or [`MAX_SETTLE_PAUSES`] have passed.
    fn wait_until_settled(&mut self) -> FoundInputs {
        let began = Instant::now();
        let mut inputs = self.read_inputs();
        loop {
            let settle = self.config.reload.settle;
            thread::sleep(settle);
            let next = self.read_inputs();
            let is_being_written = self.watch.is_being_written();
            let is_settled = next == inputs && !is_being_written;
            inputs = next;
            if is_being_written && began.elapsed() < LONGEST_WRITE {
                continue;
            }
            if is_settled || began.elapsed() > settle.saturating_mul(MAX_SETTLE_PAUSES) {
                return FoundInputs { inputs, is_settled };
            }
        }
    }

    /// The state of every file. The watch starts before it is read.
    fn read_inputs(&mut self) -> Inputs {
        if self.config.reload.watch {
            self.seen = Glance::at(&self.files);
            self.mounted.warn_of_replaced(&self.files);
            self.watch.watch_files(&self.files);
        } else {
            self.watch.stop();
        }
        Inputs::of(&self.files)
    }

    /// Prepares `config` and replaces the one in use; a failure changes nothing.
    fn apply(&mut self, mut config: Config, inputs: Inputs) -> Result<(), String> {
        let waiting = changes::keys_needing_restart(&self.started, &config);
        config.keep_started(&self.started);
        let changed = inputs.differing_from(&self.applied);
        let old = self.gateway.snapshot();
        let snapshot = Snapshot::build(&config, self.gateway.metrics(), Some(&old), &changed);
        let snapshot = Arc::new(snapshot.map_err(|error| error.to_string())?);
        let renewed = self.certificates.renew(&config.listen, &changed);
        let renewed = renewed.map_err(|error| error.to_string())?;

        // Nothing can fail from here on.
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
        changes::warn_of_restart(&waiting);
        changes::warn_of_lone_sessions(Some(&self.config), &config);
        changes::warn_of_lone_assertions(Some(&self.config), &config);
        note_loaded(self.gateway.metrics());
        count_reload(self.gateway.metrics(), "accepted");
        self.config = config;
        self.files = inputs.files().cloned().collect();
        self.applied = inputs;
        Ok(())
    }

    /// Starts to fetch new keys, before a request needs them.
    fn start_refreshing(&self, keys: &KeysByIssuer, previous: &KeysByIssuer) {
        for keys in keys_not_in(keys, previous) {
            self.send_order(RefreshOrder::Start(keys.clone()));
        }
    }

    fn send_order(&self, order: RefreshOrder) {
        // An order is lost only when the process shuts down.
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

    /// Fetches the keys of all issuers, because an operator requested a full reload.
    fn fetch_all_keys(&self) {
        for keys in self.gateway.snapshot().keys.values() {
            self.send_order(RefreshOrder::FetchNow(keys.clone()));
        }
    }
}

/// Exports both results with the value zero, and the time when the configuration was loaded.
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

/// Stops fetching keys that are replaced or removed. Counters of a removed issuer or resource stay, as Prometheus expects;
/// the age of its keys is removed.
fn retire_unused_keys(old: &KeysByIssuer, new: &KeysByIssuer, metrics: &Metrics) {
    for keys in keys_not_in(old, new) {
        keys.retire();
        if !new.contains_key(keys.name()) {
            // There is no value if none was ever set.
            let _ = metrics.jwks_age.remove_label_values(&[keys.name()]);
        }
    }
}

/// All findings on one line.
fn join_findings(source: &Source, findings: &[Finding]) -> String {
    let lines = findings
        .iter()
        .map(|finding| finding.in_file(source.file()).to_string());
    lines.collect::<Vec<_>>().join(" ")
}

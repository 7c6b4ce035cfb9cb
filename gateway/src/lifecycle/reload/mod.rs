//! Taking a changed configuration over while requests go on.
//!
//! On SIGHUP, and when a file changes that the configuration is made of ([`watch`]), everything is read and checked again
//! as at start. What is good is made ready whole and then exchanged; requests under way keep what they began with. What
//! is wrong changes nothing, and is told. Files are read once they have stayed the same for `reload.settle`, so that a
//! half-written one is neither used nor complained about.
//!
//! All of it runs on a thread of its own: no slow disk holds up a request.

pub(crate) mod certificates;
pub(crate) mod changes;
mod watch;

use std::{
    collections::BTreeSet,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Instant,
};

use tokio::sync::mpsc;

use crate::{
    clock,
    config::{Config, Finding, Inputs, Loaded, Source},
    gateway::Gateway,
    snapshot::{Keys, Predecessor, Snapshot},
    telemetry::metrics::Metrics,
    verify::{keys::IssuerKeys, refresher::Order},
};
use certificates::Certificates;
use watch::Watch;

/// How many times `reload.settle` files may go on changing. Then what is there is taken if it is good, so that constant
/// writing does not keep every change away.
const PATIENCE: u32 = 10;

/// Says that something may have changed. Rings that nobody has answered yet are one.
#[derive(Clone, Debug)]
pub(crate) struct Bell {
    ring: SyncSender<()>,
    /// An operator asks: everything is read again, changed or not.
    asked: Arc<AtomicBool>,
}

/// Where the bell is heard.
#[derive(Debug)]
pub(crate) struct Rings(Receiver<()>);

impl Bell {
    /// A bell, and where it is heard.
    pub(crate) fn new() -> (Self, Rings) {
        let (ring, rings) = sync_channel(1);
        let asked = Arc::default();
        (Self { ring, asked }, Rings(rings))
    }

    /// A file may have changed.
    fn ring(&self) {
        // A full channel has said it already.
        let _ = self.ring.try_send(());
    }

    /// SIGHUP.
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        self.ring();
    }
}

/// Reads the configuration again when the bell rings.
#[derive(Debug)]
pub(crate) struct Reloader {
    source: Source,
    bell: Bell,
    rings: Rings,
    gateway: Arc<Gateway>,
    certificates: Certificates,
    orders: mpsc::Sender<Order>,
    watch: Watch,
    /// The configuration at start: what cannot change while the process runs is compared with it.
    started: Config,
    /// The configuration in use.
    config: Config,
    /// What it was read from.
    applied: Inputs,
    /// What was found when everything was read last, whatever came of it.
    seen: Inputs,
    /// The files to look at: those of the configuration in use, and those that the last one read would be made of.
    files: BTreeSet<PathBuf>,
}

/// Files as they were found.
struct Found {
    inputs: Inputs,
    /// They have stayed so for long enough.
    is_settled: bool,
}

impl Reloader {
    /// For a gateway that serves `loaded`.
    pub(crate) fn new(
        loaded: Loaded,
        (bell, rings): (Bell, Rings),
        gateway: Arc<Gateway>,
        certificates: Certificates,
        orders: mpsc::Sender<Order>,
    ) -> Self {
        let Loaded {
            config,
            source,
            inputs,
        } = loaded;
        Self {
            source,
            watch: Watch::new(bell.clone()),
            bell,
            rings,
            gateway,
            certificates,
            orders,
            started: config.clone(),
            config,
            files: inputs.files().cloned().collect(),
            seen: inputs.clone(),
            applied: inputs,
        }
    }

    /// Begins on a thread of its own, which lives as long as the process.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start(self) -> io::Result<()> {
        let named = thread::Builder::new().name("reload".into());
        named.spawn(move || self.run()).map(drop)
    }

    fn run(mut self) {
        // What changed while the process started is found at the first turn.
        if self.config.reload.watch {
            self.bell.ring();
        }
        while self.rings.0.recv().is_ok() {
            let turn = catch_unwind(AssertUnwindSafe(|| self.turn()));
            if turn.is_err() {
                count(self.gateway.metrics(), "rejected");
                tracing::error!(
                    "a reload broke off, which is a defect; the configuration stays as it was"
                );
            }
        }
    }

    fn turn(&mut self) {
        let found = self.settle();
        let is_asked = self.bell.asked.swap(false, Ordering::Acquire);
        if self.gateway.is_draining() || (found.inputs == self.seen && !is_asked) {
            return;
        }
        let reading = self.source.read();
        let is_new = !reading.inputs.are_within(&found.inputs);
        self.files.extend(reading.inputs.files().cloned());
        if (is_new && found.is_settled) || (reading.outcome.is_err() && !found.is_settled) {
            // Something is being written, or a file is named that was not looked at before.
            if is_asked {
                self.bell.ask();
            }
            return self.bell.ring();
        }
        let applied = reading
            .outcome
            .map_err(|findings| told(&self.source, &findings))
            .and_then(|config| self.apply(config, reading.inputs.clone()));
        match applied {
            Ok(()) => {
                self.seen = reading.inputs;
                // One more look, which watches what is to be watched from now on.
                if self.config.reload.watch {
                    self.bell.ring();
                }
            }
            Err(problem) => {
                self.seen = found.inputs;
                self.seen.extend(reading.inputs);
                self.reject(&problem);
            }
        }
        if is_asked {
            self.refresh();
        }
    }

    /// Looks until two looks are alike, or patience ends.
    fn settle(&mut self) -> Found {
        let began = Instant::now();
        let mut inputs = self.look();
        loop {
            let settle = self.config.reload.settle;
            thread::sleep(settle);
            let next = self.look();
            let is_settled = next == inputs;
            inputs = next;
            if is_settled || began.elapsed() > settle.saturating_mul(PATIENCE) {
                return Found { inputs, is_settled };
            }
        }
    }

    /// The state of every file, which are watched from before it is taken.
    fn look(&mut self) -> Inputs {
        if self.config.reload.watch {
            self.watch.arm(&self.files);
        } else {
            self.watch.disarm();
        }
        Inputs::of(&self.files)
    }

    /// Makes `config` ready and exchanges it for the one in use; a failure changes nothing.
    fn apply(&mut self, config: Config, inputs: Inputs) -> Result<(), String> {
        let changed = inputs.differing_from(&self.applied);
        let old = self.gateway.snapshot();
        let before = Predecessor {
            config: &self.config,
            snapshot: &old,
            changed: &changed,
        };
        let snapshot = Snapshot::build(&config, self.gateway.metrics(), Some(before));
        let snapshot = Arc::new(snapshot.map_err(|error| error.to_string())?);
        let renewed = self.certificates.renew(&config.listen, &changed);
        let renewed = renewed.map_err(|error| error.to_string())?;

        // Nothing fails from here on.
        self.keep(&snapshot.keys, &old.keys);
        self.gateway.exchange(snapshot.clone());
        self.certificates.exchange(renewed, self.gateway.metrics());
        retire(&old.keys, &snapshot.keys, self.gateway.metrics());
        let stale = |keys: &&Arc<IssuerKeys>| keys.stand_in(&changed);
        snapshot
            .keys
            .values()
            .filter(stale)
            .for_each(|keys| keys.want());
        changes::tell(&self.config, &config, &changed);
        changes::warn_of_restart(&self.started, &config);
        changes::warn_of_lone_sessions(Some(&self.config), &config);
        note_loaded(self.gateway.metrics());
        count(self.gateway.metrics(), "accepted");
        self.config = config;
        self.files = inputs.files().cloned().collect();
        self.applied = inputs;
        Ok(())
    }

    /// Begins to fetch the keys that are new, before any request asks for them.
    fn keep(&self, keys: &Keys, before: &Keys) {
        for keys in other_than(keys, before) {
            self.order(Order::Keep(keys.clone()));
        }
    }

    fn order(&self, order: Order) {
        // It is not carried out only where the process ends.
        let _ = self.orders.blocking_send(order);
    }

    fn reject(&mut self, problem: &str) {
        count(self.gateway.metrics(), "rejected");
        tracing::error!(
            "the configuration was not taken over, the last good one stays in use: {problem}"
        );
        let applied = self.applied.files().chain(self.seen.files());
        self.files = applied.cloned().collect();
    }

    /// An operator asks for everything anew, the keys of every issuer included.
    fn refresh(&self) {
        for keys in self.gateway.snapshot().keys.values() {
            self.order(Order::Refresh(keys.clone()));
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

fn count(metrics: &Metrics, result: &str) {
    metrics.config_reloads.with_label_values(&[result]).inc();
    let was_accepted = i64::from(result == "accepted");
    metrics.config_last_reload_successful.set(was_accepted);
}

/// Those of `keys` that are not among `others`.
fn other_than<'a>(keys: &'a Keys, others: &'a Keys) -> impl Iterator<Item = &'a Arc<IssuerKeys>> {
    keys.iter()
        .filter(|(name, keys)| {
            !others
                .get(*name)
                .is_some_and(|other| Arc::ptr_eq(keys, other))
        })
        .map(|(_, keys)| keys)
}

/// Stops fetching the keys that are replaced or gone. A counter stays where its issuer or resource goes, as Prometheus
/// expects; the age of keys that nobody holds is no fact any more.
fn retire(old: &Keys, new: &Keys, metrics: &Metrics) {
    for keys in other_than(old, new) {
        keys.retire();
        if !new.contains_key(keys.name()) {
            // It has none if nobody has asked for it yet.
            let _ = metrics.jwks_age.remove_label_values(&[keys.name()]);
        }
    }
}

/// Every finding, on one line.
fn told(source: &Source, findings: &[Finding]) -> String {
    let lines = findings
        .iter()
        .map(|finding| finding.in_file(source.file()).to_string());
    lines.collect::<Vec<_>>().join(" ")
}

//! What operators read about a connection: a line when it is lost, reminders while it is, a line when it is back; and a line when the
//! server refuses what it is asked.

use std::time::{Duration, Instant};

use redis::RedisError;

use crate::telemetry::log_interval::LogInterval;

/// The least time between two lines that say the same.
const REMINDER: Duration = Duration::from_secs(60);

/// The lines about one connection. The key of the configuration that describes the store is in each.
#[derive(Debug)]
pub(super) struct Notes {
    key: &'static str,
    /// When the connection was lost, where it was.
    lost: Option<Instant>,
    waits: LogInterval,
    /// How a full server makes room, as it was read last.
    policy: Option<String>,
}

impl Notes {
    pub(super) const fn new(key: &'static str) -> Self {
        Self {
            key,
            lost: None,
            waits: LogInterval::every(REMINDER),
            policy: None,
        }
    }

    pub(super) fn lost(&mut self, why: &str) {
        self.lost = Some(Instant::now());
        self.waits = LogInterval::every(REMINDER);
        tracing::warn!(
            "connection to the store lost, connecting again: {why} ({})",
            self.key
        );
    }

    /// There is no connection yet, or again.
    pub(super) fn waits(&self, why: &str) {
        if self.waits.is_due() {
            tracing::warn!(
                "cannot connect to the store, trying again: {why} ({})",
                self.key
            );
        }
    }

    pub(super) fn connected(&mut self) {
        match self.lost.take() {
            None => tracing::info!("connected to the store ({})", self.key),
            Some(lost) => tracing::info!(
                "connected to the store again, after {} s ({})",
                lost.elapsed().as_secs(),
                self.key
            ),
        }
    }

    /// What a server that is full does with its rows, if it says so.
    pub(super) fn policy(&mut self, policy: Option<&str>) {
        if self.policy.as_deref() == Some(policy.unwrap_or_default()) {
            return;
        }
        self.policy = Some(policy.unwrap_or_default().to_owned());
        match policy {
            Some("noeviction") => {}
            Some(policy) => tracing::warn!(
                "the store removes rows when it is full (maxmemory-policy {policy}): what was used or revoked could be used again. Set maxmemory-policy noeviction there ({})",
                self.key
            ),
            None => tracing::warn!(
                "the store does not say whether it removes rows when it is full (maxmemory-policy): its user may not run INFO. Allow it in the ACL of the user (+info) ({})",
                self.key
            ),
        }
    }
}

/// The lines about what the server refuses.
#[derive(Debug)]
pub(super) struct Refusals {
    key: &'static str,
    lines: LogInterval,
}

impl Refusals {
    pub(super) const fn new(key: &'static str) -> Self {
        Self {
            key,
            lines: LogInterval::every(REMINDER),
        }
    }

    /// The server refused something: why, in words. The operator reads it at most once a minute.
    pub(super) fn note(&self, error: &RedisError) -> String {
        let code = error.code();
        let why = match code {
            Some("OOM") => "the server is full (maxmemory)".to_owned(),
            _ => error.to_string(),
        };
        if self.lines.is_due() {
            tracing::error!(
                "the store refuses what it is asked: {why}. {} ({})",
                cure(code),
                self.key
            );
        }
        format!("{why} ({})", self.key)
    }
}

/// What the operator can do.
fn cure(code: Option<&str>) -> &'static str {
    match code {
        Some("OOM") => {
            "What adds a row fails until there is room: raise maxmemory there, and look what else it keeps"
        }
        Some("MISCONF") => "It cannot save its data: look at its disk and its log",
        Some("NOREPLICAS") => {
            "Too few replicas follow it (min-replicas-to-write): look at the replicas"
        }
        _ => "Look at the ACL of the user, and at the log of the server",
    }
}

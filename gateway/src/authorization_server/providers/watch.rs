//! What was seen of a provider, for the operator: whether it has answered once. Until then it is asked again; after that its keys are
//! refreshed as those of every issuer, and failures are logged there.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use super::fault::ProviderFault;
use crate::telemetry::log_interval::LogInterval;

/// The least time between two lines that say that a provider cannot be used.
const REMINDER: Duration = Duration::from_secs(60);

/// What was seen of a provider.
#[derive(Debug)]
pub(super) struct Watch {
    is_known: AtomicBool,
    has_failed: AtomicBool,
    lines: LogInterval,
}

/// A provider as the readiness page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProviderState {
    /// Its name in the configuration.
    pub(crate) name: String,
    /// How many of its keys can be used.
    pub(crate) keys: usize,
    /// Whether people can sign in with it, as far as is known.
    pub(crate) state: &'static str,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            is_known: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            lines: LogInterval::every(REMINDER),
        }
    }
}

impl Watch {
    /// Whether its documents were there once.
    pub(super) fn is_known(&self) -> bool {
        self.is_known.load(Relaxed)
    }

    /// Whether it was asked.
    pub(super) fn was_asked(&self) -> bool {
        self.is_known() || self.has_failed.load(Relaxed)
    }

    /// Notes whether the provider with this name has its documents.
    pub(super) fn note(&self, name: &str, prepared: Result<(), ProviderFault>) {
        match prepared {
            Ok(()) => {
                self.is_known.store(true, Relaxed);
                if self.has_failed.load(Relaxed) {
                    tracing::info!(provider = name, "the provider answers now");
                }
            }
            Err(fault) => {
                self.has_failed.store(true, Relaxed);
                if self.lines.is_due() {
                    tracing::warn!(
                        provider = name,
                        "nobody can sign in with the provider now: {fault}"
                    );
                }
            }
        }
    }
}

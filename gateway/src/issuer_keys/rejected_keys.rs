//! Keys of a key set that cannot be used: each is counted at every fetch, and logged once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mcp_gateway_core::token::key_set::{KeyRejection, RejectedKey};

use crate::telemetry::metrics::Metrics;

/// The longest key id in a log line, in characters.
const MAX_LOGGED_KEY_ID: usize = 64;

/// The unusable keys of an issuer's last key set, which have been logged.
#[derive(Debug, Default)]
pub(crate) struct RejectedKeys {
    logged: Mutex<Vec<RejectedKey>>,
}

impl RejectedKeys {
    /// Counts every unusable key, and logs the new ones: a key is logged when it is published, not at every refresh.
    /// `issuer` is the name in the configuration.
    pub(crate) fn record(&self, rejected: &[RejectedKey], issuer: &str, metrics: &Metrics) {
        let mut logged = self.lock();
        for key in rejected {
            let label = key.reason.label();
            metrics
                .jwks_keys_rejected
                .with_label_values(&[issuer, label])
                .inc();
            if !logged.contains(key) {
                log(key, issuer);
            }
        }
        rejected.clone_into(&mut logged);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<RejectedKey>> {
        self.logged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for RejectedKeys {
    fn clone(&self) -> Self {
        Self {
            logged: Mutex::new(self.lock().clone()),
        }
    }
}

fn log(rejected: &RejectedKey, issuer: &str) {
    let reason = rejected.reason;
    let kid = rejected.kid.as_deref().map(shorten_key_id);
    // Everybody who read the key set can sign tokens: the issuer must act.
    if matches!(reason, KeyRejection::Symmetric | KeyRejection::Private) {
        tracing::error!(
            issuer,
            kid,
            reason = reason.label(),
            "key set contains an unusable key: {reason}"
        );
    } else {
        tracing::warn!(
            issuer,
            kid,
            reason = reason.label(),
            "key set contains an unusable key: {reason}"
        );
    }
}

/// A key id, truncated for a log line.
fn shorten_key_id(kid: &str) -> &str {
    let end = kid.char_indices().nth(MAX_LOGGED_KEY_ID);
    end.map_or(kid, |(end, _)| kid.get(..end).unwrap_or(kid))
}

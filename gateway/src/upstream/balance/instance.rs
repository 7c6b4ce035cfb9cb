//! One endpoint of a set, with its label and its metrics.

use std::sync::Arc;

use mcp_gateway_core::balance::outcome::{Outcome, Verdict};
use prometheus::IntCounter;

use crate::{telemetry::metrics::Metrics, upstream::endpoint::Endpoint};

/// An endpoint. It is equal to another one with the same id, even if their connections differ.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(super) endpoint: Arc<Endpoint>,
    /// Its metric label: the configured URL where there are several; else a number.
    pub(super) label: String,
    answered: IntCounter,
    failed: IntCounter,
    unknown: IntCounter,
    pub(super) ejections: IntCounter,
}

impl Instance {
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        label: String,
        (metrics, resource): (&Metrics, &str),
    ) -> Arc<Self> {
        let calls = |outcome: &str| {
            let labels = [resource, label.as_str(), outcome];
            metrics.endpoint_calls.with_label_values(&labels)
        };
        Arc::new(Self {
            answered: calls("answered"),
            failed: calls("failed"),
            unknown: calls("unknown"),
            ejections: metrics
                .endpoint_ejections
                .with_label_values(&[resource, &label]),
            endpoint,
            label,
        })
    }

    /// Counts a call.
    pub(super) fn count(&self, outcome: Outcome) {
        match outcome.verdict() {
            Verdict::Works => self.answered.inc(),
            Verdict::Fails => self.failed.inc(),
            Verdict::FailsIfSilent | Verdict::Nothing => self.unknown.inc(),
        }
    }
}

impl PartialEq for Instance {
    fn eq(&self, other: &Self) -> bool {
        self.endpoint.id() == other.endpoint.id()
    }
}

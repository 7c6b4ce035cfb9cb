//! Connections that are closed before they bring a request: each is counted, and told of at a pace that no flood sets.

use std::time::Duration;

use crate::telemetry::{metrics::Metrics, pace::Pace};

/// Time between two lines for one cause.
const PACE: Duration = Duration::from_secs(5);

/// Why a connection is closed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause {
    /// As many as may be open are.
    Limit,
    /// As many as may be open from its address are.
    AddressLimit,
    /// It brought no PROXY protocol header, or may not bring one.
    ProxyHeader,
}

/// Counts a connection that is closed, and says so when it is time to.
pub(super) fn closed(metrics: &Metrics, cause: Cause) {
    let (label, what, pace) = cause.row();
    metrics.connections_closed.with_label_values(&[label]).inc();
    if let Some(count) = pace.tally() {
        tracing::warn!(cause = label, count, "connections were closed: {what}");
    }
}

impl Cause {
    fn row(self) -> (&'static str, &'static str, &'static Pace) {
        static LIMIT: Pace = Pace::every(PACE);
        static ADDRESS_LIMIT: Pace = Pace::every(PACE);
        static PROXY_HEADER: Pace = Pace::every(PACE);
        match self {
            Self::Limit => ("limit", "as many as may be open are", &LIMIT),
            Self::AddressLimit => (
                "address_limit",
                "as many as may be open from one address are",
                &ADDRESS_LIMIT,
            ),
            Self::ProxyHeader => (
                "proxy_header",
                "no trusted proxy began them with a PROXY protocol header, version 2",
                &PROXY_HEADER,
            ),
        }
    }
}

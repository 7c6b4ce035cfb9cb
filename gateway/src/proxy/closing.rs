//! Connections that are closed before they bring a request: each is counted, and what an operator can mend is told of, at a
//! pace that no flood sets.

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
    /// Memory is short.
    Memory,
    /// It brought no PROXY protocol header, or may not bring one.
    ProxyHeader,
    /// Its TLS handshake failed, or was not done in time.
    Handshake,
    /// It did not begin a request in time; over HTTP/2, it did not bring a whole one.
    Silent,
}

/// Counts a connection that is closed, and says so when it is time to.
pub(super) fn closed(metrics: &Metrics, cause: Cause) {
    let label = cause.label();
    metrics.connections_closed.with_label_values(&[label]).inc();
    if let Some((what, pace)) = cause.told()
        && let Some(count) = pace.tally()
    {
        tracing::warn!(cause = label, count, "connections were closed: {what}");
    }
}

impl Cause {
    const fn label(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::AddressLimit => "address_limit",
            Self::Memory => "memory",
            Self::ProxyHeader => "proxy_header",
            Self::Handshake => "handshake",
            Self::Silent => "silent",
        }
    }

    /// What is told of it. Handshakes and silences are what every scanner and every TCP health check brings.
    fn told(self) -> Option<(&'static str, &'static Pace)> {
        static LIMIT: Pace = Pace::every(PACE);
        static ADDRESS_LIMIT: Pace = Pace::every(PACE);
        static MEMORY: Pace = Pace::every(PACE);
        static PROXY_HEADER: Pace = Pace::every(PACE);
        match self {
            Self::Limit => Some(("as many as may be open are", &LIMIT)),
            Self::AddressLimit => Some((
                "as many as may be open from one address are",
                &ADDRESS_LIMIT,
            )),
            Self::Memory => Some(("memory is short", &MEMORY)),
            Self::ProxyHeader => Some((
                "no trusted proxy began them with a PROXY protocol header, version 2",
                &PROXY_HEADER,
            )),
            Self::Handshake | Self::Silent => None,
        }
    }
}

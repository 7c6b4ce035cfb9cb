//! Connections that are closed before they bring a request: each is counted, and what an operator can fix is logged, at an
//! interval that no flood shortens.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use crate::telemetry::{log_interval::LogInterval, metrics::Metrics};

/// Time between two lines for one cause.
const INTERVAL: Duration = Duration::from_secs(5);

/// Why a connection is closed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RejectionCause {
    /// As many as may be open are.
    Limit,
    /// As many as may be open from its address are.
    AddressLimit(IpAddr),
    /// Memory is short.
    Memory,
    /// It brought no PROXY protocol header, or may not bring one.
    ProxyHeader(IpAddr),
    /// Its TLS handshake failed, or was not done in time.
    Handshake,
    /// It did not begin a request in time; over HTTP/2, it did not bring a whole one.
    Silent,
}

/// Counts a connection that is closed before a request, and logs it when a line is due.
pub(crate) fn count_rejected(metrics: &Metrics, cause: RejectionCause) {
    let label = cause.label();
    metrics.connections_closed.with_label_values(&[label]).inc();
    if let Some((what, interval)) = cause.log_text()
        && let Some(count) = interval.count_due()
    {
        let address = cause.address().map(tracing::field::display);
        tracing::warn!(
            cause = label,
            count,
            address,
            "connections rejected: {what}"
        );
    }
}

/// Makes every cause known, as zero: what begins at one is no increase to Prometheus.
pub(crate) fn note_start(metrics: &Metrics) {
    const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    for cause in [
        RejectionCause::Limit,
        RejectionCause::AddressLimit(NOBODY),
        RejectionCause::Memory,
        RejectionCause::ProxyHeader(NOBODY),
        RejectionCause::Handshake,
        RejectionCause::Silent,
    ] {
        metrics
            .connections_closed
            .with_label_values(&[cause.label()]);
    }
}

impl RejectionCause {
    const fn label(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::AddressLimit(_) => "address_limit",
            Self::Memory => "memory",
            Self::ProxyHeader(_) => "proxy_header",
            Self::Handshake => "handshake",
            Self::Silent => "silent",
        }
    }

    /// Whose it was, where that is what an operator has to know; the last one's of many.
    const fn address(self) -> Option<IpAddr> {
        match self {
            Self::AddressLimit(address) | Self::ProxyHeader(address) => Some(address),
            Self::Limit | Self::Memory | Self::Handshake | Self::Silent => None,
        }
    }

    /// What is logged of it, and how often: nothing for handshakes and silence, which every scanner and every TCP health
    /// check brings.
    fn log_text(self) -> Option<(&'static str, &'static LogInterval)> {
        static LIMIT: LogInterval = LogInterval::every(INTERVAL);
        static ADDRESS_LIMIT: LogInterval = LogInterval::every(INTERVAL);
        static MEMORY: LogInterval = LogInterval::every(INTERVAL);
        static PROXY_HEADER: LogInterval = LogInterval::every(INTERVAL);
        match self {
            Self::Limit => Some(("connection limit reached (limits.connections)", &LIMIT)),
            Self::AddressLimit(_) => Some((
                "connection limit of an address reached (limits.connections_per_address); \
                 add load balancers to trusted_proxies",
                &ADDRESS_LIMIT,
            )),
            Self::Memory => Some(("low on memory (limits.memory)", &MEMORY)),
            Self::ProxyHeader(_) => Some((
                "the address is not in trusted_proxies, or sent no valid PROXY protocol header of version 2 (listen.proxy_protocol)",
                &PROXY_HEADER,
            )),
            Self::Handshake | Self::Silent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    /// Each cause that is known, with its count.
    fn counts(metrics: &Metrics) -> Vec<String> {
        let rendered = metrics.render();
        let lines = rendered.lines().filter_map(|line| {
            let (_, labels) = line.split_once("connections_closed_total{cause=")?;
            Some(labels.replace(['"', '}'], ""))
        });
        lines.collect()
    }

    #[test]
    fn every_cause_is_known_as_zero_from_the_start() {
        let metrics = Metrics::new().unwrap();
        assert!(counts(&metrics).is_empty());
        note_start(&metrics);
        let expected = [
            "address_limit 0",
            "handshake 0",
            "limit 0",
            "memory 0",
            "proxy_header 0",
            "silent 0",
        ];
        assert_eq!(counts(&metrics), expected);
    }

    #[test]
    fn each_connection_counts_under_its_cause_whether_or_not_a_line_is_due() {
        let metrics = Metrics::new().unwrap();
        for cause in [
            RejectionCause::Silent,
            RejectionCause::ProxyHeader(CLIENT),
            RejectionCause::ProxyHeader(CLIENT),
            RejectionCause::ProxyHeader(CLIENT),
        ] {
            count_rejected(&metrics, cause);
        }
        assert_eq!(counts(&metrics), ["proxy_header 3", "silent 1"]);
    }

    #[test]
    fn what_an_operator_can_change_is_logged_and_scanners_are_not() {
        for (cause, key, address) in [
            (RejectionCause::Limit, "limits.connections", None),
            (
                RejectionCause::AddressLimit(CLIENT),
                "limits.connections_per_address",
                Some(CLIENT),
            ),
            (RejectionCause::Memory, "limits.memory", None),
            (
                RejectionCause::ProxyHeader(CLIENT),
                "trusted_proxies",
                Some(CLIENT),
            ),
        ] {
            let (text, _) = cause.log_text().unwrap();
            assert!(text.contains(key), "{text}");
            assert_eq!(cause.address(), address);
        }
        for cause in [RejectionCause::Handshake, RejectionCause::Silent] {
            assert!(cause.log_text().is_none() && cause.address().is_none());
        }
    }
}

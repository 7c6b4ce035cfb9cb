//! Connections that are closed before a request was read. Each is counted. Causes that an operator can fix are logged, at
//! most once per interval, even during a flood.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use crate::telemetry::{log_interval::LogInterval, metrics::Metrics};

/// Time between two lines for one cause.
const INTERVAL: Duration = Duration::from_secs(5);

/// Why a connection is closed.
#[derive(Clone, Debug)]
pub(crate) enum RejectionCause {
    /// The connection limit is reached.
    Limit,
    /// The connection limit of this address is reached.
    AddressLimit(IpAddr),
    /// Not enough memory is free.
    Memory,
    /// No valid PROXY protocol header, or not from a trusted proxy.
    ProxyHeader(IpAddr),
    /// The certificate of a client at this address was refused in the TLS handshake, and why.
    ClientCertificate(IpAddr, Cow<'static, str>),
    /// The TLS handshake failed for another cause, or was not complete in time.
    Handshake,
    /// No request began in time; over HTTP/2, no complete request was received.
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
            "connections rejected: {what}{}",
            cause.problem()
        );
    }
}

/// Exports every cause with the value zero. A counter that first appears as one is not an increase to Prometheus.
pub(crate) fn note_start(metrics: &Metrics) {
    const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    for cause in [
        RejectionCause::Limit,
        RejectionCause::AddressLimit(NOBODY),
        RejectionCause::Memory,
        RejectionCause::ProxyHeader(NOBODY),
        RejectionCause::ClientCertificate(NOBODY, Cow::Borrowed("")),
        RejectionCause::Handshake,
        RejectionCause::Silent,
    ] {
        metrics
            .connections_closed
            .with_label_values(&[cause.label()]);
    }
}

impl RejectionCause {
    /// Why the TLS handshake with a client at this address failed: because of its certificate, if that has a problem.
    pub(crate) fn of_handshake(client: IpAddr, problem: Option<Cow<'static, str>>) -> Self {
        problem.map_or(Self::Handshake, |problem| {
            Self::ClientCertificate(client, problem)
        })
    }

    const fn label(&self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::AddressLimit(_) => "address_limit",
            Self::Memory => "memory",
            Self::ProxyHeader(_) => "proxy_header",
            Self::ClientCertificate(..) => "client_certificate",
            Self::Handshake => "handshake",
            Self::Silent => "silent",
        }
    }

    /// The address, where an operator needs it to fix the cause. Of many, the last one.
    const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::AddressLimit(address)
            | Self::ProxyHeader(address)
            | Self::ClientCertificate(address, _) => Some(*address),
            Self::Limit | Self::Memory | Self::Handshake | Self::Silent => None,
        }
    }

    /// What was wrong with the last one, where it differs from one to the next.
    fn problem(&self) -> &str {
        match self {
            Self::ClientCertificate(_, problem) => problem,
            _ => "",
        }
    }

    /// The log text and its interval. None for handshakes and silence: every port scanner and TCP health check causes them.
    fn log_text(&self) -> Option<(&'static str, &'static LogInterval)> {
        static LIMIT: LogInterval = LogInterval::every(INTERVAL);
        static ADDRESS_LIMIT: LogInterval = LogInterval::every(INTERVAL);
        static MEMORY: LogInterval = LogInterval::every(INTERVAL);
        static PROXY_HEADER: LogInterval = LogInterval::every(INTERVAL);
        static CLIENT_CERTIFICATE: LogInterval = LogInterval::every(INTERVAL);
        match self {
            Self::Limit => Some(("connection limit reached (limits.connections)", &LIMIT)),
            Self::AddressLimit(_) => Some((
                "connection limit reached for one address (limits.connections_per_address); \
                 add load balancers to trusted_proxies",
                &ADDRESS_LIMIT,
            )),
            Self::Memory => Some((
                "low on memory (limits.memory); raise the limit, or lower limits.connections",
                &MEMORY,
            )),
            Self::ProxyHeader(_) => Some((
                "the address is not in trusted_proxies, or sent no valid PROXY protocol header of version 2 (listen.proxy_protocol)",
                &PROXY_HEADER,
            )),
            Self::ClientCertificate(..) => {
                Some(("client certificate refused: ", &CLIENT_CERTIFICATE))
            }
            Self::Handshake | Self::Silent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    /// Each exported cause, with its count.
    fn counts(metrics: &Metrics) -> Vec<String> {
        let rendered = metrics.render();
        let lines = rendered.lines().filter_map(|line| {
            let (_, labels) = line.split_once("connections_closed_total{cause=")?;
            Some(labels.replace(['"', '}'], ""))
        });
        lines.collect()
    }

    #[test]
    fn every_cause_is_exported_as_zero_from_the_start() {
        let metrics = Metrics::new().unwrap();
        assert!(counts(&metrics).is_empty());
        note_start(&metrics);
        let expected = [
            "address_limit 0",
            "client_certificate 0",
            "handshake 0",
            "limit 0",
            "memory 0",
            "proxy_header 0",
            "silent 0",
        ];
        assert_eq!(counts(&metrics), expected);
    }

    #[test]
    fn each_connection_is_counted_by_cause_even_when_no_line_is_due() {
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
    fn causes_that_an_operator_can_fix_are_logged_and_scanners_are_not() {
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
            (
                RejectionCause::of_handshake(CLIENT, Some("an RSA key of 1024 bits".into())),
                "client certificate refused",
                Some(CLIENT),
            ),
        ] {
            let (text, _) = cause.log_text().unwrap();
            assert!(text.contains(key), "{text}");
            assert_eq!(cause.address(), address);
        }
        let failed = RejectionCause::of_handshake(CLIENT, None);
        for cause in [failed, RejectionCause::Silent] {
            assert!(cause.log_text().is_none() && cause.address().is_none());
        }
    }
}

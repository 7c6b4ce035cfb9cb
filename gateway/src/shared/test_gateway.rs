//! A gateway for tests, with any configuration and both logs off.

use std::{collections::BTreeSet, io, path::Path, sync::Arc};

use super::Gateway;
use crate::{
    config::{self, Audit, Environment, Log},
    local::service::LocalService,
    snapshot::Snapshot,
    telemetry::{
        log_queue::LogWriter,
        metrics::Metrics,
        request_log::{access_log::AccessLog, audit_log::AuditLog},
    },
};

/// Two hosts, the second with a resource of its own at the path that the first serves too.
pub(crate) const CONFIG: &str = "\
public_url: https://mcp.example.com
listen:
  - address: 127.0.0.1:8080
hosts: [Internal.example.com:8443]
issuers:
  corporate: { issuer: https://login.example.com/ }
resources:
  - { path: /mcp, upstream: 'http://127.0.0.1:9/shared', issuers: [corporate], policy: { default: allow } }
  - { path: /mcp, host: own.example.com, upstream: 'http://127.0.0.1:9/own', issuers: [corporate], policy: { default: allow } }
  - { path: /second, host: own.example.com, upstream: 'http://127.0.0.1:9/second', issuers: [corporate], policy: { default: allow } }
";

/// The gateway of [`CONFIG`] with `more` keys appended.
pub(crate) fn gateway(more: &str) -> Arc<Gateway> {
    gateway_with(more, None)
}

/// The same one with a service of its own.
pub(crate) fn gateway_with(more: &str, service: Option<Arc<dyn LocalService>>) -> Arc<Gateway> {
    // A second call finds the same provider installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let text = format!("{CONFIG}{more}");
    let config = config::parse(&text, Path::new("."), &Environment::default()).unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let mut snapshot = Snapshot::build(&config, &metrics, None, &BTreeSet::new()).unwrap();
    snapshot.service = service;
    let dropped = metrics.log_lines_dropped.clone();
    let writer = LogWriter::start(io::sink(), dropped.clone(), |_| {}).unwrap();
    let log = Log {
        access: false,
        ..Log::default()
    };
    let audit = Audit {
        enabled: false,
        file: None,
    };
    let access = AccessLog::new(&log, writer.clone());
    let (audit, _) = AuditLog::start(&audit, (&log, writer), dropped).unwrap();
    Arc::new(Gateway::new(snapshot, 10, metrics, (access, audit)))
}

//! The changes of a reload, for the log: the changed sections, and the keys that require a restart.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use crate::config::{BUILT_IN, Config, Issuer, authorization_server::SharedStore};

/// Logs what changed.
pub(crate) fn log_changes(old: &Config, new: &Config, files: &BTreeSet<PathBuf>) {
    let sections = changed_sections(old, new).join(", ");
    let files: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    if sections.is_empty() && files.is_empty() {
        return tracing::info!("configuration reloaded: no changes");
    }
    // A certificate or a key file is not a section: its file is logged instead.
    let changed = (!sections.is_empty()).then_some(sections.as_str());
    tracing::info!(changed, files = files.join(", "), "configuration reloaded");
}

/// Warns about changes that require a restart.
pub(crate) fn warn_of_restart(keys: &[&str]) {
    for key in keys {
        tracing::warn!("restart required to apply {key}: all other changes are in use");
    }
}

/// Warns that a restart ends sessions and what else is sealed, and that replicas do not share them, unless this was so before.
pub(crate) fn warn_of_lone_sessions(before: Option<&Config>, new: &Config) {
    let before = before.map(Config::lost_at_restart).unwrap_or_default();
    let lone = new.lost_at_restart();
    if lone.iter().any(|what| !before.contains(what)) {
        tracing::warn!(
            "session key is random (sessions.key_files is not set): \
             replicas do not share {}, and a restart ends them",
            lone.join(", ")
        );
    }
}

/// Warns that a restart changes the key of assertions and that replicas do not share it, unless this was so before.
pub(crate) fn warn_of_lone_assertions(before: Option<&Config>, new: &Config) {
    if new.has_lone_assertions() && !before.is_some_and(Config::has_lone_assertions) {
        tracing::warn!(
            "assertion key is new (assertions.key_files is not set): \
             replicas sign assertions with keys of their own, and a restart changes the key"
        );
    }
}

fn changed_sections(old: &Config, new: &Config) -> Vec<&'static str> {
    names_of_differing(&[
        ("public_url", old.public_url != new.public_url),
        ("listen", old.listen != new.listen),
        ("admin", old.admin != new.admin),
        ("hosts", old.hosts != new.hosts),
        (
            "authorization_server",
            old.authorization_server != new.authorization_server,
        ),
        ("api_keys", old.api_keys != new.api_keys),
        ("issuers", issuers(old) != issuers(new)),
        ("outbound", old.outbound != new.outbound),
        (
            "decision_points",
            old.decision_points != new.decision_points,
        ),
        ("resources", old.resources != new.resources),
        ("origins", old.origins != new.origins),
        (
            "trusted_proxies",
            old.addresses.trusted_proxies != new.addresses.trusted_proxies,
        ),
        (
            "forwarded_header",
            old.addresses.forwarded_header != new.addresses.forwarded_header,
        ),
        (
            "client_certificate_header",
            old.addresses.certificate_header != new.addresses.certificate_header,
        ),
        (
            "limits",
            old.limits != new.limits || old.addresses.exempt != new.addresses.exempt,
        ),
        ("timeouts", old.timeouts != new.timeouts),
        ("jwks", old.jwks != new.jwks),
        ("reload", old.reload != new.reload),
        ("shutdown", old.shutdown != new.shutdown),
        ("sessions", old.sessions != new.sessions),
        ("assertions", old.assertions != new.assertions),
        ("rate_limits", old.shared_rates != new.shared_rates),
        ("log", old.log != new.log),
        ("audit", old.audit != new.audit),
        ("upgrade_socket", old.upgrade_socket != new.upgrade_socket),
    ])
}

/// The changed keys that require a restart.
pub(crate) fn keys_needing_restart(started: &Config, new: &Config) -> Vec<&'static str> {
    names_of_differing(&[
        (
            "listen (addresses, tls on or off, proxy_protocol on or off)",
            listening_points(started) != listening_points(new),
        ),
        (
            "upgrade_socket",
            started.upgrade_socket != new.upgrade_socket,
        ),
        (
            "authorization_server (directory, store, issuer, whether there is one)",
            authorization_server(started) != authorization_server(new),
        ),
        ("rate_limits.store", rate_store(started) != rate_store(new)),
        ("admin.address", started.admin.address != new.admin.address),
        ("admin.hosts", started.admin.hosts != new.admin.hosts),
        (
            "limits.connections",
            started.limits.connections != new.limits.connections,
        ),
        ("log", started.log != new.log),
        ("audit", started.audit != new.audit),
    ])
}

/// The issuers of the configuration, without the one that follows from `authorization_server`.
fn issuers(config: &Config) -> Vec<&Issuer> {
    let issuers = config.issuers.values();
    issuers.filter(|issuer| issuer.name != BUILT_IN).collect()
}

/// What is fixed while an authorization server runs.
fn authorization_server(config: &Config) -> Option<(&Path, Option<&SharedStore>, &str)> {
    let server = config.authorization_server.as_ref()?;
    Some((&server.directory, server.store.as_ref(), &server.issuer))
}

fn rate_store(config: &Config) -> Option<&SharedStore> {
    config.shared_rates.as_ref().map(|rates| &rates.store)
}

/// Where clients connect: address, TLS, PROXY protocol. Sorted, so that the order does not matter.
fn listening_points(config: &Config) -> Vec<(SocketAddr, bool, bool)> {
    let mut points: Vec<_> = config
        .listen
        .iter()
        .map(|listener| {
            (
                listener.address,
                listener.tls.is_some(),
                listener.proxy_protocol,
            )
        })
        .collect();
    points.sort_unstable();
    points
}

fn names_of_differing(compared: &[(&'static str, bool)]) -> Vec<&'static str> {
    let differing = compared.iter().filter(|(_, differs)| *differs);
    differing.map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, parse};

    fn config(more: &str, address: &str) -> Config {
        let text = format!(
            "public_url: http://127.0.0.1:1\nlisten: [{{ address: {address} }}]\n\
             issuers: {{ a: {{ issuer: 'https://a.example' }} }}\n\
             resources: [{{ path: /mcp, upstream: 'http://127.0.0.1:9/mcp', issuers: [a], policy: {{ default: allow }} }}]\n{more}"
        );
        parse(&text, Path::new(""), &Environment::default()).unwrap()
    }

    #[test]
    fn changed_sections_and_keys_that_require_a_restart_are_named() {
        let old = config("", "127.0.0.1:1");
        let cases = [
            ("", "127.0.0.1:1", vec![], 0),
            (
                "timeouts: { header: 9s }",
                "127.0.0.1:1",
                vec!["timeouts"],
                0,
            ),
            (
                "limits: { body_bytes: 1MiB }",
                "127.0.0.1:1",
                vec!["limits"],
                0,
            ),
            (
                "limits: { connections: 9 }",
                "127.0.0.1:1",
                vec!["limits"],
                1,
            ),
            ("log: { level: debug }", "127.0.0.1:1", vec!["log"], 1),
            ("audit: { enabled: false }", "127.0.0.1:1", vec!["audit"], 1),
            ("", "127.0.0.1:2", vec!["listen"], 1),
        ];
        for (more, address, expected, restart) in cases {
            let new = config(more, address);
            assert_eq!(changed_sections(&old, &new), expected, "{more}");
            assert_eq!(keys_needing_restart(&old, &new).len(), restart, "{more}");
        }
    }
    #[test]
    fn the_directory_and_the_issuer_of_the_authorization_server_stay_those_of_the_start() {
        let with = |section: &str| {
            let text = format!(
                "public_url: http://127.0.0.1:1\nlisten: [{{ address: 127.0.0.1:1 }}]\n\
                 resources: [{{ path: /mcp, upstream: 'http://127.0.0.1:9/mcp', scopes: {{ required: a }}, policy: {{ default: allow }} }}]\n\
                 authorization_server: {{ machines: {{ enabled: true, scopes: a }}, {section} }}\n"
            );
            parse(&text, Path::new(""), &Environment::default()).unwrap()
        };
        let started = with("directory: /tmp/one");
        let directory = started
            .authorization_server
            .as_ref()
            .unwrap()
            .directory
            .clone();
        for (section, restart) in [
            ("directory: /tmp/one, lifetimes: { code: 30s }", false),
            ("directory: /tmp/two", true),
            (
                "directory: /tmp/one, foreign_issuer: true, issuer: 'https://other.example'",
                true,
            ),
        ] {
            let mut new = with(section);
            assert_eq!(changed_sections(&started, &new), ["authorization_server"]);
            assert_eq!(!keys_needing_restart(&started, &new).is_empty(), restart);
            let lifetimes = new.authorization_server.as_ref().unwrap().lifetimes;
            new.keep_started(&started);
            let kept = new.authorization_server.unwrap();
            assert_eq!(
                (kept.directory, kept.lifetimes),
                (directory.clone(), lifetimes)
            );
            assert_eq!(kept.issuer, "http://127.0.0.1:1");
            assert_eq!(new.issuers[BUILT_IN].issuer, "http://127.0.0.1:1");
        }
        assert_eq!(
            keys_needing_restart(&config("", "127.0.0.1:1"), &started).len(),
            1
        );
    }
}

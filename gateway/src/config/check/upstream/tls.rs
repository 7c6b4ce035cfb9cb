//! TLS to an upstream: whose certificates are trusted there, which name and keys they must have, and the gateway's own certificate.

use mcp_gateway_core::http::outbound::key_pin::KeyPin;
use rustls::pki_types::ServerName;

use crate::config::{
    check::{
        common::{ca_file, without_repeats},
        listen::certificate,
    },
    model::{CertificateFiles, Upstream, UpstreamTarget, UpstreamTls},
    reading::reader::{Item, Section},
};

/// The keys that only TLS has a use for.
const KEYS: [&str; 5] = [
    "ca_file",
    "certificate_file",
    "key_file",
    "server_name",
    "pins",
];

/// Pins of one upstream, at most.
const MAX_PINS: usize = 16;

const PIN_FIX: &str = "Write sha256/ and the digest, as openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64 prints it";
const NAME_FIX: &str = "Write a host name or an IP address, such as tasks.internal";

/// The TLS of these upstreams, which are all endpoints of one. Where one of them is reached without TLS, each of its keys is a finding.
pub(super) fn of_all(section: &Section<'_>, upstreams: &[&Upstream]) -> UpstreamTls {
    let is_plain = |upstream: &&Upstream| !matches!(upstream.target, UpstreamTarget::Https { .. });
    let is_useless = upstreams.iter().any(is_plain);
    if !upstreams.is_empty() && !is_useless {
        return read(section);
    }
    for item in KEYS.iter().filter_map(|key| section.raw(key)) {
        if is_useless {
            item.report(
                "has no effect: the upstream is reached without TLS",
                "Use an https `url`, or remove it",
            );
        }
    }
    UpstreamTls::default()
}

/// The same target, reached with this TLS.
pub(super) fn secured(target: UpstreamTarget, tls: &UpstreamTls) -> UpstreamTarget {
    match target {
        UpstreamTarget::Https { authority, .. } => UpstreamTarget::Https {
            authority,
            tls: tls.clone(),
        },
        other => other,
    }
}

fn read(section: &Section<'_>) -> UpstreamTls {
    UpstreamTls {
        ca_file: ca_file(section, "ca_file"),
        certificate: own_certificate(section),
        server_name: section.get("server_name").and_then(|item| name(&item)),
        pins: pins(section),
    }
}

fn own_certificate(section: &Section<'_>) -> Option<CertificateFiles> {
    let (file, key) = (section.get("certificate_file"), section.get("key_file"));
    match (file, key) {
        (None, None) => None,
        (Some(file), Some(key)) => certificate(&file, &key),
        (Some(_), None) => missing(section, "key_file", "certificate_file"),
        (None, Some(_)) => missing(section, "certificate_file", "key_file"),
    }
}

fn missing<T>(section: &Section<'_>, key: &'static str, other: &str) -> Option<T> {
    section.report_at(
        key,
        format_args!("required with `{other}`"),
        "Set both, or remove both",
    );
    None
}

fn name(item: &Item<'_>) -> Option<String> {
    let name = item.text()?;
    if ServerName::try_from(name.as_str()).is_err() {
        item.report(
            "must be a host name or an IP address, without port",
            NAME_FIX,
        );
        return None;
    }
    Some(name)
}

fn pins(section: &Section<'_>) -> Vec<KeyPin> {
    section.refuse_vacant(&["pins"], "Write a pin, or remove the key");
    section.refuse_vacant(
        &["ca_file", "certificate_file", "key_file", "server_name"],
        "Write a value, or remove the key",
    );
    let items = section.one_or_many("pins");
    if items.len() > MAX_PINS {
        section.report_at(
            "pins",
            format_args!("must not have more than {MAX_PINS} pins"),
            "Remove those of keys that are not used any more",
        );
    }
    let pins = items.into_iter().filter_map(|item| {
        let pin = item.parsed(KeyPin::parse, PIN_FIX)?;
        Some((item, pin))
    });
    without_repeats(pins.collect())
}

//! How calls are spread over the endpoints of an upstream: the keys beside the endpoints themselves.

use std::{net::IpAddr, time::Duration};

use crate::config::{
    check::common::own_path,
    declaration::{
        parts::section::Settings,
        resource::balancing::{
            CheckKind, DEFAULT_RESOLVE_INTERVAL, EjectionSettings, HealthCheckSettings, MAX_CALLS,
            QueueSettings, RESOLVE, RESOLVE_INTERVAL,
        },
    },
    model::{Balancing, HealthCheck, Upstream, UpstreamTarget, WeightedUpstream},
    reading::reader::Section,
};

/// Reads these keys of `upstream`, whose only endpoint is `single`, if it has a single one.
pub(super) fn balancing(
    section: &Section<'_>,
    single: Option<&Upstream>,
    endpoints: Vec<WeightedUpstream>,
) -> Balancing {
    Balancing {
        endpoints,
        resolve: resolve(section, single),
        health_check: health_check(section),
        ejection: ejection(section),
        max_calls: MAX_CALLS.read(section),
        queue: queue(section),
    }
}

/// How often the host of `url` is resolved, if it is.
fn resolve(section: &Section<'_>, single: Option<&Upstream>) -> Option<Duration> {
    let is_on = RESOLVE.read(section);
    let interval = RESOLVE_INTERVAL.read(section);
    if !is_on {
        if section.get("resolve_interval").is_some() {
            section.report_at(
                "resolve_interval",
                "has no effect without `resolve: true`",
                "Remove it, or set `resolve: true`",
            );
        }
        return None;
    }
    if section.get("url").is_none() {
        section.report_at(
            "resolve",
            "has no effect without `url`",
            "Write `url` with the name to resolve, or remove it",
        );
        return None;
    }
    if single.is_some_and(|upstream| !has_name(upstream)) {
        section.report_at(
            "resolve",
            "has no effect: the host of `url` is an address",
            "Write a name, or remove it",
        );
        return None;
    }
    Some(interval.unwrap_or(DEFAULT_RESOLVE_INTERVAL))
}

fn has_name(upstream: &Upstream) -> bool {
    match &upstream.target {
        UpstreamTarget::Unix { .. } => false,
        UpstreamTarget::Http { authority } | UpstreamTarget::Https { authority, .. } => {
            let host = authority.host().trim_matches(['[', ']']);
            host.parse::<IpAddr>().is_err()
        }
    }
}

fn health_check(section: &Section<'_>) -> Option<HealthCheck> {
    let section = section.raw("health_check")?.section();
    let settings = HealthCheckSettings::read(&section);
    let path = section.get("path");
    if let Some(path) = path.as_ref().filter(|_| settings.kind != CheckKind::Http) {
        path.report(
            "has no effect with this `kind`",
            "Remove it, or set `kind: http`",
        );
    }
    let path =
        path.and_then(|item| item.parsed(own_path, "Write an absolute path, such as /healthz"));
    section.finish();
    Some(HealthCheck { settings, path })
}

fn ejection(section: &Section<'_>) -> EjectionSettings {
    let section = section.section("ejection");
    let settings = EjectionSettings::read(&section);
    section.finish();
    settings
}

fn queue(section: &Section<'_>) -> QueueSettings {
    if section.get("queue").is_some() && section.get("max_calls").is_none() {
        section.report_at(
            "queue",
            "has no effect without `max_calls`",
            "Set `max_calls`, or remove it",
        );
    }
    let section = section.section("queue");
    let settings = QueueSettings::read(&section);
    section.finish();
    settings
}

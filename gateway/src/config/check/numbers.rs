//! The sections that hold numbers and switches: their keys, their ranges, and which must not exceed which. The defaults
//! are those of the checked types.

use std::{ops::RangeInclusive, time::Duration};

use mcp_gateway_core::http::client_address::Networks;

use super::{
    super::{
        Audit, Jwks, Level, Limits, Log, LogFormat, Reload, Shutdown, Timeouts,
        reader::{Item, Section},
    },
    addresses,
};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// How many in a minute, where nobody knows a better bound.
const MANY: RangeInclusive<usize> = 1..=1_000_000;

/// The shortest deadline that is taken: anything less is a slip.
const MOMENT: Duration = Duration::from_millis(10);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// How long an upstream may take until its response head.
pub(super) const RESPONSE_HEAD: RangeInclusive<Duration> = MOMENT..=DAY;

/// How far an issuer's clock may differ.
pub(super) const CLOCK_SKEW: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(300);

/// The longest life of a token.
pub(super) const MAX_LIFETIME: RangeInclusive<Duration> =
    SECOND..=Duration::from_secs(366 * 86_400);

/// The limits, and the addresses that limits by address leave alone.
pub(super) fn limits(section: Section<'_>) -> (Limits, Networks) {
    let default = Limits::default();
    let limits = Limits {
        header_bytes: section.size("header_bytes", default.header_bytes, KIB..=MIB),
        header_fields: section.count("header_fields", default.header_fields, 10..=10_000),
        token_bytes: section.size("token_bytes", default.token_bytes, 256..=64 * KIB),
        body_bytes: section.size("body_bytes", default.body_bytes, KIB..=GIB),
        bodies_bytes: section.optional_size("bodies_bytes", MIB..=1024 * GIB),
        answer_bytes: section.size("answer_bytes", default.answer_bytes, 64 * KIB..=GIB),
        json_depth: section.count("json_depth", default.json_depth, 4..=256),
        json_members: section.count("json_members", default.json_members, 100..=10_000_000),
        connections: section.count("connections", default.connections, 1..=1_000_000),
        connections_per_address: section.count(
            "connections_per_address",
            default.connections_per_address,
            1..=1_000_000,
        ),
        refusals_per_address: section
            .get("refusals_per_address")
            .and_then(|item| number(&item, &MANY))
            .unwrap_or(default.refusals_per_address),
        memory: section.optional_size("memory", 16 * MIB..=1024 * GIB),
        streams_per_connection: section.count(
            "streams_per_connection",
            default.streams_per_connection,
            1..=10_000,
        ),
        listening_streams_per_principal: section.count(
            "listening_streams_per_principal",
            default.listening_streams_per_principal,
            1..=1_000_000,
        ),
        listening_streams: section.count(
            "listening_streams",
            default.listening_streams,
            1..=1_000_000,
        ),
        initializations_per_principal: section
            .get("initializations_per_principal")
            .and_then(|item| number(&item, &MANY))
            .unwrap_or(default.initializations_per_principal),
        rate_limited_callers: section.count(
            "rate_limited_callers",
            default.rate_limited_callers,
            1..=10_000_000,
        ),
        verified_tokens: section.count("verified_tokens", default.verified_tokens, 1..=10_000_000),
    };
    if limits.token_bytes > limits.header_bytes {
        section.report_at(
            "token_bytes",
            "is more than header_bytes, so that no such token could arrive",
            "Lower it, or raise header_bytes",
        );
    }
    if limits
        .bodies_bytes
        .is_some_and(|all| all < limits.body_bytes)
    {
        section.report_at(
            "bodies_bytes",
            "is less than body_bytes, so that no body of that size could arrive",
            "Raise it, or lower body_bytes",
        );
    }
    let exempt = addresses::exempt(&section);
    section.finish();
    (limits, exempt)
}

/// A whole number of 32 bits within `range`.
pub(super) fn number(item: &Item<'_>, range: &RangeInclusive<usize>) -> Option<u32> {
    u32::try_from(item.count(range)?).ok()
}

pub(super) fn timeouts(section: Section<'_>) -> Timeouts {
    let default = Timeouts::default();
    let timeouts = Timeouts {
        handshake: section.duration("handshake", default.handshake, MOMENT..=HOUR),
        header: section.duration("header", default.header, MOMENT..=HOUR),
        keep_alive: section.duration("keep_alive", default.keep_alive, MOMENT..=HOUR),
        body_idle: section.duration("body_idle", default.body_idle, MOMENT..=HOUR),
        body_total: section.duration("body_total", default.body_total, MOMENT..=HOUR),
        response_head: section.duration("response_head", default.response_head, RESPONSE_HEAD),
        max_after_expiry: section.duration(
            "max_after_expiry",
            default.max_after_expiry,
            Duration::ZERO..=DAY,
        ),
        write_idle: section.duration("write_idle", default.write_idle, MOMENT..=HOUR),
        sse_comment: section.duration("sse_comment", default.sse_comment, Duration::ZERO..=HOUR),
        upstream_connect: section.duration(
            "upstream_connect",
            default.upstream_connect,
            MOMENT..=MINUTE,
        ),
        upstream_keep_alive: section.duration(
            "upstream_keep_alive",
            default.upstream_keep_alive,
            Duration::ZERO..=HOUR,
        ),
    };
    if timeouts.body_idle > timeouts.body_total {
        section.report_at(
            "body_idle",
            "is longer than body_total, so that it would never be reached",
            "Lower it, or raise body_total",
        );
    }
    section.finish();
    timeouts
}

pub(super) fn jwks(section: Section<'_>) -> Jwks {
    let default = Jwks::default();
    let jwks = Jwks {
        refresh: section.duration("refresh", default.refresh, SECOND..=DAY),
        cool_down: section.duration("cool_down", default.cool_down, MOMENT..=HOUR),
        stale: section.duration(
            "stale",
            default.stale,
            Duration::ZERO..=DAY.saturating_mul(7),
        ),
        fetch: section.duration("fetch", default.fetch, MOMENT..=MINUTE),
        wait: section.duration("wait", default.wait, MOMENT..=MINUTE),
        bytes: section.size("bytes", default.bytes, KIB..=16 * MIB),
    };
    section.finish();
    jwks
}

pub(super) fn reload(section: Section<'_>) -> Reload {
    let default = Reload::default();
    let reload = Reload {
        watch: section.flag("watch", default.watch),
        settle: section.duration("settle", default.settle, MOMENT..=MINUTE),
    };
    section.finish();
    reload
}

pub(super) fn shutdown(section: Section<'_>) -> Shutdown {
    let default = Shutdown::default();
    let shutdown = Shutdown {
        delay: section.duration("delay", default.delay, Duration::ZERO..=HOUR),
        drain: section.duration("drain", default.drain, Duration::ZERO..=DAY),
    };
    section.finish();
    shutdown
}

pub(super) fn log(section: Section<'_>) -> Log {
    let default = Log::default();
    let formats = [("json", LogFormat::Json), ("text", LogFormat::Text)];
    let levels = [
        ("error", Level::Error),
        ("warn", Level::Warn),
        ("info", Level::Info),
        ("debug", Level::Debug),
    ];
    let log = Log {
        format: section.choice("format", default.format, &formats),
        level: section.choice("level", default.level, &levels),
        access: section.flag("access", default.access),
    };
    section.finish();
    log
}

pub(super) fn audit(section: Section<'_>) -> Audit {
    let audit = Audit {
        enabled: section.flag("enabled", Audit::default().enabled),
        file: section.get("file").and_then(|file| file.path()),
    };
    section.finish();
    audit
}

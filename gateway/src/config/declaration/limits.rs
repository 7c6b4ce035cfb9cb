//! Sizes and counts: `limits`.

use super::parts::{
    amounts::{GIB, KIB, MIB},
    key::{Kind, defaulted, list},
    section::section,
    setting::{count, optional_size, size},
};

section! {
    /// Sizes and counts.
    #[derive(Copy)]
    pub struct Limits {
        /// Bytes in a request's header block.
        header_bytes: usize = size(32 * KIB, KIB..=MIB),
        /// Fields in a request's header block.
        header_fields: usize = count(100, 10..=10_000),
        /// Bytes in an access token.
        token_bytes: usize = size(8 * KIB, 256..=64 * KIB),
        /// Bytes in a request's body.
        body_bytes: usize = size(4 * MIB, KIB..=GIB),
        /// Bytes in all requests' bodies, and in answers that are read whole, together; more is answered 503.
        bodies_bytes: Option<usize> = optional_size("128MiB, at most an eighth of memory", MIB..=1024 * GIB),
        /// Bytes of an upstream's answer, or of one of its events, that has to be read whole; more is refused.
        answer_bytes: usize = size(16 * MIB, 64 * KIB..=GIB),
        /// Levels of nesting in a JSON body.
        json_depth: usize = count(64, 4..=256),
        /// Members and elements in a JSON body.
        json_members: usize = count(10_000, 100..=10_000_000),
        /// Connections open at once.
        connections: usize = count(10_000, 1..=1_000_000),
        /// Connections open at once from one address (IPv6: from one /64); trusted_proxies have no such limit.
        connections_per_address: usize = count(200, 1..=1_000_000),
        /// Refusals in a minute that one address may cause before it is answered 429.
        refusals_per_address: u32 = count(120, 1..=1_000_000),
        /// Memory the process may take; no connection is accepted above 85 %.
        memory: Option<usize> = optional_size("the limit of the cgroup, if any", 16 * MIB..=1024 * GIB),
        /// Streams open at once on one HTTP/2 connection.
        streams_per_connection: usize = count(100, 1..=10_000),
        /// Streams that only listen, open at once for one principal.
        listening_streams_per_principal: usize = count(16, 1..=1_000_000),
        /// Streams that only listen, open at once in all.
        listening_streams: usize = count(10_000, 1..=1_000_000),
        /// Legacy sessions that one principal may open in a minute, over all resources.
        initializations_per_principal: u32 = count(60, 1..=1_000_000),
        /// Callers whose calls are counted for rate limits at once; whoever comes beyond is answered 503.
        rate_limited_callers: usize = count(100_000, 1..=10_000_000),
        /// Verified tokens remembered, for each resource.
        verified_tokens: usize = count(10_000, 1..=10_000_000),
    }
    and [defaulted(
        "exempt_addresses",
        list(Kind::Text),
        "loopback, private and link-local ones",
        "Addresses and networks that limits by address leave alone."
    )]
}

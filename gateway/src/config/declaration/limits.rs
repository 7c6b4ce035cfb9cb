//! Sizes and counts: `limits`.

use super::parts::{
    amounts::{GIB, KIB, MIB},
    key::{Kind, defaulted, list},
    section::section,
    setting::{count, optional_count, optional_size, size},
};

section! {
    /// Sizes and counts.
    #[derive(Copy)]
    pub struct Limits {
        /// Largest header block of a request; a larger one gets 431.
        header_bytes: usize = size(32 * KIB, KIB..=MIB),
        /// Most header fields of a request; more get 431.
        header_fields: usize = count(100, 10..=10_000),
        /// Largest access token; a larger one gets 401.
        token_bytes: usize = size(8 * KIB, 256..=64 * KIB),
        /// Largest body of a request; a larger one gets 413.
        body_bytes: usize = size(4 * MIB, KIB..=GIB),
        /// Memory for all request bodies, and for answers that the gateway must read whole. Requests over it get 503.
        bodies_bytes: Option<usize> = optional_size("128MiB, at most an eighth of memory", MIB..=1024 * GIB),
        /// Memory for the bodies and answers of one principal (issuer and subject, with all its clients). Requests over it get 429.
        bodies_bytes_per_principal: Option<usize> = optional_size("a quarter of bodies_bytes, at least body_bytes", KIB..=1024 * GIB),
        /// Memory for request bodies from one client address (IPv6: one /64), except those that arrive in one piece. No address is exempt. Requests over it get 429.
        bodies_bytes_per_address: Option<usize> = optional_size("half of bodies_bytes, at least body_bytes", KIB..=1024 * GIB),
        /// Largest answer or event of an upstream that the gateway must read whole; a larger one is refused with 502.
        answer_bytes: usize = size(16 * MIB, 64 * KIB..=GIB),
        /// Deepest nesting of a JSON body; deeper ones get 400.
        json_depth: usize = count(64, 4..=256),
        /// Most members and elements in a JSON body; more get 400.
        json_members: usize = count(10_000, 100..=10_000_000),
        /// Most open client connections. Further connections are closed at once. Fewer are accepted if the limit of open files is too low.
        connections: usize = count(10_000, 1..=1_000_000),
        /// Most open connections from one client address (IPv6: one /64). Further ones are closed at once. Does not apply to trusted_proxies.
        connections_per_address: usize = count(200, 1..=1_000_000),
        /// Most refused requests from one client address in a minute; then the address gets 429. Does not apply to trusted_proxies.
        refusals_per_address: u32 = count(120, 1..=1_000_000),
        /// Memory for the process. Above 85 % of it, new connections are closed and /readyz answers 503.
        memory: Option<usize> = optional_size("the limit of the cgroup, if any", 16 * MIB..=1024 * GIB),
        /// Most open streams on one HTTP/2 connection.
        streams_per_connection: usize = count(100, 1..=10_000),
        /// Most calls in flight of all principals together: requests that wait for an answer of an upstream, or whose answer is being sent, as JSON or as an event stream. More get 503. Fewer are accepted if the limit of open files is too low.
        calls: usize = count(10_000, 1..=1_000_000),
        /// Most calls in flight of one principal (issuer and subject, with all its clients); more get 429.
        calls_per_principal: Option<usize> = optional_count("100, at most a quarter of calls", 1..=1_000_000),
        /// Most open listening streams (GET and subscriptions) of one principal (issuer and subject, with all its clients); more get 429.
        listening_streams_per_principal: usize = count(16, 1..=1_000_000),
        /// Most open listening streams of all principals together; more get 503. Fewer are accepted if the limit of open files is too low.
        listening_streams: usize = count(10_000, 1..=1_000_000),
        /// Most sessions (initialize) that one principal (issuer and subject, with all its clients) can open in a minute, over all resources; more get 429.
        initializations_per_principal: u32 = count(60, 1..=1_000_000),
        /// Most callers that rate limits count at the same time. Calls of further callers get 503. One subject causes at most a hundredth of them, whatever clients it uses; then its new clients get 429.
        rate_limited_callers: usize = count(100_000, 1..=10_000_000),
        /// Verified tokens stored in the cache of each resource. A full cache replaces older tokens.
        verified_tokens: usize = count(10_000, 1..=10_000_000),
        /// Most subjects whose assertions (assertion of an upstream) are stored in the cache of each resource, at most 8 of each. A full cache replaces those that were not used for long.
        assertion_subjects: usize = count(10_000, 1..=10_000_000),
        /// Most DPoP proofs that are remembered, so that none is accepted twice. When there are more, requests with a proof get 503. One principal (issuer and subject, with all its clients) causes at most a tenth of them while half of the room is free, a 200th while a quarter is free, and a 4000th (at least one) after that; then it gets 429.
        dpop_proofs: usize = count(200_000, 1_000..=10_000_000),
    }
    and [defaulted(
        "exempt_addresses",
        list(Kind::Text),
        "loopback, private and link-local addresses",
        "Addresses and networks that are exempt from connections_per_address and refusals_per_address."
    )]
}

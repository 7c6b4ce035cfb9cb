//! Deadlines and idle times: `timeouts` and `jwks`.

use std::{ops::RangeInclusive, time::Duration};

use super::parts::{
    amounts::{DAY, HOUR, KIB, MIB, MINUTE, MOMENT, SECOND, ZERO, days, minutes, seconds},
    section::section,
    setting::{size, time},
};

/// The range of deadlines for the response head of an upstream.
pub(super) const RESPONSE_HEAD: RangeInclusive<Duration> = MOMENT..=DAY;

section! {
    /// Deadlines (total) and idle times (between bytes).
    #[derive(Copy)]
    pub struct Timeouts {
        /// Deadline of the TLS handshake; then the connection is closed.
        handshake: Duration = time(seconds(10), MOMENT..=HOUR),
        /// Deadline of a request's header block; a late one gets 408.
        header: Duration = time(seconds(10), MOMENT..=HOUR),
        /// Idle timeout of a client connection between requests.
        keep_alive: Duration = time(seconds(60), MOMENT..=HOUR),
        /// Idle timeout of a request's body: longest pause between two parts; then the request gets 408.
        body_idle: Duration = time(seconds(10), MOMENT..=HOUR),
        /// Deadline of a request's body; a late one gets 408.
        body_total: Duration = time(seconds(60), MOMENT..=HOUR),
        /// Deadline of the upstream's response head; then the request gets 504. Does not apply to GET and subscriptions.
        response_head: Duration = time(minutes(5), RESPONSE_HEAD),
        /// How long an answer to a call can continue after the caller's token has expired; then it is closed.
        max_after_expiry: Duration = time(minutes(10), ZERO..=DAY),
        /// How long a client can leave an answer unread. In this time it must read all of it, or 16KiB; else the connection is closed.
        write_idle: Duration = time(seconds(30), MOMENT..=HOUR),
        /// The gateway sends a comment on an event stream that is silent for this time. 0s sends none.
        sse_comment: Duration = time(seconds(25), ZERO..=HOUR),
        /// How long a client can use a request state that the gateway sealed (request_state: seal); then the call must start again.
        request_state: Duration = time(HOUR, SECOND..=days(7)),
        /// How long a client can use a nonce for DPoP proofs; then it gets a new one.
        dpop_nonce: Duration = time(minutes(5), SECOND..=HOUR),
        /// Deadline for connecting to the upstream, including the TLS handshake; then the request gets 502.
        upstream_connect: Duration = time(seconds(5), MOMENT..=MINUTE),
        /// How long an idle connection to the upstream stays open for reuse.
        upstream_keep_alive: Duration = time(seconds(4), ZERO..=HOUR),
    }
}

section! {
    /// How the keys of issuers are fetched and cached.
    #[derive(Copy)]
    pub struct Jwks {
        /// Interval of background refreshes of the key sets.
        refresh: Duration = time(minutes(5), SECOND..=DAY),
        /// Time between two fetches that tokens with an unknown key id cause, after four at once. Until the next one, they get 503.
        cool_down: Duration = time(seconds(30), MOMENT..=HOUR),
        /// How long cached keys are used while the issuer is unreachable; then requests get 503.
        stale: Duration = time(HOUR, ZERO..=days(7)),
        /// Deadline of one fetch.
        fetch: Duration = time(seconds(5), MOMENT..=MINUTE),
        /// How long a request waits for a fetch; then a token with an unknown key id gets 503.
        wait: Duration = time(seconds(2), MOMENT..=MINUTE),
        /// Largest metadata document or key set; a larger one is not used.
        bytes: usize = size(512 * KIB, KIB..=16 * MIB),
    }
}

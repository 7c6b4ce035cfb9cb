//! Deadlines and idle times: `timeouts` and `jwks`.

use std::{ops::RangeInclusive, time::Duration};

use super::parts::{
    amounts::{DAY, HOUR, KIB, MIB, MINUTE, MOMENT, SECOND, ZERO, days, minutes, seconds},
    section::section,
    setting::{size, time},
};

/// How long an upstream may take until its response head.
pub(super) const RESPONSE_HEAD: RangeInclusive<Duration> = MOMENT..=DAY;

section! {
    /// Deadlines (total) and idle times (between bytes).
    #[derive(Copy)]
    pub struct Timeouts {
        /// Deadline of the TLS handshake.
        handshake: Duration = time(seconds(10), MOMENT..=HOUR),
        /// Deadline of a request's header block.
        header: Duration = time(seconds(10), MOMENT..=HOUR),
        /// How long a connection may wait for its next request.
        keep_alive: Duration = time(seconds(60), MOMENT..=HOUR),
        /// How long a request's body may pause.
        body_idle: Duration = time(seconds(10), MOMENT..=HOUR),
        /// Deadline of a request's body.
        body_total: Duration = time(seconds(60), MOMENT..=HOUR),
        /// Deadline of the upstream's response head; none for GET and subscriptions.
        response_head: Duration = time(minutes(5), RESPONSE_HEAD),
        /// How long an answer to a call may go on after the caller's token has expired.
        max_after_expiry: Duration = time(minutes(10), ZERO..=DAY),
        /// How long a client may leave written bytes unread.
        write_idle: Duration = time(seconds(30), MOMENT..=HOUR),
        /// Silence on an event stream before a comment is sent; 0s sends none.
        sse_comment: Duration = time(seconds(25), ZERO..=HOUR),
        /// Deadline of a connection to the upstream, TLS included.
        upstream_connect: Duration = time(seconds(5), MOMENT..=MINUTE),
        /// How long an unused connection to the upstream is kept.
        upstream_keep_alive: Duration = time(seconds(4), ZERO..=HOUR),
    }
}

section! {
    /// How issuers' keys are fetched and kept.
    #[derive(Copy)]
    pub struct Jwks {
        /// Time between refreshes in the background.
        refresh: Duration = time(minutes(5), SECOND..=DAY),
        /// Least time between fetches that an unknown key id sets off.
        cool_down: Duration = time(seconds(30), MOMENT..=HOUR),
        /// How long keys are used while the issuer cannot be reached.
        stale: Duration = time(HOUR, ZERO..=days(7)),
        /// Deadline of one fetch.
        fetch: Duration = time(seconds(5), MOMENT..=MINUTE),
        /// How long a request waits for a fetch.
        wait: Duration = time(seconds(2), MOMENT..=MINUTE),
        /// Bytes in a metadata document or key set.
        bytes: usize = size(512 * KIB, KIB..=16 * MIB),
    }
}

//! The limits of an HTTP/2 connection.
//!
//! What the protocol lets a client do for next to nothing has a bound here, or in the `h2` crate where it has no
//! setting: the frames of one header block, the unanswered pings and settings (one each, the next is not read before
//! its answer is written), and small DATA frames.

use pingora::protocols::http::v2::server::{H2Options, default_h2_options};

/// Streams that their client resets before they are looked at; more end the connection (CVE-2023-44487).
const RESETS_BEFORE_ACCEPT: usize = 20;

/// Streams that we reset for errors of their client, refused ones included, over the life of a connection; more end it
/// (CVE-2025-8671). A client may open several hundred streams before it has read how many it may.
const RESETS_FOR_ERRORS: usize = 1024;

/// Streams remembered for a second after we have reset them, so that frames under way do not count as errors.
const RESETS_REMEMBERED: usize = 50;

/// Bytes of answers that wait in one stream for the connection to take them.
const SEND_BUFFER: usize = 64 * 1024;

/// Bytes of request bodies that a client may send ahead on one stream, and on the whole connection.
const STREAM_WINDOW: u32 = 65_535;
const CONNECTION_WINDOW: u32 = 65_535;

/// Bytes of the table that compresses header fields (RFC 7541 §4.2).
const HEADER_TABLE: u32 = 4096;

/// The settings of a connection with so many streams, and header blocks of so many bytes once unpacked.
pub(crate) fn options(streams: usize, header_bytes: usize) -> H2Options {
    let mut options = default_h2_options();
    options
        .max_concurrent_streams(u32::try_from(streams).unwrap_or(u32::MAX))
        .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(RESETS_BEFORE_ACCEPT)
        .max_local_error_reset_streams(Some(RESETS_FOR_ERRORS))
        .max_concurrent_reset_streams(RESETS_REMEMBERED)
        .max_send_buffer_size(SEND_BUFFER)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .header_table_size(HEADER_TABLE);
    options
}

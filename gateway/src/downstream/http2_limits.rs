//! The limits of an HTTP/2 connection.
//!
//! Everything in the protocol that costs a client almost nothing has a limit here, or in the `h2` crate where there is no
//! setting: the frames of one header block, unanswered pings and settings (one each, the next one is not read before the
//! answer is written), and small DATA frames.

use pingora::protocols::http::v2::server::{H2Options, default_h2_options};

/// Streams that the client resets before they are handled; more close the connection (CVE-2023-44487).
const RESETS_BEFORE_ACCEPT: usize = 20;

/// Streams that the gateway resets because of client errors, refused ones included, during the life of a connection; more
/// close it (CVE-2025-8671). A client may open several hundred streams before it has read the stream limit.
const RESETS_FOR_ERRORS: usize = 1024;

/// Streams remembered for a second after the gateway reset them, so that frames already sent do not count as errors.
const RESETS_REMEMBERED: usize = 50;

/// Bytes of an answer that wait in one stream until the connection can send them.
const SEND_BUFFER: usize = 64 * 1024;

/// Bytes of request bodies that a client may send ahead on one stream, and on the whole connection.
const STREAM_WINDOW: u32 = 65_535;
const CONNECTION_WINDOW: u32 = 65_535;

/// Size of the table that compresses header fields, in bytes (RFC 7541 §4.2).
const HEADER_TABLE: u32 = 4096;

/// The settings of a connection with this many streams, and header blocks of this many bytes (uncompressed).
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

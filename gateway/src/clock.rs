//! The only place that reads the wall clock. Everything else gets the time as a value.

use std::time::{SystemTime, UNIX_EPOCH};

use mcp_gateway_core::time::UnixTime;

/// The present time.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> UnixTime {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixTime::new(since_epoch.map_or(0, |elapsed| {
        i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
    }))
}

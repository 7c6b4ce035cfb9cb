//! How long a token that was issued is used.

use std::time::Duration;

/// A token is not used any more so long before it expires: a request takes time, and clocks differ. Of a short life it is half at most.
pub const EXPIRY_MARGIN: Duration = Duration::from_secs(10);

/// The longest time for which a token is used, whatever its issuer says.
pub const LONGEST_USE: Duration = Duration::from_secs(24 * 3600);

/// How long a token is used that lives so long from now on, and that was got for a caller whose own token lives for `caller`.
pub fn usable(lifetime: Duration, caller: Option<Duration>) -> Duration {
    let own = lifetime.saturating_sub(EXPIRY_MARGIN.min(lifetime / 2));
    own.min(caller.unwrap_or(LONGEST_USE)).min(LONGEST_USE)
}

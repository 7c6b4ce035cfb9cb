//! Does what is due for a ring of keys that sign access tokens.

use mcp_gateway_core::time::UnixTime;
use mcp_gateway_oauth::keys::ring::{Due, Ring, Schedule};

use super::private_file::KeyFileProblem;
use crate::new_key::new_key;

/// The ring when what is due has been done.
///
/// # Errors
/// There is no new key.
pub(super) fn turned(
    ring: &Ring,
    due: &Due,
    schedule: &Schedule,
    now: UnixTime,
) -> Result<Ring, KeyFileProblem> {
    let retired = ring.retire(schedule, now);
    let turned = match due.new_key {
        Some(algorithm) => {
            let key = new_key(algorithm)?;
            let (kid, alg) = (key.id(), algorithm.name());
            tracing::info!(kid, alg, "new signing key published");
            retired.add(key, schedule, now)
        }
        None => retired,
    };
    for kid in &due.retired {
        tracing::info!(kid, "signing key retired");
    }
    Ok(turned)
}

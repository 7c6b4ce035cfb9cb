//! Phase 2: what is at the path of an admitted request, exactly or not at all.

use std::sync::Arc;

use mcp_gateway_core::refusal::reason::Reason;

use super::admit::Admitted;
use crate::{
    local::documents::Documents,
    snapshot::{ProtectedResource, Snapshot},
};

/// Where an admitted request goes.
pub(crate) enum Destination {
    /// A document of the gateway's own, or the 404 in its place.
    Document,
    /// A protected resource.
    Resource(Arc<ProtectedResource>),
}

/// Finds what is at the path: exactly, or not at all.
pub(crate) fn route(admitted: &Admitted, snapshot: &Snapshot) -> Result<Destination, Reason> {
    if Documents::claims(&admitted.path) {
        return Ok(Destination::Document);
    }
    snapshot
        .resource(&admitted.host, &admitted.path)
        .map(|resource| Destination::Resource(resource.clone()))
        .ok_or(Reason::NotFound)
}

//! What a sealed value is bound to: the resource and the principal.

use mcp_gateway_core::{policy::permit::Permit, seal::Binding};

use crate::snapshot::ProtectedResource;

/// What sealed values are bound to.
pub(crate) fn binding<'a>(resource: &'a ProtectedResource, permit: &'a Permit) -> Binding<'a> {
    let principal = permit.principal();
    Binding {
        resource: &resource.uri,
        issuer: &principal.issuer,
        subject: &principal.subject,
        client: principal.client.as_deref(),
    }
}

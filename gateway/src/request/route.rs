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

#[cfg(test)]
mod tests {
    use mcp_gateway_core::http::authority::Authority;

    use super::*;
    use crate::shared::test_gateway::gateway;

    /// The endpoint of the resource, or `document`, at a path of a host.
    fn routed(host: &str, path: &str) -> Result<String, Reason> {
        let admitted = Admitted {
            host: Authority::parse(host).unwrap(),
            path: path.to_owned(),
            query: None,
        };
        route(&admitted, &gateway("").snapshot()).map(|destination| match destination {
            Destination::Document => "document".to_owned(),
            Destination::Resource(resource) => resource.upstream.endpoint().to_owned(),
        })
    }

    #[test]
    fn a_resource_with_the_host_goes_before_the_one_for_every_host() {
        for (host, path, endpoint) in [
            ("mcp.example.com", "/mcp", "http://127.0.0.1:9/shared"),
            ("own.example.com", "/mcp", "http://127.0.0.1:9/own"),
            ("own.example.com", "/second", "http://127.0.0.1:9/second"),
        ] {
            assert_eq!(routed(host, path).unwrap(), endpoint, "{host}{path}");
        }
    }

    #[test]
    fn a_path_is_found_exactly_or_not_at_all() {
        for path in [
            "/",
            "/mcp/",
            "/MCP",
            "/mcp/x",
            "/mc",
            "/well-known/x",
            "/.well-knownx",
        ] {
            let found = routed("own.example.com", path);
            assert_eq!(found, Err(Reason::NotFound), "{path}");
        }
        assert_eq!(routed("mcp.example.com", "/second"), Err(Reason::NotFound));
    }

    #[test]
    fn everything_well_known_is_a_document_and_never_a_resource() {
        for path in [
            "/.well-known/oauth-protected-resource",
            "/.well-known/oauth-protected-resource/mcp",
            "/.well-known/unknown",
            "/.well-known/",
        ] {
            assert_eq!(
                routed("mcp.example.com", path).unwrap(),
                "document",
                "{path}"
            );
        }
    }
}

//! Phase 2: routes an admitted request by its path. A final slash more or less names the same resource, unless both are configured.

use std::sync::Arc;

use mcp_gateway_core::refusal::reason::Reason;

use super::admit::Admitted;
use crate::{
    local::{
        documents::Documents,
        service::{LocalEndpoint, LocalService},
    },
    snapshot::{ProtectedResource, Snapshot},
};

/// Where an admitted request goes.
pub(crate) enum Destination {
    /// One of the gateway's documents, or the 404 for a missing one.
    Document,
    /// A protected resource.
    Resource(Arc<ProtectedResource>),
    /// An endpoint of a service of the gateway's own.
    Local(Arc<dyn LocalService>, LocalEndpoint),
}

/// Finds the destination with this path. A service has some of the well-known paths; where it has another one, the configuration
/// has no resource there.
pub(crate) fn route(admitted: &Admitted, snapshot: &Snapshot) -> Result<Destination, Reason> {
    if Documents::claims(&admitted.path) {
        return Ok(local(admitted, snapshot).unwrap_or(Destination::Document));
    }
    match snapshot.resource(&admitted.host, &admitted.path) {
        Some(resource) => Ok(Destination::Resource(resource.clone())),
        None => match snapshot.resource_of_messages(&admitted.host, &admitted.path) {
            Some(resource) => Ok(Destination::Resource(resource.clone())),
            None => local(admitted, snapshot).ok_or(Reason::NotFound),
        },
    }
}

fn local(admitted: &Admitted, snapshot: &Snapshot) -> Option<Destination> {
    let service = snapshot.service.as_ref()?;
    let endpoint = service.endpoint(&admitted.host, &admitted.path)?;
    Some(Destination::Local(service.clone(), endpoint))
}

#[cfg(test)]
mod tests {
    use mcp_gateway_core::http::authority::Authority;

    use super::*;
    use crate::{shared::test_gateway::gateway, snapshot::Part};

    /// The endpoint of the resource, or `document`, for a host and a path.
    fn routed(host: &str, path: &str) -> Result<String, Reason> {
        let admitted = Admitted {
            host: Authority::parse(host).unwrap(),
            path: path.to_owned(),
            query: None,
        };
        route(&admitted, &gateway("").snapshot()).map(|destination| match destination {
            Destination::Document => "document".to_owned(),
            Destination::Resource(resource) => resource.upstream.shown(),
            Destination::Local(..) => "local".to_owned(),
        })
    }

    #[test]
    fn a_resource_with_the_host_is_preferred_to_the_one_for_every_host() {
        for (host, path, endpoint) in [
            ("mcp.example.com", "/mcp", "http://127.0.0.1:9/shared"),
            ("own.example.com", "/mcp", "http://127.0.0.1:9/own"),
            ("own.example.com", "/second", "http://127.0.0.1:9/second"),
            ("mcp.example.com", "/mcp/", "http://127.0.0.1:9/shared"),
            ("own.example.com", "/mcp/", "http://127.0.0.1:9/own"),
        ] {
            assert_eq!(routed(host, path).unwrap(), endpoint, "{host}{path}");
        }
    }

    #[test]
    fn resources_that_differ_in_the_final_slash_are_two() {
        let config = "  - { path: /mcp/, upstream: 'http://127.0.0.1:9/slash', issuers: [corporate], policy: { default: allow } }
  - { path: /messages/, upstream: 'http://127.0.0.1:9/messages/', issuers: [corporate], policy: { default: allow } }
";
        let snapshot = gateway(config).snapshot();
        for (host, path, endpoint) in [
            ("mcp.example.com", "/mcp", "/shared"),
            ("mcp.example.com", "/mcp/", "/slash"),
            ("own.example.com", "/mcp", "/own"),
            ("own.example.com", "/mcp/", "/slash"),
            ("mcp.example.com", "/messages/", "/messages/"),
            ("mcp.example.com", "/messages", "/messages/"),
        ] {
            let found = snapshot.resource(&Authority::parse(host).unwrap(), path);
            let found = found.unwrap().upstream.shown();
            assert_eq!(
                found,
                format!("http://127.0.0.1:9{endpoint}"),
                "{host}{path}"
            );
        }
    }

    #[test]
    fn the_messages_of_http_sse_belong_to_their_resource() {
        let config = "  - { path: /sse, upstream: { url: 'http://127.0.0.1:9/sse', transport: sse }, issuers: [corporate], policy: { default: allow } }
  - { path: /sse/, upstream: 'http://127.0.0.1:9/other', issuers: [corporate], policy: { default: allow } }
  - { path: /slash/, upstream: { url: 'http://127.0.0.1:9/slash', transport: sse }, issuers: [corporate], policy: { default: allow } }
";
        let snapshot = gateway(config).snapshot();
        let routed = |path: &str| {
            let admitted = Admitted {
                host: Authority::parse("mcp.example.com").unwrap(),
                path: path.to_owned(),
                query: None,
            };
            match route(&admitted, &snapshot) {
                Ok(Destination::Resource(resource)) => {
                    Ok((resource.upstream.shown(), resource.part(path)))
                }
                Ok(_) => panic!("{path}"),
                Err(reason) => Err(reason),
            }
        };
        for (path, endpoint, part) in [
            ("/sse", "/sse", Part::Stream),
            ("/sse/", "/other", Part::Whole),
            ("/sse/message", "/sse", Part::Messages),
            ("/slash", "/slash", Part::Stream),
            ("/slash/message", "/slash", Part::Messages),
            ("/mcp", "/shared", Part::Whole),
        ] {
            let expected = (format!("http://127.0.0.1:9{endpoint}"), part);
            assert_eq!(routed(path), Ok(expected), "{path}");
        }
        for path in ["/mcp/message", "/sse/message/", "/sse/messages", "/message"] {
            assert_eq!(routed(path), Err(Reason::NotFound), "{path}");
        }
        let resource = snapshot.resource(&Authority::parse("mcp.example.com").unwrap(), "/sse");
        let uri = resource.unwrap().uri_at("/sse/message").into_owned();
        assert!(uri.ends_with("/sse/message"), "{uri}");
    }

    #[test]
    fn another_path_is_not_found() {
        for path in [
            "/",
            "/MCP",
            "/MCP/",
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
    fn every_well_known_path_is_a_document_and_never_a_resource() {
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

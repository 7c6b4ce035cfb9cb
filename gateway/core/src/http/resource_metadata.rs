//! The protected resource metadata: it shows a client where to get a token (RFC 9728).

use serde::Serialize;

/// Where protected resources publish their metadata (RFC 9728 §3).
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The metadata of a protected resource (RFC 9728 §2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceMetadata<'a> {
    /// The resource's URI, exactly as clients use it.
    pub resource: &'a str,
    /// The issuers whose tokens are accepted; none where callers have API keys only, and the member is then left out.
    pub authorization_servers: Vec<&'a str>,
    /// Scopes that a client may request. `offline_access` belongs to the authorization server and is left out.
    pub scopes_supported: Vec<&'a str>,
    /// A name for people.
    pub resource_name: Option<&'a str>,
    /// A page for developers.
    pub resource_documentation: Option<&'a str>,
    /// The algorithms of DPoP proofs; empty where no proof is accepted.
    pub dpop_algorithms: &'a [&'a str],
    /// Whether only tokens that are bound to a key are accepted.
    pub requires_dpop: bool,
    /// Whether tokens that are bound to a client certificate are accepted (RFC 8705 §3.3).
    pub accepts_certificate_bound: bool,
}

impl ResourceMetadata<'_> {
    /// The document.
    pub fn to_json(&self) -> Vec<u8> {
        let document = Document {
            resource: self.resource,
            authorization_servers: &self.authorization_servers,
            scopes_supported: self
                .scopes_supported
                .iter()
                .copied()
                .filter(|scope| *scope != OFFLINE_ACCESS)
                .collect(),
            bearer_methods_supported: ["header"],
            resource_name: self.resource_name,
            resource_documentation: self.resource_documentation,
            dpop_signing_alg_values_supported: self.dpop_algorithms,
            dpop_bound_access_tokens_required: self.requires_dpop,
            tls_client_certificate_bound_access_tokens: self.accepts_certificate_bound,
        };
        // Cannot fail: strings and lists of strings always serialise.
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

/// The path of the metadata of a resource: the well-known path, then the resource's path (RFC 9728 §3.1).
pub fn well_known_path(resource_path: &str) -> String {
    let path = if resource_path == "/" {
        ""
    } else {
        resource_path
    };
    format!("{WELL_KNOWN}{path}")
}

/// The scope that requests a refresh token from an authorization server (OpenID Connect Core §11). No resource requires it.
const OFFLINE_ACCESS: &str = "offline_access";

/// `false` is the default of RFC 9728 §2, and left out.
const fn is_false(value: &bool) -> bool {
    !*value
}

#[derive(Serialize)]
struct Document<'a> {
    resource: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    authorization_servers: &'a [&'a str],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
    bearer_methods_supported: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_documentation: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    dpop_signing_alg_values_supported: &'a [&'a str],
    #[serde(skip_serializing_if = "is_false")]
    dpop_bound_access_tokens_required: bool,
    #[serde(skip_serializing_if = "is_false")]
    tls_client_certificate_bound_access_tokens: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metadata: &ResourceMetadata<'_>) -> String {
        String::from_utf8(metadata.to_json()).unwrap()
    }

    #[test]
    fn a_resource_without_authorization_servers_names_none() {
        let metadata = ResourceMetadata {
            resource: "https://mcp.example.com/mcp",
            ..ResourceMetadata::default()
        };
        assert!(!text(&metadata).contains("authorization_servers"));
    }

    #[test]
    fn the_document_names_the_authorization_servers() {
        let metadata = ResourceMetadata {
            resource: "https://mcp.example.com/mcp",
            authorization_servers: vec!["https://issuer.example.com/", "http://localhost:9000"],
            scopes_supported: vec!["tasks:read", "offline_access", "tasks:write"],
            resource_name: Some("Tasks \"of\" Example"),
            resource_documentation: Some("https://docs.example.com"),
            dpop_algorithms: &["ES256", "EdDSA"],
            requires_dpop: true,
            accepts_certificate_bound: true,
        };
        let expected = concat!(
            r#"{"resource":"https://mcp.example.com/mcp","#,
            r#""authorization_servers":["https://issuer.example.com/","http://localhost:9000"],"#,
            r#""scopes_supported":["tasks:read","tasks:write"],"bearer_methods_supported":["header"],"#,
            r#""resource_name":"Tasks \"of\" Example","resource_documentation":"https://docs.example.com","#,
            r#""dpop_signing_alg_values_supported":["ES256","EdDSA"],"dpop_bound_access_tokens_required":true,"#,
            r#""tls_client_certificate_bound_access_tokens":true}"#
        );
        assert_eq!(text(&metadata), expected);
    }

    #[test]
    fn members_that_are_not_set_are_left_out() {
        let metadata = ResourceMetadata {
            resource: "https://mcp.example.com/mcp",
            authorization_servers: vec!["https://issuer.example.com"],
            scopes_supported: vec!["offline_access"],
            ..ResourceMetadata::default()
        };
        let expected = concat!(
            r#"{"resource":"https://mcp.example.com/mcp","authorization_servers":["https://issuer.example.com"],"#,
            r#""bearer_methods_supported":["header"]}"#
        );
        assert_eq!(text(&metadata), expected);
    }

    #[test]
    fn the_path_of_the_resource_follows_the_well_known_path() {
        let cases = [
            ("/", "/.well-known/oauth-protected-resource"),
            ("/mcp", "/.well-known/oauth-protected-resource/mcp"),
            ("/a/b", "/.well-known/oauth-protected-resource/a/b"),
            ("/mcp/", "/.well-known/oauth-protected-resource/mcp/"),
        ];
        for (path, expected) in cases {
            assert_eq!(well_known_path(path), expected, "{path}");
        }
    }
}

//! Metadata documents: the client is the one of the URL, and nothing that everybody can read proves who it is.

use mcp_gateway_oauth::{
    client::{
        document::{DocumentUrl, judge},
        model::ClientOrigin,
    },
    redirect_uri::RedirectRules,
};
use serde_json::Value;

use super::registration::is_usable;

/// Where the document is, unless it has another client id that could be its URL.
const URL: &str = "https://client.example/oauth/client.json";

/// The body of a metadata document.
pub fn metadata_document(body: &[u8]) {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let id = json["client_id"].as_str().unwrap_or_default();
    let own = DocumentUrl::parse(id);
    if let Ok(own) = &own {
        assert_eq!(own.as_str(), id, "client ids are compared as texts");
        assert!(id.starts_with("https://") && own.host().contains('.'));
        assert!(!id.contains(['#', '@', '\\']) || id.split('/').nth(2) == Some(own.host()));
    }
    let url = own.unwrap_or_else(|_| DocumentUrl::parse(URL).unwrap());
    let Ok(client) = judge(&url, body, &RedirectRules::default()) else {
        return;
    };
    is_usable(&client);
    assert_eq!(client.id, url.as_str());
    assert!(matches!(client.method.name(), "none" | "private_key_jwt"));
    assert!(json["client_secret"].is_null());
    assert!(client.grant_types.authorization_code);
    assert!(
        matches!(&client.origin, ClientOrigin::Document { host, .. } if host == url.host()),
        "{:?}",
        client.origin
    );
}

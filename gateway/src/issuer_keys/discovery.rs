//! Discovery: from an issuer to its key set, its introspection endpoint or its token endpoint, by RFC 8414 first, then both OpenID Connect forms (MCP authorization,
//! discovery).

use serde::Deserialize;

use crate::fetch::{client::Fetcher, error::FetchError};

/// The members of authorization-server metadata that matter here (RFC 8414 §2).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: Option<String>,
    introspection_endpoint: Option<String>,
    token_endpoint: Option<String>,
}

/// A member that is looked for: its name, and how it is taken.
type Wanted = (&'static str, fn(Metadata) -> Option<String>);

/// The key set.
const KEYS: Wanted = ("jwks_uri", |metadata| metadata.jwks_uri);

/// The introspection endpoint.
const INTROSPECTION: Wanted = ("introspection_endpoint", |metadata| {
    metadata.introspection_endpoint
});

/// The token endpoint.
const TOKEN: Wanted = ("token_endpoint", |metadata| metadata.token_endpoint);

/// Finds the `jwks_uri` of `issuer`.
///
/// # Errors
/// The most useful error of all forms: a faulty document says more than a 404.
pub(super) async fn jwks_uri(fetcher: &Fetcher, issuer: &str) -> Result<String, FetchError> {
    find(fetcher, issuer, KEYS).await
}

/// Finds the `introspection_endpoint` of `issuer`.
///
/// # Errors
/// As [`jwks_uri`].
pub(super) async fn introspection_endpoint(
    fetcher: &Fetcher,
    issuer: &str,
) -> Result<String, FetchError> {
    find(fetcher, issuer, INTROSPECTION).await
}

/// Finds the `token_endpoint` of `issuer`.
///
/// # Errors
/// As [`jwks_uri`].
pub(super) async fn token_endpoint(fetcher: &Fetcher, issuer: &str) -> Result<String, FetchError> {
    find(fetcher, issuer, TOKEN).await
}

/// Finds a member. A document that names another issuer is not used; the next form is tried (RFC 8414 §3.3).
async fn find(fetcher: &Fetcher, issuer: &str, wanted: Wanted) -> Result<String, FetchError> {
    let mut closest = None;
    for url in candidates(issuer) {
        let found = match fetcher.get(&url).await {
            Ok(body) => read(&body, issuer, (&url, wanted)),
            Err(error) => Err(error),
        };
        match found {
            Ok(uri) => return Ok(uri),
            Err(error) if closest.is_none() || says_more(&error) => closest = Some(error),
            Err(_) => {}
        }
    }
    Err(closest.unwrap_or_else(|| FetchError::Document(format!("{issuer} is not a URL"))))
}

fn says_more(error: &FetchError) -> bool {
    matches!(error, FetchError::Document(_))
}

fn read(
    body: &[u8],
    issuer: &str,
    (url, (name, take)): (&str, Wanted),
) -> Result<String, FetchError> {
    let metadata: Metadata = serde_json::from_slice(body).map_err(|error| {
        FetchError::Document(format!("{url} is not a metadata document: {error}"))
    })?;
    if metadata.issuer != issuer {
        return Err(FetchError::Document(other_issuer(
            &metadata.issuer,
            issuer,
            url,
        )));
    }
    take(metadata).ok_or_else(|| FetchError::Document(format!("{url} has no {name}")))
}

fn other_issuer(found: &str, configured: &str, url: &str) -> String {
    let hint = if found.trim_end_matches('/') == configured.trim_end_matches('/') {
        "; only the final slash differs: write the issuer as the document does"
    } else {
        ""
    };
    let found: String = found.chars().take(200).collect();
    format!("{url} names issuer {found:?}, but the configuration names {configured:?}{hint}")
}

/// The well-known URLs, in order: RFC 8414 §3.1 (path inserted), OpenID Connect with the path inserted, and appended.
fn candidates(issuer: &str) -> Vec<String> {
    let Some((scheme, rest)) = issuer.split_once("://") else {
        return Vec::new();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = path.trim_end_matches('/');
    let inserted = |name: &str| format!("{scheme}://{authority}/.well-known/{name}{path}");
    let mut urls = vec![
        inserted("oauth-authorization-server"),
        inserted("openid-configuration"),
    ];
    if !path.is_empty() {
        urls.push(format!(
            "{scheme}://{authority}{path}/.well-known/openid-configuration"
        ));
    }
    urls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_with_a_path_has_three_metadata_urls() {
        assert_eq!(
            candidates("https://login.example/tenant/v2/"),
            [
                "https://login.example/.well-known/oauth-authorization-server/tenant/v2",
                "https://login.example/.well-known/openid-configuration/tenant/v2",
                "https://login.example/tenant/v2/.well-known/openid-configuration",
            ]
        );
    }

    #[test]
    fn an_issuer_without_a_path_has_two_metadata_urls() {
        assert_eq!(
            candidates("https://tenant.example/"),
            [
                "https://tenant.example/.well-known/oauth-authorization-server",
                "https://tenant.example/.well-known/openid-configuration",
            ]
        );
    }

    #[test]
    fn a_document_of_another_issuer_is_not_used() {
        let body = br#"{"issuer":"https://evil.example","jwks_uri":"https://evil.example/keys"}"#;
        let error = read(body, "https://good.example", ("URL", KEYS)).unwrap_err();
        assert!(error.to_string().contains("https://evil.example"));
    }

    #[test]
    fn optional_members_may_be_null() {
        let document = |uri: &str| {
            let body = format!(
                r#"{{"issuer":"https://good.example","jwks_uri":{uri},"scopes_supported":null,"registration_endpoint":null}}"#
            );
            read(body.as_bytes(), "https://good.example", ("URL", KEYS))
        };
        let found = document(r#""https://good.example/keys""#);
        assert_eq!(found.as_deref(), Ok("https://good.example/keys"));
        let missing = document("null").unwrap_err().to_string();
        assert!(missing.contains("URL has no jwks_uri"), "{missing}");
    }

    #[test]
    fn an_error_says_when_only_the_final_slash_differs() {
        let body = br#"{"issuer":"https://good.example/","jwks_uri":"https://good.example/keys"}"#;
        let error = read(body, "https://good.example", ("URL", KEYS)).unwrap_err();
        assert!(error.to_string().contains("only the final slash differs"));
    }
}

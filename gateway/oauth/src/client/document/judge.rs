//! Judges a document that was fetched (draft §4.1, §6).

use http::HeaderValue;
use mcp_gateway_core::refusal::found::Found;

use crate::{
    client::{
        foreign_url::MAX_FOREIGN_URL_BYTES,
        metadata::{Asked, ClientMetadata, Metadata, MetadataFault, MethodName, Redirects},
        model::{Client, ClientKeys, ClientMethod, ClientOrigin, DocumentSource},
    },
    redirect_uri::RedirectRules,
};

use super::url::DocumentUrl;

/// Members that hold a shared secret: anybody can read the document.
const SHARED_SECRETS: [&str; 2] = ["client_secret", "client_secret_expires_at"];

/// What is wrong with a document. It is not cached, and its client is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// What is wrong with the metadata.
    #[error("the client's metadata document is not valid: {0}")]
    Metadata(#[from] MetadataFault),
    /// `client_id` is missing or another one.
    #[error("the client's metadata document has the client_id {}, not its own URL", Found(.0))]
    OtherClientId(String),
    /// It has a shared secret.
    #[error("the client's metadata document has {0}, which everybody can read")]
    SharedSecret(&'static str),
    /// A method that needs a shared secret.
    #[error(
        "the client's metadata document has the token_endpoint_auth_method {0}, for which there is no secret"
    )]
    SecretMethod(&'static str),
    /// It asks for a machine.
    #[error("the client's metadata document has no grant type for people")]
    Machine,
}

/// Judges a document of at most [`MAX_METADATA_BYTES`](crate::client::metadata::MAX_METADATA_BYTES). One without a method is of a public
/// client: it cannot have a secret.
///
/// # Errors
/// [`DocumentError`].
pub fn judge(
    url: &DocumentUrl,
    body: &[u8],
    rules: &RedirectRules,
) -> Result<Client, DocumentError> {
    let metadata = Metadata::read(body)?;
    let id = metadata.text("client_id", MAX_FOREIGN_URL_BYTES)?;
    let id = id.unwrap_or_default();
    if id != url.as_str() {
        return Err(DocumentError::OtherClientId(id));
    }
    if let Some(member) = SHARED_SECRETS.into_iter().find(|name| metadata.has(name)) {
        return Err(DocumentError::SharedSecret(member));
    }
    let metadata = ClientMetadata::of(&metadata, Redirects::Usable, rules)?;
    if metadata.asked == Asked::ForItself {
        return Err(DocumentError::Machine);
    }
    Ok(Client {
        id,
        method: method(&metadata)?,
        grant_types: metadata.grant_types(),
        requires_proof: metadata.requires_proof,
        requires_certificate: metadata.requires_certificate,
        scopes: None,
        origin: ClientOrigin::Document {
            host: url.host().to_owned(),
            source: DocumentSource::Fetched,
        },
        name: metadata.name,
        redirect_uris: metadata.redirect_uris,
    })
}

fn method(metadata: &ClientMetadata) -> Result<ClientMethod, DocumentError> {
    let none = || ClientKeys::Inline(serde_json::json!({ "keys": [] }));
    match metadata.method {
        None | Some(MethodName::None) => Ok(ClientMethod::None),
        Some(MethodName::PrivateKeyJwt) => {
            let keys = metadata.keys.clone().unwrap_or_else(none);
            Ok(ClientMethod::PrivateKeyJwt(keys))
        }
        Some(method) => Err(DocumentError::SecretMethod(method.as_str())),
    }
}

/// Whether an answer with this type may be a document: `application/json` or another kind of JSON (draft §4).
pub fn is_document_type(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else {
        return false;
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/").unwrap_or_default();
    subtype == "json"
        || subtype
            .strip_suffix("+json")
            .is_some_and(|kind| !kind.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://client.example/oauth/client.json";

    fn judge_text(body: &str) -> Result<Client, DocumentError> {
        let rules = RedirectRules::default();
        judge(&DocumentUrl::parse(URL).unwrap(), body.as_bytes(), &rules)
    }

    fn with(members: &str) -> String {
        format!(
            r#"{{"client_id":"{URL}","client_name":"A","redirect_uris":["https://client.example/cb"]{members}}}"#
        )
    }

    #[test]
    fn a_document_of_its_own_url_is_a_client() {
        let client = judge_text(&with(
            r#","token_endpoint_auth_method":"none","grant_types":["authorization_code"],"of_tomorrow":1,"logo_uri":"https://x/"}"#
                .trim_end_matches('}'),
        ))
        .unwrap();
        assert_eq!(client.id, URL);
        assert_eq!(client.method, ClientMethod::None);
        assert!(client.grant_types.authorization_code && !client.grant_types.refresh_token);
        let origin = ClientOrigin::Document {
            host: "client.example".to_owned(),
            source: DocumentSource::Fetched,
        };
        assert_eq!(client.origin, origin);
        assert_eq!(judge_text(&with("")).unwrap().method, ClientMethod::None);
        let keys = r#","token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://client.example/jwks""#;
        assert!(matches!(
            judge_text(&with(keys)).unwrap().method,
            ClientMethod::PrivateKeyJwt(ClientKeys::Uri(_))
        ));
    }

    #[test]
    fn a_document_of_another_url_or_with_a_secret_is_refused() {
        let other = |id: &str| with("").replace(URL, id);
        for (body, expected) in [
            (
                other("https://client.example/oauth/client.json/"),
                "the client's metadata document has the client_id `https://client.example/oauth/client.json/`, not its own URL",
            ),
            (
                other("https://evil.example/c"),
                "the client's metadata document has the client_id `https://evil.example/c`, not its own URL",
            ),
            (
                r#"{"redirect_uris":["https://client.example/cb"]}"#.to_owned(),
                "the client's metadata document has the client_id ``, not its own URL",
            ),
            (
                with(r#","client_secret":"s""#),
                "the client's metadata document has client_secret, which everybody can read",
            ),
            (
                with(r#","client_secret_expires_at":0"#),
                "the client's metadata document has client_secret_expires_at, which everybody can read",
            ),
            (
                with(r#","token_endpoint_auth_method":"client_secret_post""#),
                "the client's metadata document has the token_endpoint_auth_method client_secret_post, for which there is no secret",
            ),
            (
                with(r#","token_endpoint_auth_method":"client_secret_jwt""#),
                "the client's metadata document is not valid: token_endpoint_auth_method `client_secret_jwt` is not supported; use none, client_secret_basic, client_secret_post or private_key_jwt",
            ),
            (
                with(r#","grant_types":["client_credentials"]"#),
                "the client's metadata document has no grant type for people",
            ),
            (
                format!(r#"{{"client_id":"{URL}","redirect_uris":["javascript:alert(1)"]}}"#),
                "the client's metadata document is not valid: redirect_uris has `javascript:alert(1)`: the scheme \"javascript\" is never allowed in a redirect URI",
            ),
            (
                format!(r#"{{"client_id":"{URL}","client_id":"{URL}"}}"#),
                "the client's metadata document is not valid: the metadata is not valid JSON: an object repeats a member name",
            ),
            (
                "<html>".to_owned(),
                "the client's metadata document is not valid: the metadata is not valid JSON: not one JSON document",
            ),
        ] {
            assert_eq!(judge_text(&body).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn only_json_may_be_a_document() {
        for (value, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/client-metadata+json", true),
            ("application/+json", false),
            ("text/json", false),
            ("text/html", false),
            ("", false),
        ] {
            let value = HeaderValue::from_static(value);
            assert_eq!(is_document_type(&value), expected, "{value:?}");
        }
    }
}

//! The discovery document of a provider (OpenID Connect Discovery §3): where it signs people in, and how.

use serde::Deserialize;
use url::{Host, Url};

/// The longest URL in a document that is used, in bytes.
const MAX_URL_BYTES: usize = 2048;

/// The longest issuer of another provider that a message shows, in characters.
const MAX_SHOWN: usize = 200;

/// Why a discovery document is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataFault {
    /// It is not a JSON object with an issuer.
    #[error("it is not a metadata document: {0}")]
    Unreadable(String),
    /// It is the document of another issuer.
    #[error("it names the issuer {found:?}, but {expected:?} is expected{hint}")]
    Issuer {
        /// What it names.
        found: String,
        /// What the configuration names.
        expected: String,
        /// What the operator may have overlooked.
        hint: &'static str,
    },
    /// A member is missing.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// A member is not a URL to which secrets can be sent.
    #[error(
        "its {0} is not an https URL (http only on a loopback host, for an issuer that is such a URL)"
    )]
    Url(&'static str),
    /// PKCE is not supported, or not said to be.
    #[error("it does not announce PKCE with S256 (code_challenge_methods_supported){0}")]
    Pkce(&'static str),
}

/// How we authenticate at a provider's token endpoint (OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientMethod {
    /// A secret, in the `Authorization` header.
    SecretBasic,
    /// A secret, in the body.
    SecretPost,
    /// An assertion that our key signed.
    PrivateKeyJwt,
}

impl ClientMethod {
    /// Its registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SecretBasic => "client_secret_basic",
            Self::SecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}

/// What a provider says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderMetadata {
    /// Where browsers are sent.
    pub authorization_endpoint: String,
    /// Where codes and refresh tokens are redeemed.
    pub token_endpoint: String,
    /// Its key set.
    pub jwks_uri: String,
    /// Where more claims of an account are.
    pub userinfo_endpoint: Option<String>,
    /// Whether each of its answers in the browser has `iss` (RFC 9207 §3).
    pub sends_issuer: bool,
    /// The methods of its token endpoint.
    methods: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    jwks_uri: Option<String>,
    userinfo_endpoint: Option<String>,
    authorization_response_iss_parameter_supported: Option<bool>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
}

impl ProviderMetadata {
    /// Reads a document, which must name this issuer.
    ///
    /// # Errors
    /// [`MetadataFault`].
    pub fn read(
        document: &[u8],
        issuer: &str,
        announces_pkce: bool,
    ) -> Result<Self, MetadataFault> {
        let read: Result<Document, _> = serde_json::from_slice(document);
        let read = read.map_err(|error| MetadataFault::Unreadable(error.to_string()))?;
        require_issuer(&read.issuer, issuer)?;
        require_pkce(
            read.code_challenge_methods_supported.as_deref(),
            announces_pkce,
        )?;
        let safe = |name, text| safe(name, text, issuer.starts_with("http:"));
        let given =
            |name, text: Option<String>| safe(name, text.ok_or(MetadataFault::Missing(name))?);
        let userinfo = read.userinfo_endpoint;
        let userinfo = userinfo.map(|text| safe("userinfo_endpoint", text));
        Ok(Self {
            authorization_endpoint: given("authorization_endpoint", read.authorization_endpoint)?,
            token_endpoint: given("token_endpoint", read.token_endpoint)?,
            jwks_uri: given("jwks_uri", read.jwks_uri)?,
            userinfo_endpoint: userinfo.transpose()?,
            sends_issuer: read.authorization_response_iss_parameter_supported == Some(true),
            methods: read.token_endpoint_auth_methods_supported,
        })
    }

    /// How to authenticate with a secret: as the provider supports it, in the header where it supports both. Without a list it
    /// supports the header (OpenID Connect Discovery §3).
    pub fn secret_method(&self) -> Result<ClientMethod, ClientMethod> {
        let methods = [ClientMethod::SecretBasic, ClientMethod::SecretPost];
        let mut supported = methods.into_iter().filter(|method| self.supports(*method));
        supported.next().ok_or(ClientMethod::SecretBasic)
    }

    /// Whether its token endpoint supports a method. Where it lists none, keys may be supported all the same.
    pub fn supports(&self, method: ClientMethod) -> bool {
        match &self.methods {
            Some(methods) => methods.iter().any(|own| own == method.name()),
            None => method != ClientMethod::SecretPost,
        }
    }
}

fn require_issuer(found: &str, expected: &str) -> Result<(), MetadataFault> {
    if found == expected {
        return Ok(());
    }
    let differs_in_slash = found.trim_end_matches('/') == expected.trim_end_matches('/');
    Err(MetadataFault::Issuer {
        found: found.chars().take(MAX_SHOWN).collect(),
        expected: expected.to_owned(),
        hint: match differs_in_slash {
            true => "; only the final slash differs: write the issuer as the document does",
            false => "",
        },
    })
}

fn require_pkce(methods: Option<&[String]>, must_announce: bool) -> Result<(), MetadataFault> {
    match methods {
        Some(methods) if methods.iter().any(|method| method == "S256") => Ok(()),
        Some(_) => Err(MetadataFault::Pkce("")),
        None if must_announce => Err(MetadataFault::Pkce(
            "; if the provider supports it all the same, set unannounced_pkce: true",
        )),
        None => Ok(()),
    }
}

/// A URL to which secrets and people are sent: https; or, where the issuer is one too, http that does not leave this machine; without a
/// fragment.
fn safe(name: &'static str, text: String, allows_http: bool) -> Result<String, MetadataFault> {
    let url = Url::parse(&text)
        .ok()
        .filter(|_| text.len() <= MAX_URL_BYTES);
    let is_safe = |url: &Url| {
        let is_loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let has_user = !url.username().is_empty() || url.password().is_some();
        let is_local = allows_http && url.scheme() == "http" && is_loopback;
        let is_secure = url.scheme() == "https" || is_local;
        is_secure && !has_user && url.fragment().is_none()
    };
    // As the reader of URLs writes it, which has only characters of URLs.
    let url = url.filter(is_safe).ok_or(MetadataFault::Url(name))?;
    Ok(String::from(url))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://login.example";

    fn document() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://login.example/authorize",
            "token_endpoint": "https://login.example/token",
            "jwks_uri": "https://keys.example/jwks",
            "userinfo_endpoint": "https://login.example/me",
            "code_challenge_methods_supported": ["plain", "S256"],
        })
    }

    fn with(changes: &Value) -> Result<ProviderMetadata, MetadataFault> {
        let mut document = document();
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        ProviderMetadata::read(document.to_string().as_bytes(), ISSUER, true)
    }

    #[test]
    fn a_document_of_the_issuer_is_read() {
        let read = with(&json!({})).unwrap();
        assert_eq!(read.token_endpoint, "https://login.example/token");
        assert_eq!(
            read.userinfo_endpoint.as_deref(),
            Some("https://login.example/me")
        );
        assert!(!read.sends_issuer);
        let read = with(
            &json!({ "authorization_response_iss_parameter_supported": true,
            "userinfo_endpoint": null }),
        );
        let read = read.unwrap();
        assert!(read.sends_issuer && read.userinfo_endpoint.is_none());
    }

    #[test]
    fn wrong_documents_are_not_used() {
        for (changes, expected) in [
            (
                json!({ "issuer": "https://evil.example" }),
                "names the issuer",
            ),
            (
                json!({ "issuer": "https://login.example/" }),
                "only the final slash differs",
            ),
            (
                json!({ "issuer": "https://LOGIN.example" }),
                "names the issuer",
            ),
            (json!({ "issuer": 1 }), "not a metadata document"),
            (json!({ "token_endpoint": null }), "no token_endpoint"),
            (
                json!({ "authorization_endpoint": null }),
                "no authorization_endpoint",
            ),
            (json!({ "jwks_uri": null }), "no jwks_uri"),
            (
                json!({ "token_endpoint": "http://login.example/token" }),
                "token_endpoint is not an https",
            ),
            (
                json!({ "jwks_uri": "file:///etc/passwd" }),
                "jwks_uri is not an https",
            ),
            (
                json!({ "authorization_endpoint": "javascript:alert(1)" }),
                "authorization_endpoint is not",
            ),
            (
                json!({ "authorization_endpoint": "https://a@login.example/" }),
                "authorization_endpoint is not",
            ),
            (
                json!({ "authorization_endpoint": "https://login.example/#x" }),
                "authorization_endpoint is not",
            ),
            (
                json!({ "userinfo_endpoint": "http://127.0.0.1.example/" }),
                "userinfo_endpoint is not",
            ),
            (
                json!({ "code_challenge_methods_supported": ["plain"] }),
                "does not announce PKCE",
            ),
            (
                json!({ "code_challenge_methods_supported": null }),
                "unannounced_pkce",
            ),
        ] {
            let fault = with(&changes).unwrap_err().to_string();
            assert!(fault.contains(expected), "{changes}: {fault}");
        }
        for text in ["", "[]", "null", "<html>"] {
            assert!(ProviderMetadata::read(text.as_bytes(), ISSUER, true).is_err());
        }
        let silent = json!({ "code_challenge_methods_supported": null });
        let mut quiet = document();
        quiet["code_challenge_methods_supported"] =
            silent["code_challenge_methods_supported"].clone();
        assert!(ProviderMetadata::read(quiet.to_string().as_bytes(), ISSUER, false).is_ok());
    }

    #[test]
    fn plain_http_is_for_loopback_only_and_for_issuers_without_tls() {
        for url in [
            "http://127.0.0.1:9/token",
            "http://localhost/token",
            "http://[::1]/token",
        ] {
            let mut document = document();
            document["token_endpoint"] = url.into();
            let read = |issuer: &str, document: &Value| {
                let text = document.to_string();
                ProviderMetadata::read(text.as_bytes(), issuer, true).is_ok()
            };
            assert!(!read(ISSUER, &document), "{url}");
            document["issuer"] = "http://127.0.0.1:9".into();
            assert!(read("http://127.0.0.1:9", &document), "{url}");
        }
    }

    #[test]
    fn the_method_is_one_that_the_provider_supports() {
        use ClientMethod::{PrivateKeyJwt, SecretBasic, SecretPost};
        let listed = "token_endpoint_auth_methods_supported";
        for (methods, secret, key) in [
            (json!(null), Ok(SecretBasic), true),
            (
                json!(["client_secret_post", "client_secret_basic"]),
                Ok(SecretBasic),
                false,
            ),
            (
                json!(["client_secret_post", "private_key_jwt"]),
                Ok(SecretPost),
                true,
            ),
            (json!(["private_key_jwt"]), Err(SecretBasic), true),
            (json!([]), Err(SecretBasic), false),
        ] {
            let read = with(&json!({ listed: methods })).unwrap();
            assert_eq!(read.secret_method(), secret, "{methods}");
            assert_eq!(read.supports(PrivateKeyJwt), key, "{methods}");
        }
    }
}

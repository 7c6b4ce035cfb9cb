//! A client, however the server came to know it: from the configuration, by registration (RFC 7591) or by its metadata document.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    keys::KeyId,
    store::text::{ScopeSetText, UnixTimeText},
};

/// A client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// Its `client_id`: chosen by the operator or the server, or the URL of its metadata document.
    pub id: String,
    /// The name that it gave itself. People see it; nothing is decided by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where answers may go, as it registered them.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// How it authenticates at the token endpoint. Another method is refused.
    pub method: ClientMethod,
    /// What it may do there.
    pub grant_types: GrantTypes,
    /// Whether every token request needs a DPoP proof (`dpop_bound_access_tokens`, RFC 9449 §5.2).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub requires_proof: bool,
    /// Whether its tokens are bound to the certificate that it presents (`tls_client_certificate_bound_access_tokens`, RFC 8705 §3.4).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub requires_certificate: bool,
    /// The most scopes that it may ask for; none where it may ask for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<ScopeSetText>,
    /// How the server knows it.
    pub origin: ClientOrigin,
}

/// How a client authenticates at the token endpoint (RFC 7591 §2, RFC 7523).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientMethod {
    /// It is a public client.
    None,
    /// With its secret, in the `Authorization` header (RFC 6749 §2.3.1).
    ClientSecretBasic(SecretDigest),
    /// With its secret, in the body.
    ClientSecretPost(SecretDigest),
    /// With an assertion that its key signed.
    PrivateKeyJwt(ClientKeys),
}

impl ClientMethod {
    /// Its name in metadata.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic(_) => "client_secret_basic",
            Self::ClientSecretPost(_) => "client_secret_post",
            Self::PrivateKeyJwt(_) => "private_key_jwt",
        }
    }
}

/// The keyed digest of a client secret: a tag of [`Purpose::ClientSecret`](crate::keys::Purpose::ClientSecret) over client id and secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretDigest {
    /// The server key that made it.
    pub key: KeyId,
    /// The tag.
    pub tag: Vec<u8>,
}

/// Where the keys of a client are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKeys {
    /// In this JWK set (`jwks`).
    Inline(Value),
    /// At this https URL (`jwks_uri`).
    Uri(String),
}

/// The grant types of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantTypes {
    /// `authorization_code`: it acts for people.
    pub authorization_code: bool,
    /// `refresh_token`: it gets refresh tokens.
    pub refresh_token: bool,
    /// `client_credentials`: it acts for itself.
    pub client_credentials: bool,
    /// `urn:ietf:params:oauth:grant-type:jwt-bearer`: it acts for itself with the tokens of workloads. Only the operator gives it.
    #[serde(default)]
    pub jwt_bearer: bool,
    /// `urn:ietf:params:oauth:grant-type:token-exchange`: it exchanges tokens of others. Only the operator gives it.
    #[serde(default)]
    pub token_exchange: bool,
}

/// How the server knows a client: how far people can believe what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientOrigin {
    /// The operator wrote it into the configuration.
    Configured,
    /// It registered itself: nobody has verified anything.
    Registered {
        /// When.
        at: UnixTimeText,
        /// Whether it ever got a token; an unused one is removed after a while.
        is_used: bool,
    },
    /// A machine that registered itself, for `client_credentials` only.
    Machine {
        /// When.
        at: UnixTimeText,
    },
    /// Its metadata document says so: the owner of the host in the URL vouches for it.
    Document {
        /// The host of the document's URL.
        host: String,
        /// Where the document came from.
        source: DocumentSource,
    },
    /// Nobody knows its id; the configuration lets such clients use listed redirect URIs.
    Provisional,
}

/// Where a metadata document came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentSource {
    /// It was fetched.
    Fetched,
    /// A copy is shipped with the program; it was like this since this date (`YYYY-MM`).
    Shipped(String),
}

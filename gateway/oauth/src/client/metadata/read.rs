//! Client metadata as the server uses it. Addresses of logos, policies and contacts are not kept: nothing would load them.

use mcp_gateway_core::scope::ScopeSet;

use crate::{
    client::model::{ClientKeys, GrantTypes},
    redirect_uri::{self, RedirectRules, RedirectUri},
};

use super::{fault::MetadataFault, grant_types::Asked, keys, members::Metadata, name::clean_name};

/// The most redirect URIs of a client.
pub const MAX_REDIRECT_URIS: usize = 32;

/// The longest `client_name`, in bytes, before it is cleaned and cut.
const MAX_NAME_BYTES: usize = 2 * 1024;

/// The longest `scope`, in bytes.
const MAX_SCOPE_BYTES: usize = 4 * 1024;

/// The longest name of a method, in bytes.
const MAX_METHOD_BYTES: usize = 64;

/// A method of the token endpoint, without what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodName {
    /// `none`.
    None,
    /// `client_secret_basic`.
    ClientSecretBasic,
    /// `client_secret_post`.
    ClientSecretPost,
    /// `private_key_jwt`.
    PrivateKeyJwt,
}

impl MethodName {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::None,
        Self::ClientSecretBasic,
        Self::ClientSecretPost,
        Self::PrivateKeyJwt,
    ];

    /// Its registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// The method with this name, letter for letter.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }

    /// Whether it needs a secret that the server makes.
    pub const fn needs_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }
}

/// What becomes of a redirect URI that may not be used, in a list that has others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// It refuses the whole metadata: a client that registers learns the reason at once.
    All,
    /// It is left out: the publisher of a document does not learn what is wrong, and its client does not fall back to registration.
    Usable,
}

/// Client metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientMetadata {
    /// The name that it gives itself, cleaned.
    pub name: Option<String>,
    /// Where answers may go, each once.
    pub redirect_uris: Vec<String>,
    /// The method, where it names one.
    pub method: Option<MethodName>,
    /// Its keys, where the method needs them.
    pub keys: Option<ClientKeys>,
    /// For whom it asks.
    pub asked: Asked,
    /// Whether its tokens are always bound to a key (`dpop_bound_access_tokens`).
    pub requires_proof: bool,
    /// Whether its tokens are always bound to its certificate (`tls_client_certificate_bound_access_tokens`).
    pub requires_certificate: bool,
    /// The scopes that it names, without words that are no scopes.
    pub scope: Option<ScopeSet>,
}

impl ClientMetadata {
    /// Reads the members that the server uses.
    ///
    /// # Errors
    /// The first [`MetadataFault`].
    pub fn of(
        metadata: &Metadata<'_>,
        redirects: Redirects,
        rules: &RedirectRules,
    ) -> Result<Self, MetadataFault> {
        let asked = Asked::read(metadata)?;
        let method = method(metadata)?;
        let has_keys = method == Some(MethodName::PrivateKeyJwt);
        let keys = has_keys.then(|| keys::read(metadata)).transpose()?;
        let name = metadata.text("client_name", MAX_NAME_BYTES)?;
        let scope = metadata.text("scope", MAX_SCOPE_BYTES)?;
        let redirect_uris = redirect_uris(metadata, redirects, rules)?;
        let requires_proof = metadata.flag("dpop_bound_access_tokens")?;
        let requires_certificate = metadata.flag("tls_client_certificate_bound_access_tokens")?;
        if requires_proof && requires_certificate {
            return Err(MetadataFault::BoundTwice);
        }
        if redirect_uris.is_empty() && asked != Asked::ForItself {
            return Err(MetadataFault::NoRedirectUri);
        }
        Ok(Self {
            name: name.as_deref().and_then(clean_name),
            redirect_uris,
            method,
            keys,
            asked,
            requires_proof,
            requires_certificate,
            scope: scope.as_deref().map(scope_tokens),
        })
    }

    /// What the client may do at the token endpoint.
    pub const fn grant_types(&self) -> GrantTypes {
        self.asked.grant_types()
    }
}

fn method(metadata: &Metadata<'_>) -> Result<Option<MethodName>, MetadataFault> {
    let Some(name) = metadata.text("token_endpoint_auth_method", MAX_METHOD_BYTES)? else {
        return Ok(None);
    };
    let method = MethodName::parse(&name).ok_or(MetadataFault::Method(name))?;
    Ok(Some(method))
}

fn redirect_uris(
    metadata: &Metadata<'_>,
    redirects: Redirects,
    rules: &RedirectRules,
) -> Result<Vec<String>, MetadataFault> {
    let listed = metadata.texts("redirect_uris", MAX_REDIRECT_URIS, redirect_uri::MOST_BYTES)?;
    let (mut kept, mut first_fault) = (Vec::new(), None);
    for uri in listed.unwrap_or_default() {
        match RedirectUri::parse(&uri, rules) {
            Ok(_) if kept.contains(&uri) => {}
            Ok(_) => kept.push(uri),
            Err(problem) => {
                first_fault.get_or_insert(MetadataFault::RedirectUri { uri, problem });
            }
        }
    }
    match first_fault {
        Some(fault) if redirects == Redirects::All || kept.is_empty() => Err(fault),
        _ => Ok(kept),
    }
}

/// Words between blanks. A word that is no scope token names nothing that the server could grant.
fn scope_tokens(text: &str) -> ScopeSet {
    let words = text.split_whitespace();
    let tokens = words.filter(|word| ScopeSet::parse(word).is_ok());
    ScopeSet::from_tokens(tokens).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, redirects: Redirects) -> Result<ClientMetadata, MetadataFault> {
        ClientMetadata::of(
            &Metadata::read(json.as_bytes()).unwrap(),
            redirects,
            &RedirectRules::default(),
        )
    }

    #[test]
    fn members_are_read_cleaned_and_without_what_is_unknown() {
        let read = read(
            r#"{"client_name":" A\nB ","redirect_uris":["https://a.example/","https://b.example/","https://a.example/"],
                "token_endpoint_auth_method":"none","scope":" b  a \u00e4 offline_access","logo_uri":7,"of_tomorrow":{"x":[1]},
                "application_type":"of another kind","jwks_uri":"http://ignored"}"#,
            Redirects::All,
        )
        .unwrap();
        assert_eq!(read.name.as_deref(), Some("A B"));
        assert_eq!(
            read.redirect_uris,
            ["https://a.example/", "https://b.example/"]
        );
        assert_eq!(read.method, Some(MethodName::None));
        assert_eq!(read.keys, None);
        assert_eq!(read.scope.unwrap().to_string(), "a b offline_access");
    }

    #[test]
    fn a_bad_redirect_uri_is_named_or_left_out() {
        let json = r#"{"redirect_uris":["https://a.example/","ftp://b"]}"#;
        let fault = read(json, Redirects::All).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "redirect_uris has `ftp://b`: the scheme \"ftp\" is never allowed in a redirect URI"
        );
        assert_eq!(fault.code(), "invalid_redirect_uri");
        let kept = read(json, Redirects::Usable).unwrap().redirect_uris;
        assert_eq!(kept, ["https://a.example/"]);
        let none = r#"{"redirect_uris":["ftp://a","ftp://b"]}"#;
        let fault = read(none, Redirects::Usable).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "redirect_uris has `ftp://a`: the scheme \"ftp\" is never allowed in a redirect URI"
        );
        for none in ["{}", r#"{"redirect_uris":[]}"#, r#"{"redirect_uris":null}"#] {
            assert_eq!(
                read(none, Redirects::All),
                Err(MetadataFault::NoRedirectUri)
            );
        }
    }

    #[test]
    fn what_is_beyond_a_limit_or_not_supported_is_refused_with_what_it_is() {
        let many = format!(
            r#"{{"redirect_uris":[{}]}}"#,
            vec![r#""https://a.example/""#; MAX_REDIRECT_URIS + 1].join(",")
        );
        let long = format!(
            r#"{{"redirect_uris":["https://a.example/{}"]}}"#,
            "a".repeat(redirect_uri::MOST_BYTES)
        );
        for (json, expected) in [
            (many.as_str(), "redirect_uris has 33 elements, more than 32"),
            (&long, "redirect_uris has 2066 bytes, more than 2048"),
            (
                r#"{"token_endpoint_auth_method":"client_secret_jwt"}"#,
                "token_endpoint_auth_method `client_secret_jwt` is not supported; use none, client_secret_basic, client_secret_post or private_key_jwt",
            ),
            (
                r#"{"token_endpoint_auth_method":""}"#,
                "token_endpoint_auth_method `` is not supported; use none, client_secret_basic, client_secret_post or private_key_jwt",
            ),
            (
                r#"{"token_endpoint_auth_method":"private_key_jwt"}"#,
                "token_endpoint_auth_method private_key_jwt requires jwks or jwks_uri",
            ),
            (
                r#"{"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://a.example/k","jwks":{"keys":[]}}"#,
                "jwks and jwks_uri must not both be present",
            ),
            (
                r#"{"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"http://a.example/k"}"#,
                "jwks_uri is not fetched: the URL must begin with https://",
            ),
            (
                r#"{"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://10.0.0.1/k"}"#,
                "jwks_uri is not fetched: the URL must have a host name, not an IP address",
            ),
            (
                r#"{"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[]}}"#,
                "jwks has no key",
            ),
            (
                r#"{"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[{"kty":"RSA","d":"AQ"}]}}"#,
                "jwks has a private key",
            ),
            (
                r#"{"token_endpoint_auth_method":"private_key_jwt","jwks":[]}"#,
                "jwks must be an object",
            ),
            (
                r#"{"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_signing_alg":"HS256","jwks_uri":"https://a.example/k"}"#,
                "token_endpoint_auth_signing_alg `HS256` is not supported; use RS256, PS256, ES256 or EdDSA",
            ),
            (r#"{"client_name":7}"#, "client_name must be a string"),
            (
                r#"{"redirect_uris":["https://a.example/"],"dpop_bound_access_tokens":"true"}"#,
                "dpop_bound_access_tokens must be true or false",
            ),
            (
                r#"{"redirect_uris":["https://a.example/"],"dpop_bound_access_tokens":true,"tls_client_certificate_bound_access_tokens":true}"#,
                "dpop_bound_access_tokens and tls_client_certificate_bound_access_tokens must not both be true",
            ),
            (r#"{"scope":["a"]}"#, "scope must be a string"),
        ] {
            let fault = read(json, Redirects::All).unwrap_err();
            assert_eq!(fault.to_string(), expected);
        }
    }
}

//! Clients that the operator wrote into the configuration.

use mcp_gateway_core::scope::ScopeSet;

use crate::{
    client::{
        authentication::secret_digest,
        foreign_url::MAX_FOREIGN_URL_BYTES,
        metadata::{MethodName, check_inline_keys, clean_name},
        model::{Client, ClientKeys, ClientMethod, ClientOrigin, GrantTypes},
    },
    keys::ServerKeys,
    redirect_uri::{RedirectRules, RedirectUri, RedirectUriError},
    secret::Secret,
    store::text::ScopeSetText,
};

/// A client as the configuration writes it.
#[derive(Clone, Debug)]
pub struct ConfiguredClient {
    /// Its id (RFC 6749 §2.2: visible ASCII).
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// Where answers may go.
    pub redirect_uris: Vec<String>,
    /// How it authenticates; without one as its secret or its keys say.
    pub method: Option<MethodName>,
    /// Its secret.
    pub secret: Option<Secret>,
    /// Its keys.
    pub keys: Option<ClientKeys>,
    /// What it may do.
    pub grant_types: GrantTypes,
    /// Whether every token request needs a DPoP proof.
    pub requires_proof: bool,
    /// Whether its tokens are bound to the certificate that it presents.
    pub requires_certificate: bool,
    /// The most scopes that it may ask for; none where it may ask for all.
    pub scopes: Option<ScopeSet>,
}

/// What is wrong with a configured client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfiguredFault {
    /// The id is empty, too long or has a character that is not visible ASCII.
    #[error("the id must be 1 to {MAX_FOREIGN_URL_BYTES} visible ASCII characters")]
    Id,
    /// A method that needs a secret, without one.
    #[error("the method {0} requires a secret")]
    NoSecret(&'static str),
    /// A secret that the method does not use.
    #[error("the method {0} does not use a secret")]
    UnusedSecret(&'static str),
    /// An empty secret.
    #[error("the secret is empty")]
    EmptySecret,
    /// `private_key_jwt` without keys.
    #[error("the method private_key_jwt requires jwks or jwks_uri")]
    NoKeys,
    /// Keys that the method does not use.
    #[error("the method {0} does not use keys")]
    UnusedKeys(&'static str),
    /// Keys that cannot be used.
    #[error("jwks {0}")]
    Keys(String),
    /// A machine without a way to authenticate.
    #[error("the grant type client_credentials requires a secret or keys")]
    PublicMachine,
    /// A machine that could ask for every scope.
    #[error("the grant type client_credentials requires scopes")]
    MachineWithoutScopes,
    /// Workloads that could ask for every scope.
    #[error("the grant type jwt-bearer requires scopes")]
    WorkloadWithoutScopes,
    /// A client that exchanges tokens without a way to authenticate.
    #[error("the grant type token-exchange requires a secret or keys")]
    PublicExchange,
    /// No grant type.
    #[error("the client has no grant type")]
    NoGrantType,
    /// `refresh_token` alone.
    #[error("the grant type refresh_token requires authorization_code")]
    RefreshTokenAlone,
    /// It acts for people and has no redirect URI.
    #[error("the grant type authorization_code requires a redirect URI")]
    NoRedirectUri,
    /// A redirect URI that may not be used.
    #[error("the redirect URI `{uri}` is refused: {problem}")]
    RedirectUri {
        /// The URI.
        uri: String,
        /// What is wrong with it.
        problem: RedirectUriError,
    },
}

impl ConfiguredClient {
    /// The client. Its secret is kept as a digest.
    ///
    /// # Errors
    /// The first [`ConfiguredFault`].
    pub fn client(
        &self,
        keys: &ServerKeys,
        rules: &RedirectRules,
    ) -> Result<Client, ConfiguredFault> {
        let is_visible = self.id.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_visible || !(1..=MAX_FOREIGN_URL_BYTES).contains(&self.id.len()) {
            return Err(ConfiguredFault::Id);
        }
        let method = self.method(keys)?;
        self.check_grant_types(&method)?;
        for uri in &self.redirect_uris {
            RedirectUri::parse(uri, rules).map_err(|problem| ConfiguredFault::RedirectUri {
                uri: uri.clone(),
                problem,
            })?;
        }
        Ok(Client {
            id: self.id.clone(),
            name: self.name.as_deref().and_then(clean_name),
            redirect_uris: self.redirect_uris.clone(),
            method,
            grant_types: self.grant_types,
            requires_proof: self.requires_proof,
            requires_certificate: self.requires_certificate,
            scopes: self.scopes.clone().map(ScopeSetText),
            origin: ClientOrigin::Configured,
        })
    }

    fn method(&self, keys: &ServerKeys) -> Result<ClientMethod, ConfiguredFault> {
        let named = self.method_name();
        let name = named.as_str();
        if self
            .secret
            .as_ref()
            .is_some_and(|secret| secret.expose().is_empty())
        {
            return Err(ConfiguredFault::EmptySecret);
        }
        let digest = self
            .secret
            .as_ref()
            .map(|secret| secret_digest(keys, &self.id, secret));
        match (named, digest, &self.keys) {
            (MethodName::None, None, None) => Ok(ClientMethod::None),
            (MethodName::ClientSecretBasic, Some(digest), None) => {
                Ok(ClientMethod::ClientSecretBasic(digest))
            }
            (MethodName::ClientSecretPost, Some(digest), None) => {
                Ok(ClientMethod::ClientSecretPost(digest))
            }
            (MethodName::PrivateKeyJwt, None, Some(own)) => {
                check_keys(own)?;
                Ok(ClientMethod::PrivateKeyJwt(own.clone()))
            }
            (MethodName::PrivateKeyJwt, None, None) => Err(ConfiguredFault::NoKeys),
            (MethodName::ClientSecretBasic | MethodName::ClientSecretPost, None, _) => {
                Err(ConfiguredFault::NoSecret(name))
            }
            (_, Some(_), None) | (MethodName::PrivateKeyJwt, Some(_), Some(_)) => {
                Err(ConfiguredFault::UnusedSecret(name))
            }
            (_, _, Some(_)) => Err(ConfiguredFault::UnusedKeys(name)),
        }
    }

    fn method_name(&self) -> MethodName {
        let default = match (&self.secret, &self.keys) {
            (Some(_), _) => MethodName::ClientSecretBasic,
            (None, Some(_)) => MethodName::PrivateKeyJwt,
            (None, None) => MethodName::None,
        };
        self.method.unwrap_or(default)
    }

    fn check_grant_types(&self, method: &ClientMethod) -> Result<(), ConfiguredFault> {
        let types = self.grant_types;
        if types == GrantTypes::default() {
            return Err(ConfiguredFault::NoGrantType);
        }
        if types.refresh_token && !types.authorization_code {
            return Err(ConfiguredFault::RefreshTokenAlone);
        }
        if types.authorization_code && self.redirect_uris.is_empty() {
            return Err(ConfiguredFault::NoRedirectUri);
        }
        if types.client_credentials && *method == ClientMethod::None {
            return Err(ConfiguredFault::PublicMachine);
        }
        if types.client_credentials && self.scopes.is_none() {
            return Err(ConfiguredFault::MachineWithoutScopes);
        }
        if types.jwt_bearer && self.scopes.is_none() {
            return Err(ConfiguredFault::WorkloadWithoutScopes);
        }
        if types.token_exchange && *method == ClientMethod::None {
            return Err(ConfiguredFault::PublicExchange);
        }
        Ok(())
    }
}

/// Keys at a URL are the operator's word: only those in the configuration are read here.
fn check_keys(keys: &ClientKeys) -> Result<(), ConfiguredFault> {
    match keys {
        ClientKeys::Inline(set) => {
            check_inline_keys(set.to_string().as_bytes()).map_err(ConfiguredFault::Keys)
        }
        ClientKeys::Uri(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured() -> ConfiguredClient {
        ConfiguredClient {
            id: "inspector".to_owned(),
            name: Some("Inspector".to_owned()),
            redirect_uris: vec!["http://localhost:6274/oauth/callback".to_owned()],
            method: None,
            secret: None,
            keys: None,
            grant_types: GrantTypes {
                authorization_code: true,
                refresh_token: true,
                ..GrantTypes::default()
            },
            requires_proof: false,
            requires_certificate: false,
            scopes: None,
        }
    }

    fn client(change: impl FnOnce(&mut ConfiguredClient)) -> Result<Client, ConfiguredFault> {
        let mut configured = configured();
        change(&mut configured);
        let keys = ServerKeys::new(&[[1; 32]]).unwrap();
        configured.client(&keys, &RedirectRules::default())
    }

    #[test]
    fn the_method_follows_from_what_the_client_has() {
        let method = |change: fn(&mut ConfiguredClient)| client(change).unwrap().method.name();
        assert_eq!(method(|_| ()), "none");
        let secret = || Some(Secret::new("s"));
        assert_eq!(
            client(|one| one.secret = secret()).unwrap().method.name(),
            "client_secret_basic"
        );
        let post = client(|one| {
            one.secret = secret();
            one.method = Some(MethodName::ClientSecretPost);
        });
        assert_eq!(post.unwrap().method.name(), "client_secret_post");
        assert_eq!(
            method(|one| one.keys = Some(ClientKeys::Uri("https://127.0.0.1/jwks".to_owned()))),
            "private_key_jwt"
        );
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        use ConfiguredFault::*;
        type Change = fn(&mut ConfiguredClient);
        let machine: Change = |one| {
            one.grant_types = GrantTypes {
                client_credentials: true,
                ..GrantTypes::default()
            };
        };
        let cases: [(Change, ConfiguredFault); 15] = [
            (|one| one.id = String::new(), Id),
            (|one| one.id = "a b".to_owned(), Id),
            (|one| one.id = "a\n".to_owned(), Id),
            (
                |one| one.method = Some(MethodName::ClientSecretPost),
                NoSecret("client_secret_post"),
            ),
            (
                |one| {
                    one.method = Some(MethodName::None);
                    one.secret = Some(Secret::new("s"));
                },
                UnusedSecret("none"),
            ),
            (|one| one.secret = Some(Secret::new("")), EmptySecret),
            (|one| one.method = Some(MethodName::PrivateKeyJwt), NoKeys),
            (
                |one| {
                    one.secret = Some(Secret::new("s"));
                    one.keys = Some(ClientKeys::Uri("https://a.example/".to_owned()));
                },
                UnusedKeys("client_secret_basic"),
            ),
            (
                |one| one.keys = Some(ClientKeys::Inline(serde_json::json!({"keys": []}))),
                Keys("has no key".to_owned()),
            ),
            (machine, PublicMachine),
            (
                |one| one.grant_types.jwt_bearer = true,
                WorkloadWithoutScopes,
            ),
            (|one| one.grant_types.token_exchange = true, PublicExchange),
            (|one| one.grant_types = GrantTypes::default(), NoGrantType),
            (
                |one| one.grant_types.authorization_code = false,
                RefreshTokenAlone,
            ),
            (|one| one.redirect_uris.clear(), NoRedirectUri),
        ];
        for (change, expected) in cases {
            assert_eq!(client(change), Err(expected));
        }
        let greedy = client(|one| {
            machine(one);
            one.secret = Some(Secret::new("s"));
        });
        assert_eq!(greedy, Err(MachineWithoutScopes));
        let redirect = client(|one| one.redirect_uris = vec!["https://a.example/ b".to_owned()]);
        assert_eq!(
            redirect.unwrap_err().to_string(),
            "the redirect URI `https://a.example/ b` is refused: the redirect URI has a blank"
        );
    }
}

//! Registering a client (RFC 7591 §3).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};

use crate::{
    client::{
        authentication::secret_digest,
        metadata::{Asked, ClientMetadata, Metadata, MetadataFault, MethodName, Redirects},
        model::{Client, ClientKeys, ClientMethod, ClientOrigin},
        stored::StoredClient,
    },
    id::{ID_BYTES, Id},
    keys::ServerKeys,
    redirect_uri::RedirectRules,
    secret::Secret,
    store::{
        rows::{Rows, StoreError, Table},
        table,
        text::{ScopeSetText, UnixTimeText},
    },
};

use super::{
    error::RegistrationError, management_token::management_token, policy::RegistrationPolicy,
};

/// Bytes of a client secret before they are text.
const SECRET_BYTES: usize = 32;

/// Random bytes for one registration or update.
#[derive(Clone, Copy)]
pub struct Entropy {
    /// For the client id.
    pub client_id: [u8; ID_BYTES],
    /// For the client secret.
    pub secret: [u8; SECRET_BYTES],
}

/// What a client asks to be registered as.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistrationRequest {
    pub(super) metadata: ClientMetadata,
    pub(super) method: MethodName,
}

/// A client that was registered, or whose registration was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Registered {
    /// Its row.
    pub stored: StoredClient,
    /// Its secret, where it was just made: the server does not keep it.
    pub secret: Option<Secret>,
    /// Its registration access token.
    pub management: Secret,
}

/// Reads a registration.
///
/// # Errors
/// [`MetadataFault`] with what is wrong.
pub fn judge(body: &[u8], rules: &RedirectRules) -> Result<RegistrationRequest, MetadataFault> {
    RegistrationRequest::of(&Metadata::read(body)?, rules)
}

/// Registers a client, in one transaction. `token` is the bearer token of the request, if it has one.
///
/// # Errors
/// [`StoreError`]; and [`RegistrationError`] inside, when nothing was written.
pub fn register(
    rows: &mut dyn Rows,
    request: &RegistrationRequest,
    token: Option<&Secret>,
    entropy: &Entropy,
    keys: &ServerKeys,
    policy: &RegistrationPolicy,
    now: UnixTime,
) -> Result<Result<Registered, RegistrationError>, StoreError> {
    let bound = match request.bound(token, policy) {
        Ok(bound) => bound,
        Err(error) => return Ok(Err(error)),
    };
    if rows.count(Table::Clients)? >= policy.room(request.is_machine()) {
        return Ok(Err(RegistrationError::Full));
    }
    let id = Id::new(entropy.client_id).to_string();
    let (method, secret) = request.method_with(None, &id, entropy, keys);
    let stored = StoredClient {
        scope: request.declared_scope(bound.as_ref(), policy),
        client: request.client(id, method, bound, now),
        ends: UnixTimeText(now.plus(policy.unused_client)),
    };
    table::insert(rows, stored.client.id.as_bytes(), &stored)?;
    let management = management_token(keys, &stored.client.id);
    Ok(Ok(Registered {
        stored,
        secret,
        management,
    }))
}

impl RegistrationRequest {
    /// From metadata that was read as an object.
    pub(super) fn of(
        metadata: &Metadata<'_>,
        rules: &RedirectRules,
    ) -> Result<Self, MetadataFault> {
        let metadata = ClientMetadata::of(metadata, Redirects::All, rules)?;
        // RFC 7591 §2: what is not named is `client_secret_basic`.
        let method = metadata.method.unwrap_or(MethodName::ClientSecretBasic);
        if metadata.asked == Asked::ForItself && method == MethodName::None {
            return Err(MetadataFault::MachineWithoutSecret);
        }
        Ok(Self { metadata, method })
    }

    /// Whether it acts for itself.
    pub fn is_machine(&self) -> bool {
        self.metadata.asked == Asked::ForItself
    }

    /// The most scopes that the client may ask for: none is bound for people's clients.
    fn bound(
        &self,
        token: Option<&Secret>,
        policy: &RegistrationPolicy,
    ) -> Result<Option<ScopeSet>, RegistrationError> {
        match self.is_machine() {
            true => {
                let asked = self.metadata.scope.as_ref();
                policy.machines.scopes(token, asked).map(Some)
            }
            false if policy.people => Ok(None),
            false => Err(RegistrationError::PeopleOff),
        }
    }

    /// The scopes that the answer names.
    pub(super) fn declared_scope(
        &self,
        bound: Option<&ScopeSet>,
        policy: &RegistrationPolicy,
    ) -> Option<ScopeSetText> {
        let scope = match bound {
            Some(bound) => Some(bound.clone()),
            None => policy.known(self.metadata.scope.as_ref()),
        };
        scope.map(ScopeSetText)
    }

    /// The method with what it needs, and the secret if a new one was made. A client that had a secret keeps it.
    pub(super) fn method_with(
        &self,
        before: Option<&ClientMethod>,
        id: &str,
        entropy: &Entropy,
        keys: &ServerKeys,
    ) -> (ClientMethod, Option<Secret>) {
        let kept = match before {
            Some(
                ClientMethod::ClientSecretBasic(digest) | ClientMethod::ClientSecretPost(digest),
            ) => Some(digest.clone()),
            _ => None,
        };
        let (digest, secret) = match (kept, self.method.needs_secret()) {
            (Some(digest), _) => (digest, None),
            (None, is_needed) => {
                let secret = Secret::new(URL_SAFE_NO_PAD.encode(entropy.secret));
                (
                    secret_digest(keys, id, &secret),
                    is_needed.then_some(secret),
                )
            }
        };
        let method = match self.method {
            MethodName::None => ClientMethod::None,
            MethodName::ClientSecretBasic => ClientMethod::ClientSecretBasic(digest),
            MethodName::ClientSecretPost => ClientMethod::ClientSecretPost(digest),
            MethodName::PrivateKeyJwt => ClientMethod::PrivateKeyJwt(self.keys()),
        };
        (method, secret)
    }

    fn keys(&self) -> ClientKeys {
        let none = || ClientKeys::Inline(serde_json::json!({ "keys": [] }));
        self.metadata.keys.clone().unwrap_or_else(none)
    }

    fn client(
        &self,
        id: String,
        method: ClientMethod,
        bound: Option<ScopeSet>,
        now: UnixTime,
    ) -> Client {
        let at = UnixTimeText(now);
        Client {
            id,
            name: self.metadata.name.clone(),
            redirect_uris: self.metadata.redirect_uris.clone(),
            method,
            grant_types: self.metadata.grant_types(),
            requires_proof: self.metadata.requires_proof,
            requires_certificate: self.metadata.requires_certificate,
            scopes: bound.map(ScopeSetText),
            origin: match self.is_machine() {
                true => ClientOrigin::Machine { at },
                false => ClientOrigin::Registered { at, is_used: false },
            },
        }
    }
}

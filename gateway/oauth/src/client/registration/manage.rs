//! Reading, updating and deleting a registration (RFC 7592 §2). A client that is not known and a token that is not its own look alike:
//! both are 401.

use mcp_gateway_core::time::UnixTime;

use crate::{
    client::{
        authentication::is_secret_of,
        metadata::{Metadata, MetadataFault},
        model::ClientMethod,
        stored::{self, StoredClient},
    },
    keys::ServerKeys,
    redirect_uri::RedirectRules,
    secret::Secret,
    store::{
        rows::{Rows, StoreError, Table},
        table,
    },
};

use super::{
    error::RegistrationError,
    management_token::{is_token_of, management_token},
    policy::RegistrationPolicy,
    register::{Entropy, Registered, RegistrationRequest},
};

/// Members that only the server sets (RFC 7592 §2.2).
const NOT_SETTABLE: [&str; 4] = [
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
];

/// The longest client id or secret in an update, in bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// A request to the URL of one client.
#[derive(Clone, Copy, Debug)]
pub struct Management<'a> {
    /// The client id in the path.
    pub client_id: &'a str,
    /// The bearer token.
    pub token: &'a Secret,
    /// The server's keys.
    pub keys: &'a ServerKeys,
    /// When it came.
    pub now: UnixTime,
}

/// Reads a registration. The secret is not in it: the server does not keep it.
///
/// # Errors
/// [`StoreError`]; [`RegistrationError::RegistrationAccessToken`] inside.
pub fn read(
    rows: &dyn Rows,
    request: Management<'_>,
) -> Result<Result<Registered, RegistrationError>, StoreError> {
    let found = request.client(rows)?;
    Ok(found.map(|stored| request.registered(stored, None)))
}

/// Replaces the metadata of a client. It keeps its id, and its secret as long as its method needs one.
///
/// # Errors
/// [`StoreError`]; [`RegistrationError`] inside, when nothing was written.
pub fn update(
    rows: &mut dyn Rows,
    request: Management<'_>,
    body: &[u8],
    rules: &RedirectRules,
    entropy: &Entropy,
    policy: &RegistrationPolicy,
) -> Result<Result<Registered, RegistrationError>, StoreError> {
    let keys = request.keys;
    let judged = request.client(rows)?.and_then(|stored| {
        let update = judge_update(body, &stored, keys, rules)?;
        Ok((stored, update))
    });
    let (mut stored, update) = match judged {
        Ok(judged) => judged,
        Err(error) => return Ok(Err(error)),
    };
    let client = &mut stored.client;
    let (method, secret) = update.method_with(Some(&client.method), &client.id, entropy, keys);
    client.method = method;
    client.name.clone_from(&update.metadata.name);
    client
        .redirect_uris
        .clone_from(&update.metadata.redirect_uris);
    client.grant_types = update.metadata.grant_types();
    // A machine keeps the scopes that it was given: an update brings no initial access token.
    let bound = client.scopes.as_ref().map(|scopes| &scopes.0);
    stored.scope = update.declared_scope(bound, policy);
    table::put(rows, stored.client.id.as_bytes(), &stored)?;
    Ok(Ok(request.registered(stored, secret)))
}

/// Removes a client. It returns what was removed: the caller ends its grants, and the tokens of a machine in the same transaction.
///
/// # Errors
/// [`StoreError`]; [`RegistrationError::RegistrationAccessToken`] inside.
pub fn delete(
    rows: &mut dyn Rows,
    request: Management<'_>,
) -> Result<Result<StoredClient, RegistrationError>, StoreError> {
    let found = request.client(rows)?;
    if found.is_ok() {
        rows.remove(Table::Clients, request.client_id.as_bytes())?;
    }
    Ok(found)
}

impl Management<'_> {
    /// The client. The token is checked before the row is looked at, so the time does not tell whether there is one.
    fn client(
        self,
        rows: &dyn Rows,
    ) -> Result<Result<StoredClient, RegistrationError>, StoreError> {
        if !is_token_of(self.keys, self.token, self.client_id) {
            return Ok(Err(RegistrationError::RegistrationAccessToken));
        }
        let found = stored::find(rows, self.client_id, self.now)?;
        Ok(found.ok_or(RegistrationError::RegistrationAccessToken))
    }

    fn registered(self, stored: StoredClient, secret: Option<Secret>) -> Registered {
        Registered {
            management: management_token(self.keys, &stored.client.id),
            stored,
            secret,
        }
    }
}

fn judge_update(
    body: &[u8],
    stored: &StoredClient,
    keys: &ServerKeys,
    rules: &RedirectRules,
) -> Result<RegistrationRequest, RegistrationError> {
    let metadata = Metadata::read(body)?;
    if let Some(member) = NOT_SETTABLE.into_iter().find(|name| metadata.has(name)) {
        return Err(RegistrationError::NotSettable(member));
    }
    check_identity(&metadata, stored, keys)?;
    let request = RegistrationRequest::of(&metadata, rules)?;
    if request.is_machine() != stored.client.grant_types.client_credentials {
        return Err(RegistrationError::OtherKind);
    }
    Ok(request)
}

/// An update names the client, and its current secret if it names one.
fn check_identity(
    metadata: &Metadata<'_>,
    stored: &StoredClient,
    keys: &ServerKeys,
) -> Result<(), RegistrationError> {
    let text =
        |member| -> Result<Option<String>, MetadataFault> { metadata.text(member, MAX_TEXT_BYTES) };
    let client = &stored.client;
    if text("client_id")?.as_ref() != Some(&client.id) {
        return Err(RegistrationError::OtherClientId);
    }
    let Some(secret) = text("client_secret")?.map(Secret::new) else {
        return Ok(());
    };
    match &client.method {
        ClientMethod::ClientSecretBasic(digest) | ClientMethod::ClientSecretPost(digest)
            if is_secret_of(keys, &client.id, &secret, digest) =>
        {
            Ok(())
        }
        _ => Err(RegistrationError::OtherSecret),
    }
}

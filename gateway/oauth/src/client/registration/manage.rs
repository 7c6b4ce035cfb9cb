//! Reading, updating and deleting a registration (RFC 7592 §2). A client that is not known and a token that is not its own look alike:
//! both are 401.

use mcp_gateway_core::time::UnixTime;

use crate::{
    client::{
        authentication::is_secret_of,
        metadata::{Metadata, MetadataFault},
        model::ClientMethod,
        redirects::RedirectCheck,
        stored::{self, StoredClient},
    },
    keys::ServerKeys,
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

/// Reads a registration. The secret is not in it: the server does not keep it.
///
/// # Errors
/// [`StoreError`]; [`RegistrationError::RegistrationAccessToken`] inside.
pub fn read(
    rows: &dyn Rows,
    client_id: &str,
    token: &Secret,
    keys: &ServerKeys,
    now: UnixTime,
) -> Result<Result<Registered, RegistrationError>, StoreError> {
    let found = managed(rows, client_id, token, keys, now)?;
    Ok(found.map(|stored| registered(stored, None, keys)))
}

/// Replaces the metadata of a client. It keeps its id, and its secret as long as its method needs one.
///
/// # Errors
/// [`StoreError`]; [`RegistrationError`] inside, when nothing was written.
#[expect(
    clippy::too_many_arguments,
    reason = "a request, and what the server is"
)]
pub fn update(
    rows: &mut dyn Rows,
    client_id: &str,
    token: &Secret,
    body: &[u8],
    check: RedirectCheck<'_>,
    entropy: &Entropy,
    keys: &ServerKeys,
    policy: &RegistrationPolicy,
    now: UnixTime,
) -> Result<Result<Registered, RegistrationError>, StoreError> {
    let found = managed(rows, client_id, token, keys, now)?;
    let read = found.and_then(|stored| {
        let request = judge_update(body, &stored, keys, check)?;
        Ok((stored, request))
    });
    let (mut stored, request) = match read {
        Ok(read) => read,
        Err(error) => return Ok(Err(error)),
    };
    let client = &mut stored.client;
    let (method, secret) = request.method_with(Some(&client.method), &client.id, entropy, keys);
    client.method = method;
    client.name = request.metadata.name.clone();
    client.redirect_uris = request.metadata.redirect_uris.clone();
    client.grant_types = request.metadata.grant_types();
    // A machine keeps the scopes that it was given: an update brings no initial access token.
    let bound = client.scopes.as_ref().map(|scopes| &scopes.0);
    stored.scope = request.declared_scope(bound, policy);
    table::put(rows, client_id.as_bytes(), &stored)?;
    Ok(Ok(registered(stored, secret, keys)))
}

/// Removes a client. Its grants have to end in the same transaction: the caller ends all grants of this client id.
///
/// # Errors
/// [`StoreError`]; [`RegistrationError::RegistrationAccessToken`] inside.
pub fn delete(
    rows: &mut dyn Rows,
    client_id: &str,
    token: &Secret,
    keys: &ServerKeys,
    now: UnixTime,
) -> Result<Result<(), RegistrationError>, StoreError> {
    if let Err(error) = managed(rows, client_id, token, keys, now)? {
        return Ok(Err(error));
    }
    rows.remove(Table::Clients, client_id.as_bytes())?;
    Ok(Ok(()))
}

/// The token is checked before the row is looked at, so the time does not tell whether there is one.
fn managed(
    rows: &dyn Rows,
    client_id: &str,
    token: &Secret,
    keys: &ServerKeys,
    now: UnixTime,
) -> Result<Result<StoredClient, RegistrationError>, StoreError> {
    if !is_token_of(keys, token, client_id) {
        return Ok(Err(RegistrationError::RegistrationAccessToken));
    }
    let found = stored::find(rows, client_id, now)?;
    Ok(found.ok_or(RegistrationError::RegistrationAccessToken))
}

fn registered(stored: StoredClient, secret: Option<Secret>, keys: &ServerKeys) -> Registered {
    Registered {
        management: management_token(keys, &stored.client.id),
        stored,
        secret,
    }
}

fn judge_update(
    body: &[u8],
    stored: &StoredClient,
    keys: &ServerKeys,
    check: RedirectCheck<'_>,
) -> Result<RegistrationRequest, RegistrationError> {
    let metadata = Metadata::read(body)?;
    if let Some(member) = NOT_SETTABLE.into_iter().find(|name| metadata.has(name)) {
        return Err(RegistrationError::NotSettable(member));
    }
    check_identity(&metadata, stored, keys)?;
    let request = RegistrationRequest::of(&metadata, check)?;
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

//! Compares what a request presents with what the client registered.

use mcp_gateway_core::{time::UnixTime, token::key_set::KeySet};
use serde_json::Value;

use crate::{
    client::model::{Client, ClientKeys, ClientMethod, SecretDigest},
    keys::{Purpose, ServerKeys},
    secret::Secret,
};

use super::{
    assertion::{self, OnceOnly},
    fault::ClientFault,
    presented::Presented,
    secret::is_secret_of,
};

/// An authenticated client; or a public one, which is only named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// The client.
    pub client_id: String,
    /// How it authenticated.
    pub method: &'static str,
    /// The assertion to use up with [`use_assertion`](super::use_assertion), in the transaction of the request.
    pub assertion: Option<OnceOnly>,
}

/// The URL of the keys that are needed to authenticate what this request presents.
pub fn keys_wanted<'a>(client: &'a Client, presented: &Presented) -> Option<&'a str> {
    match (&client.method, presented) {
        (ClientMethod::PrivateKeyJwt(ClientKeys::Uri(uri)), Presented::Assertion { .. }) => {
            Some(uri)
        }
        _ => None,
    }
}

/// Authenticates a client by the method that it registered; any other is refused. `fetched` are the keys of
/// [`keys_wanted`]; `audiences` are what an assertion may be meant for: the issuer and the URL of the endpoint.
///
/// # Errors
/// [`ClientFault`].
pub fn authenticate(
    client: &Client,
    presented: &Presented,
    keys: &ServerKeys,
    fetched: Option<&KeySet>,
    audiences: &[String],
    now: UnixTime,
) -> Result<Authenticated, ClientFault> {
    if presented.client_id() != client.id {
        return Err(ClientFault::UnknownClient);
    }
    let mut once = None;
    match (&client.method, presented) {
        (ClientMethod::None, Presented::Nothing { .. }) => {}
        (ClientMethod::ClientSecretBasic(digest), Presented::Basic { secret, .. })
        | (ClientMethod::ClientSecretPost(digest), Presented::Post { secret, .. }) => {
            check_secret(client, secret, digest, keys)?;
        }
        (ClientMethod::PrivateKeyJwt(own), Presented::Assertion { assertion, .. }) => {
            let verify = |set: &KeySet| {
                let verified = assertion::verify(&client.id, assertion, set, audiences, now);
                verified.map_err(ClientFault::Assertion)
            };
            once = Some(match own {
                ClientKeys::Inline(set) => verify(&inline(set)?)?,
                ClientKeys::Uri(_) => verify(fetched.ok_or(ClientFault::KeysUnavailable)?)?,
            });
        }
        (registered, _) => {
            return Err(ClientFault::OtherMethod {
                registered: registered.name(),
                used: presented.method(),
            });
        }
    }
    Ok(Authenticated {
        client_id: client.id.clone(),
        method: presented.method(),
        assertion: once,
    })
}

/// Does the work that a secret costs for a client that nobody knows, so that the time does not tell which ids exist.
pub fn authenticate_unknown(presented: &Presented, keys: &ServerKeys) -> ClientFault {
    if let Presented::Basic { client_id, secret } | Presented::Post { client_id, secret } =
        presented
    {
        let parts = [client_id.as_bytes(), secret.expose().as_bytes()];
        // The result must not be left out by the compiler.
        std::hint::black_box(keys.tag(Purpose::ClientSecret, &parts));
    }
    ClientFault::UnknownClient
}

fn check_secret(
    client: &Client,
    secret: &Secret,
    digest: &SecretDigest,
    keys: &ServerKeys,
) -> Result<(), ClientFault> {
    match is_secret_of(keys, &client.id, secret, digest) {
        true => Ok(()),
        false => Err(ClientFault::WrongSecret),
    }
}

fn inline(set: &Value) -> Result<KeySet, ClientFault> {
    let parsed = KeySet::parse(set.to_string().as_bytes());
    Ok(parsed.map_err(|_| ClientFault::KeysUnavailable)?.keys)
}

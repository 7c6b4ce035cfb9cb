//! Client credentials (RFC 6749 §4.4): a machine acts for itself. It gets an access token, no refresh token, and never a scope that it
//! was not given itself.

use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};

use super::{
    error::{Refused, TokenError},
    issued::{self, Alone, Issued, Taken},
    scopes,
};
use crate::{
    client::model::{Client, ClientMethod, ClientOrigin},
    id::Id,
    keys::ServerKeys,
    profile::{ResourceProfile, ServerProfile},
};

/// What the `sub` of a machine begins with. No user's begins so (RFC 9700 §4.15).
pub const SUBJECT_PREFIX: &str = "m:";

/// A request of a machine. It is authenticated.
#[derive(Clone, Copy, Debug)]
pub struct MachineRequest<'a> {
    /// The client.
    pub client: &'a Client,
    /// `scope`, if one was sent.
    pub scope: Option<&'a str>,
    /// `resource`, if one was sent, as the configuration spells it; else the first resource.
    pub resource: Option<&'a str>,
    /// Random: it differs for each token of the client, so that one can be revoked alone.
    pub id: Id,
}

/// Issues an access token to a machine. It needs no store.
///
/// # Errors
/// [`Refused`].
pub fn issue(
    keys: &ServerKeys,
    server: &ServerProfile,
    request: &MachineRequest<'_>,
    now: UnixTime,
) -> Result<Issued, Refused> {
    judge_client(request.client)?;
    let resource = resource(server, request.resource)?;
    let allowed = allowed(request.client, resource);
    let scopes = scopes::asked_of(&allowed, request.scope, resource)?;
    let token = Alone {
        subject: subject(request.client),
        client: request.client,
        resource: &resource.uri,
        scopes,
        auth_time: None,
        id: request.id,
        taken: Taken::Nothing,
    };
    Ok(issued::alone(keys, server, token, now))
}

/// The `sub` of a machine.
pub(super) fn subject(client: &Client) -> String {
    format!("{SUBJECT_PREFIX}{}", client.id)
}

/// Only a client with a secret or a key, and only one that the operator lets act for itself: anybody can register a person's client,
/// or publish a metadata document.
///
/// # Errors
/// [`Refused`].
pub fn judge_client(client: &Client) -> Result<(), Refused> {
    let refused = |found: &str| {
        Err(Refused::of(TokenError::GrantTypeNotAllowed)
            .found(format_args!("{found} ({})", client.id))
            .expected("a confidential client with the grant type client_credentials"))
    };
    if !client.grant_types.client_credentials {
        return refused("a client without this grant type");
    }
    if client.method == ClientMethod::None {
        return refused("a public client");
    }
    match client.origin {
        ClientOrigin::Configured | ClientOrigin::Machine { .. } => Ok(()),
        ClientOrigin::Registered { .. } => refused("a person's client that registered itself"),
        ClientOrigin::Document { .. } => refused("a client of a metadata document"),
        ClientOrigin::Provisional => refused("a provisional client"),
    }
}

/// The resource that was asked for; else the first one.
pub(super) fn resource<'a>(
    server: &'a ServerProfile,
    asked: Option<&str>,
) -> Result<&'a ResourceProfile, Refused> {
    let mut resources = server.resources.iter();
    let found = match asked {
        None => resources.next(),
        Some(asked) => resources.find(|resource| resource.uri == asked),
    };
    found.ok_or_else(|| Refused::of(TokenError::ResourceUnknown).found(asked.unwrap_or_default()))
}

/// A machine that registered itself has the scopes that its row names, and none without; a configured one without a list has all.
pub(super) fn allowed(client: &Client, resource: &ResourceProfile) -> ScopeSet {
    let known = scopes::known(resource);
    match (&client.scopes, &client.origin) {
        (Some(own), _) => scopes::common(&known, &own.0),
        (None, ClientOrigin::Configured) => known,
        (None, _) => ScopeSet::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, OTHER_RESOURCE, RESOURCE, client, keys, secret, server, set};
    use super::*;
    use crate::{
        client::model::{DocumentSource, GrantTypes},
        grant::machine,
        store::text::ScopeSetText,
    };

    fn machine(scopes: Option<&str>) -> Client {
        Client {
            method: secret(),
            grant_types: GrantTypes {
                client_credentials: true,
                ..GrantTypes::default()
            },
            scopes: scopes.map(|scopes| ScopeSetText(set(scopes))),
            origin: ClientOrigin::Configured,
            ..client("robot")
        }
    }

    fn ask(
        client: &Client,
        scope: Option<&str>,
        resource: Option<&str>,
    ) -> Result<Issued, Refused> {
        let request = MachineRequest {
            client,
            scope,
            resource,
            id: Id::new([9; 16]),
        };
        issue(&keys(), &server(), &request, NOW)
    }

    #[test]
    fn a_machine_gets_an_access_token_for_itself_and_no_refresh_token() {
        let issued = ask(&machine(Some("read")), None, None).unwrap();
        assert_eq!(issued.refresh_token, None);
        assert_eq!(issued.taken, Taken::Nothing);
        let claims = issued.claims;
        assert_eq!(claims.sub, "m:robot");
        assert_eq!(claims.client_id, "robot");
        assert_eq!(claims.aud, RESOURCE);
        assert_eq!(claims.scope.0, set("read"));
        assert_eq!(claims.auth_time, None);
        assert_eq!(claims.grant, machine::of_token("robot", Id::new([9; 16])));
        assert_eq!(claims.exp.0.since(claims.iat.0).as_secs(), 900);
        let other = ask(&machine(Some("read")), None, Some(OTHER_RESOURCE)).unwrap();
        assert_eq!(other.claims.aud, OTHER_RESOURCE);
        let unknown = ask(&machine(Some("read")), None, Some("https://else.example"));
        assert_eq!(unknown.unwrap_err().error, TokenError::ResourceUnknown);
    }

    #[test]
    fn it_gets_the_scopes_that_are_its_own() {
        let registered = |scopes| Client {
            origin: ClientOrigin::Machine { at: NOW.into() },
            ..machine(scopes)
        };
        for (client, scope, expected) in [
            (machine(Some("read write")), None, Ok("read write")),
            (machine(Some("read write")), Some("read"), Ok("read")),
            (machine(Some("read")), Some("read admin"), Ok("read")),
            (machine(Some("read")), Some("openid"), Ok("read")),
            (machine(Some("read root")), None, Ok("read")),
            (machine(None), None, Ok("admin read write")),
            (machine(None), Some("admin"), Ok("admin")),
            (registered(Some("read")), None, Ok("read")),
            (registered(None), None, Ok("")),
            (
                registered(None),
                Some("read"),
                Err(TokenError::ScopeNotGranted),
            ),
            (
                machine(Some("read")),
                Some("admin"),
                Err(TokenError::ScopeNotGranted),
            ),
        ] {
            let given = ask(&client, scope, None).map(|issued| issued.claims.scope.0);
            let given = given.map_err(|refused| refused.error);
            assert_eq!(given, expected.map(set), "{:?} {scope:?}", client.scopes);
        }
    }

    #[test]
    fn a_public_or_a_strangers_client_and_one_without_the_grant_type_are_refused() {
        let origins = [
            ClientOrigin::Registered {
                at: NOW.into(),
                is_used: true,
            },
            ClientOrigin::Document {
                host: "evil.example".to_owned(),
                source: DocumentSource::Fetched,
            },
            ClientOrigin::Provisional,
        ];
        let strangers = origins.map(|origin| Client {
            origin,
            ..machine(Some("read"))
        });
        let public = Client {
            method: ClientMethod::None,
            ..machine(Some("read"))
        };
        let person = Client {
            grant_types: client("x").grant_types,
            ..machine(Some("read"))
        };
        for client in strangers.iter().chain([&public, &person]) {
            let refused = ask(client, None, None).unwrap_err();
            assert_eq!(refused.error, TokenError::GrantTypeNotAllowed, "{client:?}");
            assert!(!refused.found.is_empty() && !refused.expected.is_empty());
        }
    }
}

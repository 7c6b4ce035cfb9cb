//! Authorization requests, as clients and attackers send them. What the files share is here.

mod fault;
mod permission;
mod redirect;
mod request;

use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};
use url::{Url, form_urlencoded::parse};

use super::*;
use crate::{
    client::model::{Client, ClientMethod, ClientOrigin, GrantTypes},
    form::{Form, MOST_VALUE_BYTES},
    profile::{Lifetimes, ResourceProfile, ScopeProfile, ServerProfile},
    redirect_uri::{RedirectRules, RedirectUri},
    secret::Secret,
    store::text::{ScopeSetText, UnixTimeText},
};

const ISSUER: &str = "https://mcp.example.com";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const ORDINARY: &[(&str, &str)] = &[
    ("response_type", "code"),
    ("client_id", "editor"),
    ("redirect_uri", "https://editor.example/cb"),
    ("code_challenge", CHALLENGE),
    ("code_challenge_method", "S256"),
    ("state", "s 1&=+ä"),
];

fn resource(uri: &str, required: &str, scopes: &[&str]) -> ResourceProfile {
    let scope = |text: &&str| ScopeProfile {
        scope: (*text).to_owned(),
        description: None,
    };
    ResourceProfile {
        uri: uri.to_owned(),
        name: None,
        required: ScopeSet::parse(required).unwrap(),
        scopes: scopes.iter().map(scope).collect(),
        scope_prefixes: mcp_gateway_core::scope_prefix::ScopePrefixes::default(),
    }
}

fn server() -> ServerProfile {
    ServerProfile {
        issuer: ISSUER.to_owned(),
        resources: vec![
            resource(
                "https://mcp.example.com/mcp",
                "tasks:read",
                &["tasks:read", "tasks:write"],
            ),
            resource("https://mcp.example.com/open", "", &["a", "b"]),
            resource("https://mcp.example.com/plain", "", &[]),
        ],
        lifetimes: Lifetimes::default(),
    }
}

fn client(redirect_uris: &[&str]) -> Client {
    Client {
        requires_proof: false,
        requires_certificate: false,
        id: "editor".to_owned(),
        name: None,
        redirect_uris: redirect_uris.iter().map(|uri| (*uri).to_owned()).collect(),
        method: ClientMethod::None,
        grant_types: GrantTypes {
            authorization_code: true,
            refresh_token: true,
            ..GrantTypes::default()
        },
        scopes: None,
        origin: ClientOrigin::Registered {
            at: UnixTimeText(UnixTime::new(0)),
            is_used: false,
        },
    }
}

fn editor() -> Client {
    client(&["https://editor.example/cb"])
}

/// The same client in the configuration: its errors go back to it.
fn configured() -> Client {
    Client {
        origin: ClientOrigin::Configured,
        ..editor()
    }
}

/// The ordinary request with other values; an empty one is left out.
fn with(changes: &[(&str, &str)]) -> Form {
    let kept = ORDINARY
        .iter()
        .filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let pairs = kept.chain(changes);
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    Form::parse_ambiguous(query.as_bytes()).unwrap()
}

fn judged(form: &Form, client: &Client) -> Result<AuthorizationRequest, Refused> {
    judge(form, client, &server(), &RedirectRules::default())
}

fn accepted(changes: &[(&str, &str)], client: &Client) -> AuthorizationRequest {
    judged(&with(changes), client).unwrap_or_else(|refused| panic!("{changes:?}: {refused:?}"))
}

fn page(changes: &[(&str, &str)], client: &Client) -> PageFault {
    match judged(&with(changes), client) {
        Err(Refused::Page(fault)) => fault,
        other => panic!("{changes:?}: {other:?}"),
    }
}

fn redirected(changes: &[(&str, &str)], client: &Client) -> AuthorizationError {
    match judged(&with(changes), client) {
        Err(Refused::Redirect(error)) => error,
        other => panic!("{changes:?}: {other:?}"),
    }
}

/// The parameters of a location.
fn answer(location: &str) -> Vec<(String, String)> {
    let url = Url::parse(location).unwrap();
    assert_eq!(url.fragment(), None);
    parse(url.query().unwrap().as_bytes())
        .into_owned()
        .collect()
}

fn value(location: &str, name: &str) -> Option<String> {
    let found: Vec<_> = answer(location)
        .into_iter()
        .filter(|(own, _)| own == name)
        .collect();
    assert!(found.len() <= 1, "{name} stands there twice: {location}");
    found.into_iter().next().map(|(_, value)| value)
}

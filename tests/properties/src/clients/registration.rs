//! Registrations: what is stored can be used as it is, what is answered can be registered again, and nobody gets more than there is.

use std::sync::LazyLock;

use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};
use mcp_gateway_oauth::{
    client::{
        metadata::{MAX_NAME_CHARS, MAX_REDIRECT_URIS},
        model::Client,
        registration::{
            Entropy, Machines, Management, Registered, RegistrationPolicy, answer, judge, read,
            register,
        },
    },
    keys::ServerKeys,
    redirect_uri::{RedirectRules, RedirectUri},
    store::memory::MemoryRows,
};
use serde_json::Value;

const NOW: UnixTime = UnixTime::new(1_800_000_000);
const URL: &str = "https://mcp.example.com/register";
const STRANGERS: &str = "tasks:read";

static KEYS: LazyLock<ServerKeys> = LazyLock::new(|| ServerKeys::new(&[[1; 32]]).unwrap());

/// The body of a registration. Machines may register for one scope.
pub fn registration(body: &[u8]) {
    let Some((rows, registered)) = registered(body) else {
        return;
    };
    let client = &registered.stored.client;
    is_usable(client);
    let told = answer(&registered, URL);
    assert_eq!(told.get("client_secret").is_some(), needs_secret(client));
    assert_eq!(told["token_endpoint_auth_method"], client.method.name());
    let request = Management {
        client_id: &client.id,
        token: &registered.management,
        keys: &KEYS,
        now: NOW,
    };
    let again = read(&rows, request).unwrap().unwrap();
    assert_eq!(again.stored, registered.stored, "a row is read as written");
    registers_again(&told, &registered);
}

fn registered(body: &[u8]) -> Option<(MemoryRows, Registered)> {
    let request = judge(body, &RedirectRules::default()).ok()?;
    let scopes = |text| ScopeSet::parse(text).unwrap();
    let policy = RegistrationPolicy {
        machines: Machines {
            strangers: Some(scopes(STRANGERS)),
            ..Machines::default()
        },
        known_scopes: scopes("offline_access tasks:read tasks:write"),
        ..RegistrationPolicy::default()
    };
    let (client_id, secret) = ([1; 16], [2; 32]);
    let entropy = Entropy { client_id, secret };
    let mut rows = MemoryRows::default();
    let registered = register(&mut rows, &request, None, &entropy, &KEYS, &policy, NOW);
    let registered = registered
        .unwrap()
        .expect("nothing but the metadata is refused");
    Some((rows, registered))
}

/// Whether a client has a method that needs a secret.
fn needs_secret(client: &Client) -> bool {
    client.method.name().starts_with("client_secret_")
}

/// What holds for every client that the server did not choose itself.
pub(crate) fn is_usable(client: &Client) {
    let rules = RedirectRules::default();
    let uris = &client.redirect_uris;
    assert!(uris.len() <= MAX_REDIRECT_URIS);
    assert!(
        uris.iter()
            .all(|uri| RedirectUri::parse(uri, &rules).is_ok())
    );
    let types = client.grant_types;
    assert!(!types.authorization_code || !uris.is_empty());
    assert_ne!(types.authorization_code, types.client_credentials);
    assert!(types.authorization_code || !types.refresh_token);
    if types.client_credentials {
        assert_ne!(
            client.method.name(),
            "none",
            "anybody could be this machine"
        );
        let scopes = client.scopes.as_ref().expect("a machine has scopes");
        assert_eq!(scopes.0.to_string(), STRANGERS);
    }
    if let Some(name) = &client.name {
        let forges = |one: char| one.is_control() || ('\u{2028}'..='\u{202e}').contains(&one);
        assert!(!name.contains(forges) && !name.is_empty(), "{name:?}");
        assert!(name.chars().count() <= MAX_NAME_CHARS + 1);
        assert_eq!(name.trim(), name);
    }
}

/// Clients store the answer, and some send it again.
fn registers_again(told: &Value, first: &Registered) {
    let (_, second) = registered(told.to_string().as_bytes()).expect("the answer is metadata");
    let (first, second) = (&first.stored, &second.stored);
    assert_eq!(first.client.redirect_uris, second.client.redirect_uris);
    assert_eq!(first.client.method.name(), second.client.method.name());
    assert_eq!(first.client.grant_types, second.client.grant_types);
    assert_eq!(first.scope, second.scope);
}

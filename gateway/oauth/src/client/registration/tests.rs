//! A registration from its first request to its end.

use std::time::Duration;

use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};
use serde_json::{Value, json};

use super::*;
use crate::{
    client::{
        authentication::is_secret_of,
        metadata::MetadataFault,
        model::{ClientMethod, ClientOrigin},
        stored,
    },
    keys::ServerKeys,
    redirect_uri::RedirectRules,
    secret::Secret,
    store::{
        memory::MemoryRows,
        rows::{Rows, StoreError, Table},
    },
};

const NOW: UnixTime = UnixTime::new(1_800_000_000);
const URL: &str = "https://auth.example/register";

fn rules() -> RedirectRules {
    RedirectRules::default()
}

fn by<'a>(id: &'a str, token: &'a Secret, keys: &'a ServerKeys) -> Management<'a> {
    Management {
        client_id: id,
        token,
        keys,
        now: NOW,
    }
}

fn keys() -> ServerKeys {
    ServerKeys::new(&[[1; 32]]).unwrap()
}

fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

fn policy() -> RegistrationPolicy {
    RegistrationPolicy {
        known_scopes: scopes("offline_access tasks:read tasks:write"),
        max_clients: 4,
        ..RegistrationPolicy::default()
    }
}

fn entropy(byte: u8) -> Entropy {
    Entropy {
        client_id: [byte; 16],
        secret: [byte; 32],
    }
}

struct Server {
    rows: MemoryRows,
    policy: RegistrationPolicy,
    drawn: u8,
}

impl Server {
    fn new(policy: RegistrationPolicy) -> Self {
        Self {
            rows: MemoryRows::default(),
            policy,
            drawn: 0,
        }
    }

    fn with_token(
        &mut self,
        body: &Value,
        token: Option<&str>,
    ) -> Result<Registered, RegistrationError> {
        self.drawn += 1;
        let request = judge(body.to_string().as_bytes(), &rules())?;
        let token = token.map(Secret::new);
        let (drawn, keys) = (entropy(self.drawn), keys());
        register(
            &mut self.rows,
            &request,
            token.as_ref(),
            &drawn,
            &keys,
            &self.policy,
            NOW,
        )
        .unwrap()
    }

    fn register(&mut self, body: &Value) -> Result<Value, RegistrationError> {
        Ok(answer(&self.with_token(body, None)?, URL))
    }

    fn update(
        &mut self,
        id: &str,
        token: &Secret,
        body: &Value,
    ) -> Result<Registered, RegistrationError> {
        let body = body.to_string();
        let keys = keys();
        let request = by(id, token, &keys);
        let (rows, policy) = (&mut self.rows, &self.policy);
        update(
            rows,
            request,
            body.as_bytes(),
            &rules(),
            &entropy(99),
            policy,
        )
        .unwrap()
    }
}

fn people() -> Value {
    json!({"redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none"})
}

fn machine() -> Value {
    json!({"client_name": "Robot", "grant_types": ["client_credentials"], "scope": "tasks:read unknown"})
}

#[test]
fn a_public_client_gets_all_that_it_needs_and_no_secret() {
    let mut server = Server::new(policy());
    let asked = json!({
        "client_name": "Cursor\n", "scope": "tasks:write openid", "logo_uri": "https://a.example/l.png",
        "redirect_uris": ["cursor://anysphere.cursor-mcp/oauth/callback", "http://localhost:8787/callback"],
        "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"],
    });
    let answer = server.register(&asked).unwrap();
    let id = answer["client_id"].as_str().unwrap();
    assert_eq!(id, "AQEBAQEBAQEBAQEBAQEBAQ");
    let expected = json!({
        "client_id": id, "client_id_issued_at": NOW.secs(), "client_name": "Cursor", "scope": "tasks:write",
        "redirect_uris": ["cursor://anysphere.cursor-mcp/oauth/callback", "http://localhost:8787/callback"],
        "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "registration_client_uri": format!("{URL}/{id}"),
        "registration_access_token": management_token(&keys(), id).expose(),
    });
    assert_eq!(answer, expected);
    let stored = stored::find(&server.rows, id, NOW).unwrap().unwrap();
    // What a client registers does not bind it: it may ask for more later, and its user decides.
    assert_eq!(stored.client.scopes, None);
    let at = crate::store::text::UnixTimeText(NOW);
    assert_eq!(
        stored.client.origin,
        ClientOrigin::Registered { at, is_used: false }
    );
}

#[test]
fn a_client_without_a_method_gets_a_secret_that_the_store_does_not_have() {
    let mut server = Server::new(policy());
    for (method, expected) in [
        (Value::Null, "client_secret_basic"),
        (json!("client_secret_basic"), "client_secret_basic"),
        (json!("client_secret_post"), "client_secret_post"),
    ] {
        let asked = json!({"redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": method});
        let answer = server.register(&asked).unwrap();
        assert_eq!(answer["token_endpoint_auth_method"], expected);
        assert_eq!(answer["client_secret_expires_at"], 0);
        let (id, secret) = (&answer["client_id"], &answer["client_secret"]);
        let (id, secret) = (id.as_str().unwrap(), secret.as_str().unwrap());
        assert_eq!(secret.len(), 43);
        let row = server.rows.get(Table::Clients, id.as_bytes()).unwrap();
        assert!(!String::from_utf8(row.unwrap()).unwrap().contains(secret));
        let stored = stored::find(&server.rows, id, NOW).unwrap().unwrap();
        let (ClientMethod::ClientSecretBasic(digest) | ClientMethod::ClientSecretPost(digest)) =
            stored.client.method
        else {
            panic!("{method}");
        };
        assert!(is_secret_of(&keys(), id, &Secret::new(secret), &digest));
    }
}

#[test]
fn a_machine_registers_only_where_the_operator_says_so_and_never_with_a_users_scopes() {
    let off = Server::new(policy()).register(&machine());
    assert_eq!(off, Err(RegistrationError::MachinesOff));

    let mut open = policy();
    open.machines.strangers = Some(scopes("tasks:read"));
    let mut open = Server::new(open);
    let answer = open.register(&machine()).unwrap();
    assert_eq!(answer["scope"], "tasks:read");
    assert_eq!(answer["grant_types"], json!(["client_credentials"]));
    assert_eq!(answer["response_types"], json!([]));
    assert_eq!(answer.get("redirect_uris"), None);
    assert!(answer["client_secret"].is_string());
    let greedy =
        json!({"grant_types": ["client_credentials"], "scope": "tasks:write offline_access"});
    assert_eq!(open.register(&greedy).unwrap()["scope"], "tasks:read");
    let public =
        json!({"grant_types": ["client_credentials"], "token_endpoint_auth_method": "none"});
    assert_eq!(
        open.register(&public),
        Err(MetadataFault::MachineWithoutSecret.into())
    );
}

#[test]
fn an_initial_access_token_gives_a_machine_its_scopes() {
    let mut policy = policy();
    policy.machines.initial_access = vec![
        InitialAccess {
            token: Secret::new("one"),
            scopes: scopes("tasks:read"),
        },
        InitialAccess {
            token: Secret::new("two"),
            scopes: scopes("tasks:read tasks:write"),
        },
    ];
    let mut server = Server::new(policy);
    let all = json!({"grant_types": ["client_credentials"]});
    for (token, expected) in [("one", "tasks:read"), ("two", "tasks:read tasks:write")] {
        let registered = server.with_token(&all, Some(token)).unwrap();
        assert_eq!(registered.stored.client.scopes.unwrap().0, scopes(expected));
    }
    for token in [None, Some("three"), Some("")] {
        let error = server.with_token(&all, token).unwrap_err();
        assert_eq!(error, RegistrationError::InitialAccessToken);
        assert_eq!(error.status().as_u16(), 401);
    }
    // A token that is not known is refused where strangers may register, too.
    server.policy.machines.strangers = Some(scopes("tasks:read"));
    let wrong = server.with_token(&all, Some("three"));
    assert_eq!(wrong.unwrap_err(), RegistrationError::InitialAccessToken);
}

#[test]
fn a_full_table_is_temporary_and_machines_leave_half_of_it_to_people() {
    let mut policy = policy();
    policy.machines.strangers = Some(scopes("tasks:read"));
    let mut server = Server::new(policy);
    server.register(&machine()).unwrap();
    server.register(&machine()).unwrap();
    let full = server.register(&machine()).unwrap_err();
    assert_eq!(full, RegistrationError::Full);
    assert_eq!(
        (full.status().as_u16(), full.code()),
        (503, "temporarily_unavailable")
    );
    server.register(&people()).unwrap();
    server.register(&people()).unwrap();
    assert_eq!(server.register(&people()), Err(RegistrationError::Full));
    server.policy.people = false;
    assert_eq!(
        server.register(&people()),
        Err(RegistrationError::PeopleOff)
    );
}

#[test]
fn an_unused_client_expires_and_a_used_one_stays() {
    let mut server = Server::new(policy());
    let answer = server.register(&people()).unwrap();
    let id = answer["client_id"].as_str().unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    let is_there = |rows: &MemoryRows, after| {
        let found = stored::find(rows, id, NOW.plus(after)).unwrap();
        found.is_some()
    };
    assert!(is_there(&server.rows, day - Duration::from_secs(1)));
    assert!(!is_there(&server.rows, day));
    stored::used(&mut server.rows, id, NOW.plus(day * 30), NOW).unwrap();
    assert!(is_there(&server.rows, day * 29) && !is_there(&server.rows, day * 30));
    // A second use that gains little is not written: a store that refuses all writes does not notice.
    server.rows.is_full = true;
    let soon = NOW.plus(day * 30 + Duration::from_secs(60));
    stored::used(&mut server.rows, id, soon, NOW).unwrap();
    let later = stored::used(&mut server.rows, id, NOW.plus(day * 60), NOW);
    assert!(matches!(later, Err(StoreError::Failed(_))));
    stored::used(&mut server.rows, "configured", soon, NOW).unwrap();
}

#[test]
fn a_full_disk_registers_nobody() {
    let mut server = Server::new(policy());
    server.rows.is_full = true;
    let request = judge(people().to_string().as_bytes(), &rules()).unwrap();
    let result = register(
        &mut server.rows,
        &request,
        None,
        &entropy(1),
        &keys(),
        &policy(),
        NOW,
    );
    assert!(matches!(result, Err(StoreError::Failed(_))));
}

#[test]
fn one_bad_redirect_uri_of_several_is_named() {
    let mut server = Server::new(policy());
    let asked = json!({"redirect_uris": ["https://a.example/cb", "javascript:alert(1)"]});
    let error = server.register(&asked).unwrap_err();
    assert_eq!(error.code(), "invalid_redirect_uri");
    assert_eq!(
        error.to_string(),
        "redirect_uris has `javascript:alert(1)`: the scheme \"javascript\" is never allowed in a redirect URI"
    );
    assert_eq!(server.rows.count(Table::Clients), Ok(0));
}

#[test]
fn a_client_reads_updates_and_deletes_its_own_registration() {
    let mut server = Server::new(policy());
    let asked = json!({"redirect_uris": ["https://a.example/cb"]});
    let first = server.with_token(&asked, None).unwrap();
    let id = first.stored.client.id.clone();
    let (token, secret) = (first.management.clone(), first.secret.clone().unwrap());

    let read_again = read(&server.rows, by(&id, &token, &keys()))
        .unwrap()
        .unwrap();
    assert_eq!(read_again.stored, first.stored);
    assert_eq!(answer(&read_again, URL).get("client_secret"), None);

    let change = json!({"client_id": id, "client_secret": secret.expose(), "client_name": "B",
        "redirect_uris": ["https://b.example/cb"], "token_endpoint_auth_method": "client_secret_post"});
    let updated = server.update(&id, &token, &change).unwrap();
    assert_eq!(updated.secret, None);
    let stored = stored::find(&server.rows, &id, NOW).unwrap().unwrap();
    assert_eq!(stored.client.redirect_uris, ["https://b.example/cb"]);
    let ClientMethod::ClientSecretPost(digest) = &stored.client.method else {
        panic!("{:?}", stored.client.method);
    };
    assert!(is_secret_of(&keys(), &id, &secret, digest));

    // A public client has no secret; one that becomes confidential again gets a new one.
    let public = json!({"client_id": id, "redirect_uris": ["https://b.example/cb"], "token_endpoint_auth_method": "none"});
    server.update(&id, &token, &public).unwrap();
    let again = json!({"client_id": id, "redirect_uris": ["https://b.example/cb"]});
    let updated = server.update(&id, &token, &again).unwrap();
    assert!(updated.secret.is_some_and(|new| new != secret));

    delete(&mut server.rows, by(&id, &token, &keys()))
        .unwrap()
        .unwrap();
    let gone = read(&server.rows, by(&id, &token, &keys())).unwrap();
    assert_eq!(gone, Err(RegistrationError::RegistrationAccessToken));
}

#[test]
fn an_update_that_contradicts_the_registration_changes_nothing() {
    let mut policy = policy();
    policy.machines.strangers = Some(scopes("tasks:read"));
    let mut server = Server::new(policy);
    let first = server.with_token(&people(), None).unwrap();
    let (id, token) = (first.stored.client.id.clone(), first.management.clone());
    let with = |name: &str, value: Value| {
        let mut body = people();
        body["client_id"] = json!(id);
        body[name] = value;
        body
    };
    for (body, expected) in [
        (people(), RegistrationError::OtherClientId),
        (
            with("client_id", json!("b")),
            RegistrationError::OtherClientId,
        ),
        (
            with("client_secret", json!("s")),
            RegistrationError::OtherSecret,
        ),
        (
            with("registration_access_token", json!("t")),
            RegistrationError::NotSettable("registration_access_token"),
        ),
        (
            with("client_id_issued_at", json!(1)),
            RegistrationError::NotSettable("client_id_issued_at"),
        ),
        (
            with("redirect_uris", json!([])),
            MetadataFault::NoRedirectUri.into(),
        ),
        (
            json!({"client_id": id, "grant_types": ["client_credentials"]}),
            RegistrationError::OtherKind,
        ),
    ] {
        assert_eq!(server.update(&id, &token, &body), Err(expected), "{body}");
    }
    let stored = stored::find(&server.rows, &id, NOW).unwrap().unwrap();
    assert_eq!(stored, first.stored);
}

#[test]
fn a_wrong_token_and_an_unknown_client_look_alike() {
    let mut server = Server::new(policy());
    let one = server.with_token(&people(), None).unwrap();
    let other = server.with_token(&people(), None).unwrap();
    let id = &one.stored.client.id;
    let never = management_token(&keys(), "never");
    let refused = Err(RegistrationError::RegistrationAccessToken);
    for (id, token) in [
        (id.as_str(), other.management.expose()),
        (id, ""),
        (id, "AAAA"),
        (id, &format!("{}A", one.management.expose())),
        ("never", never.expose()),
        ("never", one.management.expose()),
    ] {
        let token = Secret::new(token);
        let found = read(&server.rows, by(id, &token, &keys())).unwrap();
        assert_eq!(found, refused, "{id}");
        let found = delete(&mut server.rows, by(id, &token, &keys())).unwrap();
        assert_eq!(found, Err(RegistrationError::RegistrationAccessToken));
    }
    assert_eq!(server.rows.count(Table::Clients), Ok(2));
    // A rotated server key still knows the token.
    let rotated = ServerKeys::new(&[[2; 32], [1; 32]]).unwrap();
    let found = read(&server.rows, by(id, &one.management, &rotated)).unwrap();
    assert_eq!(found.unwrap().stored, one.stored);
    let expired = NOW.plus(Duration::from_secs(25 * 60 * 60));
    let late = Management {
        now: expired,
        ..by(id, &one.management, &rotated)
    };
    let found = read(&server.rows, late).unwrap();
    assert_eq!(found, refused);
}

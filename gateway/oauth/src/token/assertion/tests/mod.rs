//! Assertions: good ones, and hostile ones as data. Here is what the tests share: an issuer, its key, and identity assertions.

mod hostile;
mod identity;
mod once;
mod workloads;

use mcp_gateway_core::token::key_set::KeySet;
use serde_json::{Value, json};
use test_support::{Key, key_set, with_members as with};

use super::{
    id_jag::{self, IdJagRequest},
    *,
};
use crate::{
    client::model::Client,
    id::Id,
    store::memory::MemoryRows,
    token::{
        issued::Issued,
        testing::{NOW, RESOURCE, confidential, keys, server, transact},
    },
    trust::{IdJagTrust, TrustedIssuer, Vouched, WorkloadRule, claimed, model::ClaimValue},
};

const IDP: &str = "https://login.corp.example";
const OWN: &str = "https://mcp.example";

fn issuer() -> TrustedIssuer {
    TrustedIssuer {
        issuer: IDP.to_owned(),
        algorithms: mcp_gateway_core::token::algorithm::Algorithm::ALL.to_vec(),
        clock_skew: std::time::Duration::from_secs(30),
        max_lifetime: std::time::Duration::from_secs(24 * 60 * 60),
        id_jag: Some(IdJagTrust::default()),
        workloads: Vec::new(),
        exchange: None,
    }
}

fn key() -> &'static Key {
    static KEY: std::sync::LazyLock<Key> = std::sync::LazyLock::new(|| Key::es256("k1"));
    &KEY
}

fn known_keys() -> KeySet {
    let set = key_set(&[key()]).to_string();
    KeySet::parse(set.as_bytes()).unwrap().keys
}

fn id_jag_header() -> Value {
    json!({ "alg": "ES256", "kid": "k1", "typ": "oauth-id-jag+jwt" })
}

fn id_jag_claims() -> Value {
    let now = NOW.secs();
    json!({
        "iss": IDP, "sub": "U1", "aud": OWN, "client_id": "console", "resource": RESOURCE,
        "scope": "read write", "jti": "j1", "iat": now - 10, "exp": now + 290,
        "auth_time": now - 600, "email": "a@corp.example", "amr": ["mfa"],
    })
}

fn signed(header: Value, claims: Value) -> String {
    key().sign(&header.to_string(), &claims.to_string())
}

fn id_jag(changes: Value) -> String {
    signed(id_jag_header(), with(id_jag_claims(), changes))
}

fn verified(issuer: &TrustedIssuer, token: &str) -> Result<Vouched, Refused> {
    let fault = |fault| refused(&fault);
    let said = claimed(token).map_err(fault)?;
    if said.issuer != issuer.issuer {
        return Err(refused(&TrustFault::Issuer(said.issuer)));
    }
    let (profile, audiences) = match Kind::of(&said) {
        Kind::IdJag => (issuer.id_jag_profile(), vec![OWN.to_owned()]),
        Kind::Workload => (issuer.workload_profile(), issuer.workload_audiences()),
    };
    Vouched::verify(token, ("corp", &profile), &known_keys(), &audiences, NOW).map_err(fault)
}

/// What a client asks with.
#[derive(Clone, Copy, Default)]
struct With<'a> {
    scope: Option<&'a str>,
    resource: Option<&'a str>,
}

fn present(
    rows: &mut MemoryRows,
    (issuer, client): (&TrustedIssuer, &Client),
    token: &str,
    with: With<'_>,
) -> Result<Issued, Refused> {
    let assertion = verified(issuer, token)?;
    let request = IdJagRequest {
        client,
        assertion: &assertion,
        issuer,
        scope: with.scope,
        resource: with.resource,
        id: Id::new([5; 16]),
    };
    transact(rows, |rows| {
        id_jag::issue(rows, &keys(), &server(), &request, NOW)
    })
    .unwrap()
}

fn console() -> Client {
    confidential("console")
}

/// Presents it to a store in which nothing was used.
fn present_new(token: &str) -> Result<Issued, Refused> {
    let mut rows = MemoryRows::default();
    present(&mut rows, (&issuer(), &console()), token, With::default())
}

/// A rule for workloads whose claims are these texts.
fn rule(client: &str, audience: &str, claims: &[(&str, &str)]) -> WorkloadRule {
    let text =
        |(name, value): &(&str, &str)| ((*name).to_owned(), ClaimValue::Text((*value).to_owned()));
    WorkloadRule {
        audience: audience.to_owned(),
        claims: claims.iter().map(text).collect(),
        condition: None,
        client: client.to_owned(),
        scopes: None,
    }
}

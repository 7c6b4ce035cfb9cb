//! The authorization server of these properties: an issuer that it trusts for everything, with a key, and clients.

use std::sync::LazyLock;
use std::time::Duration;

use mcp_gateway_core::scope::ScopeSet;
use mcp_gateway_core::scope_prefix::ScopePrefixes;
use mcp_gateway_core::time::UnixTime;
use mcp_gateway_core::token::algorithm::Algorithm;
use mcp_gateway_core::token::issuer_profile::IssuerProfile;
use mcp_gateway_core::token::key_set::KeySet;
use mcp_gateway_oauth::client::model::{
    Client, ClientMethod, ClientOrigin, GrantTypes, SecretDigest,
};
use mcp_gateway_oauth::id::Id;
use mcp_gateway_oauth::keys::ServerKeys;
use mcp_gateway_oauth::profile::{Lifetimes, ResourceProfile, ScopeProfile, ServerProfile};
use mcp_gateway_oauth::token::issued::Issued;
use mcp_gateway_oauth::trust::model::ClaimValue;
use mcp_gateway_oauth::trust::{ExchangeTrust, IdJagTrust, TrustedIssuer, Vouched, WorkloadRule};
use serde_json::{Value, json};
use test_support::fixtures::{self, RESOURCE};
use test_support::{KeyPair, compact, jwk_set};

use crate::oracle::{self, Members};

/// The server's own issuer.
pub(super) const OWN: &str = "https://mcp.example.com";
/// The issuer that it trusts.
pub(super) const TRUSTED: &str = "https://login.example";
pub(super) const NOW: UnixTime = UnixTime::new(fixtures::NOW);
/// How far clocks may differ, in seconds.
pub(super) const SKEW: i64 = 30;
/// The random id of everything that is issued here.
pub(super) const ID: Id = Id::new([5; 16]);

/// A key only for these properties, the same in every run.
static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::ed25519_from_seed(&[9; 32]));

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let set = jwk_set(&[KEY.jwk("ed")]).to_string();
    KeySet::parse(set.as_bytes()).unwrap().keys
});

pub(super) static SERVER_KEYS: LazyLock<ServerKeys> =
    LazyLock::new(|| ServerKeys::new(&[[1; 32]]).unwrap());

pub(super) static SERVER: LazyLock<ServerProfile> = LazyLock::new(|| ServerProfile {
    issuer: OWN.to_owned(),
    resources: vec![
        resource(RESOURCE),
        resource("https://mcp.example.com/other"),
    ],
    lifetimes: Lifetimes::default(),
});

pub(super) static ISSUER: LazyLock<TrustedIssuer> = LazyLock::new(|| TrustedIssuer {
    issuer: TRUSTED.to_owned(),
    algorithms: Algorithm::ALL.to_vec(),
    clock_skew: Duration::from_secs(SKEW.unsigned_abs()),
    max_lifetime: Duration::from_secs(24 * 60 * 60),
    id_jag: Some(IdJagTrust::default()),
    workloads: vec![WorkloadRule {
        audience: "mcp-gateway".to_owned(),
        claims: vec![
            (
                "repository".to_owned(),
                ClaimValue::Text("acme/app".to_owned()),
            ),
            ("run".to_owned(), ClaimValue::Number(7)),
            ("protected".to_owned(), ClaimValue::Flag(true)),
        ],
        condition: None,
        client: "deploy".to_owned(),
        scopes: Some(scopes("tasks:read")),
    }],
    exchange: Some(ExchangeTrust {
        audiences: vec!["api://backend".to_owned()],
        clients: Vec::new(),
        scopes: Some(scopes("tasks:read")),
    }),
});

/// A client that authenticates, with every grant type.
pub(super) fn client(id: &str) -> Client {
    Client {
        requires_proof: false,
        requires_certificate: false,
        id: id.to_owned(),
        name: None,
        redirect_uris: Vec::new(),
        method: ClientMethod::ClientSecretBasic(SecretDigest {
            key: [0; 4],
            tag: Vec::new(),
        }),
        grant_types: GrantTypes {
            jwt_bearer: true,
            token_exchange: true,
            ..GrantTypes::default()
        },
        scopes: None,
        origin: ClientOrigin::Configured,
    }
}

pub(super) fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

fn resource(uri: &str) -> ResourceProfile {
    let scope = |scope: &str| ScopeProfile {
        scope: scope.to_owned(),
        description: None,
    };
    ResourceProfile {
        uri: uri.to_owned(),
        name: None,
        required: ScopeSet::default(),
        scope_prefixes: ScopePrefixes::default(),
        scopes: ["tasks:read", "tasks:write"].map(scope).to_vec(),
    }
}

/// A token of the trusted issuer with this type, none where it is empty, and these claims.
pub(super) fn signed(token_type: &str, claims: &str) -> String {
    let mut header = json!({ "alg": "EdDSA", "kid": "ed" });
    if !token_type.is_empty() {
        header["typ"] = json!(token_type);
    }
    compact(header.to_string(), claims, |input| KEY.sign("EdDSA", input))
}

/// The token, if the issuer signed it for one of these audiences. With another signature it is never taken.
pub(super) fn vouched(
    token: &str,
    profile: &IssuerProfile,
    audiences: &[String],
) -> Option<Vouched> {
    let verify =
        |token: &str| Vouched::verify(token, ("trusted", profile), &KEYS, audiences, NOW).ok();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let altered = signature.chars().rev().collect::<String>();
    if altered != signature {
        let altered = verify(&format!("{signed}.{altered}"));
        assert!(altered.is_none(), "an altered signature verifies");
    }
    verify(token)
}

/// The claims as another parser reads them: of what is taken, every reader sees the same.
pub(super) fn read(claims: &str) -> Members {
    assert!(oracle::is_strict(claims.as_bytes(), 64, 10_000));
    let members = Members::of(claims).expect("an object");
    assert_eq!(members.text("iss").as_deref(), Some(TRUSTED));
    assert!(members.get("cnf").is_none(), "it is bound to a key");
    members
}

/// Whether this type means one of these.
pub(super) fn is_type(token_type: &str, expected: &[&str]) -> bool {
    let lower = token_type.to_ascii_lowercase();
    expected.contains(&lower.strip_prefix("application/").unwrap_or(&lower))
}

/// The texts of a claim: one, or those of a list in which nothing else is.
pub(super) fn texts(members: &Members, name: &str) -> Vec<String> {
    let value = members.get(name).map(serde_json::from_str);
    match value {
        Some(Ok(Value::String(text))) => vec![text],
        Some(Ok(Value::Array(all))) => {
            let texts = all.iter().map(|one| Some(one.as_str()?.to_owned()));
            texts.collect::<Option<_>>().unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// A date in seconds.
pub(super) fn date(members: &Members, name: &str) -> Option<f64> {
    members.given(name)?.parse().ok()
}

/// What is issued is for this server's resource and client, and no scope of it is outside these.
pub(super) fn is_within(issued: &Issued, client: &str, subject: &str, granted: &[String]) {
    let claims = &issued.claims;
    assert_eq!(
        (claims.iss.as_str(), claims.client_id.as_str()),
        (OWN, client)
    );
    assert_eq!(claims.sub, subject);
    assert!(
        SERVER
            .resources
            .iter()
            .any(|resource| resource.uri == claims.aud)
    );
    assert_eq!(issued.refresh_token, None);
    assert!(claims.exp.0 > NOW && claims.exp.0 <= NOW.plus(SERVER.lifetimes.access_token));
    for scope in claims.scope.0.iter() {
        let mut words = granted.iter().flat_map(|text| text.split(' '));
        assert!(
            words.any(|word| word == scope),
            "{scope:?} was never granted"
        );
    }
}

//! Assertions: one that is taken is of the kind that its type says, for this server and this client alone, and gives no more than
//! another parser reads in it. An identity assertion is taken once, a workload's token again and again.

use mcp_gateway_oauth::account;
use mcp_gateway_oauth::store::memory::MemoryRows;
use mcp_gateway_oauth::token::assertion::Kind;
use mcp_gateway_oauth::token::assertion::id_jag::{self, IdJagRequest};
use mcp_gateway_oauth::token::assertion::workload::{self, WorkloadRequest};
use mcp_gateway_oauth::token::error::TokenError;
use mcp_gateway_oauth::token::issued::Issued;
use mcp_gateway_oauth::trust;
use url::Url;

use super::site::{
    ID, ISSUER, NOW, OWN, SERVER, SERVER_KEYS, SKEW, client, date, is_type, is_within, read,
    signed, texts, vouched,
};

/// The type of a token; after a line feed, its claims. The issuer signs them, whatever they are.
pub fn assertion(bytes: &[u8]) {
    takes_assertion(bytes);
}

/// Whether it is taken.
pub fn takes_assertion(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).ok();
    let Some((token_type, claims)) = text.and_then(|text| text.split_once('\n')) else {
        return false;
    };
    let token = signed(token_type, claims);
    let Ok(claimed) = trust::claimed(&token) else {
        return false;
    };
    let kind = Kind::of(&claimed);
    let is_id_jag = is_type(token_type, &["oauth-id-jag+jwt"]);
    assert_eq!(kind == Kind::IdJag, is_id_jag, "{token_type:?}");
    match kind {
        Kind::IdJag => takes_id_jag(&token, claims),
        Kind::Workload => takes_workload(&token, token_type, claims),
    }
}

fn takes_id_jag(token: &str, claims: &str) -> bool {
    let Some(assertion) = vouched(token, &ISSUER.id_jag_profile(), &[OWN.to_owned()]) else {
        return false;
    };
    let client = client("console");
    let request = IdJagRequest {
        client: &client,
        assertion: &assertion,
        issuer: &ISSUER,
        scope: None,
        resource: None,
        id: ID,
    };
    let mut rows = MemoryRows::default();
    let mut present =
        || id_jag::issue(&mut rows, &SERVER_KEYS, &SERVER, &request, NOW).expect("a store");
    let Ok(issued) = present() else {
        return false;
    };
    let again = present().map_err(|refused| refused.error);
    assert_eq!(again.err(), Some(TokenError::AssertionReplayed));
    is_sound_id_jag(&issued, claims);
    true
}

fn is_sound_id_jag(issued: &Issued, claims: &str) {
    let members = read(claims);
    assert_eq!(texts(&members, "aud"), [OWN]);
    assert_eq!(members.text("client_id").as_deref(), Some("console"));
    let [resource] = &texts(&members, "resource")[..] else {
        panic!("not one resource")
    };
    assert_eq!(place(resource), place(&issued.claims.aud));
    for name in [
        "act",
        "may_act",
        "authorization_details",
        "tenant",
        "aud_tenant",
    ] {
        assert!(members.get(name).is_none(), "{name} is left out");
    }
    assert!(!members.text("jti").unwrap().is_empty());
    let lifetime = date(&members, "exp").unwrap() - date(&members, "iat").unwrap();
    assert!(
        lifetime < (301 + SKEW) as f64,
        "it lives for {lifetime} seconds"
    );
    let subject = account::subject(super::site::TRUSTED, &members.text("sub").unwrap());
    is_within(issued, "console", &subject, &texts(&members, "scope"));
}

/// The place of a resource: a final slash more or less is the same one.
fn place(resource: &str) -> String {
    let url = Url::parse(resource).expect("a URL");
    url.as_str().trim_end_matches('/').to_owned()
}

fn takes_workload(token: &str, token_type: &str, claims: &str) -> bool {
    let profile = ISSUER.workload_profile();
    let Some(assertion) = vouched(token, &profile, &ISSUER.workload_audiences()) else {
        return false;
    };
    let Ok(mapped) = workload::map(&ISSUER.workloads, &assertion) else {
        return false;
    };
    let client = client(mapped.client);
    let request = WorkloadRequest {
        client: &client,
        mapped: &mapped,
        client_id: None,
        scope: None,
        resource: None,
        id: ID,
    };
    let present = || workload::issue(&SERVER_KEYS, &SERVER, &request, NOW);
    let Ok(issued) = present() else {
        panic!("a client with the grant type gets a token");
    };
    assert_eq!(present().as_ref(), Ok(&issued), "it can be presented again");
    assert!(
        is_type(token_type, &["", "jwt", "jose"]),
        "{token_type:?} is another token"
    );
    let members = read(claims);
    assert_eq!(texts(&members, "aud"), ["mcp-gateway"]);
    assert_eq!(members.text("repository").as_deref(), Some("acme/app"));
    assert_eq!(
        (members.get("run"), members.get("protected")),
        (Some("7"), Some("true"))
    );
    assert!(members.get("nonce").is_none(), "an ID token");
    is_within(&issued, "deploy", "m:deploy", &["tasks:read".to_owned()]);
    true
}

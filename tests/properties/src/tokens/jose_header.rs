//! The header of a token: what is accepted is one object that every parser reads in the same way, with nothing in it that
//! changes what the token means.

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use mcp_gateway_core::token::{algorithm::Algorithm, bearer::bearer, jwt::Unverified};
use test_support::compact;

use crate::oracle::{self, Members};

const CLAIMS: &str = r#"{"iss":"https://issuer.example"}"#;

/// The text of a header, before it is encoded.
pub fn jose_header(header: &[u8]) {
    let token = format!("Bearer {}", compact(header, CLAIMS, |_| vec![0; 3]));
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::try_from(token).unwrap());
    let Ok(token) = bearer(&headers, None, usize::MAX) else {
        return assert!(header.is_empty(), "base64url is token68");
    };
    let expected = expected(header);
    match Unverified::parse(&token) {
        Ok(token) => {
            assert_eq!(token.issuer(), "https://issuer.example");
            assert_eq!(Some(token.key_id().map(str::to_owned)), expected);
        }
        Err(reason) => {
            assert_eq!(reason.status(), 401, "{reason:?}");
            assert_eq!(expected, None, "refused for {reason:?}");
        }
    }
}

/// The key id of a header that must be accepted.
fn expected(header: &[u8]) -> Option<Option<String>> {
    if !oracle::is_strict(header, 64, 10_000) {
        return None;
    }
    let members = Members::of(std::str::from_utf8(header).ok()?)?;
    Algorithm::parse(&members.text("alg")?)?;
    if ["crit", "b64", "zip", "cty"]
        .iter()
        .any(|name| members.get(name).is_some())
    {
        return None;
    }
    if members.get("typ").is_some() {
        members.text("typ")?;
    }
    match members.get("kid") {
        None => Some(None),
        Some(_) => members
            .text("kid")
            .filter(|kid| kid.len() <= 1024)
            .map(Some),
    }
}

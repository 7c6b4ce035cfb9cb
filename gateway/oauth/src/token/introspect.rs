//! Token introspection (RFC 7662) for configured resource servers. One learns only about access tokens that are for itself, and about
//! those that are not active nothing at all (§2.2, §4). Refresh tokens are never for a resource server.

use mcp_gateway_core::time::UnixTime;
use serde::Serialize;
use serde_json::{Value, json};

use super::access::{self, AccessClaims};
use crate::{
    grant::revoked,
    keys::ring::Ring,
    store::rows::{Rows, StoreError},
};

/// A request for what a token is. The resource server is authenticated.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// `token`.
    pub token: &'a str,
    /// The resources that the resource server stands for, as the configuration spells them.
    pub resources: &'a [String],
    /// The issuer of the server's access tokens.
    pub issuer: &'a str,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub enum Introspection {
    /// It is valid, for one of the resources that asked.
    Active(Box<AccessClaims>),
    /// It is not, for this reason, which only the operator learns.
    Inactive(Inactive),
}

/// Why a token is not active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inactive {
    /// It is not an access token of this server, or has expired.
    NotValid,
    /// It is for another resource.
    OtherResource,
    /// It was revoked, or its grant has ended.
    Revoked,
}

/// What a token is.
///
/// # Errors
/// [`StoreError`].
pub fn introspect(
    rows: &dyn Rows,
    ring: &Ring,
    question: &Question<'_>,
    now: UnixTime,
) -> Result<Introspection, StoreError> {
    let Some(claims) = access::open(ring, question.issuer, question.token, now) else {
        return Ok(Introspection::Inactive(Inactive::NotValid));
    };
    if !question.resources.contains(&claims.aud) {
        return Ok(Introspection::Inactive(Inactive::OtherResource));
    }
    if revoked::is_revoked(rows, claims.grant)? {
        return Ok(Introspection::Inactive(Inactive::Revoked));
    }
    Ok(Introspection::Active(Box::new(claims)))
}

#[derive(Serialize)]
struct ActiveBody<'a> {
    active: bool,
    token_type: &'static str,
    #[serde(flatten)]
    claims: &'a AccessClaims,
}

impl Introspection {
    /// The body of the answer, with the claims that the token has (RFC 7662 §2.2).
    pub fn body(&self) -> Value {
        let Self::Active(claims) = self else {
            return json!({ "active": false });
        };
        json!(ActiveBody {
            active: true,
            token_type: claims.token_type(),
            claims,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        revoke::{self, Revocation},
        testing::{NOW, OTHER_RESOURCE, RESOURCE, client, keys, ring, server, signed_in},
    };
    use super::*;
    use crate::proof_key::ProofKey;

    fn ask(rows: &dyn Rows, token: &str, resources: &[&str], now: UnixTime) -> Introspection {
        let resources: Vec<_> = resources.iter().map(|&text| text.to_owned()).collect();
        let question = Question {
            token,
            resources: &resources,
            issuer: &server().issuer,
        };
        introspect(rows, ring(), &question, now).unwrap()
    }

    #[test]
    fn a_resource_server_learns_about_its_own_valid_tokens_only() {
        use Inactive::{NotValid, OtherResource, Revoked};
        let (mut rows, issued) = signed_in("app");
        let token = access::sign(ring().signer(NOW), &issued.claims).unwrap();
        let token = token.expose();
        let refresh = issued.refresh_token.as_ref().unwrap().expose();
        let expires = issued.claims.exp.0;
        let active = ask(&rows, token, &[OTHER_RESOURCE, RESOURCE], NOW);
        let body = active.body();
        assert_eq!(body["active"], Value::Bool(true));
        assert_eq!(body["token_type"], "Bearer");
        assert_eq!(body["sub"], "u:alice");
        assert_eq!(body["aud"], RESOURCE);
        assert_eq!(body["scope"], "read write");
        assert_eq!(body["exp"], expires.secs());
        let key = ProofKey::new(&[1; 32]);
        let bound = issued.clone().bound_to(&keys(), Some(&key));
        let bound = access::sign(ring().signer(NOW), &bound.claims).unwrap();
        let body = ask(&rows, bound.expose(), &[RESOURCE], NOW).body();
        assert_eq!(body["token_type"], "DPoP");
        assert_eq!(body["cnf"], json!({ "jkt": key.as_str() }));
        for (token, resources, now, expected) in [
            (token, &[OTHER_RESOURCE][..], NOW, OtherResource),
            (token, &[], NOW, OtherResource),
            (token, &[RESOURCE], expires, NotValid),
            (refresh, &[RESOURCE], NOW, NotValid),
            ("a.b.c", &[RESOURCE], NOW, NotValid),
            ("", &[RESOURCE], NOW, NotValid),
        ] {
            let answer = ask(&rows, token, resources, now);
            assert_eq!(answer, Introspection::Inactive(expected), "{token}");
            assert_eq!(answer.body(), json!({ "active": false }));
        }
        let revocation = Revocation {
            client: &client("app"),
            token: refresh,
            issuer: &server().issuer,
        };
        let revoked = revoke::revoke(&mut rows, &keys(), ring(), &revocation, NOW).unwrap();
        assert!(revoked.is_ok());
        let answer = ask(&rows, token, &[RESOURCE], NOW);
        assert_eq!(answer, Introspection::Inactive(Revoked));
        assert_eq!(answer.body(), json!({ "active": false }));
    }
}

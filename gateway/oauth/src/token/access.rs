//! Access tokens (RFC 9068): their claims, and how they are signed and read again.

use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};
use serde::{Deserialize, Serialize};

use crate::{
    id::{ID_BYTES, Id},
    keys::{
        Purpose, ServerKeys,
        ring::Ring,
        signing_key::{SigningKey, SigningKeyError},
    },
    proof_key::ProofKey,
    secret::Secret,
    store::text::{ScopeSetText, UnixTimeText},
};

/// The claims of an access token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// The issuer.
    pub iss: String,
    /// Who it stands for: a user (`u:…`) or a machine (`m:…`).
    pub sub: String,
    /// The resource, as the configuration spells it: exactly one.
    pub aud: String,
    /// The client.
    pub client_id: String,
    /// What it allows; left out when that is nothing.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub scope: ScopeSetText,
    /// When it was issued.
    pub iat: UnixTimeText,
    /// When it expires.
    pub exp: UnixTimeText,
    /// Its id. The same answer has the same one.
    pub jti: Id,
    /// When the user signed in; none for machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<UnixTimeText>,
    /// What it is bound to; none for a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<ProofKey>,
    /// Its grant, by which it is revoked. A machine's token has an id of its own, and of its client: [`machine`](crate::grant::machine).
    pub grant: Id,
}

impl AccessClaims {
    /// The name of its type (RFC 6749 §7.1, RFC 9449 §5, RFC 8705 §3).
    pub const fn token_type(&self) -> &'static str {
        match self.cnf {
            Some(ProofKey::Key(_)) => "DPoP",
            Some(ProofKey::Certificate(_)) | None => "Bearer",
        }
    }

    /// Binds it to a key or certificate. Its id is another one then: the same answer to another key is another token.
    pub(super) fn bind(&mut self, keys: &ServerKeys, key: &ProofKey) {
        let parts = [self.jti.as_bytes().as_slice(), key.as_str().as_bytes()];
        self.jti = id_of(keys, &parts);
        self.cnf = Some(key.clone());
    }
}

fn is_empty(scopes: &ScopeSetText) -> bool {
    scopes.0.is_empty()
}

/// The id of a token (`jti`): derived from what makes an answer another one, so that a repeated answer has the same one.
pub(super) fn token_id(
    keys: &ServerKeys,
    grant: Id,
    generation: u32,
    issued: UnixTime,
    scopes: &ScopeSet,
) -> Id {
    let scopes = scopes.to_string();
    let (generation, issued) = (generation.to_be_bytes(), issued.secs().to_be_bytes());
    let parts: [&[u8]; 4] = [grant.as_bytes(), &generation, &issued, scopes.as_bytes()];
    id_of(keys, &parts)
}

fn id_of(keys: &ServerKeys, parts: &[&[u8]]) -> Id {
    let tag = keys.tag(Purpose::AccessTokenId, parts);
    let id = tag.bytes.first_chunk::<ID_BYTES>().copied();
    Id::new(id.unwrap_or_default())
}

/// Signs an access token.
///
/// # Errors
/// [`SigningKeyError`]; then what was taken for it is given back.
pub fn sign(key: &SigningKey, claims: &AccessClaims) -> Result<Secret, SigningKeyError> {
    let failed = |_| SigningKeyError::Signing(key.algorithm());
    let claims = serde_json::to_vec(claims).map_err(failed)?;
    key.sign(&claims)
}

/// The claims of an access token that this server signed under this issuer and that has not expired. It may be revoked.
pub fn open(ring: &Ring, issuer: &str, token: &str, now: UnixTime) -> Option<AccessClaims> {
    let claims: AccessClaims = serde_json::from_slice(&ring.open(token)?).ok()?;
    (claims.iss == issuer && now < claims.exp.0).then_some(claims)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, header::AUTHORIZATION};
    use mcp_gateway_core::token::{
        bearer::bearer, issuer_profile::IssuerProfile, jwt::Unverified, key_set::KeySet,
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::keys::signing_key::tests::{ALL, key};

    const NOW: i64 = 1_800_000_000;
    const ISSUER: &str = "https://mcp.example";
    const RESOURCE: &str = "https://mcp.example/mcp";

    fn claims(scope: &str) -> AccessClaims {
        AccessClaims {
            iss: ISSUER.to_owned(),
            sub: "u:alice".to_owned(),
            aud: RESOURCE.to_owned(),
            client_id: "client".to_owned(),
            scope: ScopeSetText(ScopeSet::parse(scope).unwrap()),
            iat: UnixTimeText(UnixTime::new(NOW)),
            exp: UnixTimeText(UnixTime::new(NOW + 900)),
            jti: Id::new([1; 16]),
            auth_time: Some(UnixTimeText(UnixTime::new(NOW - 60))),
            cnf: None,
            grant: Id::new([2; 16]),
        }
    }

    #[test]
    fn the_gateway_takes_a_token_of_every_algorithm() {
        for algorithm in ALL {
            for scope in ["", "read", "read write"] {
                let ring = Ring::new(key(algorithm), UnixTime::new(NOW));
                let token = sign(ring.signer(UnixTime::new(NOW)), &claims(scope)).unwrap();
                let mut headers = HeaderMap::new();
                let value = format!("Bearer {}", token.expose());
                headers.insert(AUTHORIZATION, value.try_into().unwrap());
                let keys = KeySet::parse(ring.jwk_set().to_string().as_bytes()).unwrap();
                let token = Unverified::parse(&bearer(&headers, None, 8192).unwrap()).unwrap();
                let profile = IssuerProfile::new(ISSUER);
                let verify = |audience: &str, at| {
                    let audience = [audience.to_owned()];
                    token.verify(&profile, &keys.keys, &audience, UnixTime::new(at))
                };
                let verified = verify(RESOURCE, NOW).unwrap();
                assert_eq!(&*verified.principal.subject, "u:alice");
                assert_eq!(verified.principal.client.as_deref(), Some("client"));
                assert_eq!(verified.principal.scopes.to_string(), scope);
                assert_eq!(verified.expires.secs(), NOW + 900);
                assert!(verify(RESOURCE, NOW + 931).is_err());
                assert!(verify("https://mcp.example/other", NOW).is_err());
            }
        }
    }

    #[test]
    fn claims_have_the_names_and_types_of_the_standard() {
        let written: Value = serde_json::to_value(claims("read write")).unwrap();
        assert_eq!(
            written,
            json!({
                "iss": ISSUER, "sub": "u:alice", "aud": RESOURCE, "client_id": "client", "scope": "read write",
                "iat": NOW, "exp": NOW + 900, "jti": "AQEBAQEBAQEBAQEBAQEBAQ", "auth_time": NOW - 60,
                "grant": "AgICAgICAgICAgICAgICAg",
            })
        );
        let machine = AccessClaims {
            auth_time: None,
            ..claims("")
        };
        let written: Value = serde_json::to_value(machine).unwrap();
        assert!(written.get("auth_time").is_none() && written.get("scope").is_none());
    }

    #[test]
    fn the_server_reads_its_own_tokens_until_they_expire_and_no_others() {
        let now = UnixTime::new(NOW);
        let [one, other] = [0, 1].map(|_| Ring::new(key(ALL[0]), now));
        let token = sign(one.signer(now), &claims("read")).unwrap();
        let token = token.expose();
        assert_eq!(open(&one, ISSUER, token, now), Some(claims("read")));
        assert_eq!(open(&other, ISSUER, token, now), None);
        assert_eq!(open(&one, "https://other.example", token, now), None);
        let expires = UnixTime::new(NOW + 900);
        assert_eq!(open(&one, ISSUER, token, expires), None);
    }

    #[test]
    fn a_bound_token_names_its_key_and_has_an_id_of_its_own() {
        let keys = ServerKeys::new(&[[1; 32]]).unwrap();
        let bound = |byte| {
            let mut claims = claims("read");
            assert_eq!(claims.token_type(), "Bearer");
            claims.bind(&keys, &ProofKey::new(&[byte; 32]));
            claims
        };
        let (one, other) = (bound(1), bound(2));
        assert_eq!(one, bound(1));
        assert!(one.jti != other.jti && one.jti != claims("read").jti);
        assert_eq!(one.token_type(), "DPoP");
        let written: Value = serde_json::to_value(&one).unwrap();
        assert_eq!(
            written["cnf"],
            json!({ "jkt": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE" })
        );
        let read: AccessClaims = serde_json::from_value(written).unwrap();
        assert_eq!(read, one);
        let mut of_certificate = claims("read");
        of_certificate.bind(&keys, &ProofKey::of_certificate(&[3; 32]));
        assert_eq!(of_certificate.token_type(), "Bearer");
        let written: Value = serde_json::to_value(&of_certificate).unwrap();
        assert_eq!(
            written["cnf"],
            json!({ "x5t#S256": "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM" })
        );
    }

    #[test]
    fn an_id_is_the_same_for_the_same_answer_only() {
        let keys = ServerKeys::new(&[[1; 32]]).unwrap();
        let set = |text| ScopeSet::parse(text).unwrap();
        let id = |grant, generation, issued, scopes| {
            let grant = Id::new([grant; 16]);
            token_id(
                &keys,
                grant,
                generation,
                UnixTime::new(issued),
                &set(scopes),
            )
        };
        let own = id(1, 1, NOW, "read");
        assert_eq!(own, id(1, 1, NOW, "read"));
        for other in [
            id(2, 1, NOW, "read"),
            id(1, 2, NOW, "read"),
            id(1, 1, NOW + 1, "read"),
            id(1, 1, NOW, "read write"),
        ] {
            assert_ne!(own, other);
        }
    }
}

//! ID tokens (OpenID Connect Core §2, §3.1.3.7): what a provider says about who signed in. The signature is verified as that of an
//! access token, by the same code and keys; the claims are those of an ID token, so neither kind passes for the other.

use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::json::{self, Object};
use crate::refusal::reason::Reason;
use crate::time::UnixTime;
use crate::token::algorithm::Algorithm;
use crate::token::claim_set::ClaimSet;
use crate::token::claims::{Claims, KIND_CLAIMS, require_audience, texts};
use crate::token::issuer_profile::IssuerProfile;
use crate::token::jwt::Unverified;
use crate::token::key_set::KeySet;

/// What `typ` may be in the claims of an ID token: Keycloak and Cognito name its kind there.
pub(crate) const KIND: &str = "id";

/// Why an ID token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenFault {
    /// It is not a valid token of this issuer for this client.
    #[error("the ID token is refused ({})", .0.label())]
    Token(Reason),
    /// It is another kind of token.
    #[error("the token is not an ID token (typ, token_use)")]
    Kind,
    /// `nonce` is missing, or that of another sign-in.
    #[error("the ID token belongs to another sign-in (nonce)")]
    Nonce,
    /// `azp` is another client, or missing beside several audiences.
    #[error("the ID token was issued to another client (azp)")]
    AuthorizedParty,
    /// `at_hash` is that of another access token.
    #[error("the ID token belongs to another access token (at_hash)")]
    AccessTokenHash,
}

impl From<Reason> for IdTokenFault {
    fn from(reason: Reason) -> Self {
        Self::Token(reason)
    }
}

/// What an ID token must fit.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedIdToken<'a> {
    /// Our `client_id` at the provider: the audience.
    pub client_id: &'a str,
    /// The `nonce` that was sent; none for the ID token of a refresh, which may have none (OpenID Connect Core §12.2).
    pub nonce: Option<&'a str>,
    /// The access token that came with it.
    pub access_token: Option<&'a str>,
}

/// A verified ID token.
#[derive(Clone, Debug)]
pub struct IdToken {
    /// `iss`.
    pub issuer: String,
    /// The subject claim of the issuer's profile.
    pub subject: String,
    /// All claims.
    pub claims: ClaimSet,
}

/// Verifies that this issuer issued an ID token and signed it with one of these keys, for what is expected.
///
/// # Errors
/// [`IdTokenFault`]. After [`Reason::UnknownKey`], fetching the keys again can help.
pub fn verify(
    token: &Unverified<'_>,
    profile: &IssuerProfile,
    keys: &KeySet,
    expected: &ExpectedIdToken<'_>,
    now: UnixTime,
) -> Result<IdToken, IdTokenFault> {
    let payload = token.signed_claims(profile, keys)?;
    let claims = payload.claims()?;
    require_kind(&claims)?;
    require_audience(&claims, &[expected.client_id.to_owned()])?;
    require_authorized_party(&claims, expected.client_id)?;
    if profile.tenant.is_some() && claims.given("tid").is_none() {
        return Err(Reason::MissingClaim.into());
    }
    let read = Claims::of(&claims, profile)?;
    if claims.given("iat").is_none() {
        return Err(Reason::MissingClaim.into());
    }
    read.check_times(profile, now)?;
    require_nonce(&claims, expected.nonce)?;
    require_hash(&claims, expected.access_token, token.algorithm())?;
    let claims = ClaimSet::parse(payload.bytes()).map_err(|_| Reason::MalformedToken)?;
    Ok(IdToken {
        issuer: token.issuer().to_owned(),
        subject: read.subject.to_string(),
        claims,
    })
}

/// A kind that is named is that of ID tokens; null names none.
fn require_kind(claims: &Object<'_>) -> Result<(), IdTokenFault> {
    let mut kinds = KIND_CLAIMS.iter().filter_map(|name| claims.given(name));
    let is_own = |raw: &[u8]| json::string(raw).is_some_and(|kind| kind.eq_ignore_ascii_case(KIND));
    match kinds.all(is_own) {
        true => Ok(()),
        false => Err(IdTokenFault::Kind),
    }
}

/// `azp` is our client where it is there, and it must be there where others may use the token too.
fn require_authorized_party(claims: &Object<'_>, client_id: &str) -> Result<(), IdTokenFault> {
    let party = claims.given("azp");
    let audiences = claims.get("aud").and_then(texts).unwrap_or_default();
    let is_own = match party {
        Some(raw) => json::string(raw).is_some_and(|party| party == client_id),
        None => audiences.iter().all(|audience| audience == client_id),
    };
    match is_own {
        true => Ok(()),
        false => Err(IdTokenFault::AuthorizedParty),
    }
}

fn require_nonce(claims: &Object<'_>, sent: Option<&str>) -> Result<(), IdTokenFault> {
    let Some(sent) = sent else {
        return Ok(());
    };
    let nonce = claims.get("nonce").and_then(json::string);
    match nonce.is_some_and(|nonce| nonce == sent) {
        true => Ok(()),
        false => Err(IdTokenFault::Nonce),
    }
}

/// `at_hash` is optional with a code (OpenID Connect Core §3.1.3.6): half of a hash, of the algorithm's size.
fn require_hash(
    claims: &Object<'_>,
    access_token: Option<&str>,
    algorithm: Algorithm,
) -> Result<(), IdTokenFault> {
    let (Some(raw), Some(token)) = (claims.given("at_hash"), access_token) else {
        return Ok(());
    };
    let hash = digest::digest(hash_of(algorithm), token.as_bytes());
    let half = hash.as_ref().get(..hash.as_ref().len() / 2);
    let expected = URL_SAFE_NO_PAD.encode(half.unwrap_or_default());
    match json::string(raw).is_some_and(|found| found == expected) {
        true => Ok(()),
        false => Err(IdTokenFault::AccessTokenHash),
    }
}

/// Ed25519 uses SHA-512 itself.
const fn hash_of(algorithm: Algorithm) -> &'static digest::Algorithm {
    match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => &SHA256,
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => &SHA384,
        Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::EdDsa => &SHA512,
    }
}

#[cfg(test)]
mod tests;

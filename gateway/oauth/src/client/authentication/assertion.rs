//! Client assertions: tokens that a client signs for the server alone (RFC 7523 §3). They are read and verified by the code that
//! verifies access tokens, with a profile of their own.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_gateway_core::{
    json,
    refusal::reason::Reason,
    time::UnixTime,
    token::{bearer::BearerToken, issuer_profile::IssuerProfile, jwt::Unverified, key_set::KeySet},
};

use crate::{client::metadata::SIGNING_ALGORITHMS, secret::Secret};

/// The longest assertion, in bytes.
pub const MAX_ASSERTION_BYTES: usize = 16 * 1024;

/// The longest life of an assertion: what the MCP SDKs make. A used one takes a place until it has expired.
pub const MAX_ASSERTION_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// The longest `jti`, in bytes.
pub const MAX_JTI_BYTES: usize = 256;

/// The types that an assertion may have (RFC 7515 §4.1.9); an empty one means none.
const TYPES: [&str; 3] = ["", "jwt", "client-authentication+jwt"];

/// Why an assertion is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionFault {
    /// It is not a token of at most [`MAX_ASSERTION_BYTES`].
    #[error("is not a JSON Web Token of at most {MAX_ASSERTION_BYTES} bytes")]
    NotAToken,
    /// It is not a valid token of this client for this server.
    #[error("is refused: {0:?}")]
    Refused(Reason),
    /// `sub` is not the client.
    #[error("has another sub than the client")]
    OtherSubject,
    /// `aud` has more than one element.
    #[error("has more than one audience")]
    SeveralAudiences,
    /// `jti` is missing, empty or too long.
    #[error("has no jti of 1 to {MAX_JTI_BYTES} bytes")]
    NoId,
    /// It was used before.
    #[error("was used before")]
    Used,
}

impl AssertionFault {
    /// Whether fetching the keys again can help.
    pub const fn may_have_new_keys(self) -> bool {
        matches!(
            self,
            Self::Refused(Reason::UnknownKey | Reason::BadSignature | Reason::AlgKeyMismatch)
        )
    }
}

/// The `jti` of a verified assertion, which can be used only once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnceOnly {
    /// `jti`.
    pub id: String,
    /// From when on it is refused because it has expired.
    pub ends: UnixTime,
}

/// Verifies an assertion of this client for one of these audiences: our issuer, or the endpoint that it is sent to.
pub(super) fn verify(
    client_id: &str,
    assertion: &Secret,
    keys: &KeySet,
    audiences: &[String],
    now: UnixTime,
) -> Result<OnceOnly, AssertionFault> {
    let profile = profile(client_id);
    let token = BearerToken::parse(assertion.expose(), MAX_ASSERTION_BYTES);
    let token = token.ok_or(AssertionFault::NotAToken)?;
    let unverified = Unverified::parse(&token).map_err(AssertionFault::Refused)?;
    let verified = unverified
        .verify(&profile, keys, audiences, now)
        .map_err(AssertionFault::Refused)?;
    if *verified.principal.subject != *client_id {
        return Err(AssertionFault::OtherSubject);
    }
    Ok(OnceOnly {
        id: sole_use(assertion)?,
        ends: verified.expires.plus(profile.clock_skew),
    })
}

fn profile(client_id: &str) -> IssuerProfile {
    IssuerProfile {
        token_types: TYPES.map(str::to_owned).into(),
        algorithms: SIGNING_ALGORITHMS.into(),
        client_claims: Vec::new(),
        scope_claims: Vec::new(),
        max_lifetime: MAX_ASSERTION_LIFETIME,
        ..IssuerProfile::new(client_id)
    }
}

/// The `jti` of a verified assertion. An assertion for several audiences is refused: another server among them could use it here.
fn sole_use(assertion: &Secret) -> Result<String, AssertionFault> {
    let payload = assertion.expose().split('.').nth(1);
    let bytes = payload.and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    let bytes = bytes.ok_or(AssertionFault::NotAToken)?;
    let claims = json::object(&bytes).map_err(|_| AssertionFault::NotAToken)?;
    let audience = claims.get("aud").unwrap_or_default();
    if json::array(audience).is_ok_and(|all| all.len() > 1) {
        return Err(AssertionFault::SeveralAudiences);
    }
    let id = claims.get("jti").and_then(json::string);
    let id = id.filter(|id| (1..=MAX_JTI_BYTES).contains(&id.len()));
    Ok(id.ok_or(AssertionFault::NoId)?.into_owned())
}

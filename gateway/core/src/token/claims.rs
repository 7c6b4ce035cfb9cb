//! The claims of a token (RFC 7519 §4, RFC 9068 §2.2), read strictly: each claim has the type its specification gives it
//! or the token is refused.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::cel::kept_claims::KeptClaims;
use crate::json::{self, Object};
use crate::refusal::reason::Reason;
use crate::scope::ScopeSet;
use crate::time::UnixTime;
use crate::token::issuer_profile::IssuerProfile;

/// 9999-12-31T23:59:59Z: whatever claims to be later is no date.
const MAX_NUMERIC_DATE: f64 = 253_402_300_799.0;

/// Subject and client id may be this long, in bytes.
const MAX_ID_BYTES: usize = 1024;

/// Claims that only other tokens have: ID tokens (OpenID Connect Core §2, §3.3.2.11), security events and logout tokens
/// (RFC 8417 §2.2), DPoP proofs (RFC 9449 §4.2).
const FOREIGN: [&str; 8] = [
    "nonce", "at_hash", "c_hash", "s_hash", "events", "htm", "htu", "ath",
];

/// Claims by which Keycloak and Cognito tell their tokens apart.
const KIND_CLAIMS: [&str; 2] = ["typ", "token_use"];

/// What those claims say in tokens that are no access tokens.
const FOREIGN_KINDS: [&str; 4] = ["id", "refresh", "offline", "logout"];

/// What of the claims counts.
#[derive(Debug)]
pub(crate) struct Claims {
    pub(crate) expires: UnixTime,
    pub(crate) not_before: Option<UnixTime>,
    issued_at: Option<UnixTime>,
    pub(crate) subject: String,
    pub(crate) client: Option<String>,
    pub(crate) scopes: ScopeSet,
    pub(crate) kept: Arc<KeptClaims>,
}

impl Claims {
    /// Reads the claims of one of this issuer's access tokens, which is for one of these audiences.
    pub(crate) fn read(
        payload: &[u8],
        profile: &IssuerProfile,
        audience: &[String],
    ) -> Result<Self, Reason> {
        let claims = object(payload)?;
        refuse_other_tokens(&claims)?;
        if claims.get("cnf").is_some() {
            return Err(Reason::SenderConstrained);
        }
        require_audience(&claims, audience)?;
        Self::of(&claims, profile)
    }

    /// Reads those that say whom a token of this issuer is about, and when it is valid.
    pub(crate) fn of(claims: &Object<'_>, profile: &IssuerProfile) -> Result<Self, Reason> {
        Ok(Self {
            expires: date(claims, "exp")?.ok_or(Reason::MissingClaim)?,
            not_before: date(claims, "nbf")?,
            issued_at: date(claims, "iat")?,
            subject: subject(claims, &profile.subject_claim)?,
            client: client(claims)?,
            scopes: scopes(claims, &profile.scope_claims)?,
            kept: KeptClaims::of(claims, &profile.kept_claims),
        })
    }

    /// Judges the times at an instant.
    pub(crate) fn judge(&self, profile: &IssuerProfile, now: UnixTime) -> Result<(), Reason> {
        judge_times(self.expires, self.not_before, profile.clock_skew, now)?;
        if self
            .issued_at
            .is_some_and(|issued_at| issued_at > now.plus(profile.clock_skew))
        {
            return Err(Reason::NotYetValid);
        }
        if self.expires.since(self.issued_at.unwrap_or(now)) > profile.max_lifetime {
            return Err(Reason::LifetimeTooLong);
        }
        Ok(())
    }
}

/// A token is valid from `nbf` on, and no longer *at* `exp` (RFC 7519 §4.1.4, §4.1.5), give or take the skew.
pub(crate) fn judge_times(
    expires: UnixTime,
    not_before: Option<UnixTime>,
    skew: Duration,
    now: UnixTime,
) -> Result<(), Reason> {
    if now >= expires.plus(skew) {
        return Err(Reason::Expired);
    }
    if not_before.is_some_and(|not_before| not_before > now.plus(skew)) {
        return Err(Reason::NotYetValid);
    }
    Ok(())
}

/// The issuer that the claims name, verified or not.
pub(crate) fn read_issuer(payload: &[u8]) -> Result<String, Reason> {
    let claims = object(payload)?;
    let raw = claims.get("iss").ok_or(Reason::MissingClaim)?;
    let issuer = json::string(raw).ok_or(Reason::WrongIssuer)?;
    Ok(issuer.into_owned())
}

pub(crate) fn object(payload: &[u8]) -> Result<Object<'_>, Reason> {
    json::object(payload).map_err(|_| Reason::MalformedToken)
}

pub(crate) fn refuse_other_tokens(claims: &Object<'_>) -> Result<(), Reason> {
    let has_foreign_claim = FOREIGN.iter().any(|name| claims.get(name).is_some());
    let mut kinds = KIND_CLAIMS
        .iter()
        .filter_map(|name| json::string(claims.get(name)?));
    let is_foreign_kind = |kind: &str| {
        FOREIGN_KINDS
            .iter()
            .any(|foreign| kind.eq_ignore_ascii_case(foreign))
    };
    if has_foreign_claim || kinds.any(|kind| is_foreign_kind(&kind)) {
        return Err(Reason::WrongTokenType);
    }
    Ok(())
}

/// One audience or several, all of them strings, one of them ours letter by letter.
pub(crate) fn require_audience(claims: &Object<'_>, accepted: &[String]) -> Result<(), Reason> {
    let raw = claims.get("aud").ok_or(Reason::MissingClaim)?;
    let named = texts(raw).ok_or(Reason::WrongAudience)?;
    if named
        .iter()
        .any(|one| accepted.iter().any(|own| own == one))
    {
        return Ok(());
    }
    Err(Reason::WrongAudience)
}

/// `NumericDate` (RFC 7519 §2), cut to whole seconds. Before the epoch and after the year 9999 there is none.
fn date(claims: &Object<'_>, name: &str) -> Result<Option<UnixTime>, Reason> {
    let Some(raw) = claims.get(name) else {
        return Ok(None);
    };
    let is_number = raw.first().is_some_and(u8::is_ascii_digit);
    let text = std::str::from_utf8(raw).ok().filter(|_| is_number);
    let seconds = text
        .and_then(|text| text.parse().ok())
        .filter(|seconds: &f64| *seconds <= MAX_NUMERIC_DATE);
    let seconds = seconds.ok_or(Reason::MalformedToken)?;
    Ok(Some(UnixTime::new(seconds as i64)))
}

pub(crate) fn subject(claims: &Object<'_>, name: &str) -> Result<String, Reason> {
    let raw = claims.get(name).ok_or(Reason::MissingClaim)?;
    let subject = json::string(raw).ok_or(Reason::MalformedToken)?;
    match subject.len() {
        0 => Err(Reason::MissingClaim),
        1..=MAX_ID_BYTES => Ok(subject.into_owned()),
        _ => Err(Reason::UnusableSubject),
    }
}

/// `client_id` (RFC 9068 §2.2), else `azp` (OpenID Connect Core §2).
pub(crate) fn client(claims: &Object<'_>) -> Result<Option<String>, Reason> {
    let Some(raw) = claims.get("client_id").or_else(|| claims.get("azp")) else {
        return Ok(None);
    };
    let client = json::string(raw).filter(|client| (1..=MAX_ID_BYTES).contains(&client.len()));
    Ok(Some(client.ok_or(Reason::MalformedToken)?.into_owned()))
}

/// Scopes of every claim that may hold some: a string with spaces between them (RFC 8693 §4.2), or an array.
pub(crate) fn scopes(claims: &Object<'_>, names: &[String]) -> Result<ScopeSet, Reason> {
    let mut found = Vec::new();
    for raw in names.iter().filter_map(|name| claims.get(name)) {
        match json::string(raw) {
            Some(text) => found.extend(text.split(' ').map(|token| Cow::Owned(token.to_owned()))),
            None => found.extend(texts(raw).ok_or(Reason::MalformedToken)?),
        }
    }
    Ok(ScopeSet::from_grants(found.iter().map(AsRef::as_ref)))
}

/// A string, or an array of strings.
fn texts(raw: &[u8]) -> Option<Vec<Cow<'_, str>>> {
    match json::string(raw) {
        Some(text) => Some(vec![text]),
        None => json::array(raw)
            .ok()?
            .into_iter()
            .map(json::string)
            .collect(),
    }
}

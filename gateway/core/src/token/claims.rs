//! The claims of a token (RFC 7519 §4, RFC 9068 §2.2), read strictly: a claim whose type differs from its specification
//! refuses the token. An optional claim that is null counts as absent. A claim that restricts the token does not: a `cnf`
//! that cannot be checked, and claims that only other tokens have, refuse it with any value.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::cel::kept_claims::KeptClaims;
use crate::json::{self, Object};
use crate::principal::Principal;
use crate::refusal::reason::Reason;
use crate::scope::ScopeSet;
use crate::time::UnixTime;
use crate::token::claim_path::ClaimPath;
use crate::token::evidence::binding::Binding;
use crate::token::evidence::grant::{GrantId, grant};
use crate::token::evidence::{Evidence, check_times};
use crate::token::issuer_profile::IssuerProfile;

/// 9999-12-31T23:59:59Z, in seconds. A later value is not accepted as a date.
pub(crate) const MAX_NUMERIC_DATE: f64 = 253_402_300_799.0;

/// The longest subject or client id, in bytes.
pub(crate) const MAX_ID_BYTES: usize = 1024;

/// Claims that only other tokens have: ID tokens (OpenID Connect Core §2, §3.3.2.11), security events and logout tokens
/// (RFC 8417 §2.2), DPoP proofs (RFC 9449 §4.2).
pub(crate) const FOREIGN: [&str; 8] = [
    "nonce", "at_hash", "c_hash", "s_hash", "events", "htm", "htu", "ath",
];

/// Of these, the ones of ID tokens.
pub(crate) const OF_ID_TOKENS: [&str; 4] = ["nonce", "at_hash", "c_hash", "s_hash"];

/// What names an ID token in the claims below.
pub(crate) const ID_TOKEN_KIND: &str = "id";

/// Claims in which Keycloak and Cognito name the kind of a token.
pub(crate) const KIND_CLAIMS: [&str; 2] = ["typ", "token_use"];

/// Values of those claims in tokens that are not access tokens.
pub(crate) const FOREIGN_KINDS: [&str; 4] = ["id", "refresh", "offline", "logout"];

/// The claims that the gateway uses.
#[derive(Debug)]
pub(crate) struct Claims {
    pub(crate) expires: UnixTime,
    pub(crate) not_before: Option<UnixTime>,
    issued_at: Option<UnixTime>,
    pub(crate) subject: Arc<str>,
    pub(crate) client: Option<Arc<str>>,
    pub(crate) scopes: ScopeSet,
    pub(crate) grant: Option<GrantId>,
    /// Read of access tokens only.
    pub(crate) binding: Option<Binding>,
    pub(crate) kept: Arc<KeptClaims>,
}

impl Claims {
    /// Reads the claims of an access token that this issuer issued for one of these audiences.
    pub(crate) fn read(
        claims: &Object<'_>,
        profile: &IssuerProfile,
        audience: &[String],
    ) -> Result<Self, Reason> {
        refuse_other_tokens(claims, profile)?;
        let binding = Binding::of(claims)?;
        require_audience(claims, audience)?;
        if profile.tenant.is_some() && claims.given("tid").is_none() {
            return Err(Reason::MissingClaim);
        }
        Ok(Self {
            binding,
            ..Self::of(claims, profile)?
        })
    }

    /// Reads the claims that name the caller, and those that say when the token is valid.
    pub(crate) fn of(claims: &Object<'_>, profile: &IssuerProfile) -> Result<Self, Reason> {
        check_tenant(claims, profile)?;
        Ok(Self {
            expires: date(claims.get("exp"))?.ok_or(Reason::MissingClaim)?,
            not_before: date(claims.given("nbf"))?,
            issued_at: date(claims.given("iat"))?,
            subject: subject(claims, &profile.subject_claim)?.into(),
            client: client(claims, &profile.client_claims)?.map(Into::into),
            scopes: scopes(claims, profile)?,
            grant: profile.names_grants.then(|| grant(claims)).transpose()?,
            binding: None,
            kept: KeptClaims::of(claims, &profile.kept_claims),
        })
    }

    /// What they prove of the caller, for this issuer.
    pub(crate) fn into_evidence(self, issuer: &Arc<str>) -> Evidence {
        Evidence {
            principal: Arc::new(Principal {
                issuer: Arc::clone(issuer),
                subject: self.subject,
                client: self.client,
                scopes: self.scopes,
            }),
            claims: self.kept,
            expires: self.expires,
            not_before: self.not_before,
            grant: self.grant,
            binding: self.binding,
        }
    }

    /// How long the token lives: from `iat`, or from now on.
    pub(crate) fn lifetime(&self, now: UnixTime) -> Duration {
        self.expires.since(self.issued_at.unwrap_or(now))
    }

    /// Checks the times at an instant.
    pub(crate) fn check_times(&self, profile: &IssuerProfile, now: UnixTime) -> Result<(), Reason> {
        check_times(self.expires, self.not_before, profile.clock_skew, now)?;
        if self
            .issued_at
            .is_some_and(|issued_at| issued_at > now.plus(profile.clock_skew))
        {
            return Err(Reason::NotYetValid);
        }
        if self.lifetime(now) > profile.max_lifetime {
            return Err(Reason::LifetimeTooLong);
        }
        Ok(())
    }
}

pub(crate) fn object(payload: &[u8]) -> Result<Object<'_>, Reason> {
    json::object(payload).map_err(|_| Reason::MalformedToken)
}

/// Refuses a token that is not an access token; where ID tokens are accepted, one that is neither.
pub(crate) fn refuse_other_tokens(
    claims: &Object<'_>,
    profile: &IssuerProfile,
) -> Result<(), Reason> {
    let is_accepted =
        |name: &str, of_id_tokens: &[&str]| profile.takes_id_tokens && of_id_tokens.contains(&name);
    let mut foreign = (FOREIGN.iter()).filter(|name| !is_accepted(name, &OF_ID_TOKENS));
    let has_foreign_claim = foreign.any(|name| claims.get(name).is_some());
    let mut kinds = KIND_CLAIMS.iter().filter_map(|name| claims.get(name));
    // A kind that cannot be read may be any kind; null is none.
    let is_foreign_kind = |raw: &[u8]| match json::string(raw) {
        Some(kind) => (FOREIGN_KINDS.iter())
            .filter(|foreign| !is_accepted(foreign, &[ID_TOKEN_KIND]))
            .any(|foreign| kind.eq_ignore_ascii_case(foreign)),
        None => raw != b"null",
    };
    if has_foreign_claim || kinds.any(is_foreign_kind) {
        return Err(Reason::WrongTokenType);
    }
    Ok(())
}

/// `aud` is a string or an array of strings. One of them must equal an accepted audience exactly (RFC 7519 §4.1.3).
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

/// `NumericDate` (RFC 7519 §2), truncated to whole seconds. Dates before the epoch and after the year 9999 are malformed.
pub(crate) fn date(raw: Option<&[u8]>) -> Result<Option<UnixTime>, Reason> {
    let Some(raw) = raw else {
        return Ok(None);
    };
    let is_number = raw.first().is_some_and(u8::is_ascii_digit);
    let text = std::str::from_utf8(raw).ok().filter(|_| is_number);
    let seconds = text.and_then(whole_seconds);
    let seconds = seconds.ok_or(Reason::MalformedToken)?;
    Ok(Some(UnixTime::new(seconds)))
}

/// A JSON number as whole seconds; none if it is not one, or too late.
fn whole_seconds(number: &str) -> Option<i64> {
    // Nearly every date is whole, and far cheaper to read as such.
    if let Ok(whole) = number.parse() {
        return (whole <= MAX_NUMERIC_DATE as i64).then_some(whole);
    }
    let seconds: f64 = number.parse().ok()?;
    (seconds <= MAX_NUMERIC_DATE).then_some(seconds as i64)
}

/// The tenant (`tid`) must be that of the issuer: an authorization server with many tenants signs for all of them with the same
/// keys.
pub(crate) fn check_tenant(claims: &Object<'_>, profile: &IssuerProfile) -> Result<(), Reason> {
    let (Some(tenant), Some(raw)) = (&profile.tenant, claims.get("tid")) else {
        return Ok(());
    };
    match json::string(raw) {
        Some(named) if *named == **tenant => Ok(()),
        _ => Err(Reason::WrongTenant),
    }
}

pub(crate) fn subject<'a>(claims: &Object<'a>, path: &ClaimPath) -> Result<Cow<'a, str>, Reason> {
    let raw = path.find(claims)?.ok_or(Reason::MissingClaim)?;
    let subject = json::string(raw).ok_or(Reason::MalformedToken)?;
    match subject.len() {
        0 => Err(Reason::MissingClaim),
        1..=MAX_ID_BYTES => Ok(subject),
        _ => Err(Reason::UnusableSubject),
    }
}

/// The first of these claims that the token has: `client_id` (RFC 9068 §2.2), else `azp` (OpenID Connect Core §2).
pub(crate) fn client<'a>(
    claims: &Object<'a>,
    paths: &[ClaimPath],
) -> Result<Option<Cow<'a, str>>, Reason> {
    let mut found = paths
        .iter()
        .filter_map(|path| path.find(claims).transpose());
    let Some(raw) = found.next().transpose()? else {
        return Ok(None);
    };
    let client = json::string(raw).filter(|client| (1..=MAX_ID_BYTES).contains(&client.len()));
    client.ok_or(Reason::MalformedToken).map(Some)
}

/// The scopes of all scope claims. Each is a string of scopes separated by spaces (RFC 8693 §4.2), or an array.
pub(crate) fn scopes(claims: &Object<'_>, profile: &IssuerProfile) -> Result<ScopeSet, Reason> {
    let mut found = Vec::new();
    for path in &profile.scope_claims {
        let Some(raw) = path.find(claims)? else {
            continue;
        };
        match json::string(raw) {
            Some(Cow::Borrowed(text)) => found.extend(text.split(' ').map(Cow::Borrowed)),
            Some(Cow::Owned(text)) => {
                found.extend(text.split(' ').map(|token| Cow::Owned(token.to_owned())));
            }
            None => found.extend(texts(raw).ok_or(Reason::MalformedToken)?),
        }
    }
    let prefixes = &profile.scope_prefixes;
    Ok(ScopeSet::from_grants(
        found.iter().map(|granted| prefixes.without_prefix(granted)),
    ))
}

/// A string, or an array of strings.
pub(crate) fn texts(raw: &[u8]) -> Option<Vec<Cow<'_, str>>> {
    match json::string(raw) {
        Some(text) => Some(vec![text]),
        None => json::array(raw)
            .ok()?
            .into_iter()
            .map(json::string)
            .collect(),
    }
}

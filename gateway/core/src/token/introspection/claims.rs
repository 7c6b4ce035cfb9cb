//! The claims of a token that an endpoint calls active. They are those of a JWT (RFC 7662 §2.2), except that few are required.

use std::borrow::Cow;
use std::sync::Arc;

use super::endpoint::{Expected, Kind};
use crate::cel::kept_claims::KeptClaims;
use crate::json::Object;
use crate::principal::Principal;
use crate::refusal::reason::Reason;
use crate::time::UnixTime;
use crate::token::claims::{
    check_tenant, client, date, refuse_other_tokens, require_audience, scopes, subject,
};
use crate::token::evidence::binding::Binding;
use crate::token::evidence::grant::grant;
use crate::token::evidence::{Evidence, check_times};
use crate::token::issuer_profile::IssuerProfile;

/// Members in which servers name a person. An answer of the standard with none of them is about the client itself.
const OF_PEOPLE: [&str; 11] = [
    "sub",
    "username",
    "user_name",
    "user_id",
    "userid",
    "uid",
    "preferred_username",
    "unique_name",
    "upn",
    "login",
    "email",
];

/// The caller of the token of an active answer.
pub(super) fn evidence(
    claims: &Object<'_>,
    expected: &Expected<'_>,
    now: UnixTime,
) -> Result<Evidence, Reason> {
    let profile = expected.profile;
    refuse_other_tokens(claims, profile)?;
    if claims.given("aud").is_none() {
        return Err(Reason::MissingClaim);
    }
    require_audience(claims, expected.audience())?;
    check_tenant(claims, profile)?;
    let times = Times::read(claims, profile, now)?;
    let client = client(claims, &profile.client_claims)?;
    Ok(Evidence {
        principal: Arc::new(Principal {
            issuer: Arc::clone(&profile.issuer),
            subject: subject_or_client(claims, expected, client.as_deref())?.into(),
            client: client.map(Into::into),
            scopes: scopes(claims, profile)?,
        }),
        claims: KeptClaims::of(claims, &profile.kept_claims),
        expires: times.expires,
        not_before: times.not_before,
        grant: profile.names_grants.then(|| grant(claims)).transpose()?,
        binding: Binding::of(claims)?,
    })
}

/// The subject; of a token that names no person at all, the client that acts for itself, as in RFC 9068 §2.2. Where a person is named but
/// not by the configured claim, nothing takes its place: all people of a client would be one caller. The other services issue tokens of
/// people only, whom they may leave unnamed (Google without the scope `openid`).
fn subject_or_client(
    claims: &Object<'_>,
    expected: &Expected<'_>,
    client: Option<&str>,
) -> Result<String, Reason> {
    let names_person = OF_PEOPLE.iter().any(|name| claims.given(name).is_some());
    let is_of_client = expected.kind == Kind::Rfc7662 && !names_person;
    match (subject(claims, &expected.profile.subject_claim), client) {
        (Err(Reason::MissingClaim), Some(client)) if is_of_client => Ok(client.to_owned()),
        (found, _) => found.map(Cow::into_owned),
    }
}

/// When a token is valid.
struct Times {
    expires: UnixTime,
    not_before: Option<UnixTime>,
}

impl Times {
    /// The times of a token that is valid now. Without `exp` it may live as long as any token: the endpoint is asked again long before.
    fn read(claims: &Object<'_>, profile: &IssuerProfile, now: UnixTime) -> Result<Self, Reason> {
        let (issued, skew) = (date(claims.given("iat"))?, profile.clock_skew);
        let times = Self {
            expires: date(claims.given("exp"))?.unwrap_or_else(|| now.plus(profile.max_lifetime)),
            not_before: date(claims.given("nbf"))?,
        };
        check_times(times.expires, times.not_before, skew, now)?;
        if issued.is_some_and(|issued| issued > now.plus(skew)) {
            return Err(Reason::NotYetValid);
        }
        if claims.given("exp").is_some()
            && times.expires.since(issued.unwrap_or(now)) > profile.max_lifetime
        {
            return Err(Reason::LifetimeTooLong);
        }
        Ok(times)
    }
}

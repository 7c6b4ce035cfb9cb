//! Reads a token or claims without verifying them: to explain how a call would be decided, never to decide one.

use std::sync::Arc;

use super::claims::{self, Claims};
use super::jwt::Unverified;
use crate::cel::kept_claims::KeptClaims;
use crate::json::{self, JsonLimits};
use crate::principal::Principal;
use crate::refusal::reason::Reason;
use crate::time::UnixTime;
use crate::token::evidence::binding::Binding;
use crate::token::issuer_profile::IssuerProfile;

/// The caller that a token would name if its signature were valid.
#[derive(Clone, Debug)]
pub struct Unproven {
    /// The principal that its claims name.
    pub principal: Arc<Principal>,
    /// The claims that conditions read.
    pub claims: Arc<KeptClaims>,
    /// What only its sender has. Nobody proves it here.
    pub binding: Option<Binding>,
    /// The reasons why it would be refused, in the order of the checks. Its signature is not checked.
    pub refusals: Vec<Reason>,
}

/// Reads a token as one that this issuer issued for one of these audiences.
///
/// # Errors
/// The [`Reason`] why it names no caller.
pub fn of_token(
    token: &Unverified<'_>,
    profile: &IssuerProfile,
    audience: &[String],
    now: UnixTime,
) -> Result<Unproven, Reason> {
    let object = token.payload().claims()?;
    let times = Claims::of(&object, profile).and_then(|claims| claims.check_times(profile, now));
    let found = [
        token.check_header(profile),
        Claims::read(&object, profile, audience).map(drop),
        times,
    ];
    unproven(&object, profile, &found)
}

/// Reads claims from the command line. Claims that only a token must have may be missing.
///
/// # Errors
/// The [`Reason`] why they name no caller.
pub fn of_claims(
    payload: &[u8],
    profile: &IssuerProfile,
    audience: &[String],
    now: UnixTime,
) -> Result<Unproven, Reason> {
    check(payload)?;
    let object = claims::object(payload)?;
    let has = |name| object.get(name).is_some();
    let aud = has("aud").then(|| claims::require_audience(&object, audience));
    let times = || Claims::of(&object, profile)?.check_times(profile, now);
    let found = [
        claims::refuse_other_tokens(&object, profile),
        Binding::of(&object).map(drop),
        aud.unwrap_or(Ok(())),
        claims::check_tenant(&object, profile),
        has("exp").then(times).unwrap_or(Ok(())),
    ];
    unproven(&object, profile, &found)
}

/// The issuer that claims from the command line name; `None` if they have no `iss`.
///
/// # Errors
/// The [`Reason`] why they cannot be read.
pub fn issuer_of(payload: &[u8]) -> Result<Option<String>, Reason> {
    check(payload)?;
    match claims::object(payload)?.get("iss") {
        Some(raw) => {
            let issuer = json::string(raw).ok_or(Reason::WrongIssuer)?;
            Ok(Some(issuer.into_owned()))
        }
        None => Ok(None),
    }
}

/// Applies the same strict reading as to the parts of a token.
fn check(payload: &[u8]) -> Result<(), Reason> {
    json::check(payload, &JsonLimits::default()).map_err(|_| Reason::MalformedToken)
}

fn unproven(
    object: &json::Object<'_>,
    profile: &IssuerProfile,
    found: &[Result<(), Reason>],
) -> Result<Unproven, Reason> {
    let mut refusals: Vec<Reason> = found.iter().filter_map(|found| found.err()).collect();
    let mut seen = Vec::new();
    refusals.retain(|reason| {
        let is_new = !seen.contains(reason);
        seen.push(*reason);
        is_new
    });
    Ok(Unproven {
        principal: Arc::new(Principal {
            issuer: Arc::clone(&profile.issuer),
            subject: claims::subject(object, &profile.subject_claim)?.into(),
            client: claims::client(object, &profile.client_claims)?.map(Into::into),
            scopes: claims::scopes(object, profile)?,
        }),
        claims: KeptClaims::of(object, &profile.kept_claims),
        binding: Binding::of(object).ok().flatten(),
        refusals,
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

    use super::*;
    use crate::token::bearer::bearer;

    const NOW: UnixTime = UnixTime::new(1_000_000);

    fn profile() -> IssuerProfile {
        IssuerProfile::new("https://issuer.example")
    }

    fn audience() -> [String; 1] {
        ["https://mcp.example.com/mcp".to_owned()]
    }

    /// The caller with its scopes and the reasons of refusal, or the reason why there is no caller.
    fn summary(found: Result<Unproven, Reason>) -> Result<(String, Vec<Reason>), Reason> {
        found.map(|found| {
            let Principal {
                subject,
                client,
                scopes,
                ..
            } = &*found.principal;
            let client = client.as_deref().unwrap_or("-");
            (format!("{subject} {client} {scopes}"), found.refusals)
        })
    }

    fn of_parts(header: &str, payload: &str) -> Result<(String, Vec<Reason>), Reason> {
        let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part));
        let line = format!("Bearer {header}.{payload}.AAAA");
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&line).unwrap());
        let token = bearer(&headers, None, 8192).unwrap();
        let token = Unverified::parse(&token).unwrap();
        summary(of_token(&token, &profile(), &audience(), NOW))
    }

    #[test]
    fn a_token_is_explained_with_all_reasons_of_refusal() {
        use Reason::{Expired, MissingClaim, WrongAudience, WrongTokenType};
        let good = r#"{"typ":"at+jwt","alg":"RS256"}"#;
        let plain = r#"{"typ":"JWT","alg":"RS256"}"#;
        for (header, rest, refusals) in [
            (
                good,
                r#""exp":1000600,"aud":"https://mcp.example.com/mcp""#,
                vec![],
            ),
            (
                good,
                r#""exp":1000,"aud":"https://mcp.example.com/mcp""#,
                vec![Expired],
            ),
            (
                good,
                r#""exp":1000,"aud":"https://other.example.com/""#,
                vec![WrongAudience, Expired],
            ),
            (
                good,
                r#""aud":"https://mcp.example.com/mcp""#,
                vec![MissingClaim],
            ),
            (
                plain,
                r#""exp":1000600,"aud":"x""#,
                vec![WrongTokenType, WrongAudience],
            ),
        ] {
            let payload = format!(
                r#"{{"iss":"https://issuer.example","sub":"alice","azp":"app","scope":"b a",{rest}}}"#
            );
            let expected = Ok(("alice app a b".to_owned(), refusals));
            assert_eq!(of_parts(header, &payload), expected, "{header} {rest}");
        }
    }

    #[test]
    fn claims_without_a_token_require_only_a_subject_and_are_read_as_strictly() {
        use Reason::{Expired, MalformedToken, MissingClaim, SenderConstrained, WrongAudience};
        for (claims, expected) in [
            (r#"{"sub":"alice","scp":["a"]}"#, Ok(("alice - a", vec![]))),
            (
                r#"{"sub":"alice","client_id":"app","exp":1}"#,
                Ok(("alice app ", vec![Expired])),
            ),
            (
                r#"{"sub":"alice","aud":"x","cnf":{}}"#,
                Ok(("alice - ", vec![SenderConstrained, WrongAudience])),
            ),
            (r#"{"scope":"a"}"#, Err(MissingClaim)),
            (r#"{"sub":1}"#, Err(MalformedToken)),
            (r#"{"sub":"alice","sub":"bob"}"#, Err(MalformedToken)),
            (r#"{"sub":"alice","scope":5}"#, Err(MalformedToken)),
            ("alice", Err(MalformedToken)),
        ] {
            let found = summary(of_claims(claims.as_bytes(), &profile(), &audience(), NOW));
            let expected = expected.map(|(who, refusals)| (who.to_owned(), refusals));
            assert_eq!(found, expected, "{claims}");
        }
    }

    #[test]
    fn the_issuer_of_claims_without_a_token_is_optional_and_a_string() {
        for (claims, expected) in [
            (r#"{"iss":"https://a"}"#, Ok(Some("https://a".to_owned()))),
            ("{}", Ok(None)),
            (r#"{"iss":1}"#, Err(Reason::WrongIssuer)),
            ("[]", Err(Reason::MalformedToken)),
        ] {
            assert_eq!(issuer_of(claims.as_bytes()), expected, "{claims}");
        }
    }
}

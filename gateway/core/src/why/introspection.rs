//! Why an introspected token is not accepted: what the endpoint answered, and what was expected.
//!
//! The answer comes from the endpoint, which is trusted; it is shown like anything else that came from outside. The token is never shown.

use std::mem::discriminant;

use super::malformed;
use super::token::{Accepted, AcceptedIssuer, TokensOf, found_in_claims};
use crate::json;
use crate::refusal::found::{Found, Listed};
use crate::refusal::reason::Reason;
use crate::time::UnixTime;
use crate::token::claims::texts;
use crate::token::introspection::answer::{Answer, NotAccepted, Unusable};
use crate::token::introspection::endpoint::{Expected, Kind};
use crate::token::introspection::judge::{claims_of, judge};

/// A shorter token is no secret, and may be a word that an answer has for itself.
const LEAST_SECRET: usize = 8;

/// Stands for the token where an answer repeats it.
const SHOWN_TOKEN: &str = "(the token)";

/// As [`found`], without the token, which the answer may repeat.
pub fn found_without(
    token: &str,
    answer: &Answer<'_>,
    why: &NotAccepted,
    expected: (&str, &Expected<'_>),
    now: UnixTime,
) -> String {
    if token.len() < LEAST_SECRET {
        return found(answer, why, expected, now);
    }
    let repeated = std::str::from_utf8(answer.body).ok();
    let hidden = repeated.map(|body| {
        // A slash may be escaped (RFC 8259 §7).
        body.replace(token, SHOWN_TOKEN)
            .replace(&token.replace('/', "\\/"), SHOWN_TOKEN)
    });
    let hidden = Answer {
        body: hidden.as_deref().map_or(answer.body, str::as_bytes),
        ..*answer
    };
    // What was found in the answer is in `why` already.
    let again = judge(&hidden, expected.1, now).err();
    let again = again.filter(|again| discriminant(again) == discriminant(why));
    let said = found(&hidden, again.as_ref().unwrap_or(why), expected, now);
    said.replace(token, SHOWN_TOKEN)
}

/// What was found in an answer of the introspection endpoint of the issuer with this name in the configuration.
pub fn found(
    answer: &Answer<'_>,
    why: &NotAccepted,
    (name, expected): (&str, &Expected<'_>),
    now: UnixTime,
) -> String {
    let claims = || claims_of(answer, expected.kind, now).unwrap_or_default();
    match why {
        NotAccepted::Inactive => format!("issuer {name} says that the token is not active"),
        NotAccepted::Refused(reason) => {
            let found = refused(&claims(), *reason, name, expected, now);
            format!("the token is active at issuer {name}; {found}")
        }
        NotAccepted::Unusable(Unusable::Claim) => {
            let found = malformed::claims(&claims(), Some(expected.profile));
            let found = found.unwrap_or_else(|| Unusable::Claim.to_string());
            format!("issuer {name} gave an unusable answer: {found}")
        }
        NotAccepted::Unusable(unusable) => {
            format!("issuer {name} gave an unusable answer: {unusable}")
        }
    }
}

fn refused(
    claims: &[u8],
    reason: Reason,
    name: &str,
    expected: &Expected<'_>,
    now: UnixTime,
) -> String {
    match (reason, expected.kind) {
        (Reason::MissingClaim, _) => missing(claims, name, expected),
        (Reason::WrongTokenType, _) => token_type(claims),
        (Reason::WrongAudience, Kind::Google | Kind::GitHub) => {
            foreign_client(claims, name, expected)
        }
        _ => {
            let accepted = Accepted {
                tokens: TokensOf::Resource,
                issuers: vec![AcceptedIssuer {
                    name,
                    profile: expected.profile,
                    keys: None,
                }],
                audience: expected.audience(),
                now,
            };
            let found = found_in_claims(claims, reason, &accepted);
            found.unwrap_or_else(|| reason.label().to_owned())
        }
    }
}

/// Few claims are required, and a person can be named by another one.
fn missing(claims: &[u8], name: &str, expected: &Expected<'_>) -> String {
    let claims = json::object(claims).unwrap_or_default();
    let names = Listed(claims.iter().map(|(name, _)| name));
    match claims.given("aud") {
        None => format!("missing: `aud`, which must name the resource; the answer has {names}"),
        Some(_) => format!(
            "missing or empty: `{}` (issuers.{name}.subject_claim); the answer has {names}",
            expected.profile.subject_claim
        ),
    }
}

fn token_type(claims: &[u8]) -> String {
    let claims = json::object(claims).unwrap_or_default();
    let shown = |name: &str| {
        Some((
            name.to_owned(),
            json::string(claims.given(name)?)?.into_owned(),
        ))
    };
    match shown("token_type")
        .or_else(|| shown("typ"))
        .or_else(|| shown("token_use"))
    {
        Some((name, value)) => format!("{name} {}, expected an access token", Found(&value)),
        None => "it has a claim that access tokens do not have (an ID token?)".to_owned(),
    }
}

fn foreign_client(claims: &[u8], name: &str, expected: &Expected<'_>) -> String {
    let claims = json::object(claims).unwrap_or_default();
    let named: Vec<_> = ["aud", "azp"]
        .iter()
        .filter_map(|name| texts(claims.given(name)?))
        .flatten()
        .collect();
    format!(
        "it was issued for the client {}; accepted: {} (issuers.{name}.introspection.client_id)",
        Listed(named.iter().map(AsRef::as_ref)),
        Listed(expected.client_ids.iter().map(String::as_str))
    )
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

    use super::*;
    use crate::token::issuer_profile::IssuerProfile;

    const NOW: UnixTime = UnixTime::new(1_000_000);

    const TOKEN: &str = "s3cret/9f2a.7c";

    fn said(kind: Kind, status: u16, body: &str) -> String {
        let profile = IssuerProfile::new("https://issuer.example");
        let (resource, client_ids) = (
            ["https://mcp.example.com/mcp".to_owned()],
            ["ours".to_owned()],
        );
        let expected = Expected {
            kind,
            profile: &profile,
            resource: &resource,
            client_ids: &client_ids,
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = Answer {
            status,
            headers: &headers,
            body: body.as_bytes(),
        };
        let why = judge(&answer, &expected, NOW).unwrap_err();
        found_without(TOKEN, &answer, &why, ("corporate", &expected), NOW)
    }

    #[test]
    fn an_answer_that_repeats_the_token_does_not_show_it() {
        let repeated = TOKEN.repeat(9);
        for body in [
            format!(r#"{{"active":"{TOKEN}"}}"#),
            format!(r#"{{"active":"{repeated}"}}"#),
            format!(r#"{{"active":true,"aud":"https://mcp.example.com/mcp","iss":"{TOKEN}"}}"#),
            format!(r#"{{"active":true,"aud":["{TOKEN}","{repeated}"],"sub":"a"}}"#),
            format!(
                r#"{{"active":true,"aud":"https://mcp.example.com/mcp","sub":"a","token_type":"{}"}}"#,
                TOKEN.replace('/', "\\/")
            ),
            format!(r#"{{"active":true,"sub":"a","{TOKEN}":1}}"#),
        ] {
            let found = said(Kind::Rfc7662, 200, &body);
            assert!(
                !found.contains("s3cret") && found.contains(SHOWN_TOKEN),
                "{found}"
            );
        }
    }

    #[test]
    fn an_answer_that_is_not_accepted_is_explained() {
        for (body, text) in [
            (
                r#"{"active":false}"#,
                "issuer corporate says that the token is not active",
            ),
            (
                r#"{"active":"true"}"#,
                "active is the text `true`, expected true or false",
            ),
            (r#"{"active":1}"#, "active is `1`, expected true or false"),
            ("{}", "an unusable answer: no member active"),
            ("[]", "not a JSON object"),
            (
                r#"{"active":true,"sub":"a"}"#,
                "missing: `aud`, which must name the resource; the answer has `active`, `sub`",
            ),
            (
                r#"{"active":true,"aud":"https://mcp.example.com/mcp","username":"alice"}"#,
                "missing or empty: `sub` (issuers.corporate.subject_claim); the answer has",
            ),
            (
                r#"{"active":true,"aud":"https://other.example","sub":"a"}"#,
                "aud `https://other.example`; accepted: `https://mcp.example.com/mcp` (resources.audience)",
            ),
            (
                r#"{"active":true,"aud":"https://mcp.example.com/mcp","sub":"a","iss":"https://evil.example"}"#,
                "iss `https://evil.example`; accepted: `https://issuer.example`",
            ),
            (
                r#"{"active":true,"aud":"https://mcp.example.com/mcp","sub":"a","token_type":"refresh_token"}"#,
                "token_type `refresh_token`, expected an access token",
            ),
            (
                r#"{"active":true,"aud":"https://mcp.example.com/mcp","sub":"a","exp":"soon"}"#,
                "the claim exp is text, not a NumericDate",
            ),
        ] {
            let found = said(Kind::Rfc7662, 200, body);
            assert!(found.contains(text), "{body}: {found}");
        }
        let refused = said(Kind::Rfc7662, 401, "");
        assert!(
            refused.contains("does not accept our client authentication"),
            "{refused}"
        );
    }

    #[test]
    fn a_token_of_another_application_is_explained() {
        let google = r#"{"aud":"other","azp":"other","sub":"1","exp":"1000060"}"#;
        assert!(said(Kind::Google, 200, google).contains(
            "issued for the client `other`, `other`; accepted: `ours` (issuers.corporate.introspection.client_id)"
        ));
        assert_eq!(
            said(Kind::GitHub, 404, r#"{"message":"Not Found"}"#),
            "issuer corporate says that the token is not active"
        );
    }
}

//! Which part of a token is malformed. The order is that of the checks.

use crate::json::{self, JsonLimits, Object};
use crate::refusal::found::Found;
use crate::token::claim_path::ClaimPath;
use crate::token::claims::{MAX_ID_BYTES, MAX_NUMERIC_DATE};
use crate::token::issuer_profile::IssuerProfile;
use crate::token::jose::base64url;

/// The longest value of a wrong type that is shown, in bytes.
const MAX_RAW: usize = 64;

/// What is malformed; `None` if nothing is.
pub(super) fn found(token: &str, profile: Option<&IssuerProfile>) -> Option<String> {
    let parts: Vec<&str> = token.split('.').take(4).collect();
    let [header, payload, signature] = *parts else {
        return Some(parts_text(token));
    };
    part("header", header)
        .or_else(|| header_member(header))
        .or_else(|| match base64url(signature) {
            None => Some("the signature is not base64url without padding".to_owned()),
            Some(_) => None,
        })
        .or_else(|| part("payload", payload))
        .or_else(|| claim(&base64url(payload)?, profile))
}

/// An opaque token, or one that is encrypted or cut.
fn parts_text(token: &str) -> String {
    let parts = token.split('.').count();
    let hint = match parts {
        1 | 2 => " (an opaque token, or a part of one?)",
        5 => " (an encrypted token?)",
        _ => "",
    };
    format!(
        "{parts} part{} of {} bytes{hint}; expected: the three parts of a signed JWT",
        if parts == 1 { "" } else { "s" },
        token.len()
    )
}

/// What is wrong with a part as a whole.
fn part(name: &str, encoded: &str) -> Option<String> {
    let Some(bytes) = base64url(encoded) else {
        return Some(format!("the {name} is not base64url without padding"));
    };
    document(name, &bytes)
}

fn document(name: &str, bytes: &[u8]) -> Option<String> {
    if let Err(error) = json::check(bytes, &JsonLimits::default()) {
        return Some(format!("the {name} is not strict JSON: {error}"));
    }
    match json::object(bytes) {
        Ok(_) => None,
        Err(_) => Some(format!("the {name} is not a JSON object")),
    }
}

fn header_member(encoded: &str) -> Option<String> {
    let bytes = base64url(encoded)?;
    let header = json::object(&bytes).ok()?;
    let wrong = |name| {
        header
            .get(name)
            .and_then(|raw| not_text("header", name, raw))
    };
    if header.get("alg").is_none() {
        return Some("the header has no alg".to_owned());
    }
    let content = header.get("cty").and_then(json::string);
    wrong("alg")
        .or_else(|| wrong("typ"))
        .or_else(|| wrong("cty"))
        .or_else(|| {
            let content = content?;
            let content = content.to_ascii_lowercase();
            matches!(&*content, "jwt" | "application/jwt")
                .then(|| "the payload is another token (cty is JWT)".to_owned())
        })
}

/// What is malformed in claims as a whole, or in one of them.
pub(super) fn claims(payload: &[u8], profile: Option<&IssuerProfile>) -> Option<String> {
    document("payload", payload).or_else(|| claim(payload, profile))
}

/// The claim whose type is not that of its specification.
fn claim(payload: &[u8], profile: Option<&IssuerProfile>) -> Option<String> {
    let claims = json::object(payload).ok()?;
    let get = |name: &str| claims.get(name).filter(|raw| *raw != b"null");
    let date = |name| {
        let raw = match name {
            "exp" => claims.get(name)?,
            _ => get(name)?,
        };
        let is_date = raw.first().is_some_and(u8::is_ascii_digit);
        let text = std::str::from_utf8(raw).ok().filter(|_| is_date);
        let is_date = text.is_some_and(|text| text.parse::<f64>().is_ok_and(is_before_year_10000));
        (!is_date).then(|| format!("the claim {name} is {}, not a NumericDate", raw_text(raw)))
    };
    let text = |name: &str| not_text("payload", name, claims.get(name)?);
    let client = || {
        let paths = profile.map(|profile| &profile.client_claims);
        paths
            .into_iter()
            .flatten()
            .find_map(|path| at_path(&claims, path, client))
    };
    let scopes = || {
        let names = profile.map(|profile| &profile.scope_claims);
        names
            .into_iter()
            .flatten()
            .find_map(|path| scope(&claims, path))
    };
    ["exp", "nbf", "iat"]
        .into_iter()
        .find_map(date)
        .or_else(|| match profile {
            None => text("sub"),
            Some(profile) => at_path(&claims, &profile.subject_claim, |name, raw| {
                not_text("payload", name, raw)
            }),
        })
        .or_else(client)
        .or_else(scopes)
}

fn is_before_year_10000(seconds: f64) -> bool {
    seconds <= MAX_NUMERIC_DATE
}

/// Judges the claim at a path, if the token has it.
fn at_path(
    claims: &Object<'_>,
    path: &ClaimPath,
    judge: impl FnOnce(&str, &[u8]) -> Option<String>,
) -> Option<String> {
    let name = path.to_string();
    match path.find(claims) {
        Err(_) => Some(format!(
            "the claim {name} is below a value that is not an object"
        )),
        Ok(raw) => judge(&name, raw?),
    }
}

fn client(name: &str, raw: &[u8]) -> Option<String> {
    match json::string(raw) {
        None => Some(format!("the claim {name} is {}, not text", raw_text(raw))),
        Some(text) if text.is_empty() => Some(format!("the claim {name} is empty")),
        Some(text) if text.len() > MAX_ID_BYTES => Some(format!(
            "the claim {name} has {} bytes; the most are {}",
            text.len(),
            MAX_ID_BYTES
        )),
        Some(_) => None,
    }
}

fn scope(claims: &Object<'_>, path: &ClaimPath) -> Option<String> {
    at_path(claims, path, scopes)
}

fn scopes(name: &str, raw: &[u8]) -> Option<String> {
    let are_texts = |list: Vec<&[u8]>| list.into_iter().all(|one| json::string(one).is_some());
    let is_readable = json::string(raw).is_some() || json::array(raw).is_ok_and(are_texts);
    (!is_readable).then(|| {
        format!(
            "the claim {name} is {}, not text or a list of texts (issuers.*.scope_claim)",
            raw_text(raw)
        )
    })
}

fn not_text(part: &str, name: &str, raw: &[u8]) -> Option<String> {
    match json::string(raw) {
        Some(_) => None,
        None => Some(format!(
            "{name} in the {part} is {}, not text",
            raw_text(raw)
        )),
    }
}

/// A value of the wrong type: numbers and words are shown, others are named.
pub(super) fn raw_text(raw: &[u8]) -> String {
    match raw {
        [b'"', ..] => "text".to_owned(),
        [b'{', ..] => "an object".to_owned(),
        [b'[', ..] => "a list".to_owned(),
        short if short.len() <= MAX_RAW => Found(&String::from_utf8_lossy(short)).to_string(),
        _ => "a long number".to_owned(),
    }
}

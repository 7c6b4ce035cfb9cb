//! Why an API key is refused. The key is never shown; the beginning of its digest is, by which its line in a key file is found.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName};

use super::span::span;
use crate::refusal::found::{Found, Listed};
use crate::refusal::reason::Reason;
use crate::time::UnixTime;
use crate::token::api_key::{
    entry::{KeyEntry, Opens},
    ring::KeyRing,
    text::{ApiKey, KeyFault, LENGTH, PREFIX, is_api_key},
};

/// Said of every key where none is accepted.
const NOT_ACCEPTED: &str = "the resource has no api_keys";

/// Bytes of a digest that are shown.
const SHOWN: usize = 6;

/// What decides about an API key at a resource.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The keys.
    pub ring: &'a KeyRing,
    /// The path of the resource.
    pub path: &'a str,
    /// The present time.
    pub now: UnixTime,
}

/// What was found in an API key that is refused for this reason; none where the token is none.
pub fn found(token: &str, reason: Reason, asked: &Asked<'_>) -> Option<String> {
    if !is_api_key(token) {
        return None;
    }
    match ApiKey::parse(token) {
        Err(fault) => match reason {
            Reason::MalformedApiKey => Some(fault_text(fault)),
            Reason::ApiKeysNotAccepted => Some(NOT_ACCEPTED.to_owned()),
            _ => None,
        },
        Ok(key) => of_key(&key, reason, asked),
    }
}

/// What was found where the credential is in the header of API keys, or both there and in `Authorization`.
pub fn in_header(headers: &HeaderMap, name: &HeaderName, reason: Reason) -> Option<String> {
    let lines = headers.get_all(name).iter().count();
    let value = headers.get(name)?.as_bytes().trim_ascii();
    match reason {
        Reason::MultipleCredentials if headers.contains_key(AUTHORIZATION) => Some(format!(
            "both Authorization and {name} (resources.api_keys.header)"
        )),
        Reason::MultipleCredentials if lines > 1 => Some(format!("{lines} {name} headers")),
        Reason::MultipleCredentials => Some(format!("the {name} header has a comma: several keys")),
        Reason::MalformedApiKey if value.is_empty() => Some(format!("the {name} header is empty")),
        Reason::MalformedApiKey if !value.starts_with(PREFIX.as_bytes()) => Some(format!(
            "the {name} header does not begin with {PREFIX}; tokens of issuers belong in Authorization"
        )),
        _ => None,
    }
}

/// How a text that begins like a key differs from one.
pub fn fault_text(fault: KeyFault) -> String {
    match fault {
        KeyFault::Length(found) => format!("{found} characters; an API key has {LENGTH}"),
        KeyFault::Character => {
            format!("a character after {PREFIX} is no ASCII letter and no digit")
        }
        KeyFault::Checksum => {
            "the checksum of the API key does not match: a typing error, or a key of another program"
                .to_owned()
        }
    }
}

/// The beginning of a key's digest, as the key file writes it.
pub fn digest_text(key: &ApiKey<'_>) -> String {
    let digest = key.digest();
    let shown = digest.iter().take(SHOWN);
    let hex: String = shown.map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}...")
}

fn of_key(key: &ApiKey<'_>, reason: Reason, asked: &Asked<'_>) -> Option<String> {
    let entry = asked.ring.find(key);
    match (reason, entry) {
        (Reason::UnknownApiKey, _) => Some(format!(
            "no key has sha256 {} among {} (api_keys.files)",
            digest_text(key),
            asked.ring.len()
        )),
        (Reason::ApiKeysNotAccepted, Some(entry)) => Some(format!(
            "key {}; the resource has no api_keys",
            Found(&entry.name)
        )),
        (Reason::ApiKeysNotAccepted, None) => Some(NOT_ACCEPTED.to_owned()),
        (Reason::WrongAudience, Some(entry)) => Some(format!(
            "key {} is for {}; this resource: {}",
            Found(&entry.name),
            resources(entry),
            Found(asked.path)
        )),
        (Reason::Expired, Some(entry)) => Some(format!(
            "key {} expired {} ago",
            Found(&entry.name),
            span(asked.now.since(entry.expires))
        )),
        _ => None,
    }
}

fn resources(entry: &KeyEntry) -> String {
    match &entry.resources {
        Opens::Every => "all".to_owned(),
        Opens::These(named) => Listed(named.iter().map(String::as_str)).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::scope::ScopeSet;
    use crate::token::api_key::{entry::principal, text::new_key};

    fn ring() -> (String, KeyRing) {
        let text = new_key(&[7; 30]).unwrap();
        let mut ring = KeyRing::default();
        let added = ring.add(KeyEntry {
            name: "build".to_owned(),
            digest: ApiKey::parse(&text).unwrap().digest(),
            principal: principal("build", "ci", ScopeSet::default()),
            resources: Opens::These(vec!["/other".to_owned()]),
            expires: UnixTime::new(1000),
            created: None,
        });
        added.unwrap();
        (text, ring)
    }

    #[test]
    fn each_reason_has_its_text_and_no_text_has_the_key() {
        let (known, ring) = ring();
        let unknown = new_key(&[8; 30]).unwrap();
        let asked = Asked {
            ring: &ring,
            path: "/mcp",
            now: UnixTime::new(1060),
        };
        let altered = known.replace("mgw_7", "mgw_8");
        for (token, reason, expected) in [
            (
                &*known,
                Reason::WrongAudience,
                Some("key `build` is for `/other`; this resource: `/mcp`"),
            ),
            (
                &*known,
                Reason::Expired,
                Some("key `build` expired 1 min 0 s ago"),
            ),
            (
                &*known,
                Reason::ApiKeysNotAccepted,
                Some("key `build`; the resource has no api_keys"),
            ),
            (
                &*unknown,
                Reason::ApiKeysNotAccepted,
                Some("the resource has no api_keys"),
            ),
            (&*unknown, Reason::UnknownApiKey, Some("no key has sha256 ")),
            (
                "mgw_",
                Reason::MalformedApiKey,
                Some("4 characters; an API key has 40"),
            ),
            (
                &*altered,
                Reason::MalformedApiKey,
                Some("the checksum of the API key does not match"),
            ),
            (
                &*known.replace('7', "-"),
                Reason::MalformedApiKey,
                Some("a character after mgw_"),
            ),
            (
                "mgw_",
                Reason::ApiKeysNotAccepted,
                Some("the resource has no api_keys"),
            ),
            ("eyJ.e30.x", Reason::WrongAudience, None),
            (&*known, Reason::BadSignature, None),
        ] {
            let found = found(token, reason, &asked);
            assert_eq!(
                found.is_some(),
                expected.is_some(),
                "{token} {reason:?}: {found:?}"
            );
            let (found, expected) = (found.unwrap_or_default(), expected.unwrap_or_default());
            assert!(found.starts_with(expected), "{found}");
            assert!(
                !found.contains(&token[4.min(token.len())..]) || token.len() < 8,
                "{found}"
            );
        }
    }

    #[test]
    fn the_header_of_api_keys_is_described_without_its_value() {
        let name = HeaderName::from_static("x-api-key");
        for (values, authorization, reason, expected) in [
            (
                &["mgw_a"][..],
                Some("Bearer b"),
                Reason::MultipleCredentials,
                "both Authorization and x-api-key",
            ),
            (
                &["mgw_a", "mgw_b"],
                None,
                Reason::MultipleCredentials,
                "2 x-api-key headers",
            ),
            (
                &["mgw_a,mgw_b"],
                None,
                Reason::MultipleCredentials,
                "has a comma",
            ),
            (&[""], None, Reason::MalformedApiKey, "is empty"),
            (
                &["s3cr3t"],
                None,
                Reason::MalformedApiKey,
                "does not begin with mgw_",
            ),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(&name, HeaderValue::from_static(value));
            }
            if let Some(value) = authorization {
                headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            }
            let found = in_header(&headers, &name, reason).unwrap();
            assert!(found.contains(expected), "{found}");
            assert!(!found.contains("s3cr3t"), "{found}");
        }
        assert_eq!(
            in_header(&HeaderMap::new(), &name, Reason::MultipleCredentials),
            None
        );
    }
}

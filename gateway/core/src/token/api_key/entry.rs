//! One API key, as the key file describes it: who calls with it, where, with which scopes, and until when.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::text::KeyDigest;
use crate::cel::kept_claims::{ClaimNames, KeptClaims};
use crate::json;
use crate::mcp::envelope::has_control;
use crate::principal::Principal;
use crate::scope::ScopeSet;
use crate::time::UnixTime;

/// The issuer of principals with an API key, in identity headers and logs, and the name by which rules mean them. An OAuth issuer is
/// an absolute URL, so no token can name this one.
pub const ISSUER: &str = "api-keys";

/// The longest name of a key, in characters.
pub const MAX_NAME: usize = 64;

/// The longest subject, in characters.
pub const MAX_SUBJECT: usize = 255;

/// The end of a key that does not expire: the last second of the year 9999, which every clock and every format can show.
pub const NEVER: UnixTime = UnixTime::new(253_402_300_799);

/// An API key. The key itself is not known here, only its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// What operators call it.
    pub name: String,
    /// The SHA-256 of the key.
    pub digest: KeyDigest,
    /// Who calls with it: the subject, with the key as its client.
    pub principal: Arc<Principal>,
    /// Where it is accepted.
    pub resources: Opens,
    /// When it expires; [`NEVER`] for a key that does not.
    pub expires: UnixTime,
    /// When it was made, if the file says so.
    pub created: Option<UnixTime>,
}

/// The resources that accept a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opens {
    /// Every one that accepts API keys.
    Every,
    /// Those with one of these paths or URIs.
    These(Vec<String>),
}

/// Why a name or a subject cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The name.
    #[error(
        "must have 1 to {MAX_NAME} ASCII letters, digits, dots, hyphens and underscores, and begin with a letter or digit"
    )]
    Name,
    /// The subject.
    #[error("must have 1 to {MAX_SUBJECT} visible characters, without blanks at its ends")]
    Subject,
}

/// Checks the name of a key.
///
/// # Errors
/// [`EntryError::Name`].
pub fn check_name(name: &str) -> Result<(), EntryError> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let begins = name
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphanumeric());
    match begins && name.len() <= MAX_NAME && name.bytes().all(is_legal) {
        true => Ok(()),
        false => Err(EntryError::Name),
    }
}

/// Checks a subject.
///
/// # Errors
/// [`EntryError::Subject`].
pub fn check_subject(subject: &str) -> Result<(), EntryError> {
    let is_long = subject.chars().count() > MAX_SUBJECT;
    match subject.is_empty() || is_long || subject.trim() != subject || has_control(subject) {
        true => Err(EntryError::Subject),
        false => Ok(()),
    }
}

/// The principal of a key.
pub fn principal(name: &str, subject: &str, scopes: ScopeSet) -> Arc<Principal> {
    Arc::new(Principal {
        issuer: ISSUER.into(),
        subject: subject.into(),
        client: Some(name.into()),
        scopes,
    })
}

impl KeyEntry {
    /// Whether the resource with this path and this URI accepts the key.
    pub fn opens(&self, path: &str, uri: &str) -> bool {
        match &self.resources {
            Opens::Every => true,
            Opens::These(named) => named.iter().any(|named| named == path || named == uri),
        }
    }

    /// Whether it has expired.
    pub fn is_over(&self, now: UnixTime) -> bool {
        now >= self.expires
    }

    /// What conditions can read of it, under the names that claims of access tokens have (RFC 9068 §2.2).
    pub fn claims(&self, names: &ClaimNames) -> Arc<KeptClaims> {
        if names.is_empty() {
            return KeptClaims::none();
        }
        let document = Value::Object(self.members()).to_string();
        match json::object(document.as_bytes()) {
            Ok(claims) => KeptClaims::of(&claims, names),
            // What serde_json writes can be read.
            Err(_) => KeptClaims::none(),
        }
    }

    fn members(&self) -> Map<String, Value> {
        let mut claims = Map::new();
        claims.insert("iss".to_owned(), ISSUER.into());
        claims.insert("sub".to_owned(), (*self.principal.subject).into());
        claims.insert("client_id".to_owned(), self.name.as_str().into());
        claims.insert("scope".to_owned(), self.principal.scopes.to_string().into());
        if self.expires < NEVER {
            claims.insert("exp".to_owned(), self.expires.secs().into());
        }
        if let Some(created) = self.created {
            claims.insert("iat".to_owned(), created.secs().into());
        }
        claims
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(resources: Opens, expires: UnixTime) -> KeyEntry {
        KeyEntry {
            name: "build".to_owned(),
            digest: [0; 32],
            principal: principal("build", "ci", ScopeSet::parse("read write").unwrap()),
            resources,
            expires,
            created: None,
        }
    }

    #[test]
    fn a_key_opens_the_resources_that_it_names() {
        let uri = "https://mcp.example.com/mcp";
        let these = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned());
            entry(Opens::These(names.collect()), NEVER)
        };
        for (names, expected) in [
            (&["/mcp"][..], true),
            (&[uri], true),
            (&["/other", "/mcp"], true),
            (&["/mcp/"], false),
            (&["/mc"], false),
            (&["*"], false),
            (&["https://other.example.com/mcp"], false),
            (&[], false),
        ] {
            assert_eq!(these(names).opens("/mcp", uri), expected, "{names:?}");
        }
        assert!(entry(Opens::Every, NEVER).opens("/mcp", uri));
    }

    #[test]
    fn a_key_is_over_from_the_second_on_in_which_it_expires() {
        let key = entry(Opens::Every, UnixTime::new(1000));
        assert!(!key.is_over(UnixTime::new(999)));
        assert!(key.is_over(UnixTime::new(1000)) && key.is_over(UnixTime::new(1001)));
        assert!(!entry(Opens::Every, NEVER).is_over(UnixTime::new(20_000_000_000)));
    }

    #[test]
    fn names_and_subjects_are_checked() {
        let (long, longer) = ("a".repeat(MAX_NAME), "a".repeat(MAX_NAME + 1));
        for (name, is_legal) in [
            ("build-server_1.eu", true),
            ("7", true),
            (&*long, true),
            (&*longer, false),
            ("", false),
            ("-a", false),
            (".a", false),
            ("a b", false),
            ("ä", false),
            ("a/b", false),
            ("a\n", false),
        ] {
            assert_eq!(check_name(name).is_ok(), is_legal, "{name:?}");
        }
        let (long, longer) = ("ä".repeat(MAX_SUBJECT), "a".repeat(MAX_SUBJECT + 1));
        for (subject, is_legal) in [
            ("ci", true),
            ("Ana María, building 4", true),
            (&*long, true),
            (&*longer, false),
            ("", false),
            (" ci", false),
            ("ci\t", false),
            ("c\u{202e}i", false),
            ("c\0i", false),
        ] {
            assert_eq!(check_subject(subject).is_ok(), is_legal, "{subject:?}");
        }
    }

    #[test]
    fn conditions_read_a_key_as_they_read_a_token() {
        let mut key = entry(Opens::Every, UnixTime::new(1000));
        key.created = Some(UnixTime::new(10));
        let claims = Value::Object(key.members());
        let expected = serde_json::json!({
            "iss": "api-keys", "sub": "ci", "client_id": "build", "scope": "read write", "exp": 1000, "iat": 10
        });
        assert_eq!(claims, expected);
        let never = entry(Opens::Every, NEVER).members();
        assert!(!never.contains_key("exp") && !never.contains_key("iat"));
        let names = ClaimNames::These(["sub".to_owned()].into());
        let kept = format!("{:?}", key.claims(&names));
        assert!(kept.contains("kept: 1"), "{kept}");
        assert!(format!("{:?}", key.claims(&ClaimNames::All)).contains("kept: 6"));
        assert!(format!("{:?}", key.claims(&ClaimNames::default())).contains("kept: 0"));
    }
}

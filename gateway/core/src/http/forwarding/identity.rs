//! The caller's identity as values of headers for the upstream. They are made once for each token that is verified, not for each call.

use std::sync::OnceLock;

use http::HeaderValue;

use crate::principal::Principal;

/// The longest value, in bytes after encoding.
const MAX_VALUE: usize = 4096;

/// What a header says about the caller; none where the claim is too long for a header.
pub type IdentityValue = Option<HeaderValue>;

/// The values of one caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityValues {
    /// The subject claim.
    pub subject: IdentityValue,
    /// The issuer identifier.
    pub issuer: IdentityValue,
    /// The client id, if the token has one.
    pub client: Option<IdentityValue>,
    /// The token's scopes, separated by spaces.
    pub scope: IdentityValue,
}

impl IdentityValues {
    /// Those of this caller.
    pub fn of(principal: &Principal) -> Self {
        Self {
            subject: value_of(&principal.subject),
            issuer: value_of(&principal.issuer),
            client: principal.client.as_deref().map(value_of),
            scope: value_of(&principal.scopes.to_string()),
        }
    }
}

/// The values of one caller, made when a header needs them first.
#[derive(Debug, Default)]
pub struct Identity(OnceLock<IdentityValues>);

impl Identity {
    /// The values; the same `principal` each time.
    pub fn values(&self, principal: &Principal) -> &IdentityValues {
        self.0.get_or_init(|| IdentityValues::of(principal))
    }
}

/// A claim as the value of a header.
///
/// Visible ASCII and inner spaces are unchanged. `%`, every other byte of the UTF-8, and a space at either end are
/// percent-encoded, so that decoding always returns the claim (RFC 9110 §5.5, RFC 3986 §2.1). `None` if the result is longer
/// than [`MAX_VALUE`].
fn value_of(claim: &str) -> Option<HeaderValue> {
    if claim.len() > MAX_VALUE {
        return None;
    }
    if is_plain(claim) {
        return HeaderValue::from_str(claim).ok();
    }
    let mut value = String::with_capacity(claim.len());
    for (at, byte) in claim.bytes().enumerate() {
        let at_end = at == 0 || at + 1 == claim.len();
        match byte {
            b'!'..=b'~' if byte != b'%' => value.push(char::from(byte)),
            b' ' if !at_end => value.push(' '),
            _ => value.push_str(&format!("%{byte:02X}")),
        }
    }
    Some(value)
        .filter(|value| value.len() <= MAX_VALUE)
        .and_then(|value| HeaderValue::try_from(value).ok())
}

/// Whether it is a value as it is.
fn is_plain(claim: &str) -> bool {
    let is_bare = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'%';
    // No early exit: without branches the compiler can check many bytes at once.
    claim
        .bytes()
        .fold(true, |plain, byte| plain & is_bare(byte))
        && !claim.starts_with(' ')
        && !claim.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::ScopeSet;

    #[test]
    fn the_values_of_a_caller_are_its_claims() {
        let mut principal = Principal {
            issuer: "https://issuer.test/".into(),
            subject: "grüße".into(),
            client: None,
            scopes: ScopeSet::parse("a b").unwrap(),
        };
        let text = |value: &IdentityValue| value.as_ref().unwrap().to_str().unwrap().to_owned();
        let identity = Identity::default();
        let values = identity.values(&principal);
        assert_eq!(text(&values.subject), "gr%C3%BC%C3%9Fe");
        assert_eq!(text(&values.issuer), "https://issuer.test/");
        assert_eq!(text(&values.scope), "a b");
        assert_eq!(values.client, None);
        principal.client = Some("a".repeat(MAX_VALUE + 1).into());
        assert_eq!(IdentityValues::of(&principal).client, Some(None));
    }

    #[test]
    fn a_claim_becomes_a_header_value_that_can_be_decoded() {
        let cases = [
            ("", ""),
            ("alice", "alice"),
            (
                "auth0|5f7c8ec7c33c6c004bbafe82",
                "auth0|5f7c8ec7c33c6c004bbafe82",
            ),
            ("tasks:read tasks:write", "tasks:read tasks:write"),
            ("a%20b", "a%2520b"),
            ("100%", "100%25"),
            (" a ", "%20a%20"),
            ("  a  b  ", "%20 a  b %20"),
            (" ", "%20"),
            ("grüße", "gr%C3%BC%C3%9Fe"),
            ("a\r\nx-admin: 1", "a%0D%0Ax-admin: 1"),
            ("a\0\t\u{7f}", "a%00%09%7F"),
            ("\u{85}\u{2028}", "%C2%85%E2%80%A8"),
        ];
        for (claim, value) in cases {
            assert_eq!(value_of(claim).unwrap(), value, "{claim:?}");
        }
    }

    #[test]
    fn a_claim_that_is_too_long_has_no_header_value() {
        assert!(value_of(&"a".repeat(MAX_VALUE)).is_some());
        assert_eq!(value_of(&"a".repeat(MAX_VALUE + 1)), None);
        assert_eq!(
            value_of(&"ä".repeat(MAX_VALUE / 6 + 1)),
            None,
            "counted after encoding"
        );
        assert_eq!(value_of(&" ".repeat(64 * 1024)), None);
    }
}

//! Sealed session ids (legacy era): the client holds the upstream's session id, but cannot read, alter or lend it.
//!
//! A sealed id carries the upstream's own id and a digest of whom it belongs to, under an AEAD. So no replica needs a store,
//! a restart with the same key loses no session, and a stolen id is worth nothing to another principal, on another resource
//! or towards another upstream (MCP security best practices, *Session Hijacking*; GHSA-mvgg-jvj2-4frq).
//!
//! Form, before base64url: version (1 byte), key id (4), nonce (12), then sealed by AES-256-GCM-SIV (RFC 8452) with version
//! and key id as associated data: SHA-256 of the binding (32), the upstream's id, tag (16). The binding is inside, not in
//! the associated data, so that a genuine id in the wrong hands can be told from a forged one, in metrics only. GCM-SIV,
//! because its nonces may be random on any number of replicas.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, Digest, SHA256, SHA256_OUTPUT_LEN, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::auth::reason::Reason;

/// The longest session id of an upstream that is sealed, in bytes.
pub const MAX_UPSTREAM_ID: usize = 1024;

/// Whom a session belongs to, and where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding<'a> {
    /// URI of the protected resource.
    pub resource: &'a str,
    /// Issuer of the principal.
    pub issuer: &'a str,
    /// Subject of the principal.
    pub subject: &'a str,
    /// Client of the principal, where its token names one.
    pub client: Option<&'a str>,
    /// The upstream endpoint that knows the session.
    pub endpoint: &'a str,
}

/// Why a session id does not open. Both are answered alike; metrics tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Not sealed here, or altered.
    #[error("the session id is not known")]
    Unknown,
    /// Genuine, but another principal's, resource's or endpoint's.
    #[error("the session id is another's")]
    Mismatch,
}

impl From<SessionError> for Reason {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Unknown => Self::SessionUnknown,
            SessionError::Mismatch => Self::SessionMismatch,
        }
    }
}

/// Seals with the first of its keys and opens with every one of them.
#[derive(Debug)]
pub struct Sealer {
    first: SealingKey,
    others: Vec<SealingKey>,
}

impl Sealer {
    /// From keys, newest first; none at all makes a random one, which no other replica and no restart shares.
    ///
    /// # Errors
    /// [`SealingKeyError::Random`] when there is no key and no randomness for one.
    pub fn new(keys: Vec<SealingKey>) -> Result<Self, SealingKeyError> {
        let mut keys = keys.into_iter();
        let first = keys.next().map_or_else(SealingKey::random, Ok)?;
        Ok(Self {
            first,
            others: keys.collect(),
        })
    }

    /// Seals the id an upstream gave. `None` when that is not 1 to [`MAX_UPSTREAM_ID`] visible ASCII characters (MCP
    /// transports, *Session Management*), or when there is no randomness.
    pub fn seal(&self, binding: &Binding<'_>, upstream_id: &str) -> Option<String> {
        if !is_session_id(upstream_id) {
            return None;
        }
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let head = self.first.head();
        let mut sealed = [binding.digest().as_ref(), upstream_id.as_bytes()].concat();
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        self.first
            .key
            .seal_in_place_append_tag(nonce_used, Aad::from(head), &mut sealed)
            .ok()?;
        Some(URL_SAFE_NO_PAD.encode([&head[..], &nonce, &sealed].concat()))
    }

    /// Opens what [`seal`](Self::seal) made, for the same binding.
    ///
    /// # Errors
    /// [`SessionError`]. Every path digests the binding and runs the AEAD once, so that the time tells nothing.
    pub fn open(&self, binding: &Binding<'_>, sealed: &str) -> Result<String, SessionError> {
        let expected = binding.digest();
        let parts = Parts::of(sealed);
        let known = parts.as_ref().and_then(|parts| self.key_of(&parts.head));
        let parts = parts.unwrap_or_else(Parts::dummy);
        let opened = known
            .unwrap_or(&self.first)
            .open(parts)
            .filter(|_| known.is_some());
        let opened = opened.ok_or(SessionError::Unknown)?;
        let (bound, upstream_id) = opened
            .split_at_checked(SHA256_OUTPUT_LEN)
            .ok_or(SessionError::Unknown)?;
        verify_slices_are_equal(bound, expected.as_ref()).map_err(|_| SessionError::Mismatch)?;
        String::from_utf8(upstream_id.to_vec()).map_err(|_| SessionError::Unknown)
    }

    fn key_of(&self, head: &[u8]) -> Option<&SealingKey> {
        [&self.first]
            .into_iter()
            .chain(&self.others)
            .find(|key| key.head() == head)
    }
}

impl Binding<'_> {
    /// Every part with its length before it, so that no two bindings read alike.
    fn digest(&self) -> Digest {
        let mut context = Context::new(&SHA256);
        context.update(b"mcp-gateway session binding 1");
        for part in [self.resource, self.issuer, self.subject, self.endpoint] {
            hash_part(&mut context, part);
        }
        // A client that is absent is another one than a client that is empty.
        if let Some(client) = self.client {
            hash_part(&mut context, client);
        }
        context.finish()
    }
}

fn hash_part(context: &mut Context, part: &str) {
    context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    context.update(part.as_bytes());
}

/// A key for session ids. It never prints.
pub struct SealingKey {
    key: LessSafeKey,
    id: [u8; KEY_ID],
}

/// Why bytes are no [`SealingKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealingKeyError {
    /// Not 256 bits in one of the accepted forms.
    #[error(
        "a session key is 32 bytes, as they are, as 64 hexadecimal digits or as 44 characters of base64"
    )]
    Form,
    /// The random source of the system fails.
    #[error("no randomness for a session key")]
    Random,
}

impl SealingKey {
    /// From the content of a key file: 32 bytes, or their 64 hexadecimal digits, or their 44 characters of base64; the
    /// latter two may end with a line end.
    ///
    /// # Errors
    /// [`SealingKeyError::Form`].
    pub fn from_bytes(content: &[u8]) -> Result<Self, SealingKeyError> {
        let line = content.strip_suffix(b"\n").unwrap_or(content);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let secret = match (content.len(), line.len()) {
            (KEY, _) => Some(content.to_vec()),
            (_, 64) => hexadecimal(line),
            (_, 44) => STANDARD.decode(line).ok(),
            _ => None,
        };
        Self::from_secret(&secret.ok_or(SealingKeyError::Form)?)
    }

    /// A new key from the random source of the system.
    ///
    /// # Errors
    /// [`SealingKeyError::Random`] when that fails.
    pub fn random() -> Result<Self, SealingKeyError> {
        let mut secret = [0; KEY];
        rand::fill(&mut secret).map_err(|_| SealingKeyError::Random)?;
        Self::from_secret(&secret)
    }

    fn from_secret(secret: &[u8]) -> Result<Self, SealingKeyError> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, secret).map_err(|_| SealingKeyError::Form)?;
        let named = digest(&SHA256, &[b"mcp-gateway session key id 1", secret].concat());
        let id = named.as_ref().first_chunk().copied().unwrap_or_default();
        Ok(Self {
            key: LessSafeKey::new(key),
            id,
        })
    }

    /// What a sealed id begins with: the version of the form, and which key it is.
    fn head(&self) -> [u8; HEAD] {
        let [a, b, c, d] = self.id;
        [FORM, a, b, c, d]
    }

    fn open(&self, mut parts: Parts) -> Option<Vec<u8>> {
        let nonce = Nonce::assume_unique_for_key(parts.nonce);
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(parts.head), &mut parts.sealed)
            .ok()?;
        Some(opened.to_vec())
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealingKey(…)")
    }
}

/// Why sealing cannot be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealingTestError {
    /// A sealed id of an earlier time, or one sealed just now, does not open.
    #[error("a good sealed session id does not open")]
    GoodRefused,
    /// An altered id, or another's, opens.
    #[error("a bad sealed session id opens")]
    BadAccepted,
}

/// Tries sealing on itself at start: a vector that must open, the same altered in its last byte, and for another
/// caller; then an id sealed by this very process.
///
/// # Errors
/// [`SealingTestError`] at the first surprise.
pub fn self_test() -> Result<(), SealingTestError> {
    let broken = |_| SealingTestError::GoodRefused;
    let key = SealingKey::from_bytes(TEST_KEY).map_err(broken)?;
    let sealer = Sealer::new(vec![key]).map_err(broken)?;
    let fresh = sealer.seal(&TEST_BINDING, TEST_ID);
    try_sealed(TEST_SEALED, |binding, sealed| sealer.open(binding, sealed))?;
    try_sealed(
        &fresh.ok_or(SealingTestError::GoodRefused)?,
        |binding, sealed| sealer.open(binding, sealed),
    )
}

fn try_sealed(
    sealed: &str,
    open: impl Fn(&Binding<'_>, &str) -> Result<String, SessionError>,
) -> Result<(), SealingTestError> {
    if open(&TEST_BINDING, sealed).as_deref() != Ok(TEST_ID) {
        return Err(SealingTestError::GoodRefused);
    }
    let mut altered = URL_SAFE_NO_PAD.decode(sealed).unwrap_or_default();
    if let Some(byte) = altered.last_mut() {
        *byte ^= 1;
    }
    let another = Binding {
        subject: "mallory",
        ..TEST_BINDING
    };
    let altered = URL_SAFE_NO_PAD.encode(altered);
    if open(&TEST_BINDING, &altered).is_ok() || open(&another, sealed).is_ok() {
        return Err(SealingTestError::BadAccepted);
    }
    Ok(())
}

/// A key that seals nothing but the self-test's id.
const TEST_KEY: &[u8] = b"for the self-test of sealing it.";
const TEST_BINDING: Binding<'static> = Binding {
    resource: "https://mcp.example.com/mcp",
    issuer: "https://issuer.example.com",
    subject: "alice",
    client: Some("app"),
    endpoint: "http://127.0.0.1:9000/mcp",
};
const TEST_ID: &str = "session-of-the-self-test";
/// [`TEST_ID`], sealed for [`TEST_BINDING`] with [`TEST_KEY`].
const TEST_SEALED: &str = "AaV784lErAlR1ERCk1V-36h9eXNeRlwNGD9sPzxvZDoIGLsUGkrOE7xAORr5W5CBHYq1rwI6lklUvNWFKOmpEpM8IpcEexNK9GVXD3Aicn_ktZZ1hAcHdQ0";

/// A sealed id, taken apart.
struct Parts {
    head: [u8; HEAD],
    nonce: [u8; NONCE_LEN],
    sealed: Vec<u8>,
}

impl Parts {
    fn of(sealed: &str) -> Option<Self> {
        if sealed.len() > MAX_SEALED {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (head, rest) = bytes.split_first_chunk()?;
        let (nonce, sealed) = rest.split_first_chunk()?;
        Some(Self {
            head: *head,
            nonce: *nonce,
            sealed: sealed.to_vec(),
        })
    }

    /// Stands in for an id that has no parts, to spend the same time on it.
    fn dummy() -> Self {
        Self {
            head: [0; HEAD],
            nonce: [0; NONCE_LEN],
            sealed: vec![0; SHA256_OUTPUT_LEN + 36 + TAG],
        }
    }
}

/// Version of the sealed form.
const FORM: u8 = 1;
/// Bytes of a key.
const KEY: usize = 32;
/// Bytes of a key's id.
const KEY_ID: usize = 4;
/// Bytes of version and key id.
const HEAD: usize = 1 + KEY_ID;
/// Bytes of the AEAD's tag.
const TAG: usize = 16;
/// The longest sealed id, in characters.
const MAX_SEALED: usize =
    (HEAD + NONCE_LEN + SHA256_OUTPUT_LEN + MAX_UPSTREAM_ID + TAG).div_ceil(3) * 4;

/// Visible ASCII, as the transport demands of session ids.
fn is_session_id(id: &str) -> bool {
    (1..=MAX_UPSTREAM_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn hexadecimal(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |digit: &u8| {
        char::from(*digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? * 16 + digit(low)?),
        _ => None,
    };
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINDING: Binding<'static> = Binding {
        resource: "https://mcp.example.com/mcp",
        issuer: "https://issuer.example.com",
        subject: "alice",
        client: Some("app"),
        endpoint: "http://127.0.0.1:9000/mcp",
    };

    fn key(byte: u8) -> SealingKey {
        SealingKey::from_bytes(&[byte; 32]).unwrap()
    }

    fn sealer(keys: &[u8]) -> Sealer {
        Sealer::new(keys.iter().map(|byte| key(*byte)).collect()).unwrap()
    }

    #[test]
    fn sealing_passes_its_self_test() {
        assert_eq!(self_test(), Ok(()));
    }

    #[test]
    fn sealing_that_refuses_or_opens_what_it_must_not_is_caught() {
        let outcome = |open: fn(&Binding<'_>, &str) -> Result<String, SessionError>| {
            try_sealed(TEST_SEALED, open)
        };
        assert_eq!(
            outcome(|_, _| Err(SessionError::Unknown)),
            Err(SealingTestError::GoodRefused)
        );
        let accepted = Err(SealingTestError::BadAccepted);
        assert_eq!(outcome(|_, _| Ok(TEST_ID.to_owned())), accepted);
        assert_eq!(
            outcome(|binding, _| match binding.subject {
                "alice" => Ok(TEST_ID.to_owned()),
                _ => Err(SessionError::Mismatch),
            }),
            accepted
        );
        assert_eq!(
            outcome(|_, sealed| match sealed {
                TEST_SEALED => Ok(TEST_ID.to_owned()),
                _ => Err(SessionError::Unknown),
            }),
            accepted
        );
    }

    #[test]
    fn the_altered_id_is_another_whatever_its_last_byte() {
        for last in [0, 1, 0xff] {
            let good = URL_SAFE_NO_PAD.encode([7, last]);
            let outcome = try_sealed(&good, |binding, sealed| match binding.subject {
                "alice" if sealed == good => Ok(TEST_ID.to_owned()),
                _ => Err(SessionError::Unknown),
            });
            assert_eq!(outcome, Ok(()), "{last}");
        }
    }

    #[test]
    fn what_was_sealed_opens_for_the_same_binding() {
        let sealer = sealer(&[1]);
        for id in ["a", "0f3c-55", "!~", &"x".repeat(MAX_UPSTREAM_ID)] {
            let sealed = sealer.seal(&BINDING, id).unwrap();
            assert!(
                sealed
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
                "{sealed}"
            );
            assert!(sealed.len() <= MAX_SEALED);
            assert!(!sealed.contains(id) || id.len() == 1, "{sealed}");
            assert_eq!(sealer.open(&BINDING, &sealed).as_deref(), Ok(id));
        }
    }

    #[test]
    fn the_longest_id_takes_all_the_room_there_is() {
        let sealed = sealer(&[1]).seal(&BINDING, &"x".repeat(MAX_UPSTREAM_ID));
        assert_eq!(sealed.unwrap().len(), MAX_SEALED);
    }

    #[test]
    fn another_binding_is_a_mismatch() {
        let sealer = sealer(&[1]);
        let sealed = sealer.seal(&BINDING, "abc").unwrap();
        let cases = [
            (
                "subject",
                Binding {
                    subject: "mallory",
                    ..BINDING
                },
            ),
            (
                "issuer",
                Binding {
                    issuer: "https://issuer.example.com/",
                    ..BINDING
                },
            ),
            (
                "client",
                Binding {
                    client: Some("other"),
                    ..BINDING
                },
            ),
            (
                "no client",
                Binding {
                    client: None,
                    ..BINDING
                },
            ),
            (
                "empty client",
                Binding {
                    client: Some(""),
                    ..BINDING
                },
            ),
            (
                "resource",
                Binding {
                    resource: "https://mcp.example.com/other",
                    ..BINDING
                },
            ),
            (
                "endpoint",
                Binding {
                    endpoint: "http://127.0.0.1:9001/mcp",
                    ..BINDING
                },
            ),
            (
                "border moved",
                Binding {
                    issuer: "https://issuer.example.coma",
                    subject: "lice",
                    ..BINDING
                },
            ),
        ];
        for (name, binding) in cases {
            assert_eq!(
                sealer.open(&binding, &sealed),
                Err(SessionError::Mismatch),
                "{name}"
            );
        }
    }

    #[test]
    fn an_absent_client_is_not_an_empty_one() {
        let sealer = sealer(&[1]);
        let absent = Binding {
            client: None,
            ..BINDING
        };
        let sealed = sealer.seal(&absent, "abc").unwrap();
        assert_eq!(sealer.open(&absent, &sealed).as_deref(), Ok("abc"));
        assert_eq!(
            sealer.open(
                &Binding {
                    client: Some(""),
                    ..BINDING
                },
                &sealed
            ),
            Err(SessionError::Mismatch)
        );
    }

    #[test]
    fn an_altered_id_is_unknown() {
        let sealer = sealer(&[1]);
        let sealed = sealer.seal(&BINDING, "abc").unwrap();
        for at in 0..sealed.len() {
            let mut altered = sealed.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(
                sealer.open(&BINDING, &altered),
                Err(SessionError::Unknown),
                "at {at}"
            );
            assert_eq!(
                sealer.open(&BINDING, &sealed[..at]),
                Err(SessionError::Unknown),
                "cut at {at}"
            );
        }
    }

    #[test]
    fn garbage_is_unknown() {
        let sealer = sealer(&[1]);
        let sealed = sealer.seal(&BINDING, "abc").unwrap();
        let long = "A".repeat(8 * 1024);
        let padded = format!("{sealed}=");
        let longer = format!("{sealed}AAAA");
        for garbage in [
            "",
            "A",
            "abc",
            "0f3c55d4-8a4c-4b1e-9a1c-000000000000",
            "größe",
            " ",
            "+/+/",
            &long,
            &padded,
            &longer,
        ] {
            assert_eq!(
                sealer.open(&BINDING, garbage),
                Err(SessionError::Unknown),
                "{garbage}"
            );
        }
    }

    #[test]
    fn the_same_key_opens_elsewhere_and_another_does_not() {
        let sealed = sealer(&[1]).seal(&BINDING, "abc").unwrap();
        assert_eq!(sealer(&[1]).open(&BINDING, &sealed).as_deref(), Ok("abc"));
        assert_eq!(
            sealer(&[2]).open(&BINDING, &sealed),
            Err(SessionError::Unknown)
        );
        assert_eq!(
            sealer(&[]).open(&BINDING, &sealed),
            Err(SessionError::Unknown)
        );
    }

    #[test]
    fn a_rotated_key_still_opens_but_seals_no_more() {
        let sealed = sealer(&[1]).seal(&BINDING, "abc").unwrap();
        let rotated = sealer(&[2, 1]);
        assert_eq!(rotated.open(&BINDING, &sealed).as_deref(), Ok("abc"));
        let anew = rotated.seal(&BINDING, "abc").unwrap();
        assert_eq!(sealer(&[2]).open(&BINDING, &anew).as_deref(), Ok("abc"));
        assert_eq!(
            sealer(&[1]).open(&BINDING, &anew),
            Err(SessionError::Unknown)
        );
    }

    #[test]
    fn sealing_twice_gives_two_ids() {
        let sealer = sealer(&[1]);
        assert_ne!(sealer.seal(&BINDING, "abc"), sealer.seal(&BINDING, "abc"));
    }

    #[test]
    fn two_random_keys_differ() {
        let (one, other) = (sealer(&[]), sealer(&[]));
        let sealed = one.seal(&BINDING, "abc").unwrap();
        assert_eq!(one.open(&BINDING, &sealed).as_deref(), Ok("abc"));
        assert_eq!(other.open(&BINDING, &sealed), Err(SessionError::Unknown));
    }

    #[test]
    fn an_upstream_id_that_is_none_is_not_sealed() {
        let sealer = sealer(&[1]);
        for id in [
            "",
            "a b",
            "a\n",
            "\u{7f}",
            "größe",
            &"x".repeat(MAX_UPSTREAM_ID + 1),
        ] {
            assert_eq!(sealer.seal(&BINDING, id), None, "{id:?}");
        }
    }

    #[test]
    fn a_key_comes_in_three_forms() {
        let hexadecimal = "07".repeat(32);
        let base64 = STANDARD.encode([7; 32]);
        let expected = key(7).head();
        for content in [
            hexadecimal.clone(),
            format!("{hexadecimal}\n"),
            format!("{hexadecimal}\r\n"),
            base64.clone(),
            format!("{base64}\n"),
        ] {
            assert_eq!(
                SealingKey::from_bytes(content.as_bytes()).unwrap().head(),
                expected,
                "{content:?}"
            );
        }
        let upper = "AB".repeat(32);
        assert_eq!(
            SealingKey::from_bytes(upper.as_bytes()).unwrap().head(),
            key(0xab).head()
        );
        // Raw bytes are taken as they are, a line end among them too.
        let mut raw = [7; 32];
        raw[31] = b'\n';
        assert!(SealingKey::from_bytes(&raw).is_ok());
    }

    #[test]
    fn another_form_is_no_key() {
        let cases: &[Vec<u8>] = &[
            vec![],
            vec![7; 31],
            vec![7; 33],
            vec![7; 64],
            vec![b'\n'; 33],
            "g7".repeat(32).into_bytes(),
            "+7".repeat(32).into_bytes(),
            format!("{}\n\n", "07".repeat(32)).into_bytes(),
            format!(" {}", "07".repeat(32)).into_bytes(),
            STANDARD.encode([7; 33]).into_bytes(),
            vec![b'_'; 44],
        ];
        for content in cases {
            assert_eq!(
                SealingKey::from_bytes(content).err(),
                Some(SealingKeyError::Form),
                "{content:?}"
            );
        }
    }

    #[test]
    fn a_key_does_not_print() {
        assert_eq!(format!("{:?}", key(7)), "SealingKey(…)");
        assert!(!format!("{:?}", sealer(&[7, 8])).contains("7, 7"));
    }
}

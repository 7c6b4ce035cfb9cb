//! Sealed values: the client holds what the upstream gave it, but cannot read, alter or lend it.
//!
//! A sealed session id, task id or request state carries the upstream's own and a digest of whom it belongs to, under an
//! AEAD. So no replica needs a store, a restart with the same key loses nothing, and a stolen value is worth nothing to
//! another principal, on another resource or towards another upstream, and a request state nothing on another call (MCP
//! security best practices, *Session Hijacking*; tasks, *Task Isolation and Access Control*; multi round-trip requests,
//! *Server Requirements*; GHSA-mvgg-jvj2-4frq).
//!
//! Form, before base64url: version (1 byte), key id (4), nonce (12), then sealed by AES-256-GCM-SIV (RFC 8452) with version
//! and key id as associated data: SHA-256 of the binding (32), the upstream's value, tag (16). The binding is inside, not in
//! the associated data, so that a genuine value in the wrong hands can be told from a forged one, in metrics only. Each kind
//! of value has bindings of its own, so none opens as another. GCM-SIV, because its nonces may be random on any number of
//! replicas, and may repeat with the text: clients know a task by its id, so that one is sealed to the same text each time,
//! with a nonce that follows from it.

mod call;
mod key;
mod request;
mod self_test;

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use call::CallDigest;
pub use key::{SealingKey, SealingKeyError};
pub use request::{Opened, Opening};
pub use self_test::{SealingTestError, self_test};

use crate::auth::reason::Reason;

/// The longest session id of an upstream that is sealed, in bytes.
pub const MAX_SESSION_ID: usize = 1024;
/// The longest task id of an upstream that is sealed, in bytes.
pub const MAX_TASK_ID: usize = 1024;
/// The longest request state of an upstream that is sealed, in bytes. Servers keep whole conversations in it.
pub const MAX_REQUEST_STATE: usize = 16 * 1024;

/// Whom a sealed value belongs to, and where it leads.
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
    /// The upstream endpoint that knows the value.
    pub endpoint: &'a str,
}

/// A [`Binding`] of one kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    purpose: Purpose,
    digest: [u8; SHA256_OUTPUT_LEN],
}

/// What is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Session,
    Task,
    RequestState,
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

    /// Seals what an upstream gave. `None` when that is too long, or no session id where it should be one, or when there is
    /// no randomness.
    pub fn seal(&self, bound: &Bound, value: &str) -> Option<String> {
        if !bound.purpose.takes(value) {
            return None;
        }
        let head = self.first.head();
        let mut sealed = [&bound.digest, value.as_bytes()].concat();
        let nonce = match bound.purpose {
            Purpose::Task => self.first.nonce_of(&sealed),
            Purpose::Session | Purpose::RequestState => random_nonce()?,
        };
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
    /// The reason of this kind of value, for what was not sealed here or was altered, or for what is genuine but another's;
    /// they are answered alike. Every path runs the AEAD once, so that the time tells nothing.
    pub fn open(&self, bound: &Bound, sealed: &str) -> Result<String, Reason> {
        let unknown = bound.purpose.unknown();
        let parts = Parts::of(sealed, bound.purpose.longest_sealed());
        let known = parts.as_ref().and_then(|parts| self.key_of(&parts.head));
        let parts = parts.unwrap_or_else(Parts::dummy);
        let opened = known
            .unwrap_or(&self.first)
            .open(parts)
            .filter(|_| known.is_some());
        let opened = opened.ok_or(unknown)?;
        let (digest, value) = opened.split_at_checked(SHA256_OUTPUT_LEN).ok_or(unknown)?;
        verify_slices_are_equal(digest, &bound.digest).map_err(|_| bound.purpose.mismatch())?;
        String::from_utf8(value.to_vec()).map_err(|_| unknown)
    }

    fn key_of(&self, head: &[u8]) -> Option<&SealingKey> {
        [&self.first]
            .into_iter()
            .chain(&self.others)
            .find(|key| key.head() == head)
    }
}

impl Binding<'_> {
    /// For the id of a legacy session.
    pub fn session(&self) -> Bound {
        self.bound(Purpose::Session, None)
    }

    /// For the id of a task.
    pub fn task(&self) -> Bound {
        self.bound(Purpose::Task, None)
    }

    /// For the request state of one call.
    pub fn request_state(&self, call: &CallDigest) -> Bound {
        self.bound(Purpose::RequestState, Some(call))
    }

    /// Every part with its length before it, so that no two bindings read alike.
    fn bound(&self, purpose: Purpose, call: Option<&CallDigest>) -> Bound {
        let mut context = Context::new(&SHA256);
        context.update(purpose.domain());
        for part in [self.resource, self.issuer, self.subject, self.endpoint] {
            hash_part(&mut context, part.as_bytes());
        }
        if let Some(call) = call {
            hash_part(&mut context, call.as_bytes());
        }
        // A client that is absent is another one than a client that is empty.
        if let Some(client) = self.client {
            hash_part(&mut context, client.as_bytes());
        }
        Bound {
            purpose,
            digest: finish(context),
        }
    }
}

impl Purpose {
    /// What sets the bindings of one kind apart from those of the others.
    const fn domain(self) -> &'static [u8] {
        match self {
            Self::Session => b"mcp-gateway session binding 1",
            Self::Task => b"mcp-gateway task binding 1",
            Self::RequestState => b"mcp-gateway request state binding 1",
        }
    }

    /// The longest value, in bytes.
    const fn longest(self) -> usize {
        match self {
            Self::Session => MAX_SESSION_ID,
            Self::Task => MAX_TASK_ID,
            Self::RequestState => MAX_REQUEST_STATE,
        }
    }

    /// The longest sealed value, in characters.
    const fn longest_sealed(self) -> usize {
        (HEAD + NONCE_LEN + SHA256_OUTPUT_LEN + self.longest() + TAG).div_ceil(3) * 4
    }

    /// Session ids are visible ASCII (MCP transports, *Session Management*); the others are any text.
    fn takes(self, value: &str) -> bool {
        let is_session_id =
            || !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
        value.len() <= self.longest() && (self != Self::Session || is_session_id())
    }

    /// Not sealed here, or altered.
    const fn unknown(self) -> Reason {
        match self {
            Self::Session => Reason::SessionUnknown,
            Self::Task => Reason::TaskUnknown,
            Self::RequestState => Reason::RequestState,
        }
    }

    /// Genuine, but another's.
    const fn mismatch(self) -> Reason {
        match self {
            Self::Session => Reason::SessionMismatch,
            Self::Task => Reason::TaskMismatch,
            Self::RequestState => Reason::RequestState,
        }
    }
}

fn random_nonce() -> Option<[u8; NONCE_LEN]> {
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce).ok()?;
    Some(nonce)
}

fn hash_part(context: &mut Context, part: &[u8]) {
    context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    context.update(part);
}

fn finish(context: Context) -> [u8; SHA256_OUTPUT_LEN] {
    let digest = context.finish();
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

/// A sealed value, taken apart.
struct Parts {
    head: [u8; HEAD],
    nonce: [u8; NONCE_LEN],
    sealed: Vec<u8>,
}

impl Parts {
    fn of(sealed: &str, longest: usize) -> Option<Self> {
        if sealed.len() > longest {
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

    /// Stands in for a value that has no parts, to spend the same time on it.
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
/// Bytes of a key's id.
const KEY_ID: usize = 4;
/// Bytes of version and key id.
const HEAD: usize = 1 + KEY_ID;
/// Bytes of the AEAD's tag.
const TAG: usize = 16;

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
    fn what_was_sealed_opens_for_the_same_binding() {
        let sealer = sealer(&[1]);
        for id in ["a", "0f3c-55", "!~", &"x".repeat(MAX_SESSION_ID)] {
            let sealed = sealer.seal(&BINDING.session(), id).unwrap();
            assert!(
                sealed
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
                "{sealed}"
            );
            assert!(sealed.len() <= Purpose::Session.longest_sealed());
            assert!(!sealed.contains(id) || id.len() == 1, "{sealed}");
            assert_eq!(sealer.open(&BINDING.session(), &sealed).as_deref(), Ok(id));
        }
    }

    #[test]
    fn the_longest_id_takes_all_the_room_there_is() {
        let sealed = sealer(&[1]).seal(&BINDING.session(), &"x".repeat(MAX_SESSION_ID));
        assert_eq!(sealed.unwrap().len(), Purpose::Session.longest_sealed());
    }

    #[test]
    fn another_binding_is_a_mismatch() {
        let sealer = sealer(&[1]);
        let sealed = sealer.seal(&BINDING.session(), "abc").unwrap();
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
                sealer.open(&binding.session(), &sealed),
                Err(Reason::SessionMismatch),
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
        let sealed = sealer.seal(&absent.session(), "abc").unwrap();
        assert_eq!(
            sealer.open(&absent.session(), &sealed).as_deref(),
            Ok("abc")
        );
        assert_eq!(
            sealer.open(
                &Binding {
                    client: Some(""),
                    ..BINDING
                }
                .session(),
                &sealed
            ),
            Err(Reason::SessionMismatch)
        );
    }

    fn call(arguments: &str) -> CallDigest {
        CallDigest::of("tools/call", Some("pay"), Some(arguments.as_bytes())).unwrap()
    }

    #[test]
    fn no_kind_opens_as_another() {
        let sealer = sealer(&[1]);
        let kinds = [
            BINDING.session(),
            BINDING.task(),
            BINDING.request_state(&call("{}")),
        ];
        let mismatches = [
            Reason::SessionMismatch,
            Reason::TaskMismatch,
            Reason::RequestState,
        ];
        for one in &kinds {
            let sealed = sealer.seal(one, "abc").unwrap();
            for (other, mismatch) in kinds.iter().zip(mismatches) {
                let expected = if one == other {
                    Ok("abc")
                } else {
                    Err(mismatch)
                };
                let opened = sealer.open(other, &sealed);
                assert_eq!(opened.as_deref().map_err(|reason| *reason), expected);
            }
        }
    }

    #[test]
    fn tasks_and_request_states_are_any_text() {
        let sealer = sealer(&[1]);
        let state = BINDING.request_state(&call("{}"));
        for (bound, longest) in [(BINDING.task(), MAX_TASK_ID), (state, MAX_REQUEST_STATE)] {
            for value in ["", "a b", "größe\n\0", &"x".repeat(longest)] {
                let sealed = sealer.seal(&bound, value).unwrap();
                assert!(sealed.len() <= bound.purpose.longest_sealed());
                assert_eq!(sealer.open(&bound, &sealed).as_deref(), Ok(value));
            }
            assert_eq!(sealer.seal(&bound, &"x".repeat(longest + 1)), None);
        }
    }

    #[test]
    fn a_request_state_opens_on_its_own_call_alone() {
        let sealer = sealer(&[1]);
        let bound = BINDING.request_state(&call(r#"{"to":"bob","amount":5}"#));
        let sealed = sealer.seal(&bound, "asked").unwrap();
        let again = BINDING.request_state(&call(r#"{ "amount": 5, "to": "bob" }"#));
        assert_eq!(sealer.open(&again, &sealed).as_deref(), Ok("asked"));
        let mallory = Binding {
            subject: "mallory",
            ..BINDING
        };
        let elsewhere = [
            BINDING.request_state(&call(r#"{"to":"eve","amount":5}"#)),
            mallory.request_state(&call(r#"{"to":"bob","amount":5}"#)),
        ];
        for bound in elsewhere {
            assert_eq!(sealer.open(&bound, &sealed), Err(Reason::RequestState));
        }
    }

    #[test]
    fn an_altered_id_is_unknown() {
        let sealer = sealer(&[1]);
        let sealed = sealer.seal(&BINDING.session(), "abc").unwrap();
        for at in 0..sealed.len() {
            let mut altered = sealed.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(
                sealer.open(&BINDING.session(), &altered),
                Err(Reason::SessionUnknown),
                "at {at}"
            );
            assert_eq!(
                sealer.open(&BINDING.session(), &sealed[..at]),
                Err(Reason::SessionUnknown),
                "cut at {at}"
            );
        }
    }

    #[test]
    fn garbage_is_unknown() {
        let sealer = sealer(&[1]);
        let sealed = sealer.seal(&BINDING.session(), "abc").unwrap();
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
                sealer.open(&BINDING.session(), garbage),
                Err(Reason::SessionUnknown),
                "{garbage}"
            );
        }
    }

    #[test]
    fn the_same_key_opens_elsewhere_and_another_does_not() {
        let sealed = sealer(&[1]).seal(&BINDING.session(), "abc").unwrap();
        assert_eq!(
            sealer(&[1]).open(&BINDING.session(), &sealed).as_deref(),
            Ok("abc")
        );
        assert_eq!(
            sealer(&[2]).open(&BINDING.session(), &sealed),
            Err(Reason::SessionUnknown)
        );
        assert_eq!(
            sealer(&[]).open(&BINDING.session(), &sealed),
            Err(Reason::SessionUnknown)
        );
    }

    #[test]
    fn a_rotated_key_still_opens_but_seals_no_more() {
        let sealed = sealer(&[1]).seal(&BINDING.session(), "abc").unwrap();
        let rotated = sealer(&[2, 1]);
        assert_eq!(
            rotated.open(&BINDING.session(), &sealed).as_deref(),
            Ok("abc")
        );
        let anew = rotated.seal(&BINDING.session(), "abc").unwrap();
        assert_eq!(
            sealer(&[2]).open(&BINDING.session(), &anew).as_deref(),
            Ok("abc")
        );
        assert_eq!(
            sealer(&[1]).open(&BINDING.session(), &anew),
            Err(Reason::SessionUnknown)
        );
    }

    #[test]
    fn sealing_twice_gives_two_ids() {
        let sealer = sealer(&[1]);
        assert_ne!(
            sealer.seal(&BINDING.session(), "abc"),
            sealer.seal(&BINDING.session(), "abc")
        );
    }

    #[test]
    fn a_task_has_one_sealed_id_for_each_caller() {
        let sealer = sealer(&[1]);
        let sealed = |bound: &Bound, id| sealer.seal(bound, id).unwrap();
        let mallory = Binding {
            subject: "mallory",
            ..BINDING
        };
        let alices = sealed(&BINDING.task(), "abc");
        assert_eq!(sealed(&BINDING.task(), "abc"), alices);
        let nonce = |sealed: &str| sealed[..22].to_owned();
        for other in [
            sealed(&BINDING.task(), "abd"),
            sealed(&mallory.task(), "abc"),
            self::sealer(&[2]).seal(&BINDING.task(), "abc").unwrap(),
        ] {
            assert_ne!(nonce(&other), nonce(&alices));
        }
    }

    #[test]
    fn two_random_keys_differ() {
        let (one, other) = (sealer(&[]), sealer(&[]));
        let sealed = one.seal(&BINDING.session(), "abc").unwrap();
        assert_eq!(one.open(&BINDING.session(), &sealed).as_deref(), Ok("abc"));
        assert_eq!(
            other.open(&BINDING.session(), &sealed),
            Err(Reason::SessionUnknown)
        );
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
            &"x".repeat(MAX_SESSION_ID + 1),
        ] {
            assert_eq!(sealer.seal(&BINDING.session(), id), None, "{id:?}");
        }
    }
}

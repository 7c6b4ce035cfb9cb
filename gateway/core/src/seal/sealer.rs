//! Seals a value of an upstream, and opens it again for the same binding.

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::binding::{Bound, Purpose};
use super::form::{FORM, Parts};
use super::issued::{self, Issued};
use super::key::{SealingKey, SealingKeyError};
use crate::endpoint_id::EndpointId;
use crate::refusal::reason::Reason;

/// Seals with its first key and opens with all of its keys.
#[derive(Debug)]
pub struct Sealer {
    first: SealingKey,
    others: Vec<SealingKey>,
}

/// What can be said about a sealed value without its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedForm {
    /// It does not have the form of a sealed value.
    Foreign,
    /// It names a key that this process does not have.
    OtherKey,
    /// It names one of the keys.
    Own,
}

impl Sealer {
    /// From keys, newest first. Without keys it generates a random one, which is lost at a restart and unknown to other replicas.
    ///
    /// # Errors
    /// [`SealingKeyError::Random`] if there are no keys and none can be generated.
    pub fn new(keys: Vec<SealingKey>) -> Result<Self, SealingKeyError> {
        let mut keys = keys.into_iter();
        let first = keys.next().map_or_else(SealingKey::random, Ok)?;
        Ok(Self {
            first,
            others: keys.collect(),
        })
    }

    /// Seals a value that this endpoint of an upstream issued. `None` if it is too long, or must be a session id and is not, or if the random source of the
    /// operating system fails.
    pub fn seal(&self, bound: &Bound, endpoint: EndpointId, value: &str) -> Option<String> {
        if !bound.purpose.takes(value) {
            return None;
        }
        let head = self.first.head();
        let mut sealed = issued::written(&bound.digest, endpoint, value);
        let nonce = match bound.purpose {
            Purpose::Task => self.first.nonce_of(&sealed),
            Purpose::Session | Purpose::RequestState | Purpose::MessageEndpoint => random_nonce()?,
        };
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        self.first
            .key
            .seal_in_place_append_tag(nonce_used, Aad::from(head), &mut sealed)
            .ok()?;
        Some(URL_SAFE_NO_PAD.encode([&head[..], &nonce, &sealed].concat()))
    }

    /// Opens a value from [`seal`](Self::seal), for the same binding.
    ///
    /// # Errors
    /// The reason of this kind of value: one for a value that was not sealed with a known key or was changed, another for a genuine
    /// value of another owner. Clients get the same answer for both. Every path runs the AEAD once, so that the time of the answer
    /// does not distinguish them.
    pub fn open(&self, bound: &Bound, sealed: &str) -> Result<Issued, Reason> {
        let unknown = bound.purpose.unknown();
        let parts = Parts::of(sealed, bound.purpose.longest_sealed());
        let known = parts.as_ref().and_then(|parts| self.key_of(&parts.head));
        let parts = parts.unwrap_or_else(Parts::dummy);
        let opened = known
            .unwrap_or(&self.first)
            .open(parts)
            .filter(|_| known.is_some());
        let opened = opened.ok_or(unknown)?;
        let (digest, issued) = issued::read(&opened).ok_or(unknown)?;
        verify_slices_are_equal(digest, &bound.digest).map_err(|_| bound.purpose.mismatch())?;
        Ok(issued)
    }

    /// What can be said about a sealed session id, task id or request state without its owner. The same work for every value.
    pub fn form_of(&self, sealed: &str) -> SealedForm {
        match Parts::of(sealed, Purpose::RequestState.longest_sealed()) {
            None => SealedForm::Foreign,
            Some(parts) if parts.head.first() != Some(&FORM) => SealedForm::Foreign,
            Some(parts) if self.key_of(&parts.head).is_none() => SealedForm::OtherKey,
            Some(_) => SealedForm::Own,
        }
    }

    fn key_of(&self, head: &[u8]) -> Option<&SealingKey> {
        self.keys().find(|key| key.head() == head)
    }

    /// The key that seals.
    pub(crate) const fn first(&self) -> &SealingKey {
        &self.first
    }

    /// Every key.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &SealingKey> {
        [&self.first].into_iter().chain(&self.others)
    }
}

fn random_nonce() -> Option<[u8; NONCE_LEN]> {
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce).ok()?;
    Some(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::form::TIME;
    use crate::seal::{Binding, CallDigest, MAX_REQUEST_STATE, MAX_SESSION_ID, MAX_TASK_ID};

    const BINDING: Binding<'static> = Binding {
        resource: "https://mcp.example.com/mcp",
        issuer: "https://issuer.example.com",
        subject: "alice",
        client: Some("app"),
    };

    fn endpoint() -> EndpointId {
        EndpointId::of("http://127.0.0.1:9000/mcp")
    }

    fn opened(sealer: &Sealer, bound: &Bound, sealed: &str) -> Result<String, Reason> {
        let issued = sealer.open(bound, sealed)?;
        assert_eq!(issued.endpoint, endpoint());
        Ok(issued.value)
    }

    fn key(byte: u8) -> SealingKey {
        SealingKey::from_bytes(&[byte; 32]).unwrap()
    }

    fn sealer(keys: &[u8]) -> Sealer {
        Sealer::new(keys.iter().map(|byte| key(*byte)).collect()).unwrap()
    }

    #[test]
    fn a_sealed_value_opens_for_the_same_binding() {
        let sealer = sealer(&[1]);
        for id in ["a", "0f3c-55", "!~", &"x".repeat(MAX_SESSION_ID)] {
            let sealed = sealer.seal(&BINDING.session(), endpoint(), id).unwrap();
            assert!(
                sealed
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
                "{sealed}"
            );
            assert!(sealed.len() <= Purpose::Session.longest_sealed());
            assert!(!sealed.contains(id) || id.len() == 1, "{sealed}");
            assert_eq!(
                opened(&sealer, &BINDING.session(), &sealed).as_deref(),
                Ok(id)
            );
        }
    }

    #[test]
    fn a_value_that_does_not_open_is_foreign_or_of_another_key_or_altered() {
        let (own, other) = (sealer(&[1, 2]), sealer(&[3]));
        let sealed = |sealer: &Sealer| sealer.seal(&BINDING.session(), endpoint(), "a").unwrap();
        for (value, expected) in [
            (sealed(&own), SealedForm::Own),
            (sealed(&sealer(&[2])), SealedForm::Own),
            (format!("{}AAAA", sealed(&own)), SealedForm::Own),
            (sealed(&other), SealedForm::OtherKey),
            ("0f3c-55".to_owned(), SealedForm::Foreign),
            (String::new(), SealedForm::Foreign),
            (URL_SAFE_NO_PAD.encode([9; 64]), SealedForm::Foreign),
        ] {
            assert_eq!(own.form_of(&value), expected, "{value}");
        }
    }

    #[test]
    fn the_longest_id_gives_the_longest_sealed_value() {
        let sealed = sealer(&[1]).seal(&BINDING.session(), endpoint(), &"x".repeat(MAX_SESSION_ID));
        assert_eq!(sealed.unwrap().len(), Purpose::Session.longest_sealed());
    }

    #[test]
    fn a_value_with_another_binding_is_a_mismatch() {
        let sealer = sealer(&[1]);
        let sealed = sealer.seal(&BINDING.session(), endpoint(), "abc").unwrap();
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
                opened(&sealer, &binding.session(), &sealed),
                Err(Reason::SessionMismatch),
                "{name}"
            );
        }
    }

    #[test]
    fn an_absent_client_differs_from_an_empty_one() {
        let sealer = sealer(&[1]);
        let absent = Binding {
            client: None,
            ..BINDING
        };
        let sealed = sealer.seal(&absent.session(), endpoint(), "abc").unwrap();
        assert_eq!(
            opened(&sealer, &absent.session(), &sealed).as_deref(),
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
    fn a_value_of_one_kind_does_not_open_as_another() {
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
            let sealed = sealer.seal(one, endpoint(), "abc").unwrap();
            for (other, mismatch) in kinds.iter().zip(mismatches) {
                let expected = if one == other {
                    Ok("abc")
                } else {
                    Err(mismatch)
                };
                let opened = opened(&sealer, other, &sealed);
                assert_eq!(opened.as_deref().map_err(|reason| *reason), expected);
            }
        }
    }

    #[test]
    fn task_ids_and_request_states_can_be_any_text() {
        let sealer = sealer(&[1]);
        let state = BINDING.request_state(&call("{}"));
        let longest_state = TIME + MAX_REQUEST_STATE;
        for (bound, longest) in [(BINDING.task(), MAX_TASK_ID), (state, longest_state)] {
            for value in ["", "a b", "größe\n\0", &"x".repeat(longest)] {
                let sealed = sealer.seal(&bound, endpoint(), value).unwrap();
                assert!(sealed.len() <= bound.purpose.longest_sealed());
                assert_eq!(opened(&sealer, &bound, &sealed).as_deref(), Ok(value));
            }
            assert_eq!(
                sealer.seal(&bound, endpoint(), &"x".repeat(longest + 1)),
                None
            );
        }
    }

    #[test]
    fn a_request_state_opens_only_on_its_own_call() {
        let sealer = sealer(&[1]);
        let bound = BINDING.request_state(&call(r#"{"to":"bob","amount":5}"#));
        let sealed = sealer.seal(&bound, endpoint(), "asked").unwrap();
        let again = BINDING.request_state(&call(r#"{ "amount": 5, "to": "bob" }"#));
        assert_eq!(opened(&sealer, &again, &sealed).as_deref(), Ok("asked"));
        let mallory = Binding {
            subject: "mallory",
            ..BINDING
        };
        let elsewhere = [
            BINDING.request_state(&call(r#"{"to":"eve","amount":5}"#)),
            mallory.request_state(&call(r#"{"to":"bob","amount":5}"#)),
        ];
        for bound in elsewhere {
            assert_eq!(opened(&sealer, &bound, &sealed), Err(Reason::RequestState));
        }
    }

    #[test]
    fn an_altered_id_is_unknown() {
        let sealer = sealer(&[1]);
        let sealed = sealer.seal(&BINDING.session(), endpoint(), "abc").unwrap();
        for at in 0..sealed.len() {
            let mut altered = sealed.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(
                opened(&sealer, &BINDING.session(), &altered),
                Err(Reason::SessionUnknown),
                "at {at}"
            );
            assert_eq!(
                opened(&sealer, &BINDING.session(), &sealed[..at]),
                Err(Reason::SessionUnknown),
                "truncated at {at}"
            );
        }
    }

    #[test]
    fn garbage_is_unknown() {
        let sealer = sealer(&[1]);
        let sealed = sealer.seal(&BINDING.session(), endpoint(), "abc").unwrap();
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
                opened(&sealer, &BINDING.session(), garbage),
                Err(Reason::SessionUnknown),
                "{garbage}"
            );
        }
    }

    #[test]
    fn another_replica_opens_only_with_the_same_key() {
        let sealed = sealer(&[1])
            .seal(&BINDING.session(), endpoint(), "abc")
            .unwrap();
        assert_eq!(
            opened(&sealer(&[1]), &BINDING.session(), &sealed).as_deref(),
            Ok("abc")
        );
        assert_eq!(
            opened(&sealer(&[2]), &BINDING.session(), &sealed),
            Err(Reason::SessionUnknown)
        );
        assert_eq!(
            opened(&sealer(&[]), &BINDING.session(), &sealed),
            Err(Reason::SessionUnknown)
        );
    }

    #[test]
    fn an_older_key_opens_but_does_not_seal() {
        let sealed = sealer(&[1])
            .seal(&BINDING.session(), endpoint(), "abc")
            .unwrap();
        let rotated = sealer(&[2, 1]);
        assert_eq!(
            opened(&rotated, &BINDING.session(), &sealed).as_deref(),
            Ok("abc")
        );
        let new = rotated.seal(&BINDING.session(), endpoint(), "abc").unwrap();
        assert_eq!(
            opened(&sealer(&[2]), &BINDING.session(), &new).as_deref(),
            Ok("abc")
        );
        assert_eq!(
            opened(&sealer(&[1]), &BINDING.session(), &new),
            Err(Reason::SessionUnknown)
        );
    }

    #[test]
    fn sealing_a_session_twice_gives_different_ids() {
        let sealer = sealer(&[1]);
        assert_ne!(
            sealer.seal(&BINDING.session(), endpoint(), "abc"),
            sealer.seal(&BINDING.session(), endpoint(), "abc")
        );
    }

    #[test]
    fn a_task_has_one_sealed_id_for_each_caller() {
        let sealer = sealer(&[1]);
        let sealed = |bound: &Bound, id| sealer.seal(bound, endpoint(), id).unwrap();
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
            self::sealer(&[2])
                .seal(&BINDING.task(), endpoint(), "abc")
                .unwrap(),
        ] {
            assert_ne!(nonce(&other), nonce(&alices));
        }
    }

    #[test]
    fn two_random_keys_differ() {
        let (one, other) = (sealer(&[]), sealer(&[]));
        let sealed = one.seal(&BINDING.session(), endpoint(), "abc").unwrap();
        assert_eq!(
            opened(&one, &BINDING.session(), &sealed).as_deref(),
            Ok("abc")
        );
        assert_eq!(
            opened(&other, &BINDING.session(), &sealed),
            Err(Reason::SessionUnknown)
        );
    }

    #[test]
    fn an_invalid_session_id_is_not_sealed() {
        let sealer = sealer(&[1]);
        for id in [
            "",
            "a b",
            "a\n",
            "\u{7f}",
            "größe",
            &"x".repeat(MAX_SESSION_ID + 1),
        ] {
            assert_eq!(
                sealer.seal(&BINDING.session(), endpoint(), id),
                None,
                "{id:?}"
            );
        }
    }
}

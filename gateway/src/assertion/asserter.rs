//! What adds the assertion about a caller to the requests for one upstream, and beside it in plain headers what is called.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use mcp_gateway_core::{
    mcp::headers::{METHOD, NAME, encode_sentinel},
    principal::Principal,
    refusal::reason::Reason,
    time::UnixTime,
    token::assertion::{
        claims::AssertionClaims,
        window::{Window, bound, token_end},
    },
};
use mcp_gateway_oauth::keys::signing_key::SigningKeyError;
use thiserror::Error;

use super::{
    keys::AssertionKeys,
    signed::{Kept, Signed},
};
use crate::config::UpstreamAssertion;

/// The longest assertion, in bytes: most servers take no longer header.
const MAX_ASSERTION: usize = 8 * 1024;

/// The longest name in a header, in bytes. A longer one is left out: the body has it.
const MAX_NAME: usize = 4 * 1024;

/// The assertions of one resource.
#[derive(Debug)]
pub(crate) struct Asserter {
    configured: UpstreamAssertion,
    /// The gateway, as assertions name it: its public URL.
    issuer: String,
    keys: Arc<AssertionKeys>,
    /// The most subjects that are kept (`limits.assertion_subjects`).
    subjects: usize,
    signed: Signed,
}

/// A call of a verified caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AssertedCall<'a> {
    pub(crate) principal: &'a Arc<Principal>,
    /// `exp` of the token.
    pub(crate) expires: UnixTime,
    /// When the token is not accepted any more: `exp` and the clock skew.
    pub(crate) accepted_until: UnixTime,
    /// The method; none for a request without a message, or with a response.
    pub(crate) method: Option<&'a str>,
    /// What the method acts on.
    pub(crate) name: Option<&'a str>,
    /// What logs call the request.
    pub(crate) request_id: &'a str,
}

/// Why a call has no assertion.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum AssertionFault {
    #[error(
        "the subject, client id or scopes of the token are too long for an assertion of {MAX_ASSERTION} bytes (resources.upstream.assertion)"
    )]
    TooLong,
    #[error("the assertion about the caller cannot be signed: {0}")]
    Signing(#[from] SigningKeyError),
    #[error("the id, method or name of the request is not a header value")]
    NotAHeader,
    #[error(
        "the keys that sign assertions were removed while the call waited, and there are no others (resources.upstream.assertion)"
    )]
    Withdrawn,
}

impl AssertionFault {
    /// Why the call is refused.
    pub(crate) const fn reason(&self) -> Reason {
        match self {
            Self::TooLong => Reason::UnusableSubject,
            Self::Withdrawn => Reason::AssertionWithdrawn,
            Self::Signing(_) | Self::NotAHeader => Reason::Internal,
        }
    }
}

impl Asserter {
    /// `previous`, if it would sign the same; else one without assertions.
    pub(crate) fn reuse_or_new(
        previous: Option<&Arc<Self>>,
        configured: &UpstreamAssertion,
        issuer: &str,
        keys: &Arc<AssertionKeys>,
        subjects: usize,
    ) -> Arc<Self> {
        let is_same = |previous: &&Arc<Self>| {
            previous.configured == *configured
                && previous.issuer == issuer
                && previous.subjects == subjects
                && Arc::ptr_eq(&previous.keys, keys)
        };
        previous.filter(is_same).cloned().unwrap_or_else(|| {
            Arc::new(Self {
                configured: configured.clone(),
                issuer: issuer.to_owned(),
                keys: keys.clone(),
                subjects,
                signed: Signed::new(subjects),
            })
        })
    }

    /// Adds the assertion about the caller, and the method, name and id of the request. They replace what a client sent. It is signed with the
    /// keys `in_use`, which are others than those of the asserter if the call began before a reload.
    ///
    /// # Errors
    /// [`AssertionFault`].
    pub(crate) fn add(
        &self,
        headers: &mut HeaderMap,
        call: &AssertedCall<'_>,
        in_use: Option<&Arc<AssertionKeys>>,
        now: UnixTime,
    ) -> Result<(), AssertionFault> {
        let keys = in_use.ok_or(AssertionFault::Withdrawn)?;
        let assertion = self.assertion(call, keys, now)?;
        headers.insert(self.configured.header.clone(), assertion);
        let not_a_header = |_| AssertionFault::NotAHeader;
        let id = HeaderValue::from_str(call.request_id).map_err(not_a_header)?;
        headers.insert(self.configured.request_id_header.clone(), id);
        headers.remove(METHOD);
        if let Some(method) = call.method.filter(|method| method.len() <= MAX_NAME) {
            let method = encode_sentinel(method).ok_or(AssertionFault::NotAHeader)?;
            headers.insert(METHOD, method);
        }
        headers.remove(NAME);
        if let Some(name) = call.name.filter(|name| name.len() <= MAX_NAME) {
            let name = encode_sentinel(name).ok_or(AssertionFault::NotAHeader)?;
            headers.insert(NAME, name);
        }
        Ok(())
    }

    /// The assertion about the caller that is sent now.
    fn assertion(
        &self,
        call: &AssertedCall<'_>,
        keys: &Arc<AssertionKeys>,
        now: UnixTime,
    ) -> Result<HeaderValue, AssertionFault> {
        let lifetime = self.configured.lifetime;
        let end = token_end(call.expires, call.accepted_until, now);
        let bound = bound(now, lifetime, end);
        if !Arc::ptr_eq(keys, &self.keys) {
            // Those that are kept were signed with the other keys. Few calls come here.
            return self.sign(call.principal, keys, Window::new(now, lifetime, bound));
        }
        self.signed.get_or_sign(call.principal, bound, now, || {
            let window = Window::new(now, lifetime, bound);
            Ok(Kept {
                principal: call.principal.clone(),
                bound,
                window,
                value: self.sign(call.principal, keys, window)?,
            })
        })
    }

    fn sign(
        &self,
        principal: &Principal,
        keys: &AssertionKeys,
        window: Window,
    ) -> Result<HeaderValue, AssertionFault> {
        let claims = AssertionClaims {
            issuer: &self.issuer,
            audience: &self.configured.audience,
            principal,
            window,
        };
        let signed = keys.sign(&claims.to_json(), window.issued)?;
        let text = signed.expose();
        if text.len() > MAX_ASSERTION {
            return Err(AssertionFault::TooLong);
        }
        let mut value = HeaderValue::from_str(text).map_err(|_| AssertionFault::NotAHeader)?;
        // It stays out of the tables of HTTP/2 and of what is printed.
        value.set_sensitive(true);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use mcp_gateway_core::scope::ScopeSet;
    use serde_json::Value;

    use super::*;
    use crate::assertion::keys::testing;

    const HEADER: &str = "x-gateway-assertion";

    fn configured() -> UpstreamAssertion {
        UpstreamAssertion {
            audience: "http://127.0.0.1:9000/mcp".to_owned(),
            header: UpstreamAssertion::DEFAULT_HEADER,
            request_id_header: UpstreamAssertion::DEFAULT_REQUEST_ID_HEADER,
            lifetime: Duration::from_secs(60),
        }
    }

    fn asserter() -> Arc<Asserter> {
        let issuer = "https://mcp.example.com";
        Asserter::reuse_or_new(None, &configured(), issuer, &testing::keys(), 10_000)
    }

    fn caller(subject: &str) -> Arc<Principal> {
        Arc::new(Principal {
            issuer: "https://login.example.com/".into(),
            subject: subject.into(),
            client: Some("inspector".into()),
            scopes: ScopeSet::parse("tasks:read tasks:write").unwrap(),
        })
    }

    fn call<'a>(principal: &'a Arc<Principal>, expires: i64) -> AssertedCall<'a> {
        AssertedCall {
            principal,
            expires: UnixTime::new(expires),
            accepted_until: UnixTime::new(expires + 30),
            method: Some("tools/call"),
            name: Some("größe"),
            request_id: "0123",
        }
    }

    fn claims(headers: &HeaderMap) -> Value {
        let text = headers[HEADER].to_str().unwrap();
        let claims = text.split('.').nth(1).unwrap();
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap();
        serde_json::from_slice(&claims).unwrap()
    }

    #[test]
    fn a_call_has_an_assertion_and_beside_it_what_is_called() {
        let (asserter, alice) = (asserter(), caller("alice"));
        let mut headers = HeaderMap::new();
        for name in [HEADER, "x-gateway-request-id", "mcp-method", "mcp-name"] {
            headers.append(name, HeaderValue::from_static("client's"));
            headers.append(name, HeaderValue::from_static("client's"));
        }
        let call = call(&alice, 1000);
        asserter
            .add(
                &mut headers,
                &call,
                Some(&asserter.keys),
                UnixTime::new(100),
            )
            .unwrap();
        assert_eq!(headers.len(), 4);
        assert_eq!(headers["x-gateway-request-id"], "0123");
        assert_eq!(headers["mcp-method"], "tools/call");
        assert_eq!(headers["mcp-name"], "=?base64?Z3LDtsOfZQ==?=");
        let found = claims(&headers);
        assert_eq!(found["sub"], "alice");
        assert_eq!((&found["iat"], &found["exp"]), (&100.into(), &160.into()));
        assert_eq!(found["aud"], "http://127.0.0.1:9000/mcp");
        assert!(headers[HEADER].is_sensitive());
        let bare = AssertedCall {
            method: None,
            name: None,
            ..call
        };
        asserter
            .add(
                &mut headers,
                &bare,
                Some(&asserter.keys),
                UnixTime::new(100),
            )
            .unwrap();
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn it_ends_with_the_token() {
        let (asserter, alice) = (asserter(), caller("alice"));
        for (expires, expected) in [(1000, 160), (160, 160), (120, 120), (101, 101), (90, 120)] {
            let mut headers = HeaderMap::new();
            let call = call(&alice, expires);
            asserter
                .add(
                    &mut headers,
                    &call,
                    Some(&asserter.keys),
                    UnixTime::new(100),
                )
                .unwrap();
            assert_eq!(claims(&headers)["exp"], expected, "{expires}");
        }
    }

    #[test]
    fn one_that_is_too_long_is_refused_and_a_long_name_is_left_out() {
        let (asserter, long) = (asserter(), caller(&"x".repeat(MAX_ASSERTION)));
        let mut headers = HeaderMap::new();
        let refused = asserter.add(
            &mut headers,
            &call(&long, 1000),
            Some(&asserter.keys),
            UnixTime::new(100),
        );
        assert_eq!(refused, Err(AssertionFault::TooLong));
        assert!(headers.is_empty());
        let (alice, name) = (caller("alice"), "n".repeat(MAX_NAME + 1));
        let call = AssertedCall {
            name: Some(&name),
            ..call(&alice, 1000)
        };
        asserter
            .add(
                &mut headers,
                &call,
                Some(&asserter.keys),
                UnixTime::new(100),
            )
            .unwrap();
        assert!(!headers.contains_key("mcp-name"));
    }

    #[test]
    fn nothing_is_signed_with_keys_that_are_not_in_use_any_more() {
        let (asserter, alice, keys) = (asserter(), caller("alice"), testing::keys());
        let kid = |in_use: &Arc<AssertionKeys>| {
            let (mut headers, now) = (HeaderMap::new(), UnixTime::new(100));
            asserter
                .add(&mut headers, &call(&alice, 1000), Some(in_use), now)
                .unwrap();
            assert_eq!(claims(&headers)["sub"], "alice");
            let text = headers[HEADER].to_str().unwrap();
            let header = BASE64_URL_SAFE_NO_PAD.decode(text.split('.').next().unwrap());
            let header: Value = serde_json::from_slice(&header.unwrap()).unwrap();
            header["kid"].clone()
        };
        // One of its own keys is kept.
        let own = kid(&asserter.keys);
        assert_ne!(kid(&keys), own);
        assert_eq!(kid(&asserter.keys), own);
        let mut headers = HeaderMap::new();
        let refused = asserter.add(&mut headers, &call(&alice, 1000), None, UnixTime::new(100));
        assert_eq!(refused, Err(AssertionFault::Withdrawn));
        assert!(headers.is_empty());
    }

    #[test]
    fn it_is_reused_unless_it_would_sign_otherwise() {
        let (keys, issuer) = (testing::keys(), "https://mcp.example.com");
        let other_keys = testing::keys();
        let old = Asserter::reuse_or_new(None, &configured(), issuer, &keys, 10);
        let is_reused = |configured: &UpstreamAssertion, issuer: &str, keys, subjects| {
            let new = Asserter::reuse_or_new(Some(&old), configured, issuer, keys, subjects);
            Arc::ptr_eq(&old, &new)
        };
        assert!(is_reused(&configured(), issuer, &keys, 10));
        assert!(!is_reused(
            &configured(),
            "https://other.example",
            &keys,
            10
        ));
        assert!(!is_reused(&configured(), issuer, &other_keys, 10));
        assert!(!is_reused(&configured(), issuer, &keys, 11));
        let other = UpstreamAssertion {
            audience: "other".to_owned(),
            ..configured()
        };
        assert!(!is_reused(&other, issuer, &keys, 10));
    }

    /// Not a limit: it prints what a call costs on average, for the figures.
    #[test]
    #[ignore = "a measurement"]
    fn what_a_call_costs() {
        const CALLS: u32 = 1_000_000;
        let asserter = asserter();
        let callers: Vec<_> = (0..1000)
            .map(|number| caller(&number.to_string()))
            .collect();
        let began = Instant::now();
        for number in 0..CALLS {
            // A thousand callers, each with a call in every 50 ms: 60 s are 1.2 million calls.
            let now = UnixTime::new(i64::from(number / 20_000));
            let caller = &callers[number as usize % callers.len()];
            let mut headers = HeaderMap::with_capacity(16);
            asserter
                .add(
                    &mut headers,
                    &call(caller, 100_000),
                    Some(&asserter.keys),
                    now,
                )
                .unwrap();
            std::hint::black_box(headers);
        }
        println!("{:?} a call", began.elapsed() / CALLS);
    }
}

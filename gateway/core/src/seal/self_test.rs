//! The self-test of sealing, run at start: a build in which sealing is broken exits before the first request.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::binding::{Binding, Bound};
use super::issued::Issued;
use super::key::SealingKey;
use super::sealer::Sealer;
use crate::endpoint_id::EndpointId;
use crate::refusal::reason::Reason;

/// Why sealing failed its self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealingTestError {
    /// The stored test vector, or an id that was sealed just now, did not open.
    #[error("a valid sealed session id did not open")]
    GoodRefused,
    /// A changed id, an id of another caller, or a session id as a task id opened.
    #[error("an invalid sealed session id opened")]
    BadAccepted,
}

/// Opens a stored test vector: as it is, with its last byte changed, for another caller, and as another kind of value. Then it
/// does the same with an id that this process sealed.
///
/// # Errors
/// [`SealingTestError`] for the first wrong result.
pub fn self_test() -> Result<(), SealingTestError> {
    let broken = |_| SealingTestError::GoodRefused;
    let key = SealingKey::from_bytes(TEST_KEY).map_err(broken)?;
    let sealer = Sealer::new(vec![key]).map_err(broken)?;
    let Issued { endpoint, value } = test_issued();
    let fresh = sealer.seal(&TEST_BINDING.session(), endpoint, &value);
    let fresh = fresh.ok_or(SealingTestError::GoodRefused)?;
    try_sealed(TEST_SEALED, |bound, sealed| sealer.open(bound, sealed))?;
    try_sealed(&fresh, |bound, sealed| sealer.open(bound, sealed))
}

fn try_sealed(
    sealed: &str,
    open: impl Fn(&Bound, &str) -> Result<Issued, Reason>,
) -> Result<(), SealingTestError> {
    let good = TEST_BINDING.session();
    if open(&good, sealed) != Ok(test_issued()) {
        return Err(SealingTestError::GoodRefused);
    }
    let mut altered = URL_SAFE_NO_PAD.decode(sealed).unwrap_or_default();
    if let Some(byte) = altered.last_mut() {
        *byte ^= 1;
    }
    let altered = URL_SAFE_NO_PAD.encode(altered);
    let another = Binding {
        subject: "mallory",
        ..TEST_BINDING
    };
    let opens = open(&good, &altered).is_ok()
        || open(&another.session(), sealed).is_ok()
        || open(&TEST_BINDING.task(), sealed).is_ok();
    match opens {
        true => Err(SealingTestError::BadAccepted),
        false => Ok(()),
    }
}

/// What opens.
fn test_issued() -> Issued {
    Issued {
        endpoint: EndpointId::of(TEST_ENDPOINT),
        value: TEST_ID.to_owned(),
    }
}

/// A key that is used only in the self-test.
const TEST_KEY: &[u8] = b"for the self-test of sealing it.";
const TEST_BINDING: Binding<'static> = Binding {
    resource: "https://mcp.example.com/mcp",
    issuer: "https://issuer.example.com",
    subject: "alice",
    client: Some("app"),
};
const TEST_ENDPOINT: &str = "http://127.0.0.1:9000/mcp";
const TEST_ID: &str = "session-of-the-self-test";
/// [`TEST_ID`], sealed for [`TEST_BINDING`] with [`TEST_KEY`].
const TEST_SEALED: &str = "AqV784lVrf5HyQWN1t75i3aAitAhtNeByvES_tNP1DVp2_rHDQQkaDhjRrw906KdL_YU9BkLfUXDOjMc4OXd77A5y7Pce0LA3cRbMEnbdEDJ58nDCdNs--UYvYoQgTF5oA";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealing_passes_its_self_test() {
        assert_eq!(self_test(), Ok(()));
    }

    /// The result of the self-test if only the vector opens, for every binding that `accepts` allows.
    fn outcome(accepts: impl Fn(&Bound) -> bool) -> Result<(), SealingTestError> {
        try_sealed(TEST_SEALED, |bound, sealed| {
            match accepts(bound) && sealed == TEST_SEALED {
                true => Ok(test_issued()),
                false => Err(Reason::SessionUnknown),
            }
        })
    }

    #[test]
    fn sealing_with_a_wrong_result_fails_the_self_test() {
        let good = TEST_BINDING.session();
        let accepted = Err(SealingTestError::BadAccepted);
        assert_eq!(outcome(|bound| *bound == good), Ok(()));
        assert_eq!(outcome(|_| false), Err(SealingTestError::GoodRefused));
        assert_eq!(try_sealed(TEST_SEALED, |_, _| Ok(test_issued())), accepted);
        assert_eq!(outcome(|_| true), accepted, "for another caller");
        assert_eq!(
            outcome(|bound| *bound == good || *bound == TEST_BINDING.task()),
            accepted,
            "as a task"
        );
        let altered_too = try_sealed(TEST_SEALED, |bound, _| match *bound == good {
            true => Ok(test_issued()),
            false => Err(Reason::SessionUnknown),
        });
        assert_eq!(altered_too, accepted);
    }

    #[test]
    fn the_altered_id_differs_for_every_last_byte() {
        let good_binding = TEST_BINDING.session();
        for last in [0, 1, 0xff] {
            let good = URL_SAFE_NO_PAD.encode([7, last]);
            let outcome = try_sealed(&good, |bound, sealed| {
                match *bound == good_binding && sealed == good {
                    true => Ok(test_issued()),
                    false => Err(Reason::SessionUnknown),
                }
            });
            assert_eq!(outcome, Ok(()), "{last}");
        }
    }
}

//! A request state with the time at which it was sealed, so that it expires (MCP 2026-07-28, multi round-trip requests, *Server
//! Requirements*).

use std::time::Duration;

use super::binding::Bound;
use super::form::TIME;
use super::issued::Issued;
use super::sealer::Sealer;
use crate::endpoint_id::EndpointId;
use crate::refusal::{fault::Fault, reason::Reason};
use crate::time::UnixTime;

/// How far the clock of another replica may be ahead.
const AHEAD: Duration = Duration::from_secs(60);

/// Seals a state with the time. `None` as in [`Sealer::seal`].
pub(crate) fn seal(
    sealer: &Sealer,
    bound: &Bound,
    endpoint: EndpointId,
    state: &str,
    now: UnixTime,
) -> Option<String> {
    sealer.seal(bound, endpoint, &format!("{:016x}{state}", now.secs()))
}

/// Opens a state that was sealed at most `lifetime` ago.
///
/// # Errors
/// [`Reason::RequestState`], also for a state that expired.
pub(crate) fn open(
    sealer: &Sealer,
    bound: &Bound,
    sealed: &str,
    now: UnixTime,
    lifetime: Duration,
) -> Result<Issued, Fault> {
    let Issued { endpoint, value } = sealer.open(bound, sealed)?;
    let (time, state) = value.split_at_checked(TIME).ok_or(Reason::RequestState)?;
    let time = i64::from_str_radix(time, 16).map_err(|_| Reason::RequestState)?;
    let time = UnixTime::new(time);
    if time > now.plus(AHEAD) {
        let detail = "the request state is from the future: compare the clocks of the replicas";
        return Err(Fault::new(Reason::RequestState, detail));
    }
    let age = now.since(time);
    if age >= lifetime {
        let detail = format!(
            "the request state is {age:?} old, and valid for {lifetime:?} (timeouts.request_state)"
        );
        return Err(Fault::new(Reason::RequestState, detail));
    }
    Ok(Issued {
        endpoint,
        value: state.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::{Binding, CallDigest, MAX_REQUEST_STATE, SealingKey};

    #[test]
    fn a_state_expires() {
        let sealer = Sealer::new(vec![SealingKey::from_bytes(&[7; 32]).unwrap()]).unwrap();
        let binding = Binding {
            resource: "r",
            issuer: "i",
            subject: "s",
            client: None,
        };
        let endpoint = EndpointId::of("e");
        let bound = binding.request_state(&CallDigest::of("tools/call", None, None).unwrap());
        let at = UnixTime::new(1_795_257_000);
        let longest = "x".repeat(MAX_REQUEST_STATE);
        for state in ["", "asked", &longest] {
            let sealed = seal(&sealer, &bound, endpoint, state, at).unwrap();
            for (after, expected) in [
                (-61, false),
                (-60, true),
                (0, true),
                (3599, true),
                (3600, false),
            ] {
                let now = UnixTime::new(at.secs() + after);
                let opened = open(&sealer, &bound, &sealed, now, Duration::from_secs(3600));
                let expected = expected.then_some(state).ok_or(Reason::RequestState);
                let opened = opened.map(|issued| issued.value);
                let opened = opened.map_err(|fault| fault.reason);
                assert_eq!(opened.as_deref(), expected.as_ref().copied(), "{after}");
            }
        }
        assert_eq!(
            seal(&sealer, &bound, endpoint, &format!("{longest}x"), at),
            None
        );
    }
}

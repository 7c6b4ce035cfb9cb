//! Phase 6, its end: the endpoint of the upstream that a message is sent to. A message of a session, about a task or with a
//! request state goes to the endpoint that issued these, which alone knows them. Any other message goes to one that has few calls.

use std::sync::Arc;

use mcp_gateway_core::{
    balance::{endpoints::Denied, waiting::Caller},
    endpoint_id::EndpointId,
    refusal::{Refusal, fault::Fault, reason::Reason},
};

use super::task_ids::OpenedValues;
use crate::{
    request::exchange::{Exchange, Stop},
    snapshot::ProtectedResource,
    upstream::{Call, EndpointSet, Needs, RETRY_AFTER},
};

/// The detail in the access log where the endpoint that issued a value is not in use any more.
const GONE: &str = "the endpoint that issued the session id, task id or requestState is not an endpoint of the resource any more, or is dead (resources.upstream)";

/// The detail where all endpoints are busy.
const BUSY: &str = "each endpoint has as many calls as it may have, and the call waited as long as it may, or too many wait already (resources.upstream.max_calls, resources.upstream.queue)";

/// The detail where there is no endpoint.
const NONE: &str = "no endpoint is healthy (resources.upstream.health_check), or the name of the upstream has no address (resources.upstream.resolve)";

/// The endpoint that issued the values of a message, and the reason for a value that is unknown.
#[derive(Clone, Copy)]
pub(crate) struct Issuer(Option<(EndpointId, Reason)>);

impl Issuer {
    /// Of the session, by its endpoint, and the other sealed values of a message.
    pub(crate) fn of(session: Option<EndpointId>, values: &OpenedValues) -> Self {
        let of_session = session.map(|endpoint| (endpoint, Reason::SessionUnknown));
        Self(of_session.or_else(|| Some((values.endpoint()?, values.unknown()))))
    }

    /// Whether the message can be sent to any endpoint.
    pub(crate) const fn is_any(self) -> bool {
        self.0.is_none()
    }

    /// Whether it is that of a session.
    pub(crate) const fn is_of_session(self) -> bool {
        matches!(self.0, Some((_, Reason::SessionUnknown)))
    }
}

/// The endpoint that a message is sent to, perhaps after a wait.
///
/// # Errors
/// The endpoint that issued a sealed value of the message is gone: the reason is the one for an unknown value of that kind. Or no
/// endpoint is free, or none is healthy, or the client disconnected.
pub(crate) async fn choose(
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
    issuer: Issuer,
    listens: bool,
) -> Result<Call, Stop> {
    let set = resource.upstream.set();
    let needs = issuer.0.map_or(Needs::Any, |(id, _)| Needs::Only(id));
    let account = exchange.account.as_ref();
    let caller = Caller(account.map_or(0, |account| Arc::as_ptr(account) as usize));
    let chosen = match set.choose(needs, listens, caller) {
        // Boxed: few calls wait.
        Err(Denied::Busy) if !listens => Box::pin(wait(exchange, set, needs, caller)).await?,
        chosen => chosen,
    };
    chosen.map_err(|denied| refusal(denied, issuer).into())
}

/// Waits for an endpoint, and for the client to disconnect.
async fn wait(
    exchange: &mut Exchange<'_>,
    set: &Arc<EndpointSet>,
    needs: Needs,
    caller: Caller,
) -> Result<Result<Call, Denied>, Stop> {
    tokio::select! {
        biased;
        granted = set.wait(needs, caller) => Ok(granted),
        () = exchange.session.gone() => Err(Stop::Broken),
    }
}

fn refusal(denied: Denied, Issuer(issuer): Issuer) -> Refusal {
    let fault = match denied {
        Denied::Gone => {
            let unknown = issuer.map_or(Reason::SessionUnknown, |(_, unknown)| unknown);
            return Fault::new(unknown, GONE).into();
        }
        Denied::Busy => Fault::limit(Reason::EndpointsBusy, BUSY),
        Denied::NoneHealthy | Denied::NoOther => Fault::new(Reason::NoEndpoint, NONE),
    };
    Refusal {
        retry_after: Some(RETRY_AFTER),
        ..fault.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_an_endpoint_that_is_gone_is_unknown_in_its_own_way() {
        let id = EndpointId::of("http://127.0.0.1:9/mcp");
        for reason in [
            Reason::SessionUnknown,
            Reason::TaskUnknown,
            Reason::RequestState,
        ] {
            let refused = refusal(Denied::Gone, Issuer(Some((id, reason))));
            assert_eq!((refused.reason, refused.retry_after), (reason, None));
        }
    }

    #[test]
    fn without_an_endpoint_the_client_learns_when_to_try_again() {
        for (denied, expected) in [
            (Denied::Busy, Reason::EndpointsBusy),
            (Denied::NoneHealthy, Reason::NoEndpoint),
        ] {
            let refused = refusal(denied, Issuer(None));
            assert_eq!(refused.reason, expected);
            assert_eq!(refused.reason.status(), 503);
            assert_eq!(refused.retry_after, Some(RETRY_AFTER));
        }
    }
}

//! The phases of a request, from its head to its answer. With [`downstream`](crate::downstream), the only module that names
//! Pingora's sessions.
//!
//! [`pipeline`] calls all phases in one function; each phase has its own file:
//!
//! 1. [`admit`]: checks that this is exactly one request, for a host that is served here.
//! 2. [`route`]: finds the protected resource at its path.
//! 3. [`authenticate`]: verifies the one access token for this resource, and what it is bound to ([`possession`]).
//! 4. [`read`]: reads the body, and the one message in it.
//! 5. [`authorize`]: applies policy and rate limits.
//! 6. [`session`]: opens the session id and other sealed values.
//! 7. [`forward`]: sends the request to the upstream; [`response`] returns the answer. [`http_sse`] is what differs in the transport of MCP 2024-11-05.
//! 8. [`record`]: at the end of the request, its metrics and its access line are written (`record/guard.rs`).
//!
//! A request for a service of the gateway's own ends after phase 2, in [`serve_local`].
//!
//! The [`exchange`] holds what the phases find, the [`record`] what logs and metrics get of it. An open listening stream keeps its
//! [`standing`]: it is judged again when the policy or the keys change.

mod admit;
mod authenticate;
mod authorize;
pub(crate) mod exchange;
mod forward;
mod http_sse;
pub(crate) mod pipeline;
pub(crate) mod possession;
mod read;
pub(crate) mod record;
pub(crate) mod response;
mod route;
mod serve_local;
mod session;
pub(crate) mod standing;
pub(crate) mod tls_info;
mod viewer;

#[cfg(test)]
mod tests {
    use test_support::{future_bytes, uncalled, within_budget};

    use super::{
        forward, pipeline,
        response::{relay, write::client_side::BareStream},
    };

    #[test]
    fn the_futures_of_a_request_are_within_their_budgets() {
        let phases = future_bytes(|| pipeline::run(uncalled()));
        within_budget("future_phases", phases);
        let forward = future_bytes(|| {
            let (exchange, resource, permit) = (uncalled(), uncalled(), uncalled());
            let (message, route, terms) = (uncalled(), uncalled(), uncalled());
            forward::forward(
                exchange,
                resource,
                permit,
                message,
                route,
                terms,
                uncalled(),
            )
        });
        within_budget("future_forward", forward);
        let relay = future_bytes(|| {
            let client = uncalled::<&mut BareStream>();
            relay::relay(uncalled(), client, uncalled(), uncalled())
        });
        within_budget("future_relay", relay);
    }
}

//! Limits that keep one client from using up what all clients share. Most return a guard that gives the share
//! back when it is dropped:
//!
//! | file | counts | configuration |
//! |---|---|---|
//! | [`per_address`] | open connections of one client address | `limits.connections_per_address` |
//! | [`in_flight`] | calls in flight and streams that only listen, by subject and in all | `limits.calls…`, `limits.listening_streams…` |
//! | [`body_budget`] | bytes of all bodies in memory, by subject, by address and in all | `limits.bodies_bytes…` |
//! | [`shares`] | what each holder has taken of one thing | |
//! | [`accounts`] | what one subject or address has taken of these two | |
//! | [`question_places`] | questions to decision points and exchanges of tokens in flight, by subject and of each that is asked | `decision_points.*.questions…`, `token_exchange.calls…` |
//! | [`idle_connections`] | idle connections to all upstreams | by the limit of open files |
//! | [`rate_limiter`] | calls per time | `rate_limits`, `limits.initializations_per_principal` |
//! | [`shared_rates`] | calls per time, of all replicas together | `rate_limits` |
//! | [`used_proofs`] | DPoP proofs, by subject and in all | `limits.dpop_proofs` |
//! | [`overload`] | descriptors and memory of the process | `limits.memory` |
//!
//! All connections together (`limits.connections`) and the refusals of an address (`limits.refusals_per_address`) are counted in
//! [`shared`](crate::shared).

pub(crate) mod accounts;
pub(crate) mod body_budget;
pub(crate) mod idle_connections;
pub(crate) mod in_flight;
pub(crate) mod overload;
pub(crate) mod per_address;
pub(crate) mod question_places;
pub(crate) mod rate_limiter;
pub(crate) mod shared_rates;
pub(crate) mod shares;
pub(crate) mod used_proofs;

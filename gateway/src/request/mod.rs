//! The phases of a request, from its head to its answer. With [`downstream`](crate::downstream), the only module that names
//! Pingora's sessions.
//!
//! [`pipeline`] calls all phases in one function; each phase has its own file:
//!
//! 1. [`admit`]: one request, for a host that is served here, without ambiguity.
//! 2. [`route`]: the protected resource at its path.
//! 3. [`authenticate`]: one bearer token, verified for this resource.
//! 4. [`read`]: the body, and the one message in it.
//! 5. [`authorize`]: policy and rate limits.
//! 6. [`session`]: the session id opened, and what else is sealed.
//! 7. [`forward`]: the upstream asked; its answer goes back by [`response`].
//! 8. [`record`]: when the request is over, its metrics and its access line are written (`record/guard.rs`).
//!
//! The [`exchange`] holds what the phases find, the [`record`] what logs and metrics get of it.

mod admit;
mod authenticate;
mod authorize;
pub(crate) mod exchange;
mod forward;
pub(crate) mod pipeline;
mod read;
pub(crate) mod record;
pub(crate) mod response;
mod route;
mod session;

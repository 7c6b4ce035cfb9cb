//! The life of the process after its start: [`signals`] drain it and shut it down, [`reload`] replaces its configuration,
//! [`upgrade`] hands its listening sockets over to a new process.
//!
//! **On SIGTERM:** [`signals`] sets the state to leaving (`shared/process_state.rs`): readiness turns false, and after
//! `shutdown.delay` the process drains. [`accept`](crate::downstream::accept) stops, connections close after their current
//! request, idle ones after a second, listening streams end (`request/response/stream_end.rs`). When every connection is
//! closed, or `shutdown.drain` has passed, or a second signal arrives, remaining connections are closed, each request is
//! recorded, and [`app`](crate::app) returns.

pub(crate) mod reload;
pub(crate) mod signals;
pub(crate) mod upgrade;

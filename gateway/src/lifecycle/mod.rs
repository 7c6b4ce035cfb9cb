//! The life of the process after its start: [`signals`] drain and end it, [`reload`] exchanges its configuration, [`upgrade`] hands
//! its sockets to a new process.
//!
//! **On SIGTERM:** [`signals`] makes the process leave (`shared/process_state.rs`): readiness turns false, and after
//! `shutdown.delay` it drains. [`accept`](crate::downstream::accept) stops, connections end after their current request, idle ones after a
//! second, streams
//! that only listen end (`request/response/stream_end.rs`). When nothing is open, or `shutdown.drain` is over, or a second signal comes, what is left is
//! cut, each request is recorded, and [`app`](crate::app) returns.

pub(crate) mod reload;
pub(crate) mod signals;
pub(crate) mod upgrade;

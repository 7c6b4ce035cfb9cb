//! The side of the client: from an accepted connection to the requests on it.
//!
//! Read in this order, it is the path of a connection:
//!
//! * [`accept`] binds the listeners and accepts, within the limits of connections; [`rejected`] counts and logs the
//!   connections that are closed without a request;
//! * [`peer`] is the other end of the connection, as the socket or the PROXY protocol header names it;
//! * [`tls`] and [`transport`] make the stream that Pingora reads; [`write_progress`] ends it where the client takes nothing;
//! * [`connection`] reads one request after the other, each head within [`head_allowance`], HTTP/2 within [`http2_limits`],
//!   and hands it to [`request`](crate::request).

pub(crate) mod accept;
mod connection;
mod head_allowance;
mod http2_limits;
mod peer;
mod rejected;
pub(crate) mod tls;
mod transport;
mod write_progress;

//! The client side: from an accepted connection to its requests.
//!
//! In the order in which a connection passes through the files:
//!
//! * [`accept`] binds the listeners and accepts connections, within the connection limits; [`client_sockets`] sets the options of their
//!   sockets; [`rejected`] counts and logs connections that are closed without a request;
//! * [`peer`] is the address of the client, from the socket or the PROXY protocol header;
//! * [`tls`] and [`transport`] make the stream that sessions read, [`client_certificates`] verifies certificates of clients;
//!   [`write_progress`] closes the stream when the client does not read;
//! * [`connection`] reads the requests one after the other, each head within [`head_allowance`], HTTP/2 within
//!   [`http2_limits`], and passes each to [`request`](crate::request); [`open_streams`] is when HTTP/2 is idle.

pub(crate) mod accept;
mod client_certificates;
mod client_sockets;
mod connection;
mod head_allowance;
mod http2_limits;
mod open_streams;
mod peer;
mod rejected;
pub(crate) mod tls;
mod transport;
mod write_progress;

//! From an accepted connection to an answered request: the only place that names Pingora's sessions.
//!
//! Read in this order, it is the request's journey:
//!
//! * [`listener`] accepts, within the limits of connections; [`client`] says who is at the other end; [`tls`] and
//!   [`transport`] make it a stream Pingora can read, whose client must make [`progress`]; [`closing`] tells of those that
//!   bring no request;
//! * [`connection`] reads one request after the other under its deadlines, its [`allowance`] and the limits of [`http2`],
//!   and hands each to
//! * [`journey`], which is the whole story in one function: [`admit`] and route, [`authenticate`], [`read`], authorize,
//!   open the [`session`] and what is [`sealing`]ed besides, [`forward`];
//! * [`answer`] writes what was decided, [`relay`] streams what the upstream says, [`edited`] what is left of it where
//!   [`lists`] hides something or [`sealing`] seals it, [`account`] tells the operator.

mod account;
mod admit;
mod allowance;
mod answer;
mod authenticate;
mod client;
mod closing;
mod connection;
mod edited;
mod forward;
mod http2;
mod journey;
pub(crate) mod listener;
mod lists;
mod progress;
mod read;
mod relay;
mod sealing;
mod session;
pub(crate) mod tls;
mod transport;

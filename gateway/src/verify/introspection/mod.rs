//! The verifier of tokens that only their issuer can read: it asks the issuer (RFC 7662).
//!
//! An [`Introspector`] is one issuer as one resource trusts it. The issuer's [`endpoint`] is shared by all resources; it limits how often
//! it is asked, does not ask for a while after failures, and knows its location. About one token at most one question is under way ([`flights`]). A yes is a
//! verdict for a while, a no is remembered for a shorter time ([`no_list`]), and a failure is neither. [`recheck`] asks again about the
//! token of an open stream.

mod asked_issuer;
mod endpoint;
mod flights;
mod introspector;
mod no_list;
mod place;
mod recheck;

pub(crate) use self::{
    asked_issuer::asked_issuer,
    endpoint::{Endpoint, EndpointsByIssuer, endpoints_by_issuer},
    introspector::Introspector,
    recheck::{Recheck, Times},
};

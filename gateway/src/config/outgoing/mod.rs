//! Who the gateway is elsewhere: at introspection and token endpoints, and at upstreams.

pub mod client_proof;
pub mod credentials;

//! HTTP: whether the request is exactly one request and meant for the gateway, and what of it is forwarded.

pub mod answer;
pub mod authority;
pub mod client_address;
pub mod client_cert;
pub mod cors;
pub mod forwarding;
pub mod framing;
pub mod media_type;
pub mod origin;
pub mod outbound;
pub mod path;
pub mod proxy_protocol;
pub mod query;
pub mod request;
pub mod resource_metadata;

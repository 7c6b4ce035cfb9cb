//! Is the request one request, and for us? And what of it is passed on.

pub mod authority;
pub mod client_address;
pub mod cors;
pub mod forwarding;
pub mod framing;
pub mod media_type;
pub mod origin;
pub mod path;
pub mod proxy_protocol;
pub mod resource_metadata;

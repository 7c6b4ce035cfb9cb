//! Where the server is found: the paths of its endpoints ([`Endpoint`]) and its metadata document (RFC 8414, OpenID Connect Discovery).

mod endpoint;
mod metadata;

pub mod paths;

pub use endpoint::Endpoint;
pub use metadata::{Features, metadata};

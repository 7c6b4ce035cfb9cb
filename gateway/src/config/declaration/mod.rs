//! Every configuration key, declared once: its name, type, range, default and description.
//!
//! Sections with numbers and switches are declared as the types that they are read into ([`parts::section`]). The others are
//! tables; a key with a simple value is a [`parts::setting`], which the checks read. The JSON Schema is generated from the
//! tables, and a test compares `config/gateway.yaml` and the checks with them.

pub(crate) mod authorization_server;
pub(crate) mod credentials;
pub(crate) mod document;
pub(crate) mod identity_headers;
pub(crate) mod issuer;
pub(crate) mod limits;
pub(crate) mod listen;
pub(crate) mod parts;
pub(crate) mod policy;
pub(crate) mod process;
pub(crate) mod rate_limit;
pub(crate) mod resource;
pub(crate) mod timeouts;

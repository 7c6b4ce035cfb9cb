//! Every configuration key, declared once: its name, what it takes, its range, what holds without it, and a sentence.
//!
//! Sections that hold numbers and switches are declared as the types they are read into ([`parts::section`]). The others are
//! tables; where one of their keys has a value of its own, it is a [`parts::setting`], which the checks read. The JSON
//! Schema is made from the tables, and a test holds `config/gateway.yaml` and the checks to them.

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

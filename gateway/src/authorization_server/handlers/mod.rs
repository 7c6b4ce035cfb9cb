//! The endpoints, each in a file: it reads the request, finds the client, asks the decisions of `mcp-gateway-oauth` in a transaction
//! of the store, and writes the answer. What several of them need is in [`common`], and in [`clients`](super::clients).

pub(super) mod authorize;
mod common;
pub(super) mod consent;
pub(super) mod documents;
pub(super) mod federation;
pub(super) mod introspect;
pub(super) mod manage;
pub(super) mod register;
pub(super) mod revoke;
pub(super) mod sign_in;
pub(super) mod sign_out;
pub(super) mod token;

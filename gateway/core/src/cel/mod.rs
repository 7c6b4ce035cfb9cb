//! A rule's condition: one expression of CEL (the Common Expression Language) over the caller, the call and the request.
//!
//! | variable | what |
//! |---|---|
//! | `claims` | the token's claims, by name; a missing one makes the condition fail unless `has()` checks it first |
//! | `client.id`, `client.address` | the token's client, the address the request comes from |
//! | `mcp.method`, `mcp.name`, `mcp.version` | the JSON-RPC method, the tool, prompt or resource, the protocol's version |
//! | `mcp.arguments` | the call's arguments, by name; without any, an empty map |
//! | `request.method`, `.path`, `.host`, `.time` | the HTTP request; the time is a timestamp in UTC |
//!
//! A text that is missing is the empty text.
//!
//! **Refused at compile time:** what is not CEL; unknown names and functions; operations on facts
//! of known type that can never work or never be true (`request.path > 3`, `mcp.name == 3`); a constant that fails
//! (`timestamp("noon")`); a result that is known not to be true or false. **Not refused at compile time:** what depends on the
//! type of a claim or an argument, which only a request has. There it is a [`ConditionFault`], and the call is refused: also
//! where such a value is compared with one of another type, which CEL calls unequal (`equality.rs`).
//!
//! **How much it can cost.** A condition is at most [`Condition::MAX_BYTES`] long and has no loops, no regular expressions
//! and no functions of the gateway's: its time is bounded by its length times the size of what it reads.

pub(crate) mod call_arguments;
mod check;
mod condition;
mod environment;
mod equality;
mod error;
mod facts;
mod fault;
pub mod kept_claims;
mod slots;
#[cfg(test)]
mod tests;
pub(crate) mod value;

pub use condition::Condition;
pub use error::ConditionError;
pub use facts::{Facts, RequestFacts};
pub use fault::ConditionFault;

//! A rule's condition: one expression of CEL (the Common Expression Language) over the caller, the call and the request.
//!
//! | variable | what |
//! |---|---|
//! | `claims` | the token's claims, by name; one that is missing makes the condition fail unless `has()` asked for it |
//! | `client.id`, `client.address` | the token's client, the address the request comes from |
//! | `mcp.method`, `mcp.name`, `mcp.version` | the JSON-RPC method, the tool, prompt or resource, the protocol's version |
//! | `mcp.arguments` | the call's arguments, by name; without any, an empty map |
//! | `request.method`, `.path`, `.host`, `.time` | the HTTP request; the time is a timestamp in UTC |
//!
//! What is text and missing is empty text.
//!
//! **What is refused when it is compiled:** what is no CEL; names and functions that there are not; operations on facts
//! of known type that can never work or never be true (`request.path > 3`, `mcp.name == 3`); a constant that fails
//! (`timestamp("noon")`); a result that is known to be anything but true or false. **What is not:** whatever depends on the
//! type of a claim or an argument, for only a request tells it. There it counts as [`ConditionFault`] and denies.
//!
//! **How much it can cost.** A condition is at most [`Condition::MAX_BYTES`] long and has no loops, no regular expressions
//! and no functions of ours: its time is bounded by its length times the size of what it reads.

pub(crate) mod call_arguments;
mod check;
mod condition;
mod environment;
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

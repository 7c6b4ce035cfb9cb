//! What clients can request, one file for each feature of MCP: [`tools`], [`resources`], [`prompts`] with completion, and
//! [`subscriptions`] to changed resources.

pub(crate) mod prompts;
pub(crate) mod resources;
pub(crate) mod subscriptions;
pub(crate) mod tools;

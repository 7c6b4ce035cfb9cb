//! Phase 6: opens the sealed values that clients send back: the [`session_id`] of a legacy session, the [`message_endpoint`] of
//! HTTP+SSE, [`task_ids`] and request states. Each is valid only for what it is bound to ([`binding`]), and leads to the [`endpoint`] that
//! issued it.

mod binding;
pub(crate) mod endpoint;
pub(crate) mod message_endpoint;
pub(crate) mod session_id;
pub(crate) mod task_ids;

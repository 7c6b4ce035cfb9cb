//! Phase 6: what clients hold and cannot read, opened for the upstream: the [`session_id`] of a legacy session, [`task_ids`] and
//! request states. Each opens only for what it is bound to ([`binding`]).

mod binding;
pub(crate) mod session_id;
pub(crate) mod task_ids;

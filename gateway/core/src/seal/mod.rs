//! Sealed values: the client holds what the upstream gave it, but cannot read, alter or lend it.
//!
//! A sealed session id, task id or request state carries the upstream's own and a digest of whom it belongs to, under an
//! AEAD. So no replica needs a store, a restart with the same key loses nothing, and a stolen value is worth nothing to
//! another principal, on another resource or towards another upstream, and a request state nothing on another call (MCP
//! security best practices, *Session Hijacking*; tasks, *Task Isolation and Access Control*; multi round-trip requests,
//! *Server Requirements*; GHSA-mvgg-jvj2-4frq).
//!
//! Form, before base64url: version (1 byte), key id (4), nonce (12), then sealed by AES-256-GCM-SIV (RFC 8452) with version
//! and key id as associated data: SHA-256 of the binding (32), the upstream's value, tag (16). The binding is inside, not in
//! the associated data, so that a genuine value in the wrong hands can be told from a forged one, in metrics only. Each kind
//! of value has bindings of its own, so none opens as another. GCM-SIV, because its nonces may be random on any number of
//! replicas, and may repeat with the text: clients know a task by its id, so that one is sealed to the same text each time,
//! with a nonce that follows from it.

mod binding;
mod call;
mod digest;
mod form;
mod key;
mod request;
mod sealer;
mod self_test;

pub use binding::{Binding, Bound, MAX_REQUEST_STATE, MAX_SESSION_ID, MAX_TASK_ID};
pub use call::CallDigest;
pub use key::{SealingKey, SealingKeyError};
pub use request::{Opened, Opening};
pub use sealer::Sealer;
pub use self_test::{SealingTestError, self_test};

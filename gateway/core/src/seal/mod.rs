//! Sealed values: a client stores a value of the upstream, but cannot read it, change it or share it with another client.
//!
//! A sealed session id, task id, request state or endpoint of HTTP+SSE contains the upstream's value and a digest of its owner, under an AEAD. So no
//! replica needs a store, and a restart with the same key loses nothing. A stolen value cannot be used by another principal or on
//! another resource, it is sent only to the endpoint that issued it, and a request state cannot be used for another call (MCP security best practices,
//! *Session Hijacking*; tasks, *Task Isolation and Access Control*; multi round-trip requests, *Server Requirements*;
//! GHSA-mvgg-jvj2-4frq).
//!
//! Form, before base64url: version (1 byte), key id (4), nonce (12), then sealed by AES-256-GCM-SIV (RFC 8452) with version
//! and key id as associated data: SHA-256 of the binding (32), id of the endpoint (8), the upstream's value, tag (16). The binding is inside, not in the
//! associated data: so metrics, and only metrics, can distinguish a stolen value from a forged one. Each kind of value has its own
//! bindings, so a value of one kind does not open as another. GCM-SIV, because its nonces may be random on any number of replicas,
//! and may repeat for the same text: clients compare task ids, so a task id is always sealed to the same text, with a nonce
//! derived from it.

mod binding;
mod call;
pub(crate) mod digest;
mod form;
mod issued;
mod key;
mod request;
mod sealer;
mod self_test;
mod stamp;
pub(crate) mod state;

pub use binding::{
    Binding, Bound, MAX_MESSAGE_ENDPOINT, MAX_REQUEST_STATE, MAX_SESSION_ID, MAX_TASK_ID,
};
pub use call::CallDigest;
pub use issued::Issued;
pub use key::{SealingKey, SealingKeyError, key_bytes};
pub use request::{Opened, Opening};
pub use sealer::{SealedForm, Sealer};
pub use self_test::{SealingTestError, self_test};

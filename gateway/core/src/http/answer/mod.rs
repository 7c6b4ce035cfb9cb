//! What the head of an upstream's answer says: whether it may be forwarded ([`status`]), and how its body is encoded
//! ([`coding`]). The details are for the operator: what was found, and what to write instead.

pub mod coding;
mod shown;
pub mod status;

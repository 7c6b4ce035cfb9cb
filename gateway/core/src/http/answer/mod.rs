//! What an upstream's answer says: its head over HTTP/1.1 ([`head`]), where its body ends ([`framing`], [`chunked`]), whether it may
//! be forwarded ([`status`]), and how its body is encoded ([`coding`]). The details are for the operator: what was found, and what
//! to write instead.

pub mod chunked;
pub mod coding;
pub mod framing;
pub mod head;
mod shown;
pub mod status;

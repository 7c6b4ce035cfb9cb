//! Issuers beside this server whose tokens it takes at its token endpoint (RFC 7521, RFC 7523, RFC 8693).
//!
//! Trust starts empty. [`model`]: each issuer is trusted for what stands there and for nothing else: identity assertions of an
//! enterprise, tokens of workloads, tokens that clients exchange. [`vouched`]: a token of such an issuer, verified by the code that
//! verifies access tokens, with a profile for each use. [`fault`]: why one is not taken.

pub mod fault;
pub mod model;
pub mod vouched;

pub use fault::TrustFault;
pub use model::{ExchangeTrust, IdJagTrust, TrustedIssuer, WorkloadRule};
pub use vouched::{Vouched, claimed};

//! A grant: what a user allowed a client. All tokens that come from one authorization belong to one grant; when it ends, they all
//! end.
//!
//! [`model`]: the grant itself. [`revoked`]: whose access tokens are refused before they expire. [`end`](mod@end): ends grants.
//! [`list`](mod@list): grants as operators see them. [`machine`]: access tokens without a grant. [`room`]: how many a user may have.
//! [`proofs`]: the DPoP proofs that were used with its refresh tokens.

pub mod end;
pub mod list;
pub mod machine;
pub mod model;
pub mod proofs;
pub mod revoked;
pub mod room;

pub use end::{Batch, Ending, end, end_all_of_client, end_all_of_subject};
pub use list::{Filter, Page, find, list};
pub use model::{Ended, EndedBy, Grant};
pub use proofs::{UsedProof, UsedProofs};
pub use revoked::Revoked;
pub use room::end_all_that;

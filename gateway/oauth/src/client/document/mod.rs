//! Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document): a client id that is an https URL, where the client's
//! metadata stands. The owner of the host in the URL vouches for the client.

mod domains;
mod freshness;
mod judge;
mod url;

pub use domains::Domains;
pub use freshness::{Freshness, fresh_for};
pub use judge::{DocumentError, is_document_type, judge};
pub use url::{DocumentUrl, DocumentUrlError, looks_like_url};

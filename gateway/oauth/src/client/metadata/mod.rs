//! Client metadata (RFC 7591 §2): the JSON object that a registration sends and a metadata document is. Both are read here, with the
//! same bounds; unknown members are ignored, and null counts as absent.

mod fault;
mod grant_types;
mod keys;
mod limits;
mod members;
mod name;
mod read;

pub use fault::MetadataFault;
pub use grant_types::{Asked, grant_type_names};
pub use keys::{SIGNING_ALGORITHMS, check_inline_keys};
pub use limits::MAX_METADATA_BYTES;
pub use members::Metadata;
pub use name::{MAX_NAME_CHARS, clean_name};
pub use read::{ClientMetadata, MAX_REDIRECT_URIS, MethodName, Redirects};

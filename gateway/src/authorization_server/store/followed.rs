//! What other processes wrote to a store that they share.

use mcp_gateway_oauth::store::guess::MaybeRow;

/// An entry of the log: the key of a row, and the row, or none where it has expired.
pub(crate) type Entry = (Vec<u8>, MaybeRow);

/// What is new.
#[derive(Clone, Debug, Default)]
pub(crate) struct Followed {
    /// The entries.
    pub(crate) entries: Vec<Entry>,
    /// Whether there may be more.
    pub(crate) has_more: bool,
}

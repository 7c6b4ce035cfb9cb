//! The interface of a store within one transaction: rows of bytes under keys of bytes, in a few tables.
//!
//! Everything that changes state is a function over [`Rows`]. A store runs it in a transaction of its own: either all of its changes
//! are kept or none is, and it sees no other transaction's. A store may run it again from the start when it cannot be committed
//! (optimistic locking), so such a function has no effect beside its rows and its result.

use mcp_gateway_core::time::UnixTime;

/// The tables of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Clients that registered themselves, by client id.
    Clients,
    /// Grants, by id.
    Grants,
    /// Authorization codes, by interaction id.
    Codes,
    /// Sessions of browsers, by the digest of their cookie.
    Sessions,
    /// Ids of client assertions that were used (RFC 7523 §3), by client and `jti`.
    Assertions,
    /// Ended grants and revoked access tokens whose tokens may still be valid, by id.
    Revoked,
    /// When rows of the other tables expire: big-endian seconds, table, key.
    Expiry,
    /// Facts about the store itself, such as its schema version.
    Meta,
    /// Which sessions and grants a user has: table, digest of the subject, big-endian seconds, key.
    Subjects,
    /// Sign-ins at providers that are asked again, by id.
    SignIns,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 10] = [
        Self::Clients,
        Self::Grants,
        Self::Codes,
        Self::Sessions,
        Self::Assertions,
        Self::Revoked,
        Self::Expiry,
        Self::Meta,
        Self::Subjects,
        Self::SignIns,
    ];

    /// Whether its rows are empty: the keys say everything. Such rows are found by a range, and not by their keys.
    pub const fn is_keys_only(self) -> bool {
        matches!(self, Self::Expiry)
    }

    /// Its name in a store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Grants => "grants",
            Self::Codes => "codes",
            Self::Sessions => "sessions",
            Self::Assertions => "assertions",
            Self::Revoked => "revoked",
            Self::Expiry => "expiry",
            Self::Meta => "meta",
            Self::Subjects => "subjects",
            Self::SignIns => "sign_ins",
        }
    }
}

/// The store cannot be read or written, or a row in it cannot be understood. Requests that need it are answered with 503.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store failed: the disk is full, for example.
    #[error("the store of the authorization server failed: {0}")]
    Failed(String),
    /// A row is damaged, or of a newer version of the program.
    #[error("a row of the table {} cannot be read: {problem}", table.name())]
    Row {
        /// Where it is.
        table: Table,
        /// What is wrong with it.
        problem: String,
    },
    /// Another request made the change that this one comes after, and it is not known yet whether its answer will be given.
    #[error("another request made this change, and it is not known yet whether it was answered")]
    Undecided,
}

/// A key with its row.
pub type KeyAndRow = (Vec<u8>, Vec<u8>);

/// The rows of a store, in one transaction.
pub trait Rows {
    /// The row under `key`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes the row under `key`, in the place of another one.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put(&mut self, table: Table, key: &[u8], row: &[u8]) -> Result<(), StoreError>;

    /// Writes a row that may be forgotten some time after `ends`. A store that forgets nothing by itself leaves that to
    /// [`expiry`](super::expiry).
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_until(
        &mut self,
        table: Table,
        key: &[u8],
        row: &[u8],
        ends: UnixTime,
    ) -> Result<(), StoreError> {
        let _ = ends;
        self.put(table, key, row)
    }

    /// Removes the row under `key`, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError>;

    /// At most `most` rows in the order of their keys, which are greater than `after`. In a store that several processes share, a row
    /// that is neither changed nor read by its key may have changed when the transaction is committed.
    ///
    /// # Errors
    /// [`StoreError`].
    fn after(&self, table: Table, after: &[u8], most: usize) -> Result<Vec<KeyAndRow>, StoreError>;

    /// At most `most` rows in the order of their keys, which begin with `prefix` and are longer. When the transaction is committed,
    /// they are the same ones, but a row that is neither changed nor read by its key may have changed.
    ///
    /// # Errors
    /// [`StoreError`].
    fn starting_with(
        &self,
        table: Table,
        prefix: &[u8],
        most: usize,
    ) -> Result<Vec<KeyAndRow>, StoreError> {
        let mut found = self.after(table, prefix, most)?;
        found.retain(|(key, _)| key.starts_with(prefix));
        Ok(found)
    }

    /// How many rows a table has. It takes the same time for every size. In a store that several processes share, it may be a few
    /// seconds old.
    ///
    /// # Errors
    /// [`StoreError`].
    fn count(&self, table: Table) -> Result<u64, StoreError>;
}

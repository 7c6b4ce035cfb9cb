//! Whose access tokens are refused before they expire: the ids of ended grants, and of access tokens without a grant. The server's
//! own resources refuse them at once; other resource servers learn it by introspection (RFC 7662), or when the tokens expire.

use mcp_gateway_core::time::UnixTime;
use serde::{Deserialize, Serialize};

use super::machine;
use crate::{
    id::Id,
    store::{
        rows::{Rows, StoreError, Table},
        table::{self, Row},
        text::UnixTimeText,
    },
};

/// Access tokens that are refused: those whose `grant` claim is this id. The rim adds it to what requests are checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The id.
    pub id: Id,
    /// When the last of the tokens expires: until then they have to be refused.
    pub until: UnixTime,
}

/// Its row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedRow {
    /// When the last of the tokens expires.
    pub until: UnixTimeText,
}

impl Row for RevokedRow {
    const TABLE: Table = Table::Revoked;

    fn ends(&self) -> Option<UnixTime> {
        Some(self.until.0)
    }
}

/// Writes down that the tokens of this id are refused.
///
/// # Errors
/// [`StoreError`].
pub fn revoke(rows: &mut dyn Rows, revoked: Revoked) -> Result<(), StoreError> {
    let until = UnixTimeText(revoked.until);
    table::insert(rows, revoked.id.as_bytes(), &RevokedRow { until })
}

/// Ends all tokens that a machine has. It gets no others under this client id: it must not be registered any longer.
///
/// # Errors
/// [`StoreError`].
pub fn revoke_machine(
    rows: &mut dyn Rows,
    client: &str,
    now: UnixTime,
) -> Result<Revoked, StoreError> {
    let id = machine::of_client(client);
    let until = now.plus(machine::LONGEST_ACCESS_TOKEN);
    let revoked = Revoked { id, until };
    revoke(rows, revoked)?;
    Ok(revoked)
}

/// Whether the tokens of this id are refused: by the id itself, or with all of a machine.
///
/// # Errors
/// [`StoreError`].
pub fn is_revoked(rows: &dyn Rows, id: Id) -> Result<bool, StoreError> {
    let has_row = |id: Id| table::get::<RevokedRow>(rows, id.as_bytes()).map(|row| row.is_some());
    Ok(has_row(id)? || has_row(machine::of_all(id))?)
}

/// At most `most` ids of refused tokens after this one, in the order of the ids: what the rim reads when it opens the store.
///
/// # Errors
/// [`StoreError`].
pub fn all(rows: &dyn Rows, after: Option<Id>, most: usize) -> Result<Vec<Revoked>, StoreError> {
    let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
    let found = rows.after(Table::Revoked, after, most)?;
    found.iter().map(|(key, row)| read(key, row)).collect()
}

/// What a row under this key says.
///
/// # Errors
/// [`StoreError::Row`].
pub fn read(key: &[u8], row: &[u8]) -> Result<Revoked, StoreError> {
    let row: RevokedRow = table::read(Table::Revoked, row)?;
    Ok(Revoked {
        id: id_of(Table::Revoked, key)?,
        until: row.until.0,
    })
}

/// The id that a key is.
pub(super) fn id_of(table: Table, key: &[u8]) -> Result<Id, StoreError> {
    key.try_into().map(Id::new).map_err(|_| StoreError::Row {
        table,
        problem: format!("its key has {} bytes, not those of an id", key.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryRows;

    #[test]
    fn one_token_ends_alone_and_all_of_a_client_end_together() {
        let now = UnixTime::new(1000);
        let token = |client, number| machine::of_token(client, Id::new([number; 16]));
        let tokens = [
            token("a", 1),
            token("a", 2),
            token("b", 1),
            Id::new([7; 16]),
        ];
        let mut rows = MemoryRows::default();
        let one = Revoked {
            id: tokens[0],
            until: now,
        };
        revoke(&mut rows, one).unwrap();
        let refused = |rows: &MemoryRows| tokens.map(|id| is_revoked(rows, id).unwrap());
        assert_eq!(refused(&rows), [true, false, false, false]);
        let all = revoke_machine(&mut rows, "a", now).unwrap();
        assert_eq!(refused(&rows), [true, true, false, false]);
        assert_eq!(all.until, now.plus(machine::LONGEST_ACCESS_TOKEN));
        assert!(
            tokens[..2]
                .iter()
                .all(|token| machine::of_all(*token) == all.id)
        );
    }
}

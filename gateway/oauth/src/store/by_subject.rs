//! Which rows a user has, the oldest first: so that one user's share of a table is counted and kept without a look at the whole table.
//!
//! An entry names a row by its key. A row that leaves early leaves its entry behind; so the rows themselves are looked at where there
//! are as many entries as there may be rows.

use aws_lc_rs::digest::{SHA256, digest};
use mcp_gateway_core::time::UnixTime;
use serde::{Deserialize, Serialize};

use super::{
    rows::{Rows, StoreError, Table},
    table::{self, Row},
    text::UnixTimeText,
};

/// Bytes of the digest of a subject in a key.
const SUBJECT_BYTES: usize = 16;

/// Bytes of a key before that of the row it names: table, subject, instant.
const BEFORE_KEY: usize = 1 + SUBJECT_BYTES + 8;

/// Entries beyond the most that there may be, which are looked at together: those of rows that left, or of a limit that was lowered.
const EXTRA: usize = 1024;

/// The most entries of one user that are looked at: more than there are of any kind.
pub const MOST: usize = 16 * 1024;

/// An entry. It leaves when its row ends at the latest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    ends: UnixTimeText,
}

impl Row for Entry {
    const TABLE: Table = Table::Subjects;

    fn ends(&self) -> Option<UnixTime> {
        Some(self.ends.0)
    }
}

/// Whose row an entry names.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The table of the row.
    pub table: Table,
    /// The user.
    pub subject: &'a str,
}

/// Where an entry is, and the key of its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    entry: Vec<u8>,
    /// The key of the row.
    pub key: Vec<u8>,
}

impl Owner<'_> {
    /// Writes down that the user has the row under `key` from `now` on, until `ends` at most.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn add(
        self,
        rows: &mut dyn Rows,
        key: &[u8],
        now: UnixTime,
        ends: UnixTime,
    ) -> Result<(), StoreError> {
        let seconds = u64::try_from(now.secs()).unwrap_or(0).to_be_bytes();
        let entry = [&self.prefix()[..], &seconds[..], key].concat();
        let ends = UnixTimeText(ends);
        table::insert(rows, &entry, &Entry { ends })
    }

    /// The rows that the user may have, the oldest first, where one more could be more than `most`; empty where there is room.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn full(self, rows: &dyn Rows, most: usize) -> Result<Vec<Named>, StoreError> {
        let named = self.named(rows, most.saturating_add(EXTRA))?;
        Ok(if named.len() < most {
            Vec::new()
        } else {
            named
        })
    }

    /// All rows that the user may have, the oldest first, at most [`MOST`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn all(self, rows: &dyn Rows) -> Result<Vec<Named>, StoreError> {
        self.named(rows, MOST)
    }

    fn named(self, rows: &dyn Rows, most: usize) -> Result<Vec<Named>, StoreError> {
        let found = rows.starting_with(Table::Subjects, &self.prefix(), most)?;
        let own = found.into_iter().map(|(entry, _)| entry);
        Ok(own.filter_map(Named::of).collect())
    }

    fn prefix(self) -> Vec<u8> {
        let digest = digest(&SHA256, self.subject.as_bytes());
        let subject = digest.as_ref().iter().take(SUBJECT_BYTES);
        let table = [self.table as u8];
        table.iter().chain(subject).copied().collect()
    }
}

impl Named {
    fn of(entry: Vec<u8>) -> Option<Self> {
        let key = entry.get(BEFORE_KEY..)?.to_vec();
        Some(Self { entry, key })
    }

    /// Removes the entry: its row has left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget(&self, rows: &mut dyn Rows) -> Result<(), StoreError> {
        rows.remove(Table::Subjects, &self.entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        expiry::{Kind, remove_expired},
        memory::MemoryRows,
    };

    fn keys(rows: &MemoryRows, owner: Owner<'_>, most: usize) -> Vec<String> {
        let full = owner.full(rows, most).unwrap();
        let text = |named: &Named| String::from_utf8(named.key.clone()).unwrap();
        full.iter().map(text).collect()
    }

    #[test]
    fn the_rows_of_a_user_are_found_oldest_first_once_there_may_be_too_many() {
        let mut rows = MemoryRows::default();
        let owner = |table, subject| Owner { table, subject };
        let ana = owner(Table::Sessions, "u:ana");
        let at = UnixTime::new;
        for (key, began) in [("second", 20), ("first", 10), ("third", 30)] {
            ana.add(&mut rows, key.as_bytes(), at(began), at(100))
                .unwrap();
        }
        for other in [
            owner(Table::Grants, "u:ana"),
            owner(Table::Sessions, "u:an"),
        ] {
            other.add(&mut rows, b"other", at(15), at(100)).unwrap();
        }
        assert!(keys(&rows, ana, 4).is_empty());
        assert_eq!(ana.all(&rows).unwrap().len(), 3);
        assert_eq!(keys(&rows, ana, 3), ["first", "second", "third"]);
        assert_eq!(keys(&rows, ana, 1), ["first", "second", "third"]);
        let full = ana.full(&rows, 1).unwrap();
        full[0].forget(&mut rows).unwrap();
        assert_eq!(keys(&rows, ana, 1), ["second", "third"]);
        let kinds = [Kind::of::<Entry>()];
        remove_expired(&mut rows, &kinds, at(100), 10).unwrap();
        assert_eq!(rows.count(Table::Subjects), Ok(0));
    }
}

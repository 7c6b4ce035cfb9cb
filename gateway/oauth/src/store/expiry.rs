//! Removes rows that have expired, a few at a time. The table of expiries says when to look at a row; the row itself says whether it
//! has expired, so one whose end moved gets a new entry.

use mcp_gateway_core::time::UnixTime;

use super::{
    rows::{Rows, StoreError, Table},
    table::{self, Row},
};

/// Bytes of the instant at the start of an entry's key.
const SECONDS_BYTES: usize = 8;

/// A kind of row that expires. The caller lists all of them, since this module knows none.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    table: Table,
    ends: fn(&[u8]) -> Result<Option<UnixTime>, StoreError>,
}

impl Kind {
    /// The rows of this type.
    pub const fn of<R: Row>() -> Self {
        Self {
            table: R::TABLE,
            ends: |row| Ok(table::read::<R>(R::TABLE, row)?.ends()),
        }
    }
}

/// What one batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How often it looked: as often as it may where more is due.
    pub looked: usize,
    /// Rows that have expired and are removed.
    pub removed: usize,
    /// Rows that live on and are looked at again later.
    pub moved: usize,
    /// Rows that cannot be read, or of a kind that is not listed. They stay, and are not looked at again.
    pub unreadable: usize,
}

/// Looks at the rows whose time has come, at most at `most`, and removes those that have expired.
///
/// # Errors
/// [`StoreError`].
pub fn remove_expired(
    rows: &mut dyn Rows,
    kinds: &[Kind],
    now: UnixTime,
    most: usize,
) -> Result<Swept, StoreError> {
    let entries = rows.after(Table::Expiry, &[], most)?;
    let mut swept = Swept::default();
    for (entry, _) in entries {
        if time(&entry).is_some_and(|at| at > now) {
            break;
        }
        swept.looked += 1;
        rows.remove(Table::Expiry, &entry)?;
        match named(&entry, kinds) {
            Some((kind, key)) => look(rows, kind, key, now, &mut swept)?,
            None => swept.unreadable += 1,
        }
    }
    Ok(swept)
}

/// When to look.
fn time(entry: &[u8]) -> Option<UnixTime> {
    let seconds = entry.first_chunk::<SECONDS_BYTES>()?;
    let seconds = i64::try_from(u64::from_be_bytes(*seconds)).ok()?;
    Some(UnixTime::new(seconds))
}

/// At which row.
fn named<'a>(entry: &'a [u8], kinds: &[Kind]) -> Option<(Kind, &'a [u8])> {
    let (table, key) = entry.get(SECONDS_BYTES..)?.split_first()?;
    let kind = kinds.iter().find(|kind| kind.table as u8 == *table)?;
    Some((*kind, key))
}

fn look(
    rows: &mut dyn Rows,
    kind: Kind,
    key: &[u8],
    now: UnixTime,
    swept: &mut Swept,
) -> Result<(), StoreError> {
    let Some(row) = rows.get(kind.table, key)? else {
        // Where the row was forgotten by the store itself, a list of keys may still have it.
        return rows.remove(kind.table, key);
    };
    match (kind.ends)(&row) {
        Err(_) => swept.unreadable += 1,
        // It no longer expires.
        Ok(None) => {}
        Ok(Some(ends)) if ends > now => {
            swept.moved += 1;
            table::remind(rows, ends, kind.table, key)?;
        }
        Ok(Some(_)) => {
            swept.removed += 1;
            rows.remove(kind.table, key)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::store::memory::MemoryRows;

    #[derive(Serialize, Deserialize)]
    struct Short(Option<i64>);

    #[derive(Serialize, Deserialize)]
    struct Other(Option<i64>);

    impl Row for Short {
        const TABLE: Table = Table::Codes;

        fn ends(&self) -> Option<UnixTime> {
            self.0.map(UnixTime::new)
        }
    }

    impl Row for Other {
        const TABLE: Table = Table::Sessions;

        fn ends(&self) -> Option<UnixTime> {
            self.0.map(UnixTime::new)
        }
    }

    const KINDS: [Kind; 2] = [Kind::of::<Short>(), Kind::of::<Other>()];

    fn sweep(rows: &mut MemoryRows, now: i64, most: usize) -> Swept {
        remove_expired(rows, &KINDS, UnixTime::new(now), most).unwrap()
    }

    fn count(rows: &MemoryRows, table: Table) -> u64 {
        rows.count(table).unwrap()
    }

    #[test]
    fn rows_of_every_kind_are_removed_when_they_expire_and_not_before() {
        let mut rows = MemoryRows::default();
        table::insert(&mut rows, b"a", &Short(Some(10))).unwrap();
        table::insert(&mut rows, b"a", &Other(Some(20))).unwrap();
        table::insert(&mut rows, b"never", &Other(None)).unwrap();
        let none = Swept::default();
        assert_eq!(sweep(&mut rows, 9, 10), none);
        let one = Swept {
            looked: 1,
            removed: 1,
            ..none
        };
        assert_eq!(sweep(&mut rows, 10, 10), one);
        assert_eq!(count(&rows, Table::Codes), 0);
        assert_eq!(sweep(&mut rows, 19, 10), none);
        assert_eq!(sweep(&mut rows, 20, 10), one);
        assert_eq!(count(&rows, Table::Sessions), 1);
        assert_eq!(count(&rows, Table::Expiry), 0);
    }

    #[test]
    fn a_batch_looks_at_no_more_rows_than_it_may_and_at_as_many_while_more_are_due() {
        let mut rows = MemoryRows::default();
        for number in 0..5_u8 {
            table::insert(&mut rows, &[number], &Short(Some(10))).unwrap();
        }
        let batches: Vec<_> = (0..4).map(|_| sweep(&mut rows, 10, 2)).collect();
        let removed: Vec<_> = batches.iter().map(|swept| swept.removed).collect();
        let looked: Vec<_> = batches.iter().map(|swept| swept.looked).collect();
        assert_eq!((removed, looked), (vec![2, 2, 1, 0], vec![2, 2, 1, 0]));
    }

    #[test]
    fn a_row_whose_end_moved_is_looked_at_again_then() {
        let mut rows = MemoryRows::default();
        table::insert(&mut rows, b"later", &Short(Some(10))).unwrap();
        table::put(&mut rows, b"later", &Short(Some(30))).unwrap();
        table::insert(&mut rows, b"never", &Short(Some(10))).unwrap();
        table::put(&mut rows, b"never", &Short(None)).unwrap();
        table::insert(&mut rows, b"gone", &Short(Some(10))).unwrap();
        rows.remove(Table::Codes, b"gone").unwrap();
        let swept = sweep(&mut rows, 10, 10);
        assert_eq!((swept.looked, swept.removed, swept.moved), (3, 0, 1));
        assert_eq!(count(&rows, Table::Expiry), 1);
        assert_eq!(sweep(&mut rows, 29, 10).removed, 0);
        assert_eq!(sweep(&mut rows, 30, 10).removed, 1);
        assert_eq!(count(&rows, Table::Codes), 1);
    }

    #[test]
    fn what_cannot_be_read_stays_and_holds_nothing_up() {
        let mut rows = MemoryRows::default();
        table::insert(&mut rows, b"bad", &Short(Some(1))).unwrap();
        rows.put(Table::Codes, b"bad", b"{").unwrap();
        table::remind(&mut rows, UnixTime::new(1), Table::Grants, b"unlisted").unwrap();
        rows.put(Table::Grants, b"unlisted", b"{}").unwrap();
        rows.put(Table::Expiry, b"short", &[]).unwrap();
        table::insert(&mut rows, b"good", &Short(Some(2))).unwrap();
        let swept = sweep(&mut rows, 2, 10);
        assert_eq!((swept.removed, swept.unreadable), (1, 3));
        assert_eq!(count(&rows, Table::Codes), 1);
        assert_eq!(count(&rows, Table::Grants), 1);
        assert_eq!(count(&rows, Table::Expiry), 0);
    }
}

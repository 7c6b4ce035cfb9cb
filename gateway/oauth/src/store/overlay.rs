//! The changes of one operation, in memory, over the rows below it. The operation sees its own changes; nobody else does before
//! they are applied. So an operation that fails leaves the transaction that it shares with others as it was.

use std::{collections::BTreeMap, ops::Bound};

use mcp_gateway_core::time::UnixTime;

use super::rows::{KeyAndRow, Rows, StoreError, Table};

/// A row that an operation wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The row.
    pub row: Vec<u8>,
    /// When it ends, if it does.
    pub ends: Option<UnixTime>,
}

/// What an operation changed: a row that it wrote, or none where it removed one.
pub type Changes = BTreeMap<Table, BTreeMap<Vec<u8>, Option<Written>>>;

/// Rows with the changes of one operation over them.
pub struct Overlay<'r> {
    below: &'r dyn Rows,
    changes: Changes,
}

impl<'r> Overlay<'r> {
    /// No changes yet.
    pub const fn new(below: &'r dyn Rows) -> Self {
        Self {
            below,
            changes: Changes::new(),
        }
    }

    /// What the operation changed.
    pub fn into_changes(self) -> Changes {
        self.changes
    }

    fn change(&mut self, table: Table, key: &[u8], row: Option<Written>) {
        let rows = self.changes.entry(table).or_default();
        rows.insert(key.to_vec(), row);
    }
}

impl Rows for Overlay<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changes.get(&table).and_then(|rows| rows.get(key)) {
            Some(written) => Ok(written.as_ref().map(|written| written.row.clone())),
            None => self.below.get(table, key),
        }
    }

    fn put(&mut self, table: Table, key: &[u8], row: &[u8]) -> Result<(), StoreError> {
        let (row, ends) = (row.to_vec(), None);
        self.change(table, key, Some(Written { row, ends }));
        Ok(())
    }

    fn put_until(
        &mut self,
        table: Table,
        key: &[u8],
        row: &[u8],
        ends: UnixTime,
    ) -> Result<(), StoreError> {
        let (row, ends) = (row.to_vec(), Some(ends));
        self.change(table, key, Some(Written { row, ends }));
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.change(table, key, None);
        Ok(())
    }

    fn after(&self, table: Table, after: &[u8], most: usize) -> Result<Vec<KeyAndRow>, StoreError> {
        let Some(changes) = self.changes.get(&table) else {
            return self.below.after(table, after, most);
        };
        // Enough rows from below, even if the operation removed as many as it changed.
        let enough = most.saturating_add(changes.len());
        let below = self.below.after(table, after, enough)?;
        let over = changes.range::<[u8], _>((Bound::Excluded(after), Bound::Unbounded));
        Ok(merged(below, over, most))
    }

    fn starting_with(
        &self,
        table: Table,
        prefix: &[u8],
        most: usize,
    ) -> Result<Vec<KeyAndRow>, StoreError> {
        let Some(changes) = self.changes.get(&table) else {
            return self.below.starting_with(table, prefix, most);
        };
        let over = changes.range::<[u8], _>((Bound::Excluded(prefix), Bound::Unbounded));
        let over: Vec<_> = over
            .take_while(|(key, _)| key.starts_with(prefix))
            .collect();
        let enough = most.saturating_add(over.len());
        let below = self.below.starting_with(table, prefix, enough)?;
        Ok(merged(below, over.into_iter(), most))
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        let mut count = self.below.count(table)?;
        for (key, row) in self.changes.get(&table).into_iter().flatten() {
            match (self.below.get(table, key)?, row) {
                (None, Some(_)) => count = count.saturating_add(1),
                (Some(_), None) => count = count.saturating_sub(1),
                _ => {}
            }
        }
        Ok(count)
    }
}

/// The rows below with the changes over them, at most so many.
fn merged<'c>(
    below: Vec<KeyAndRow>,
    over: impl Iterator<Item = (&'c Vec<u8>, &'c Option<Written>)>,
    most: usize,
) -> Vec<KeyAndRow> {
    let mut rows: BTreeMap<_, _> = below.into_iter().collect();
    for (key, written) in over {
        match written {
            Some(written) => rows.insert(key.clone(), written.row.clone()),
            None => rows.remove(key),
        };
    }
    rows.into_iter().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryRows;

    /// All keys of two bytes over a small alphabet, so that changes meet rows below.
    fn key(number: u32) -> Vec<u8> {
        vec![
            b'a' + u8::try_from(number % 5).unwrap(),
            b'a' + u8::try_from(number / 5 % 3).unwrap(),
        ]
    }

    fn compare(one: &dyn Rows, other: &dyn Rows) {
        for table in [Table::Clients, Table::Grants] {
            assert_eq!(one.count(table), other.count(table));
            for number in 0..15 {
                let key = key(number);
                assert_eq!(one.get(table, &key), other.get(table, &key));
                for most in [0, 1, 2, 5, 100] {
                    let found = one.after(table, &key, most);
                    assert_eq!(found, other.after(table, &key, most), "{key:?} {most}");
                    let prefix = &key[..1];
                    let found = one.starting_with(table, prefix, most);
                    let expected = other.starting_with(table, prefix, most);
                    assert_eq!(found, expected, "{prefix:?} {most}");
                }
            }
        }
    }

    /// A sequence of numbers that looks random and is the same each time.
    fn numbers() -> impl Iterator<Item = u32> {
        std::iter::successors(Some(12345_u32), |last| {
            Some(last.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
        })
        .map(|number| number >> 8)
    }

    fn change(rows: &mut dyn Rows, number: u32) {
        let table = [Table::Clients, Table::Grants][(number / 45 % 2) as usize];
        match number / 15 % 3 {
            0 => rows.remove(table, &key(number)).unwrap(),
            _ => rows
                .put(table, &key(number), &number.to_be_bytes())
                .unwrap(),
        }
    }

    #[test]
    fn an_operation_sees_the_rows_as_if_its_changes_were_written() {
        let mut numbers = numbers();
        for _ in 0..50 {
            let mut below = MemoryRows::default();
            for number in numbers.by_ref().take(12) {
                change(&mut below, number);
            }
            let mut expected = below.clone();
            let mut overlay = Overlay::new(&below);
            for number in numbers.by_ref().take(12) {
                change(&mut overlay, number);
                change(&mut expected, number);
                compare(&overlay, &expected);
            }
        }
    }

    #[test]
    fn nothing_is_written_below() {
        let mut below = MemoryRows::default();
        below.put(Table::Codes, b"a", b"1").unwrap();
        let mut overlay = Overlay::new(&below);
        overlay.remove(Table::Codes, b"a").unwrap();
        overlay.put(Table::Codes, b"b", b"2").unwrap();
        let changes = overlay.into_changes();
        let (row, ends) = (b"2".to_vec(), None);
        let written = Written { row, ends };
        let expected = [(b"a".to_vec(), None), (b"b".to_vec(), Some(written))];
        assert_eq!(changes[&Table::Codes], BTreeMap::from(expected));
        assert_eq!(below.get(Table::Codes, b"a"), Ok(Some(b"1".to_vec())));
        assert_eq!(below.count(Table::Codes), Ok(1));
    }
}

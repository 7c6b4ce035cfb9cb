//! A store in memory, for tests. It fails on demand, as a full disk would.

use std::{collections::BTreeMap, ops::Bound};

use super::rows::{KeyAndRow, Rows, StoreError, Table};

/// Rows in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryRows {
    tables: BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>,
    /// Every write fails.
    pub is_full: bool,
}

impl Rows for MemoryRows {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .tables
            .get(&table)
            .and_then(|rows| rows.get(key))
            .cloned())
    }

    fn put(&mut self, table: Table, key: &[u8], row: &[u8]) -> Result<(), StoreError> {
        if self.is_full {
            return Err(StoreError::Failed("no space left".to_owned()));
        }
        let rows = self.tables.entry(table).or_default();
        rows.insert(key.to_vec(), row.to_vec());
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        if let Some(rows) = self.tables.get_mut(&table) {
            rows.remove(key);
        }
        Ok(())
    }

    fn after(&self, table: Table, after: &[u8], most: usize) -> Result<Vec<KeyAndRow>, StoreError> {
        let Some(rows) = self.tables.get(&table) else {
            return Ok(Vec::new());
        };
        let greater = rows.range::<[u8], _>((Bound::Excluded(after), Bound::Unbounded));
        let greater = greater.map(|(key, row)| (key.clone(), row.clone()));
        Ok(greater.take(most).collect())
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        Ok(self.tables.get(&table).map_or(0, |rows| rows.len() as u64))
    }
}

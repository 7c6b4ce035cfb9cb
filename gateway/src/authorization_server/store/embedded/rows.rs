//! The rows of a redb transaction. Each table of the server is a table of redb with keys and rows of bytes.

use std::ops::Bound;

use mcp_gateway_oauth::store::{
    overlay::Changes,
    rows::{KeyAndRow, Rows, StoreError, Table},
};
use redb::{
    ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, TableError,
    WriteTransaction,
};

type Bytes = &'static [u8];

const fn definition(table: Table) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(table.name())
}

/// An error of redb.
pub(super) fn failed(error: impl ToString) -> StoreError {
    StoreError::Failed(error.to_string())
}

/// Rows as the last commit left them.
pub(super) struct ReadRows {
    transaction: ReadTransaction,
}

impl ReadRows {
    pub(super) const fn new(transaction: ReadTransaction) -> Self {
        Self { transaction }
    }

    /// What `read` finds in a table; the default where the table was never written.
    fn with<T: Default>(
        &self,
        table: Table,
        read: impl FnOnce(&redb::ReadOnlyTable<Bytes, Bytes>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.transaction.open_table(definition(table)) {
            Ok(table) => read(&table),
            Err(TableError::TableDoesNotExist(_)) => Ok(T::default()),
            Err(error) => Err(failed(error)),
        }
    }
}

impl Rows for ReadRows {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(table, |table| get(table, key))
    }

    fn put(&mut self, _: Table, _: &[u8], _: &[u8]) -> Result<(), StoreError> {
        Err(failed("nothing can be written in a read transaction"))
    }

    fn remove(&mut self, _: Table, _: &[u8]) -> Result<(), StoreError> {
        Err(failed("nothing can be removed in a read transaction"))
    }

    fn after(&self, table: Table, after: &[u8], most: usize) -> Result<Vec<KeyAndRow>, StoreError> {
        self.with(table, |table| rows_after(table, after, most))
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        self.with(table, |table| table.len().map_err(failed))
    }
}

/// Rows in a transaction that will be committed. All tables are open: opening one creates it.
pub(super) struct WriteRows<'t> {
    /// In the order of [`Table::ALL`].
    tables: Vec<redb::Table<'t, Bytes, Bytes>>,
}

impl<'t> WriteRows<'t> {
    /// The rows of `transaction`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        let tables = Table::ALL.map(|table| transaction.open_table(definition(table)));
        let tables: Result<_, _> = tables.into_iter().collect();
        Ok(Self {
            tables: tables.map_err(failed)?,
        })
    }

    /// Writes the changes of an operation. When this fails, the transaction must not be committed.
    ///
    /// # Errors
    /// The store cannot be written.
    pub(super) fn apply(&mut self, changes: Changes) -> Result<(), StoreError> {
        for (table, rows) in changes {
            for (key, row) in rows {
                match row {
                    Some(written) => self.put(table, &key, &written.row)?,
                    None => self.remove(table, &key)?,
                }
            }
        }
        Ok(())
    }

    fn table(&self, table: Table) -> Result<&redb::Table<'t, Bytes, Bytes>, StoreError> {
        let found = self.tables.get(table as usize);
        found.ok_or_else(|| failed(table.name()))
    }

    fn table_mut(
        &mut self,
        table: Table,
    ) -> Result<&mut redb::Table<'t, Bytes, Bytes>, StoreError> {
        let found = self.tables.get_mut(table as usize);
        found.ok_or_else(|| failed(table.name()))
    }
}

impl Rows for WriteRows<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        get(self.table(table)?, key)
    }

    fn put(&mut self, table: Table, key: &[u8], row: &[u8]) -> Result<(), StoreError> {
        let replaced = self.table_mut(table)?.insert(key, row);
        replaced.map(|_| ()).map_err(failed)
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        let removed = self.table_mut(table)?.remove(key);
        removed.map(|_| ()).map_err(failed)
    }

    fn after(&self, table: Table, after: &[u8], most: usize) -> Result<Vec<KeyAndRow>, StoreError> {
        rows_after(self.table(table)?, after, most)
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        self.table(table)?.len().map_err(failed)
    }
}

fn get(
    table: &impl ReadableTable<Bytes, Bytes>,
    key: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let row = table.get(key).map_err(failed)?;
    Ok(row.map(|row| row.value().to_vec()))
}

fn rows_after(
    table: &impl ReadableTable<Bytes, Bytes>,
    after: &[u8],
    most: usize,
) -> Result<Vec<KeyAndRow>, StoreError> {
    let greater = (Bound::Excluded(after), Bound::Unbounded);
    let greater = table.range::<&[u8]>(greater).map_err(failed)?;
    greater
        .take(most)
        .map(|found| {
            let (key, row) = found.map_err(failed)?;
            Ok((key.value().to_vec(), row.value().to_vec()))
        })
        .collect()
}

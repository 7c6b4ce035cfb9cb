//! Which version the rows of a store have. A row may get new members with defaults without a new version; whatever else changes is a
//! new version with a migration, which runs in one transaction when the store is opened.

use super::rows::{Rows, StoreError, Table};

/// The version that this program writes.
pub const VERSION: u32 = 1;

/// The migrations: the first one makes version 2 of version 1, and so on.
const MIGRATIONS: &[Migration] = &[];

/// Where the version stands.
const KEY: &[u8] = b"schema version";

/// Makes the next version.
type Migration = fn(&mut dyn Rows) -> Result<(), StoreError>;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// An empty store, which has the newest version now.
    New,
    /// A store of the newest version.
    Current,
    /// A store of this version, which has the newest one now.
    Migrated(u32),
}

/// The store is not one that this program can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A newer program wrote it.
    #[error(
        "the store has schema version {found}, and this program knows versions up to {supported}: start the newer program, or restore a \
         copy of the store from before it"
    )]
    Newer {
        /// Its version.
        found: u32,
        /// The newest version that this program knows.
        supported: u32,
    },
    /// It has rows, but no version.
    #[error(
        "the store has rows but no schema version: it is damaged, or not a store of this program"
    )]
    Missing,
    /// Its version is not a number from 1.
    #[error("the store has a damaged schema version")]
    Damaged,
}

/// Checks the version of a store, and migrates an older one. Nothing is written when an error is returned.
///
/// # Errors
/// [`StoreError`] outside, when the store fails; [`SchemaError`] inside.
pub fn prepare(rows: &mut dyn Rows) -> Result<Result<Opened, SchemaError>, StoreError> {
    prepare_with(rows, MIGRATIONS)
}

fn prepare_with(
    rows: &mut dyn Rows,
    migrations: &[Migration],
) -> Result<Result<Opened, SchemaError>, StoreError> {
    let newest = newest(migrations);
    let found = match rows.get(Table::Meta, KEY)? {
        None if !is_empty(rows)? => return Ok(Err(SchemaError::Missing)),
        None => {
            write(rows, newest)?;
            return Ok(Ok(Opened::New));
        }
        Some(bytes) => read(&bytes),
    };
    match found {
        None => Ok(Err(SchemaError::Damaged)),
        Some(found) if found == newest => Ok(Ok(Opened::Current)),
        Some(found) if found > newest => Ok(Err(SchemaError::Newer {
            found,
            supported: newest,
        })),
        Some(found) => {
            for migration in migrations.iter().skip(found.saturating_sub(1) as usize) {
                migration(rows)?;
            }
            write(rows, newest)?;
            Ok(Ok(Opened::Migrated(found)))
        }
    }
}

fn newest(migrations: &[Migration]) -> u32 {
    u32::try_from(migrations.len()).map_or(u32::MAX, |count| count.saturating_add(1))
}

fn write(rows: &mut dyn Rows, version: u32) -> Result<(), StoreError> {
    rows.put(Table::Meta, KEY, version.to_string().as_bytes())
}

fn read(bytes: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.parse().ok().filter(|version| *version > 0)
}

fn is_empty(rows: &dyn Rows) -> Result<bool, StoreError> {
    for table in Table::ALL {
        if rows.count(table)? > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryRows;

    const TWO: &[Migration] = &[
        |rows| rows.put(Table::Meta, b"second", b"1"),
        |rows| rows.put(Table::Meta, b"third", b"1"),
    ];

    fn store(version: &[u8]) -> MemoryRows {
        let mut rows = MemoryRows::default();
        rows.put(Table::Meta, KEY, version).unwrap();
        rows
    }

    #[test]
    fn the_newest_version_is_the_one_after_the_last_migration() {
        assert_eq!(newest(MIGRATIONS), VERSION);
    }

    #[test]
    fn an_empty_store_gets_the_newest_version_without_migrations() {
        let mut rows = MemoryRows::default();
        assert_eq!(prepare_with(&mut rows, TWO), Ok(Ok(Opened::New)));
        assert_eq!(rows.get(Table::Meta, KEY).unwrap().unwrap(), b"3");
        assert_eq!(rows.get(Table::Meta, b"third").unwrap(), None);
        assert_eq!(prepare_with(&mut rows, TWO), Ok(Ok(Opened::Current)));
    }

    #[test]
    fn an_older_store_is_migrated_step_by_step() {
        let mut first = store(b"1");
        assert_eq!(prepare_with(&mut first, TWO), Ok(Ok(Opened::Migrated(1))));
        assert!(first.get(Table::Meta, b"second").unwrap().is_some());
        let mut second = store(b"2");
        assert_eq!(prepare_with(&mut second, TWO), Ok(Ok(Opened::Migrated(2))));
        assert!(second.get(Table::Meta, b"second").unwrap().is_none());
        for rows in [first, second] {
            assert!(rows.get(Table::Meta, b"third").unwrap().is_some());
            assert_eq!(rows.get(Table::Meta, KEY).unwrap().unwrap(), b"3");
        }
    }

    #[test]
    fn a_newer_a_foreign_or_a_damaged_store_is_refused() {
        let newer = SchemaError::Newer {
            found: 9,
            supported: 3,
        };
        for (version, expected) in [
            (&b"9"[..], newer),
            (b"0", SchemaError::Damaged),
            (b"", SchemaError::Damaged),
            (b"one", SchemaError::Damaged),
            (b"\xff", SchemaError::Damaged),
        ] {
            assert_eq!(prepare_with(&mut store(version), TWO), Ok(Err(expected)));
        }
        let mut foreign = MemoryRows::default();
        foreign.put(Table::Grants, b"a", b"{}").unwrap();
        assert_eq!(prepare(&mut foreign), Ok(Err(SchemaError::Missing)));
    }

    #[test]
    fn a_full_store_is_not_called_migrated() {
        let mut rows = store(b"1");
        rows.is_full = true;
        assert!(prepare_with(&mut rows, TWO).is_err());
    }
}

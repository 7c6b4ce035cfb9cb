//! The version of the store's schema. It is a row of the store itself. An older store is migrated at the start, one transaction for
//! each step; a newer one is not opened.

use mcp_gateway_oauth::store::rows::{Rows, StoreError, Table};
use redb::Database;

use super::transaction;
use crate::authorization_server::store::error::OpenError;

/// Changes the rows of one version into those of the next.
pub(super) type Migration = fn(&mut dyn Rows) -> Result<(), StoreError>;

/// The steps from version 1 on, in order.
const MIGRATIONS: &[Migration] = &[];

const KEY: &[u8] = b"schema version";

/// Writes the version of this program into a new store.
///
/// # Errors
/// The store cannot be written.
pub(super) fn begin(database: &Database) -> Result<(), StoreError> {
    let version = newest(MIGRATIONS);
    transaction::change(database, |rows| write(rows, version))
}

/// Brings a store to the version of this program.
///
/// # Errors
/// It is not a store of this program, or of a newer version of it, or a step failed. The steps before it are kept.
pub(super) fn migrate(database: &Database) -> Result<(), OpenError> {
    migrate_by(MIGRATIONS, database)
}

fn migrate_by(migrations: &[Migration], database: &Database) -> Result<(), OpenError> {
    let known = newest(migrations);
    let found = transaction::read(database, |rows| version(rows)).map_err(OpenError::failed)?;
    let found = found.ok_or(OpenError::Foreign)?;
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    let done = usize::try_from(found.saturating_sub(1)).unwrap_or(usize::MAX);
    for (step, from) in migrations.iter().skip(done).zip(found..) {
        let to = from.saturating_add(1);
        transaction::change(database, |rows| step(rows).and_then(|()| write(rows, to)))
            .map_err(|error| OpenError::Migration { from, to, error })?;
        tracing::info!("store of the authorization server migrated from version {from} to {to}");
    }
    Ok(())
}

fn newest(migrations: &[Migration]) -> u32 {
    u32::try_from(migrations.len()).map_or(u32::MAX, |steps| steps.saturating_add(1))
}

/// The version of a store; none where it has none.
fn version(rows: &dyn Rows) -> Result<Option<u32>, StoreError> {
    let row = rows.get(Table::Meta, KEY)?;
    let text = row.map(|row| String::from_utf8_lossy(&row).into_owned());
    Ok(text
        .and_then(|text| text.parse().ok())
        .filter(|version| *version > 0))
}

fn write(rows: &mut dyn Rows, version: u32) -> Result<(), StoreError> {
    rows.put(Table::Meta, KEY, version.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    fn database() -> Database {
        Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .unwrap()
    }

    fn found(database: &Database) -> Option<u32> {
        transaction::read(database, |rows| version(rows)).unwrap()
    }

    fn rename(rows: &mut dyn Rows) -> Result<(), StoreError> {
        let row = rows.get(Table::Clients, b"old")?.unwrap_or_default();
        rows.remove(Table::Clients, b"old")?;
        rows.put(Table::Clients, b"new", &row)
    }

    fn fail(rows: &mut dyn Rows) -> Result<(), StoreError> {
        rows.remove(Table::Clients, b"new")?;
        Err(StoreError::Failed("no".to_owned()))
    }

    #[test]
    fn an_older_store_is_migrated_step_by_step_and_each_step_is_kept() {
        let database = database();
        begin(&database).unwrap();
        transaction::change(&database, |rows| rows.put(Table::Clients, b"old", b"row")).unwrap();
        let failed = migrate_by(&[rename, fail], &database);
        assert!(
            matches!(failed, Err(OpenError::Migration { from: 2, to: 3, .. })),
            "{failed:?}"
        );
        assert_eq!(found(&database), Some(2));
        migrate_by(&[rename, |_| Ok(())], &database).unwrap();
        assert_eq!(found(&database), Some(3));
        let row = transaction::read(&database, |rows| rows.get(Table::Clients, b"new"));
        assert_eq!(row, Ok(Some(b"row".to_vec())));
    }

    #[test]
    fn a_store_without_a_version_or_of_a_newer_one_is_not_opened() {
        let database = database();
        assert!(matches!(migrate(&database), Err(OpenError::Foreign)));
        for (version, is_foreign) in [("0", true), ("one", true), ("99", false)] {
            let row = version.as_bytes();
            transaction::change(&database, |rows| rows.put(Table::Meta, KEY, row)).unwrap();
            let error = migrate(&database).unwrap_err();
            assert_eq!(matches!(error, OpenError::Foreign), is_foreign, "{error:?}");
        }
    }
}

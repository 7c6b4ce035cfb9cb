//! The store of several processes, over Redis and over Valkey. `every_kind` has what holds for every store,
//! `outage` takes the server away, `settle` loses answers for good, `several` are several processes, `proxy` cuts connections,
//! `sentinel` names the server, `tls` is in
//! between, `measure` takes times.

mod every_kind;
mod measure;
mod outage;
mod proxy;
mod sentinel;
mod settle;
mod several;
mod tls;

use super::*;
use crate::remote_store::testing::{self as server, PROGRAMS, Served};

impl Served {
    fn store(&self, folder: &TempDir) -> Store {
        Store::connect(&self.settings(), &folder.path().join("state")).unwrap()
    }
}

/// A store on a server, and the server.
struct Shared {
    served: Served,
    store: Store,
    folder: TempDir,
}

impl Shared {
    fn new(program: &str) -> Self {
        Self::on(Served::start(program, &[]))
    }

    fn on(served: Served) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = served.store(&folder);
        Self {
            served,
            store,
            folder,
        }
    }

    /// The same as another process has it.
    fn other(&self) -> Store {
        self.served.store(&self.folder)
    }
}

/// Counts one up; what it was before.
fn count_up(rows: &mut dyn Rows) -> Result<u32, StoreError> {
    let last = rows.get(Table::Meta, b"count")?;
    let last = last
        .and_then(|row| row.try_into().ok())
        .map_or(0, u32::from_be_bytes);
    rows.put(Table::Meta, b"count", &(last + 1).to_be_bytes())?;
    Ok(last)
}

async fn counted(store: &Store) -> u32 {
    let read = store.read(|rows| rows.get(Table::Meta, b"count"));
    let row = read.await.unwrap();
    row.map_or(0, |row| u32::from_be_bytes(row.try_into().unwrap()))
}

//! Rows that have expired leave the store: a few at a time, so that changes of clients do not wait for them.

use std::time::Duration;

use mcp_gateway_core::time::UnixTime;
use mcp_gateway_oauth::store::rows::{Rows, StoreError};
use tokio::time::sleep;

use super::Store;
use crate::clock;

/// Looks at most at so many rows whose time has come by then, and removes those that have expired. Returns whether none is left.
pub(crate) type RemoveExpired = fn(&mut dyn Rows, UnixTime, usize) -> Result<bool, StoreError>;

/// Time between two rounds.
const PAUSE: Duration = Duration::from_secs(10);

/// Time between two transactions of a round.
const PAUSE_IN_ROUND: Duration = Duration::from_millis(50);

/// The most rows of one transaction.
const BATCH: usize = 128;

/// Removes expired rows until the task is ended.
pub(crate) async fn remove_expired_rows(store: Store, remove: RemoveExpired) {
    loop {
        sleep(PAUSE).await;
        // The writer logs a store that fails. The next round tries again.
        let _ = remove_round(&store, remove, clock::now()).await;
    }
}

async fn remove_round(
    store: &Store,
    remove: RemoveExpired,
    now: UnixTime,
) -> Result<(), StoreError> {
    while !store.write(move |rows| remove(rows, now, BATCH)).await? {
        sleep(PAUSE_IN_ROUND).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mcp_gateway_oauth::store::rows::Table;

    use super::*;

    /// Removes the first rows of a table, whatever the time is.
    fn remove_first(rows: &mut dyn Rows, _: UnixTime, most: usize) -> Result<bool, StoreError> {
        let first = rows.after(Table::Codes, b"", most)?;
        for (key, _) in &first {
            rows.remove(Table::Codes, key)?;
        }
        Ok(first.len() < most)
    }

    #[tokio::test]
    async fn a_round_removes_everything_in_small_transactions() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state")).unwrap();
        let written = store.write(|rows| {
            (0..300_u32).try_for_each(|key| rows.put(Table::Codes, &key.to_be_bytes(), b"row"))
        });
        written.await.unwrap();
        let before = store.figures().commits();
        remove_round(&store, remove_first, UnixTime::new(0))
            .await
            .unwrap();
        assert_eq!(store.read(|rows| rows.count(Table::Codes)).await, Ok(0));
        assert_eq!(store.figures().commits() - before, 3);
    }
}

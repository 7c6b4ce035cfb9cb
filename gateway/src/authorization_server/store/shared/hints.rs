//! What this process remembers of the store: rows as it saw them last, and how many there are. Other processes may have changed them
//! since, so they are guesses only.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use mcp_gateway_oauth::store::{
    guess::{Hints, Known, MaybeRow, Place, Question},
    rows::Table,
};
use quick_cache::{Weighter, sync::Cache};

/// Rows for which there is room from the start.
const ROWS: usize = 16 * 1024;

/// The most bytes of rows and keys that are remembered.
const BYTES: u64 = 64 * 1024 * 1024;

/// Bytes that a remembered row takes beside its own.
const BYTES_BESIDE: usize = 128;

/// How long a count is used.
const COUNT_AGE: Duration = Duration::from_secs(5);

/// Remembered rows and counts.
#[derive(Debug)]
pub(super) struct RowCache {
    rows: Cache<Place, MaybeRow, Weight>,
    counts: Mutex<(Option<Instant>, BTreeMap<Table, u64>)>,
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<Place, MaybeRow> for Weight {
    fn weight(&self, (_, key): &Place, row: &MaybeRow) -> u64 {
        (BYTES_BESIDE + key.len() + row.as_ref().map_or(0, Vec::len)) as u64
    }
}

impl RowCache {
    /// Nothing is remembered.
    pub(super) fn new() -> Self {
        Self {
            rows: Cache::with_weighter(ROWS, BYTES, Weight),
            counts: Mutex::default(),
        }
    }

    /// Remembers the rows that the store named.
    pub(super) fn remember(&self, known: &Known) {
        for (place, row) in known.rows() {
            self.rows.insert(place.clone(), row.clone());
        }
    }

    /// Remembers that everything was as the question says, and was changed.
    pub(super) fn remember_question(&self, question: Question) {
        for (place, row) in question.rows {
            self.rows.insert(place, row);
        }
        for (table, rows) in question.changes {
            if table.is_keys_only() {
                continue;
            }
            for (key, written) in rows {
                let row = written.map(|written| written.row);
                self.rows.insert((table, key), row);
            }
        }
    }

    /// Takes over what another process saw. Grants change with each use, so that one is newer than what is remembered here.
    pub(super) fn suggest(&self, place: Place, row: Vec<u8>) {
        if place.0 == Table::Grants || self.rows.get(&place).is_none() {
            self.rows.insert(place, Some(row));
        }
    }

    /// Remembers how many rows there are now.
    pub(super) fn remember_counts(&self, counts: BTreeMap<Table, u64>) {
        let mut known = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *known = (Some(Instant::now()), counts);
    }
}

impl Hints for RowCache {
    fn row(&self, place: &Place) -> Option<MaybeRow> {
        self.rows.get(place)
    }

    fn count(&self, table: Table) -> Option<u64> {
        let known = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, counts) = &*known;
        let is_recent = since.is_some_and(|since| since.elapsed() < COUNT_AGE);
        is_recent.then(|| counts.get(&table).copied()).flatten()
    }
}

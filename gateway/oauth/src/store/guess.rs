//! Runs an operation before the rows are known that it reads, for a store on another machine. What is not known is guessed: a row by
//! what it was last, or as missing. The run notes what it read. The store is then asked at once whether all of that is so, and
//! either takes the changes or names what is different; then the operation runs again with that.
//!
//! [`Known`] is what the store said so far; [`Guess`] are the rows of one run; [`Run`] is what it read; [`Question`] is what the store
//! is asked; [`News`] is its answer.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    overlay::Changes,
    rows::{KeyAndRow, Rows, StoreError, Table},
};

/// Where a row is.
pub type Place = (Table, Vec<u8>);

/// A row, or none where there is none.
pub type MaybeRow = Option<Vec<u8>>;

/// Keys in a range, each with its row, or none where it has ended.
pub type Found = Vec<(Vec<u8>, MaybeRow)>;

/// Rows that follow one another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Range {
    /// At most `most` rows with keys greater than `after`.
    After {
        /// The table.
        table: Table,
        /// The key before the first one.
        after: Vec<u8>,
        /// The most rows.
        most: usize,
    },
    /// At most `most` rows with keys that begin with `prefix` and are longer. They are proven: another one is a difference.
    StartingWith {
        /// The table.
        table: Table,
        /// The beginning.
        prefix: Vec<u8>,
        /// The most rows.
        most: usize,
    },
}

/// What an operation asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asked {
    rows: BTreeSet<Place>,
    ranges: BTreeSet<Range>,
    counts: BTreeSet<Table>,
}

/// What is known without asking the store: perhaps not the latest.
pub trait Hints {
    /// What a row was last.
    fn row(&self, place: &Place) -> Option<MaybeRow>;

    /// How many rows a table had a short time ago.
    fn count(&self, table: Table) -> Option<u64>;
}

/// What the store said.
#[derive(Clone, Debug, Default)]
pub struct Known {
    rows: BTreeMap<Place, MaybeRow>,
    ranges: BTreeMap<Range, Vec<Vec<u8>>>,
    counts: BTreeMap<Table, u64>,
    /// What the last answer was about: all of it was so at one instant.
    together: Asked,
}

/// The rows of one run.
pub struct Guess<'k> {
    known: &'k Known,
    hints: &'k dyn Hints,
    run: RefCell<Run>,
}

/// What one run read.
#[derive(Clone, Debug, Default)]
pub struct Run {
    asked: Asked,
    /// The rows that it read by their keys, as it found them.
    rows: BTreeMap<Place, MaybeRow>,
    /// The keys of rows that it found, in ranges that are proven.
    ranges: BTreeMap<Range, Vec<Vec<u8>>>,
    /// Whether it read something of which nothing was known.
    is_blind: bool,
    /// What it read of that kind, and cannot be proven.
    missing: Asked,
}

/// What the store is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Whether these rows are so, in the order of their places.
    pub rows: Vec<(Place, MaybeRow)>,
    /// Whether the rows in these ranges have these keys.
    pub same: Vec<(Range, Vec<Vec<u8>>)>,
    /// Which rows are in these ranges.
    pub ranges: Vec<Range>,
    /// How many rows these tables have.
    pub counts: Vec<Table>,
    /// What is changed if everything is so, and nothing else was asked.
    pub changes: Changes,
}

/// What is different from what a [`Question`] says, by the places there, and what else was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Rows that are different.
    pub rows: Vec<(usize, MaybeRow)>,
    /// Ranges with other keys.
    pub same: Vec<(usize, Found)>,
    /// The rows of all ranges that were asked for.
    pub ranges: Vec<Found>,
    /// The counts that were asked for.
    pub counts: Vec<u64>,
}

impl Question {
    /// Whether the question says that there is this row.
    pub fn has_row(&self, table: Table, key: &[u8]) -> bool {
        let find = self
            .rows
            .binary_search_by(|((other, place), _)| (*other, &place[..]).cmp(&(table, key)));
        let found = find.ok().and_then(|at| self.rows.get(at));
        found.is_some_and(|(_, row)| row.is_some())
    }
}

impl Asked {
    fn has(&self, other: &Self) -> bool {
        self.rows.is_superset(&other.rows)
            && self.ranges.is_superset(&other.ranges)
            && self.counts.is_superset(&other.counts)
    }
}

impl Range {
    /// Its table.
    pub const fn table(&self) -> Table {
        match self {
            Self::After { table, .. } | Self::StartingWith { table, .. } => *table,
        }
    }

    const fn is_proven(&self) -> bool {
        matches!(self, Self::StartingWith { .. })
    }
}

impl Known {
    /// What the store is asked after this run, which wants these changes.
    pub fn question(&self, run: &Run, changes: Changes) -> Question {
        let mut rows = run.rows.clone();
        // Rows of ranges count when they are changed.
        let changed = changes.iter().flat_map(|(table, rows)| {
            let keys = rows.keys().cloned();
            keys.map(|key| (*table, key))
        });
        for place in changed.filter(|(table, _)| !table.is_keys_only()) {
            if let Some(row) = self.rows.get(&place) {
                rows.entry(place).or_insert_with(|| row.clone());
            }
        }
        // Without changes, everything has to be of one instant.
        let wanted = match changes.is_empty() {
            true => &run.asked,
            false => &run.missing,
        };
        let ranges = wanted.ranges.iter().filter(|range| !range.is_proven());
        let is_complete = run.missing == Asked::default();
        Question {
            rows: rows.into_iter().collect(),
            same: run.ranges.clone().into_iter().collect(),
            ranges: ranges.cloned().collect(),
            counts: wanted.counts.iter().copied().collect(),
            changes: if is_complete { changes } else { Changes::new() },
        }
    }

    /// Takes over the answer to a question.
    pub fn learn(&mut self, question: Question, news: News) {
        let same = question.same.iter().map(|(range, _)| range);
        self.together = Asked {
            rows: question
                .rows
                .iter()
                .map(|(place, _)| place.clone())
                .collect(),
            ranges: same.chain(&question.ranges).cloned().collect(),
            counts: question.counts.iter().copied().collect(),
        };
        let places: Vec<_> = question
            .rows
            .iter()
            .map(|(place, _)| place.clone())
            .collect();
        self.rows.extend(question.rows);
        for (at, row) in news.rows {
            if let Some(place) = places.get(at) {
                self.rows.insert(place.clone(), row);
            }
        }
        let mut different: BTreeMap<_, _> = news.same.into_iter().collect();
        for (at, (range, keys)) in question.same.into_iter().enumerate() {
            match different.remove(&at) {
                Some(found) => self.learn_range(range, found),
                None => drop(self.ranges.insert(range, keys)),
            }
        }
        for (range, found) in question.ranges.into_iter().zip(news.ranges) {
            self.learn_range(range, found);
        }
        self.counts
            .extend(question.counts.into_iter().zip(news.counts));
    }

    fn learn_range(&mut self, range: Range, found: Found) {
        let table = range.table();
        let keys = found.into_iter().map(|(key, row)| {
            self.rows.insert((table, key.clone()), row);
            key
        });
        let keys = keys.collect();
        self.ranges.insert(range, keys);
    }

    /// The rows that the store named.
    pub fn rows(&self) -> impl Iterator<Item = (&Place, &MaybeRow)> {
        let rows = self.rows.iter();
        rows.filter(|((table, _), _)| !table.is_keys_only())
    }

    /// Whether everything that the run read was so at the instant of the last answer.
    pub fn is_proven(&self, run: &Run) -> bool {
        self.together.has(&run.asked)
    }
}

impl Run {
    /// Whether it read only what was known, be it the latest or not.
    pub const fn is_informed(&self) -> bool {
        !self.is_blind
    }
}

impl<'k> Guess<'k> {
    /// Rows of which this is known.
    pub fn new(known: &'k Known, hints: &'k dyn Hints) -> Self {
        Self {
            known,
            hints,
            run: RefCell::default(),
        }
    }

    /// What was read.
    pub fn into_run(self) -> Run {
        self.run.into_inner()
    }

    fn range(&self, range: Range) -> Vec<KeyAndRow> {
        let mut run = self.run.borrow_mut();
        let known = self.known.ranges.get(&range);
        if known.is_none() {
            run.is_blind = true;
            if !range.is_proven() {
                run.missing.ranges.insert(range.clone());
            }
        }
        let keys = known.cloned().unwrap_or_default();
        let table = range.table();
        run.asked.ranges.insert(range.clone());
        let rows = keys.iter().filter_map(|key| {
            let row = self.known.rows.get(&(table, key.clone()))?.clone()?;
            Some((key.clone(), row))
        });
        let rows = rows.collect();
        if range.is_proven() {
            run.ranges.insert(range, keys);
        }
        rows
    }
}

impl Rows for Guess<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<MaybeRow, StoreError> {
        if table.is_keys_only() {
            return Err(fault("its rows have keys only"));
        }
        let place = (table, key.to_vec());
        let known = self.known.rows.get(&place).cloned();
        let known = known.or_else(|| self.hints.row(&place));
        let mut run = self.run.borrow_mut();
        run.is_blind |= known.is_none();
        let row = known.unwrap_or_default();
        run.rows.insert(place.clone(), row.clone());
        run.asked.rows.insert(place);
        Ok(row)
    }

    fn put(&mut self, _: Table, _: &[u8], _: &[u8]) -> Result<(), StoreError> {
        Err(fault("changes are kept above"))
    }

    fn remove(&mut self, _: Table, _: &[u8]) -> Result<(), StoreError> {
        Err(fault("changes are kept above"))
    }

    fn after(&self, table: Table, after: &[u8], most: usize) -> Result<Vec<KeyAndRow>, StoreError> {
        let after = after.to_vec();
        Ok(self.range(Range::After { table, after, most }))
    }

    fn starting_with(
        &self,
        table: Table,
        prefix: &[u8],
        most: usize,
    ) -> Result<Vec<KeyAndRow>, StoreError> {
        let prefix = prefix.to_vec();
        Ok(self.range(Range::StartingWith {
            table,
            prefix,
            most,
        }))
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        let known = self.known.counts.get(&table).copied();
        let known = known.or_else(|| self.hints.count(table));
        let mut run = self.run.borrow_mut();
        run.asked.counts.insert(table);
        if known.is_none() {
            run.is_blind = true;
            run.missing.counts.insert(table);
        }
        Ok(known.unwrap_or_default())
    }
}

fn fault(problem: &str) -> StoreError {
    StoreError::Failed(problem.to_owned())
}

#[cfg(test)]
mod tests;

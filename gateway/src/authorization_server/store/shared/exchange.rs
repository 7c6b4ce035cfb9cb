//! One round trip: a question of an operation, and the answer of the server.

use std::{sync::LazyLock, time::Duration};

use mcp_gateway_core::time::UnixTime;
use mcp_gateway_oauth::{
    id::Id,
    store::{
        guess::{Found, News, Question, Range},
        overlay::Written,
        rows::{StoreError, Table},
    },
};
use redis::Value;

use super::layout::{Bounds, Layout};
use crate::{
    clock,
    remote_store::{
        answer::{list, number, pairs, row},
        link::Link,
        script::{Arguments, Script},
    },
};

pub(super) static EXCHANGE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("exchange.lua")));

/// How long a row is kept after its end. Sweeps remove it sooner; this is for the time when no process runs.
const KEPT_AFTER_END: Duration = Duration::from_secs(60 * 60);

/// How long the server remembers that a change was made. A change is sent again for two seconds at most.
const MARK: Duration = Duration::from_secs(30);

/// How long a copy of a change may be on its way that was fenced off.
const FENCE: Duration = Duration::from_secs(10 * 60);

/// One round trip.
pub(super) struct Exchange<'l> {
    pub(super) layout: &'l Layout,
    /// Names the change. It stays the same when the change is sent again.
    pub(super) id: Id,
    pub(super) now: UnixTime,
}

/// What the server says.
pub(super) enum Answer {
    /// Everything is so, and the changes are made.
    Done,
    /// Something is different, or was asked for. Nothing is changed.
    Different(News),
}

impl Exchange<'_> {
    /// Asks the server, again where the connection breaks. `is_sent` stays true where it has not said what came of it.
    ///
    /// # Errors
    /// The server refuses, or cannot be reached. Where it was reached, the changes may have been made.
    pub(super) async fn ask(
        self,
        link: &Link,
        question: &Question,
        is_sent: &mut bool,
    ) -> Result<Answer, StoreError> {
        let arguments = self.arguments(question);
        let answer = link.run_noting(&EXCHANGE, &arguments, is_sent).await?;
        read(answer).ok_or_else(unreadable)
    }

    fn arguments(&self, question: &Question) -> Arguments {
        let mut arguments = Arguments::default();
        self.add_mark(question, &mut arguments);
        arguments.number(question.rows.len());
        for ((table, key), row) in &question.rows {
            arguments.text(self.layout.row(*table, key));
            arguments.number(u8::from(row.is_some()));
            if let Some(row) = row {
                arguments.text(row);
            }
        }
        arguments.number(question.same.len());
        for (range, keys) in &question.same {
            self.add_range(range, &mut arguments);
            arguments.number(keys.len());
            keys.iter().for_each(|key| arguments.text(key));
        }
        arguments.number(question.ranges.len());
        for range in &question.ranges {
            self.add_range(range, &mut arguments);
        }
        arguments.number(question.counts.len());
        for table in &question.counts {
            arguments.text(self.layout.index(*table));
        }
        self.add_changes(question, &mut arguments);
        arguments
    }

    /// A change that only removes rows is not marked: made twice, it is the same, and a full server takes it.
    fn add_mark(&self, question: &Question, arguments: &mut Arguments) {
        let mut written = question.changes.values().flat_map(|rows| rows.values());
        let mark = match written.any(Option::is_some) {
            true => self.layout.mark(self.id),
            false => String::new(),
        };
        arguments.text(mark);
        arguments.number(MARK.as_millis());
    }

    fn add_range(&self, range: &Range, arguments: &mut Arguments) {
        let table = range.table();
        let bounds = Bounds::of(range);
        arguments.text(self.layout.index(table));
        arguments.text(self.layout.beginning(table));
        arguments.text(bounds.first);
        arguments.text(bounds.last);
        arguments.number(bounds.most);
    }

    fn add_changes(&self, question: &Question, arguments: &mut Arguments) {
        let mut commands = Commands {
            exchange: self,
            arguments: Arguments::default(),
            count: 0,
        };
        for (table, rows) in &question.changes {
            for (key, written) in rows {
                let is_there = question.has_row(*table, key);
                match written {
                    Some(written) => commands.write(*table, key, written, is_there),
                    None => commands.remove(*table, key),
                }
            }
        }
        arguments.number(commands.count);
        arguments.append(commands.arguments);
    }
}

/// Sets the mark that this change was made, and changes nothing else: a copy of it that arrives late does nothing.
pub(super) fn fence(layout: &Layout, id: Id) -> Arguments {
    let mut arguments = Arguments::default();
    // No mark of its own, no rows, ranges or counts, one change.
    arguments.text("");
    for number in [0, 0, 0, 0, 0, 1] {
        arguments.number(number);
    }
    arguments.text("row until");
    arguments.text(layout.mark(id));
    arguments.text("");
    arguments.number(clock::now().plus(FENCE).secs().saturating_mul(1000));
    arguments
}

/// The commands that make the changes.
struct Commands<'e, 'l> {
    exchange: &'e Exchange<'l>,
    arguments: Arguments,
    count: usize,
}

impl Commands<'_, '_> {
    fn add(&mut self, name: &str, arguments: &[&[u8]]) {
        self.count += 1;
        self.arguments.text(name);
        arguments
            .iter()
            .for_each(|argument| self.arguments.text(argument));
    }

    fn write(&mut self, table: Table, key: &[u8], written: &Written, is_there: bool) {
        let layout = self.exchange.layout;
        if !table.is_keys_only() {
            let row_key = layout.row(table, key);
            match written.ends {
                Some(ends) => {
                    let until = kept_until(ends, self.exchange.now).to_string();
                    self.add("row until", &[&row_key, &written.row, until.as_bytes()]);
                }
                None => self.add("row", &[&row_key, &written.row]),
            }
        }
        if !is_there {
            self.add("key", &[layout.index(table).as_bytes(), key]);
        }
        if let Some((log, counter)) = layout.log(table) {
            self.add("event", &[log.as_bytes(), counter.as_bytes(), key]);
        }
    }

    fn remove(&mut self, table: Table, key: &[u8]) {
        let layout = self.exchange.layout;
        if !table.is_keys_only() {
            self.add("no row", &[&layout.row(table, key)]);
        }
        self.add("no key", &[layout.index(table).as_bytes(), key]);
        if let Some((log, _)) = layout.log(table) {
            self.add("no key", &[log.as_bytes(), key]);
        }
    }
}

/// Until when a row is kept, in milliseconds.
fn kept_until(ends: UnixTime, now: UnixTime) -> i64 {
    let until = ends.max(now).plus(KEPT_AFTER_END);
    until.secs().saturating_mul(1000)
}

fn read(answer: Value) -> Option<Answer> {
    let parts = list(answer)?;
    if parts.is_empty() {
        return Some(Answer::Done);
    }
    let [rows, same, ranges, counts] = <[Value; 4]>::try_from(parts).ok()?;
    Some(Answer::Different(News {
        rows: pairs(rows, place, row)?,
        same: pairs(same, place, entries)?,
        ranges: all(list(ranges)?, entries)?,
        counts: all(list(counts)?, number)?,
    }))
}

/// The keys of a range with their rows.
fn entries(value: Value) -> Option<Found> {
    pairs(value, |key| row(key)?, row)
}

fn place(value: Value) -> Option<usize> {
    usize::try_from(number(value)?).ok()
}

fn all<T>(values: Vec<Value>, read: impl Fn(Value) -> Option<T>) -> Option<Vec<T>> {
    values.into_iter().map(read).collect()
}

pub(super) fn unreadable() -> StoreError {
    StoreError::Failed("its answer cannot be read".to_owned())
}

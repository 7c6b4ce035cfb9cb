//! What other processes wrote: the grants that ended, by a log that each writer continues; and how many rows there are.

use std::{collections::BTreeMap, sync::LazyLock};

use mcp_gateway_oauth::store::rows::{StoreError, Table};
use redis::Value;

use super::{exchange::unreadable, layout::Layout};
use crate::{
    authorization_server::store::followed::{Entry, Followed},
    remote_store::{
        answer::{list, number, pairs, row},
        link::Link,
        script::{Arguments, Script},
    },
};

static FOLLOW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("follow.lua")));

/// The most entries that are read at once.
const BATCH: usize = 1024;

/// Tables whose counts limit something.
const COUNTED: [Table; 3] = [Table::Clients, Table::Grants, Table::Assertions];

/// What is new since the entry with this number; the last number; the counts. After a new connection, everything is new: the server
/// may be another one, which has lost the last entries and gives their numbers to others.
pub(super) async fn follow(
    link: &Link,
    layout: &Layout,
    since: Since,
) -> Result<(Followed, Since, BTreeMap<Table, u64>), StoreError> {
    let generation = link.generation();
    let since = match since.generation == generation {
        true => since.entry,
        false => 0,
    };
    let answer = link.run(&FOLLOW, &arguments(layout, since)).await?;
    let (counter, last, entries, counts) = read(answer).ok_or_else(unreadable)?;
    // The log was lost, and the server's clock was set back: from its beginning.
    let entry = if counter < since { 0 } else { last };
    let followed = Followed {
        has_more: counter < since || entries.len() >= BATCH,
        entries,
    };
    let since = Since { generation, entry };
    Ok((followed, since, COUNTED.into_iter().zip(counts).collect()))
}

/// How far this process has followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Since {
    /// The connection.
    generation: u64,
    /// The number of the last entry.
    entry: u64,
}

fn arguments(layout: &Layout, since: u64) -> Arguments {
    let (log, counter) = layout.followed();
    let mut arguments = Arguments::default();
    arguments.text(log);
    arguments.text(counter);
    arguments.text(layout.followed_beginning());
    arguments.number(since);
    arguments.number(BATCH);
    for table in COUNTED {
        arguments.text(layout.index(table));
    }
    arguments
}

fn read(answer: Value) -> Option<(u64, u64, Vec<Entry>, Vec<u64>)> {
    let [counter, last, entries, counts] = <[Value; 4]>::try_from(list(answer)?).ok()?;
    let counts: Option<Vec<_>> = list(counts)?.into_iter().map(number).collect();
    Some((
        number(counter)?,
        number(last)?,
        pairs(entries, |key| row(key)?, row)?,
        counts?,
    ))
}

//! What other processes wrote: the grants that ended, by a log that each writer continues; how many rows there are; and whether it is
//! still the same store.

use std::{collections::BTreeMap, sync::LazyLock};

use mcp_gateway_oauth::{
    id::Id,
    store::rows::{StoreError, Table},
};
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

/// What is new since then; how far that is; the counts. After a new connection, everything is new: the server may be another one,
/// which has lost the last entries and gives their numbers to others. A store without a name gets this one; a store that lost all its
/// rows is logged.
pub(super) async fn follow(
    link: &Link,
    layout: &Layout,
    since: Since,
    name: Id,
) -> Result<(Followed, Since, BTreeMap<Table, u64>), StoreError> {
    let generation = link.generation();
    let number = match since.generation == generation {
        true => since.entry,
        false => 0,
    };
    let answer = link.run(&FOLLOW, &arguments(layout, number, name)).await?;
    let news = read(answer).ok_or_else(unreadable)?;
    // The log was lost, and the server's clock was set back: from its beginning.
    let entry = if news.counter < number { 0 } else { news.last };
    let followed = Followed {
        has_more: news.counter < number || news.entries.len() >= BATCH,
        entries: news.entries,
    };
    let since = Since {
        generation,
        entry,
        store: known(since.store, news.store),
    };
    let counts = COUNTED.into_iter().zip(news.counts).collect();
    Ok((followed, since, counts))
}

/// How far this process has followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Since {
    /// The connection.
    generation: u64,
    /// The number of the last entry.
    entry: u64,
    /// The name of the store: the first process that finds none gives it one.
    store: Option<Id>,
}

/// The name of the store from now on. Another one than before means that its rows are lost.
fn known(before: Option<Id>, found: Option<Id>) -> Option<Id> {
    if before.is_some() && found.is_some() && before != found {
        tracing::error!(
            "the store has lost its rows, or is another one: clients register and people sign in again, and what was revoked is forgotten (authorization_server.store)"
        );
    }
    found.or(before)
}

/// What the server says.
struct News {
    counter: u64,
    last: u64,
    entries: Vec<Entry>,
    counts: Vec<u64>,
    store: Option<Id>,
}

fn arguments(layout: &Layout, since: u64, name: Id) -> Arguments {
    let (log, counter) = layout.followed();
    let mut arguments = Arguments::default();
    arguments.text(log);
    arguments.text(counter);
    arguments.text(layout.followed_beginning());
    arguments.number(since);
    arguments.number(BATCH);
    arguments.text(layout.name());
    arguments.text(name.to_string());
    for table in COUNTED {
        arguments.text(layout.index(table));
    }
    arguments
}

fn read(answer: Value) -> Option<News> {
    let [counter, last, entries, counts, store] = <[Value; 5]>::try_from(list(answer)?).ok()?;
    let counts: Option<Vec<_>> = list(counts)?.into_iter().map(number).collect();
    let store = row(store)?.and_then(|name| Id::parse(std::str::from_utf8(&name).ok()?).ok());
    Some(News {
        counter: number(counter)?,
        last: number(last)?,
        entries: pairs(entries, |key| row(key)?, row)?,
        counts: counts?,
        store,
    })
}

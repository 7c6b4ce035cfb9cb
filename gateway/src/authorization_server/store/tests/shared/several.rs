//! Several processes with one store.

use std::collections::BTreeSet;

use mcp_gateway_core::time::UnixTime;
use mcp_gateway_oauth::{
    grant::revoked::{self, Revoked},
    id::Id,
    store::table,
};
use redis::Commands;

use super::*;
use crate::clock;

async fn revoke(store: &Store, number: u8) {
    let revoked = Revoked {
        id: Id::new([number; 16]),
        until: UnixTime::new(clock::now().secs() + 900),
    };
    let revoke = move |rows: &mut dyn Rows| revoked::revoke(rows, revoked);
    store.write(revoke).await.unwrap();
}

/// The grants that a process learns have ended.
async fn learn(store: &Store) -> BTreeSet<u8> {
    let mut learned = BTreeSet::new();
    loop {
        let followed = store.follow().await.unwrap();
        let rows = followed.entries.iter();
        learned.extend(rows.filter(|(_, row)| row.is_some()).map(|(key, _)| key[0]));
        if !followed.has_more {
            return learned;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_learns_which_grants_others_ended_each_once() {
    for program in PROGRAMS {
        let mut shared = Shared::new(program);
        let other = shared.other();
        revoke(&shared.store, 1).await;
        assert_eq!(learn(&other).await, BTreeSet::from([1]), "{program}");
        assert_eq!(learn(&other).await, BTreeSet::new(), "{program}");
        revoke(&shared.store, 2).await;
        revoke(&other, 3).await;
        assert_eq!(learn(&other).await, BTreeSet::from([2, 3]), "{program}");
        // One that starts now learns all.
        assert_eq!(
            learn(&shared.other()).await,
            BTreeSet::from([1, 2, 3]),
            "{program}"
        );
        // A server that lost everything gives the same numbers to others: nothing is missed.
        shared.served.kill();
        shared.served.restart();
        while put(&shared.store, b"back").await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        for number in [4, 5, 6] {
            revoke(&shared.store, number).await;
        }
        while put(&other, b"back").await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(learn(&other).await, BTreeSet::from([4, 5, 6]), "{program}");
        // It is emptied while everybody stays connected.
        redis::cmd("FLUSHALL")
            .exec(&mut shared.served.admin())
            .unwrap();
        for number in [7, 8, 9] {
            revoke(&shared.store, number).await;
        }
        assert_eq!(learn(&other).await, BTreeSet::from([7, 8, 9]), "{program}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_takes_one_round_trip_where_this_process_saw_the_rows_last() {
    for program in PROGRAMS {
        let shared = Shared::new(program);
        let other = shared.other();
        let trips = |store: &Store| store.figures().round_trips();
        shared.store.write(count_up).await.unwrap();
        let before = trips(&shared.store);
        for _ in 0..10 {
            shared.store.write(count_up).await.unwrap();
        }
        assert_eq!(trips(&shared.store) - before, 10, "{program}");
        // Another process saw nothing yet, or an earlier row: one more.
        let before = trips(&other);
        assert_eq!(other.write(count_up).await, Ok(11));
        assert_eq!(trips(&other) - before, 2, "{program}");
        let before = trips(&shared.store);
        assert_eq!(shared.store.write(count_up).await, Ok(12));
        assert_eq!(trips(&shared.store) - before, 2, "{program}");
        // A reading of several rows takes one.
        let before = trips(&other);
        let read = other.read(|rows| {
            Ok((
                rows.get(Table::Meta, b"count")?,
                rows.get(Table::Codes, b"x")?,
            ))
        });
        assert_eq!(read.await.unwrap().0, Some(13_u32.to_be_bytes().to_vec()));
        assert_eq!(trips(&other) - before, 1, "{program}");
        // A glance at a row that is remembered takes none.
        let before = trips(&other);
        let glance = other
            .read_as(
                |rows| rows.get(Table::Meta, b"count"),
                Freshness::Remembered,
            )
            .await;
        assert_eq!(glance, Ok(Some(13_u32.to_be_bytes().to_vec())));
        assert_eq!(trips(&other), before, "{program}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_takes_one_round_trip_where_it_gets_the_rows_of_another_process() {
    let count = |rows: &mut dyn Rows| {
        let last = rows.get(Table::Grants, b"count")?.unwrap_or_default();
        rows.put(Table::Grants, b"count", &[&last[..], b"x"].concat())
    };
    let place = (Table::Grants, b"count".to_vec());
    for program in PROGRAMS {
        let shared = Shared::new(program);
        let stores = [shared.store.clone(), shared.other()];
        stores[0].write(count).await.unwrap();
        let trips = |stores: &[Store; 2]| {
            stores
                .iter()
                .map(|store| store.figures().round_trips())
                .sum::<u64>()
        };
        let before = trips(&stores);
        for number in 0..20 {
            let (this, last) = (&stores[(number + 1) % 2], &stores[number % 2]);
            this.suggest(last.remembered(std::slice::from_ref(&place)));
            this.write(count).await.unwrap();
        }
        assert_eq!(trips(&stores) - before, 20, "{program}");
        // A lie costs a round trip and changes nothing else.
        stores[0].suggest(vec![(place.clone(), b"lie".to_vec())]);
        stores[0].write(count).await.unwrap();
        assert_eq!(trips(&stores) - before, 22, "{program}");
        let row = stores[1]
            .read(|rows| rows.get(Table::Grants, b"count"))
            .await;
        assert_eq!(row, Ok(Some(vec![b'x'; 22])), "{program}");
        // A row that is not known, or is in a file, is not remembered.
        let unknown = (Table::Grants, b"unknown".to_vec());
        assert_eq!(stores[0].remembered(&[unknown]), []);
        assert_eq!(
            Site::new().store.remembered(std::slice::from_ref(&place)),
            []
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_with_other_prefixes_do_not_see_one_another() {
    let shared = Shared::new("redis-server");
    let mut settings = shared.served.settings();
    settings.prefix = "other:".to_owned();
    let other = Store::connect(&settings, &shared.folder.path().join("state")).unwrap();
    shared.store.write(count_up).await.unwrap();
    revoke(&shared.store, 1).await;
    assert_eq!(counted(&other).await, 0);
    assert_eq!(learn(&other).await, BTreeSet::new());
    assert_eq!(other.read(|rows| rows.count(Table::Revoked)).await, Ok(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_with_an_end_is_forgotten_by_the_server_itself_after_it() {
    let shared = Shared::new("valkey-server");
    let at = clock::now();
    let until = UnixTime::new(at.secs() + 100);
    let revoked = Revoked {
        id: Id::new(*b"0123456789abcdef"),
        until,
    };
    let revoke = move |rows: &mut dyn Rows| {
        revoked::revoke(rows, revoked)?;
        rows.put(Table::Meta, b"for ever", b"x")
    };
    shared.store.write(revoke).await.unwrap();
    let mut admin = shared.served.admin();
    let row: i64 = admin.pttl("mcp-gateway:revoked:0123456789abcdef").unwrap();
    let hour = 3_600_000;
    assert!((hour..hour + 101_000).contains(&row), "{row}");
    let meta: i64 = admin.pttl("mcp-gateway:meta:for ever").unwrap();
    assert_eq!(meta, -1);
    // A process that finds the row gone leaves no entry behind when it sweeps.
    let _: () = admin.del("mcp-gateway:revoked:0123456789abcdef").unwrap();
    let sweep = move |rows: &mut dyn Rows| {
        let kinds = [mcp_gateway_oauth::store::expiry::Kind::of::<
            revoked::RevokedRow,
        >()];
        mcp_gateway_oauth::store::expiry::remove_expired(rows, &kinds, until, 10)
    };
    shared.store.write(sweep).await.unwrap();
    let keys: Vec<String> = admin.keys("mcp-gateway:*revoked*").unwrap();
    assert_eq!(keys, ["mcp-gateway:last of revoked"]);
    let found = shared
        .store
        .read(|rows| table::get::<revoked::RevokedRow>(rows, b"0123456789abcdef"));
    assert_eq!(found.await, Ok(None));
}

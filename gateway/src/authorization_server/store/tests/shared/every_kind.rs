//! What holds for every kind of store.

use mcp_gateway_core::time::UnixTime;
use mcp_gateway_oauth::store::{
    expiry::{self, Kind},
    memory::MemoryRows,
    table::{self, Row},
};
use serde::{Deserialize, Serialize};

use super::*;
use crate::clock;

/// A store of each kind, with its name; and what must live as long.
struct Any {
    name: &'static str,
    store: Store,
    /// The same store as another process has it, or the same one.
    other: Store,
    _site: Box<dyn std::any::Any>,
}

fn every_kind() -> Vec<Any> {
    let site = Site::new();
    let mut all = vec![Any {
        name: "embedded",
        store: site.store.clone(),
        other: site.store.clone(),
        _site: Box::new(site),
    }];
    all.extend(PROGRAMS.map(|name| {
        let shared = Shared::new(name);
        Any {
            name,
            store: shared.store.clone(),
            other: shared.other(),
            _site: Box::new(shared),
        }
    }));
    all
}

async fn row(store: &Store, table: Table, key: &[u8]) -> Option<Vec<u8>> {
    store.read(|rows| rows.get(table, key)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_come_back_as_they_were_written() {
    for any in every_kind() {
        let long = vec![0xfe; 100_000];
        let cases: [(&[u8], &[u8]); 5] = [
            (b"\x00", b"\x00\x00"),
            (b"\xff\xff", b"\r\n*3\r\n"),
            (b"a:b c", b""),
            (b"text", "käse".as_bytes()),
            (b"long", &long),
        ];
        for (key, value) in cases {
            let (key, value) = (key.to_vec(), value.to_vec());
            let (written, expected) = (key.clone(), Some(value.clone()));
            let put = move |rows: &mut dyn Rows| rows.put(Table::Codes, &written, &value);
            any.store.write(put).await.unwrap();
            assert_eq!(
                row(&any.other, Table::Codes, &key).await,
                expected,
                "{}",
                any.name
            );
            assert_eq!(
                row(&any.other, Table::Grants, &key).await,
                None,
                "{}",
                any.name
            );
        }
        let remove = |rows: &mut dyn Rows| rows.remove(Table::Codes, b"text");
        any.other.write(remove).await.unwrap();
        assert_eq!(
            row(&any.store, Table::Codes, b"text").await,
            None,
            "{}",
            any.name
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_that_fails_or_panics_changes_nothing() {
    for any in every_kind() {
        let fail = |rows: &mut dyn Rows| {
            rows.put(Table::Codes, b"a", b"x")?;
            Err::<(), _>(failed())
        };
        assert_eq!(any.store.write(fail).await, Err(failed()), "{}", any.name);
        let panic = |rows: &mut dyn Rows| -> Result<(), StoreError> {
            rows.put(Table::Codes, b"a", b"x")?;
            panic!("on purpose")
        };
        assert!(any.store.write(panic).await.is_err(), "{}", any.name);
        assert_eq!(
            row(&any.store, Table::Codes, b"a").await,
            None,
            "{}",
            any.name
        );
        assert_eq!(any.store.figures().commits(), 0, "{}", any.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_changes_of_one_row_at_once_lose_nothing() {
    for any in every_kind() {
        let counting = (0..100).map(|number| {
            let store = if number % 2 == 0 {
                &any.store
            } else {
                &any.other
            }
            .clone();
            tokio::spawn(async move { store.write(count_up).await.unwrap() })
        });
        let mut found = Vec::new();
        for one in counting.collect::<Vec<_>>() {
            found.push(one.await.unwrap());
        }
        found.sort_unstable();
        assert_eq!(found, (0..100).collect::<Vec<_>>(), "{}", any.name);
        assert_eq!(counted(&any.other).await, 100, "{}", any.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_redemptions_of_a_code_one_wins() {
    for any in every_kind() {
        let issue = |rows: &mut dyn Rows| rows.put(Table::Codes, b"code", b"unused");
        any.store.write(issue).await.unwrap();
        let redeeming = (0..100_u8).map(|number| {
            let store = if number % 2 == 0 {
                &any.store
            } else {
                &any.other
            }
            .clone();
            let redeem = move |rows: &mut dyn Rows| {
                if rows.get(Table::Codes, b"code")?.as_deref() != Some(b"unused") {
                    return Ok(false);
                }
                rows.put(Table::Codes, b"code", b"used")?;
                rows.put(Table::Grants, &[number], b"grant")?;
                Ok(true)
            };
            tokio::spawn(async move { store.write(redeem).await.unwrap() })
        });
        let mut winners = 0;
        for one in redeeming.collect::<Vec<_>>() {
            winners += u32::from(one.await.unwrap());
        }
        let grants = any.store.read(|rows| rows.count(Table::Grants)).await;
        assert_eq!((winners, grants), (1, Ok(1)), "{}", any.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_and_counts_are_those_of_rows_in_memory() {
    for any in every_kind() {
        let mut expected = MemoryRows::default();
        let mut random = 1_u32;
        for _ in 0..40 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let number = random >> 8;
            let key = vec![
                u8::try_from(number % 3).unwrap() * 127,
                (number / 3 % 4) as u8,
            ];
            let is_put = !(number / 12).is_multiple_of(4);
            let change = move |rows: &mut dyn Rows| match is_put {
                true => rows.put(Table::Assertions, &key, &number.to_be_bytes()),
                false => rows.remove(Table::Assertions, &key),
            };
            change(&mut expected).unwrap();
            any.store.write(change).await.unwrap();
        }
        for prefix in [0_u8, 127, 254] {
            for most in [1, 3, 100] {
                let look = |rows: &dyn Rows| {
                    let prefix = [prefix];
                    Ok((
                        rows.after(Table::Assertions, &prefix, most)?,
                        rows.starting_with(Table::Assertions, &prefix, most)?,
                        rows.count(Table::Assertions)?,
                    ))
                };
                let found = any.other.read(look).await;
                assert_eq!(found, look(&expected), "{}: {prefix} {most}", any.name);
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Short(i64);

impl Row for Short {
    const TABLE: Table = Table::Sessions;

    fn ends(&self) -> Option<UnixTime> {
        Some(UnixTime::new(self.0))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_expired_are_removed_with_their_entries() {
    for any in every_kind() {
        let now = clock::now().secs();
        let fill = move |rows: &mut dyn Rows| {
            (0..300_u16).try_for_each(|number| {
                let ends = now - 10 + i64::from(number % 3) * 10_000;
                table::insert(rows, &number.to_be_bytes(), &Short(ends))
            })
        };
        any.store.write(fill).await.unwrap();
        let sweep = move |rows: &mut dyn Rows| {
            let kinds = [Kind::of::<Short>()];
            let swept = expiry::remove_expired(rows, &kinds, UnixTime::new(now), 64)?;
            Ok(swept.looked < 64)
        };
        // Both processes sweep at the same time.
        let all = |store: Store| async move { while !store.write(sweep).await.unwrap() {} };
        tokio::join!(all(any.store.clone()), all(any.other.clone()));
        let left = any.store.read(|rows| {
            let expiries = rows.after(Table::Expiry, b"", 1000)?.len();
            Ok((rows.count(Table::Sessions)?, expiries))
        });
        assert_eq!(left.await, Ok((200, 200)), "{}", any.name);
    }
}

//! The store as its callers see it. `files` opens what others left, `disk` is a disk that fails, `kill` ends a process while it
//! writes, `measure` takes times. `shared` is about the store of several processes, and what holds for every kind.

mod disk;
mod files;
mod kill;
mod measure;
#[cfg(feature = "redis")]
mod shared;

use std::{path::PathBuf, sync::mpsc, time::Instant};

use mcp_gateway_oauth::store::rows::Table;
use tempfile::TempDir;

use super::*;

/// A store in a directory of its own.
struct Site {
    folder: TempDir,
    store: Store,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state")).unwrap();
        Self { folder, store }
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("state")
    }
}

fn failed() -> StoreError {
    StoreError::Failed("on purpose".to_owned())
}

async fn get(store: &Store, key: &'static [u8]) -> Option<Vec<u8>> {
    let read = store.read(|rows| rows.get(Table::Codes, key));
    read.await.unwrap()
}

async fn put(store: &Store, key: &'static [u8]) -> Result<(), StoreError> {
    store
        .write(move |rows| rows.put(Table::Codes, key, b"row"))
        .await
}

#[tokio::test]
async fn what_was_answered_is_there_after_the_store_is_opened_again() {
    let site = Site::new();
    put(&site.store, b"a").await.unwrap();
    let directory = site.directory();
    drop(site.store);
    let store = Store::open(&directory).unwrap();
    assert_eq!(get(&store, b"a").await.as_deref(), Some(&b"row"[..]));
    assert_eq!(get(&store, b"b").await, None);
}

/// Holds the writer in an operation until the returned sender is dropped.
fn hold(
    store: &Store,
) -> (
    mpsc::Sender<()>,
    tokio::task::JoinHandle<Result<(), StoreError>>,
) {
    let (release, released) = mpsc::channel::<()>();
    let (entered, is_entered) = mpsc::channel();
    let released = std::sync::Mutex::new(released);
    let store = store.clone();
    let held = tokio::spawn(async move {
        let wait = move |_: &mut dyn Rows| {
            let _ = entered.send(());
            let _ = released.lock().unwrap().recv();
            Ok(())
        };
        store.write(wait).await
    });
    // The task runs when this thread gives way; the test runtime has another one.
    is_entered.recv().unwrap();
    (release, held)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_that_fails_or_panics_takes_no_other_down() {
    let site = Site::new();
    let (release, held) = hold(&site.store);
    let mut jobs = Vec::new();
    for number in 0..30_u8 {
        let store = site.store.clone();
        jobs.push(tokio::spawn(async move {
            let operation = move |rows: &mut dyn Rows| {
                rows.put(Table::Codes, &[number], b"row")?;
                match number % 3 {
                    0 => Ok(()),
                    1 => Err(failed()),
                    _ => panic!("on purpose"),
                }
            };
            store.write(operation).await.is_ok()
        }));
    }
    while site.store.figures().waiting() < 30 {
        sleep(OPEN_PAUSE).await;
    }
    drop(release);
    held.await.unwrap().unwrap();
    for (number, job) in jobs.into_iter().enumerate() {
        assert_eq!(job.await.unwrap(), number % 3 == 0, "{number}");
        let key = [u8::try_from(number).unwrap()];
        let row = site
            .store
            .read(|rows| rows.get(Table::Codes, &key))
            .await
            .unwrap();
        assert_eq!(row.is_some(), number % 3 == 0, "{number}");
    }
    assert_eq!(site.store.figures().commits(), 1);
    assert_eq!(site.store.figures().failures(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_sees_those_before_it_in_the_same_commit() {
    let site = Site::new();
    let count = |rows: &mut dyn Rows| {
        let last = rows.get(Table::Meta, b"count")?;
        let last = last
            .and_then(|row| row.try_into().ok())
            .map_or(0, u32::from_be_bytes);
        rows.put(Table::Meta, b"count", &(last + 1).to_be_bytes())?;
        Ok(last)
    };
    let (release, held) = hold(&site.store);
    let counting = (0..100).map(|_| {
        let store = site.store.clone();
        tokio::spawn(async move { store.write(count).await.unwrap() })
    });
    let counting: Vec<_> = counting.collect();
    while site.store.figures().waiting() < 100 {
        sleep(OPEN_PAUSE).await;
    }
    drop(release);
    held.await.unwrap().unwrap();
    let mut found = Vec::new();
    for one in counting {
        found.push(one.await.unwrap());
    }
    found.sort_unstable();
    assert_eq!(found, (0..100).collect::<Vec<_>>());
    assert_eq!(site.store.figures().commits(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_finds_the_queue_full_is_refused_at_once() {
    let site = Site::new();
    let (release, held) = hold(&site.store);
    let waiting = (0..embedded::MAX_WAITING).map(|_| {
        let store = site.store.clone();
        tokio::spawn(async move { put(&store, b"a").await })
    });
    let waiting: Vec<_> = waiting.collect();
    while site.store.figures().waiting() < embedded::MAX_WAITING {
        sleep(OPEN_PAUSE).await;
    }
    let refused = put(&site.store, b"b").await.unwrap_err();
    assert!(
        refused.to_string().contains("too many changes"),
        "{refused}"
    );
    drop(release);
    held.await.unwrap().unwrap();
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    assert_eq!(get(&site.store, b"b").await, None);
    put(&site.store, b"b").await.unwrap();
}

#[tokio::test]
async fn without_changes_nothing_is_committed() {
    let site = Site::new();
    let found = site.store.write(|rows| rows.get(Table::Codes, b"a")).await;
    assert_eq!(found, Ok(None));
    assert_eq!(site.store.figures().commits(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_gets_the_store_when_it_is_closed_and_everything_before_is_durable() {
    let site = Site::new();
    put(&site.store, b"old").await.unwrap();
    assert!(Store::open(&site.directory()).unwrap_err().is_in_use());
    let begun = Instant::now();
    let refused = Store::open_waiting(&site.directory(), Duration::from_millis(100));
    assert!(refused.unwrap_err().is_in_use() && begun.elapsed() >= Duration::from_millis(100));

    let directory = site.directory();
    let opening =
        thread::spawn(move || Store::open_waiting(&directory, Duration::from_secs(10)).unwrap());
    site.store.close();
    let successor = opening.join().unwrap();
    assert_eq!(get(&successor, b"old").await.as_deref(), Some(&b"row"[..]));
    put(&successor, b"new").await.unwrap();

    // The old one waits, then refuses.
    let count = |rows: &dyn Rows| rows.count(Table::Codes);
    assert!(site.store.read_now(count).is_err());
    assert!(site.store.read(count).await.is_err());
    let begun = Instant::now();
    assert!(put(&site.store, b"late").await.is_err());
    assert!(begun.elapsed() >= MAX_WAIT);
    assert!(site.store.reopen().unwrap_err().is_in_use());
    assert_eq!(get(&successor, b"late").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_wait_while_the_store_is_closed_for_a_moment() {
    let site = Site::new();
    site.store.close();
    let (writing, reading) = (site.store.clone(), site.store.clone());
    let writing = tokio::spawn(async move { put(&writing, b"a").await });
    let reading = tokio::spawn(async move { reading.wait_until_open().await });
    sleep(Duration::from_millis(50)).await;
    assert!(!writing.is_finished() && !reading.is_finished());
    site.store.reopen().unwrap();
    reading.await.unwrap().unwrap();
    writing.await.unwrap().unwrap();
    assert_eq!(get(&site.store, b"a").await.as_deref(), Some(&b"row"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_request_does_not_wait_for_ever() {
    let site = Site::new();
    site.store.close();
    assert!(site.store.wait_until_open().await.is_err());
}

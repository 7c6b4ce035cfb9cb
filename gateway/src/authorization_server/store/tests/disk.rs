//! A disk that loses power or is full. It has what was synced, and what was written since: after a loss of power any part of that
//! may be there.

use std::{
    io,
    sync::{Mutex, MutexGuard},
};

use embedded::EmbeddedStore;
use redb::{Database, StorageBackend};

use super::*;

/// What a disk writes as a whole.
const SECTOR: usize = 512;

#[derive(Debug, Default)]
struct Platter {
    synced: Vec<u8>,
    current: Vec<u8>,
    since_sync: Vec<Written>,
    /// Bytes that fit; all where none.
    capacity: Option<usize>,
    /// Operations until the power is lost; never where none.
    power: Option<u32>,
    /// Syncs that fail from now on.
    failing_syncs: u32,
    /// Databases that were opened; only the newest may use the disk.
    opened: u32,
}

#[derive(Debug)]
enum Written {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

impl Written {
    fn write(&self, image: &mut Vec<u8>) {
        match self {
            Self::Length(length) => image.resize(*length, 0),
            Self::Bytes(at, bytes) => {
                image.resize(image.len().max(at + bytes.len()), 0);
                image[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Platter>>);

impl Disk {
    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    fn open(&self) -> Result<Store, OpenError> {
        let disk = self.clone();
        EmbeddedStore::open_with(Box::new(move || disk.database())).map(Store::of)
    }

    fn database(&self) -> Result<Database, OpenError> {
        let mut platter = self.lock();
        platter.opened += 1;
        let handle = Handle {
            disk: self.clone(),
            number: platter.opened,
        };
        drop(platter);
        Ok(redb::Builder::new().create_with_backend(handle)?)
    }

    /// Keeps what was synced, and of what was written since a part that looks random: single sectors, in any combination.
    fn lose_power(&self, random: &mut impl Iterator<Item = u32>) {
        let mut platter = self.lock();
        let mut image = platter.synced.clone();
        let written = std::mem::take(&mut platter.since_sync);
        for written in written {
            match written {
                Written::Bytes(at, bytes) => {
                    for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                        if random.next().unwrap().is_multiple_of(2) {
                            let at = at + number * SECTOR;
                            Written::Bytes(at, sector.to_vec()).write(&mut image);
                        }
                    }
                }
                length => {
                    if random.next().unwrap().is_multiple_of(2) {
                        length.write(&mut image);
                    }
                }
            }
        }
        platter.synced = image.clone();
        platter.current = image;
        platter.power = None;
        platter.opened += 1;
    }
}

/// The disk as one database has it open.
#[derive(Debug)]
struct Handle {
    disk: Disk,
    number: u32,
}

impl Handle {
    fn platter(&self) -> io::Result<MutexGuard<'_, Platter>> {
        let mut platter = self.disk.lock();
        if platter.power == Some(0) || platter.opened != self.number {
            return Err(io::Error::other("no power"));
        }
        platter.power = platter.power.map(|left| left - 1);
        Ok(platter)
    }

    fn keep(&self, written: Written) -> io::Result<()> {
        let mut platter = self.platter()?;
        let mut image = std::mem::take(&mut platter.current);
        let end = match &written {
            Written::Length(length) => *length,
            Written::Bytes(at, bytes) => at + bytes.len(),
        };
        let is_too_long = platter.capacity.is_some_and(|capacity| end > capacity);
        if !is_too_long {
            written.write(&mut image);
            platter.since_sync.push(written);
        }
        platter.current = image;
        if is_too_long {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.platter()?.current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        let platter = self.platter()?;
        let found = platter.current.get(at..at + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.keep(Written::Length(usize::try_from(len).unwrap()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.platter()?;
        if platter.failing_syncs > 0 {
            platter.failing_syncs -= 1;
            return Err(io::Error::other("sync failed"));
        }
        platter.synced = platter.current.clone();
        platter.since_sync.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.keep(Written::Bytes(
            usize::try_from(offset).unwrap(),
            data.to_vec(),
        ))
    }
}

fn random(seed: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(seed.wrapping_mul(2_654_435_761) | 1), |last| {
        let mut next = *last;
        next ^= next << 13;
        next ^= next >> 17;
        next ^= next << 5;
        Some(next)
    })
    .skip(8)
    .map(|number| number >> 4)
}

/// Writes the same number under the key of a caller in two tables, again and again, until the store fails. Returns the last number
/// that was answered.
async fn write_until_failure(store: Store, caller: u8, from: u32) -> u32 {
    let mut answered = from;
    loop {
        let number = answered + 1;
        let operation = move |rows: &mut dyn Rows| {
            let row = [&number.to_be_bytes()[..], &[caller; 396]].concat();
            rows.put(Table::Grants, &[caller], &row)?;
            rows.put(Table::Codes, &[caller], &row)?;
            // New rows too, so that the file grows.
            rows.put(
                Table::Expiry,
                &[&[caller][..], &number.to_be_bytes()].concat(),
                &row,
            )
        };
        match store.write(operation).await {
            Ok(()) => answered = number,
            Err(_) => return answered,
        }
    }
}

async fn number_of(store: &Store, table: Table, caller: u8) -> u32 {
    let row = store.read(|rows| rows.get(table, &[caller])).await.unwrap();
    row.map_or(0, |row| u32::from_be_bytes(*row.first_chunk().unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_a_loss_of_power_at_any_moment() {
    const CALLERS: u8 = 6;
    let disk = Disk::default();
    drop(disk.open().unwrap());
    let mut answered = [0; CALLERS as usize];
    let mut all_answered = 0;
    for round in 0..60 {
        let mut random = random(round);
        let store = disk.open().unwrap();
        disk.lock().power = Some(20 + random.next().unwrap() % 800);
        let callers = (0..CALLERS).zip(answered);
        let writing: Vec<_> = callers
            .map(|(caller, from)| tokio::spawn(write_until_failure(store.clone(), caller, from)))
            .collect();
        for (writing, answered) in writing.into_iter().zip(&mut answered) {
            let now = writing.await.unwrap();
            all_answered += now - *answered;
            *answered = now;
        }
        drop(store);
        disk.lose_power(&mut random);
        let store = disk.open().unwrap();
        for (caller, answered) in (0..CALLERS).zip(&mut answered) {
            let found = number_of(&store, Table::Grants, caller).await;
            assert_eq!(
                found,
                number_of(&store, Table::Codes, caller).await,
                "{round}"
            );
            assert!(found == *answered || found == *answered + 1, "{round}");
            *answered = found;
        }
    }
    assert!(all_answered > 500, "{all_answered}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_changes_and_the_store_recovers_when_there_is_room() {
    let disk = Disk::default();
    let store = disk.open().unwrap();
    put(&store, b"before").await.unwrap();
    let length = disk.lock().current.len();
    disk.lock().capacity = Some(length);
    let answered = write_until_failure(store.clone(), 1, 0).await;

    // Nothing of the refused change is there, and reads go on.
    assert_eq!(number_of(&store, Table::Grants, 1).await, answered);
    assert_eq!(number_of(&store, Table::Codes, 1).await, answered);
    assert!(get(&store, b"before").await.is_some());
    let refused = put(&store, b"refused").await.unwrap_err();
    assert!(refused.to_string().contains("I/O error"), "{refused}");
    assert!(store.figures().failures() >= 1);
    assert_eq!(get(&store, b"refused").await, None);

    disk.lock().capacity = None;
    let begun = Instant::now();
    while put(&store, b"after").await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(5));
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(number_of(&store, Table::Grants, 1).await, answered);
    drop(store);
    let store = disk.open().unwrap();
    assert!(get(&store, b"after").await.is_some() && get(&store, b"before").await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_fails_is_reported_to_all_and_the_store_recovers() {
    let disk = Disk::default();
    let store = disk.open().unwrap();
    put(&store, b"before").await.unwrap();
    // The disk fails for the commit and for opening the database again.
    disk.lock().failing_syncs = 3;
    let (release, held) = hold(&store);
    let writing: Vec<_> = (0..10)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { put(&store, b"failed").await })
        })
        .collect();
    while store.figures().waiting() < 10 {
        sleep(OPEN_PAUSE).await;
    }
    drop(release);
    held.await.unwrap().unwrap();
    for writing in writing {
        assert!(writing.await.unwrap().is_err());
    }
    let begun = Instant::now();
    while put(&store, b"after").await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10));
        sleep(Duration::from_millis(20)).await;
    }
    assert!(get(&store, b"before").await.is_some() && get(&store, b"after").await.is_some());
}

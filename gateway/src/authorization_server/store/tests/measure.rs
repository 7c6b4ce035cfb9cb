//! Measurements, each started by its name:
//! `cargo test -p mcp-gateway --lib store::tests::measure::NAME -- --ignored --nocapture`.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use redb::{Builder, Database, ReadableTable, TableDefinition};

use super::*;

const ROW_BYTES: usize = 400;
const CALLERS: usize = 64;
const GRANTS: u32 = 100_000;
const TIME: Duration = Duration::from_secs(4);
const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("grants");

fn number_after(number: u32) -> u32 {
    number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)
}

fn key(number: u32) -> [u8; 16] {
    let mut key = [0; 16];
    // Keys are random ids, so neighbours in time are not neighbours in the table.
    key[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
    key[4..8].copy_from_slice(&number.to_be_bytes());
    key
}

/// What a refresh does: reads a grant and writes it with another generation.
fn refresh(rows: &mut dyn Rows, key: [u8; 16]) -> Result<(), StoreError> {
    let mut row = rows.get(Table::Grants, &key)?.ok_or_else(failed)?;
    row[0] = row[0].wrapping_add(1);
    rows.put(Table::Grants, &key, &row)
}

async fn fill(store: &Store, table: Table, count: u32) {
    const AT_ONCE: u32 = 10_000;
    for from in (0..count).step_by(AT_ONCE as usize) {
        let fill = move |rows: &mut dyn Rows| {
            let numbers = from..count.min(from + AT_ONCE);
            numbers
                .into_iter()
                .try_for_each(|number| rows.put(table, &key(number), &[b'x'; ROW_BYTES]))
        };
        store.write(fill).await.unwrap();
    }
}

/// So many callers do this again and again, each with its number and how often it did it before. How often in all, and in a second.
pub(super) async fn rate<F: Future<Output = ()> + Send + 'static>(
    callers: usize,
    time: Duration,
    call: impl Fn(usize, usize) -> F + Clone + Send + 'static,
) -> (u32, f64) {
    let is_over = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let calling = (0..callers).map(|caller| {
        let (is_over, call) = (is_over.clone(), call.clone());
        tokio::spawn(async move {
            let mut count = 0;
            while !is_over.load(Ordering::Relaxed) {
                call(caller, count).await;
                count += 1;
            }
            u32::try_from(count).unwrap()
        })
    });
    let calling: Vec<_> = calling.collect();
    sleep(time).await;
    is_over.store(true, Ordering::Relaxed);
    let mut count = 0;
    for calling in calling {
        count += calling.await.unwrap();
    }
    (count, f64::from(count) / begun.elapsed().as_secs_f64())
}

/// Operations a second of so many callers, and commits for each.
async fn store_rate(store: &Store, callers: usize) -> (f64, f64) {
    let commits = store.figures().commits();
    let own = store.clone();
    let (count, rate) = rate(callers, TIME, move |caller, count| {
        let number = number_after(u32::try_from(caller * 7919 + count).unwrap());
        let (store, key) = (own.clone(), key((number >> 8) % GRANTS));
        async move { store.write(move |rows| refresh(rows, key)).await.unwrap() }
    })
    .await;
    let commits = (store.figures().commits() - commits) as f64;
    (rate, commits / f64::from(count))
}

/// The same operations in a loop over redb: so many for each commit, and nothing else.
fn bare_rate(database: &Database, at_once: usize) -> f64 {
    let begun = Instant::now();
    let (mut number, mut count) = (1, 0_u32);
    while begun.elapsed() < TIME {
        let mut transaction = database.begin_write().unwrap();
        transaction.set_quick_repair(true);
        let mut table = transaction.open_table(TABLE).unwrap();
        for _ in 0..at_once {
            number = number_after(number);
            let key = key((number >> 8) % GRANTS);
            let row = table.get(&key[..]).unwrap().map(|row| row.value().to_vec());
            let mut row = row.unwrap();
            row[0] = row[0].wrapping_add(1);
            table.insert(&key[..], &row[..]).unwrap();
            count += 1;
        }
        drop(table);
        transaction.commit().unwrap();
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}

fn bare(folder: &Path) -> Database {
    let mut builder = Builder::new();
    builder.set_cache_size(32 * 1024 * 1024);
    let database = builder.create(folder.join("bare.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut table = transaction.open_table(TABLE).unwrap();
    for number in 0..GRANTS {
        table
            .insert(&key(number)[..], &[b'x'; ROW_BYTES][..])
            .unwrap();
    }
    drop(table);
    transaction.commit().unwrap();
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn commits_and_refreshes() {
    let site = Site::new();
    fill(&site.store, Table::Grants, GRANTS).await;
    let bare = bare(site.folder.path());
    let (mut best, mut sum) = (f64::INFINITY, 0.0);
    for round in 1..=3 {
        let loop_single = bare_rate(&bare, 1);
        let (single, _) = store_rate(&site.store, 1).await;
        let loop_grouped = bare_rate(&bare, CALLERS);
        let (grouped, commits) = store_rate(&site.store, CALLERS).await;
        let ratio = grouped / loop_grouped;
        println!(
            "round {round}: one caller {single:.0}/s (loop {loop_single:.0}/s); {CALLERS} callers {grouped:.0}/s \
             with {commits:.4} commits per operation (loop {loop_grouped:.0}/s); ratio {ratio:.2}"
        );
        (best, sum) = (best.min(ratio), sum + ratio);
    }
    println!(
        "ratio: lowest {best:.2}, mean {:.2}; required 0.60",
        sum / 3.0
    );
    assert!(sum / 3.0 >= 0.6);
}

const MILLION: u32 = 1_000_000;
const DIRECTORY: &str = "STORE_MEASURE_DIRECTORY";

/// Megabytes of memory that this process uses.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}

#[test]
#[ignore = "the process that another measurement starts and kills"]
fn child() {
    let Some(directory) = env::var_os(DIRECTORY) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let before = memory();
        let begun = Instant::now();
        let store = Store::open(Path::new(&directory)).unwrap();
        println!(
            "\nopened in {:?}; memory {before} MB before, {} MB after",
            begun.elapsed(),
            memory()
        );
        let begun = Instant::now();
        let mut number = 1;
        for _ in 0..20_000 {
            number = number_after(number);
            let key = key((number >> 8) % MILLION);
            assert!(
                store
                    .read(|rows| rows.get(Table::Grants, &key))
                    .await
                    .unwrap()
                    .is_some()
            );
        }
        println!(
            "20000 rows read in {:?}; memory {} MB",
            begun.elapsed(),
            memory()
        );
        let begun = Instant::now();
        for _ in 0..100 {
            number = number_after(number);
            let key = key((number >> 8) % MILLION);
            store.write(move |rows| refresh(rows, key)).await.unwrap();
        }
        println!(
            "100 commits in {:?}; memory {} MB",
            begun.elapsed(),
            memory()
        );
        println!("ready");
        std::io::stdout().flush().unwrap();
        std::future::pending::<()>().await;
    });
}

fn start(directory: &Path) -> Child {
    let name = module_path!().split_once("::").unwrap().1;
    Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("{name}::child"),
            "--ignored",
            "--nocapture",
        ])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Starts a process that opens the store, prints what it says, and kills it.
fn open_and_kill(directory: &Path, when: &str) {
    let mut child = start(directory);
    println!("{when}:");
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if line == "ready" {
            break;
        }
        println!("  {line}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Drops the file from the system's cache.
fn drop_cache(file: &Path) {
    let file = format!("of={}", file.display());
    let dropped = Command::new("dd")
        .args([&file, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"])
        .stderr(Stdio::null())
        .status();
    assert!(dropped.unwrap().success());
}

#[tokio::test]
#[ignore = "a measurement"]
async fn a_million_clients_and_grants() {
    let site = Site::new();
    let begun = Instant::now();
    fill(&site.store, Table::Clients, MILLION).await;
    fill(&site.store, Table::Grants, MILLION).await;
    let file = site.directory().join("store.redb");
    let length = fs::metadata(&file).unwrap().len() / 1_000_000;
    println!("filled in {:?}; the file has {length} MB", begun.elapsed());
    let directory = site.directory();
    drop(site.store);
    open_and_kill(&directory, "after it was closed");
    drop_cache(&file);
    open_and_kill(&directory, "after kill -9, not in the system's cache");
    open_and_kill(&directory, "after kill -9");
}

//! A process that writes is killed again and again. Its parent has the ledger: what the process reported as answered must be there
//! when the store is opened again.
//!
//! Each worker of the process takes one grant after the other through its life: its code is issued, then used, its refresh token
//! rotated, and the grant revoked. `STORE_KILLS=200` makes 200 cycles of it.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

use super::*;

const DIRECTORY: &str = "STORE_KILL_DIRECTORY";
const CYCLE: &str = "STORE_KILL_CYCLE";
const KILLS: &str = "STORE_KILLS";
const WORKERS: u32 = 32;
const MIN_ANSWERED: usize = 20;
const ROTATIONS: u32 = 4;
/// Grants that are looked at after each cycle; all are at the end.
const LOOKED_AT: usize = 2000;

/// A grant: the cycle, the worker, and the number of the grant there.
type Key = (u32, u32, u32);

/// The steps of a grant's life: 1 issued, 2 code used, then rotated, at last revoked.
const LAST_STEP: u32 = 2 + ROTATIONS + 1;

fn bytes(key: Key) -> Vec<u8> {
    [key.0, key.1, key.2].map(u32::to_be_bytes).concat()
}

/// How far a grant is. Every step changes two tables, which must agree.
fn step_of(rows: &dyn Rows, key: Key) -> Result<u32, StoreError> {
    let key = bytes(key);
    let code = rows.get(Table::Codes, &key)?;
    let grant = rows.get(Table::Grants, &key)?;
    let is_revoked = rows.get(Table::Revoked, &key)?.is_some();
    Ok(match (code.as_deref(), grant) {
        (None, None) if !is_revoked => 0,
        (Some(b"issued"), Some(grant)) if grant[0] == 0 && !is_revoked => 1,
        (Some(b"used"), Some(grant)) if !is_revoked => 2 + u32::from(grant[0]) - 1,
        (Some(b"used"), None) if is_revoked => LAST_STEP,
        state => panic!("{key:?}: half of a change is there: {state:?} {is_revoked}"),
    })
}

fn take_step(rows: &mut dyn Rows, key: Key, step: u32) -> Result<(), StoreError> {
    if step_of(rows, key)? != step - 1 {
        return Err(failed());
    }
    let key = bytes(key);
    let generation = [u8::try_from(step - 1).unwrap(); 400];
    match step {
        1 => {
            rows.put(Table::Codes, &key, b"issued")?;
            rows.put(Table::Grants, &key, &generation)
        }
        2 => {
            rows.put(Table::Codes, &key, b"used")?;
            rows.put(Table::Grants, &key, &generation)
        }
        LAST_STEP => {
            rows.remove(Table::Grants, &key)?;
            rows.put(Table::Revoked, &key, b"")
        }
        _ => rows.put(Table::Grants, &key, &generation),
    }
}

async fn work(store: Store, cycle: u32, worker: u32) {
    for number in 0.. {
        for step in 1..=LAST_STEP {
            let key = (cycle, worker, number);
            let taken = store.write(move |rows| take_step(rows, key, step)).await;
            taken.unwrap();
            let line = format!("answered {cycle} {worker} {number} {step}\n");
            std::io::stdout().write_all(line.as_bytes()).unwrap();
        }
    }
}

#[test]
#[ignore = "the process that is killed; another test starts it"]
fn child() {
    let Some(directory) = env::var_os(DIRECTORY) else {
        return;
    };
    let cycle = env::var(CYCLE).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Store::open(Path::new(&directory)).unwrap();
        let workers = (0..WORKERS).map(|worker| tokio::spawn(work(store.clone(), cycle, worker)));
        for worker in workers.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
    });
}

fn start(directory: &Path, cycle: u32) -> Child {
    let name = module_path!().split_once("::").unwrap().1;
    Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("{name}::child"),
            "--ignored",
            "--nocapture",
        ])
        .env(DIRECTORY, directory)
        .env(CYCLE, cycle.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The answers that a process reported until it was killed. A line that was cut off does not count.
fn answers(line: &str) -> Option<(Key, u32)> {
    let line = line.strip_suffix('\n')?.strip_prefix("answered ")?;
    let numbers: Vec<u32> = line
        .split(' ')
        .map(|number| number.parse().unwrap())
        .collect();
    let [cycle, worker, number, step] = numbers[..] else {
        panic!("{line}");
    };
    Some(((cycle, worker, number), step))
}

/// Lets a process write, kills it, and returns what it reported.
fn run_and_kill(directory: &Path, cycle: u32) -> Vec<(Key, u32)> {
    let mut child = start(directory, cycle);
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut answered = Vec::new();
    let mut read_line = |answered: &mut Vec<_>| {
        let mut line = String::new();
        let length = reader.read_line(&mut line).unwrap();
        answered.extend(answers(&line));
        length > 0
    };
    while answered.len() < MIN_ANSWERED {
        assert!(read_line(&mut answered), "the process ended by itself");
    }
    // Another moment in each cycle, within several commits.
    thread::sleep(Duration::from_micros(u64::from(cycle * 7919 % 40_000)));
    child.kill().unwrap();
    child.wait().unwrap();
    while read_line(&mut answered) {}
    answered
}

/// Every grant is as far as was reported, or one step further.
fn compare<'l>(store: &Store, ledger: impl Iterator<Item = (&'l Key, &'l u32)>) {
    for (key, answered) in ledger {
        let found = store.read_now(|rows| step_of(rows, *key)).unwrap();
        assert!(
            found == *answered || found == answered + 1,
            "{key:?}: {found}, and {answered} was answered"
        );
    }
}

#[test]
fn what_was_answered_survives_kill_9() {
    let cycles = env::var(KILLS).map_or(10, |cycles| cycles.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("state");
    let mut ledger = BTreeMap::new();
    let (mut all_answered, mut slowest) = (0, Duration::ZERO);
    for cycle in 0..cycles {
        let answered = run_and_kill(&directory, cycle);
        all_answered += answered.len();
        ledger.extend(answered);
        let begun = Instant::now();
        let store = Store::open(&directory).unwrap();
        slowest = slowest.max(begun.elapsed());
        compare(&store, ledger.iter().rev().take(LOOKED_AT));
        if cycle + 1 == cycles {
            compare(&store, ledger.iter());
        }
    }
    println!(
        "{cycles} times killed, {all_answered} changes answered, none lost; slowest opening {slowest:?}"
    );
}

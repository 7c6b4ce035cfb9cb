//! What a refresh costs over a shared store:
//! `cargo test -p mcp-gateway --lib store::tests::shared::measure -- --ignored --nocapture`.

use redis::{Cmd, aio::MultiplexedConnection, cmd};

use super::{super::measure::rate, *};
use crate::clock;

const SCRIPT: &str = include_str!("../../shared/exchange.lua");
const CALLERS: usize = 64;
const GRANTS: usize = 64 * 64;
const TIME: Duration = Duration::from_secs(3);
const ROW_BYTES: usize = 400;
const ROUNDS: u32 = 3;

fn key(number: usize) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key
}

fn row(generation: u32) -> Vec<u8> {
    let mut row = vec![b'x'; ROW_BYTES];
    row[..4].copy_from_slice(&generation.to_be_bytes());
    row
}

/// What a refresh does: reads a grant and writes it with another generation.
fn refresh(rows: &mut dyn Rows, number: usize) -> Result<(), StoreError> {
    let key = key(number);
    let last = rows.get(Table::Grants, &key)?.ok_or_else(failed)?;
    let generation = u32::from_be_bytes(*last.first_chunk().unwrap());
    rows.put_until(Table::Grants, &key, &row(generation + 1), clock::now())
}

/// The grant of a caller that it uses now, of its own.
const fn grant(caller: usize, count: usize) -> usize {
    caller + CALLERS * (count % (GRANTS / CALLERS))
}

/// The command of the store's script, with the same arguments.
fn command(sha: &str, round: u32, number: usize, count: usize) -> Cmd {
    let generation = u32::try_from(count / (GRANTS / CALLERS)).unwrap();
    let mut command = cmd("EVALSHA");
    let key = bare_key(round, number);
    let mark = format!("bare:made {round} {number} {count}");
    command.arg(sha).arg(0).arg(mark).arg(30_000);
    command.arg(1).arg(&key).arg(1).arg(row(generation));
    command.arg(0).arg(0).arg(0);
    let until = (clock::now().secs() + 3600) * 1000;
    command
        .arg(1)
        .arg("row until")
        .arg(&key)
        .arg(row(generation + 1))
        .arg(until);
    command
}

/// Each round of the bare loop has rows of its own.
fn bare_key(round: u32, number: usize) -> Vec<u8> {
    [b"bare:", &round.to_be_bytes()[..], &key(number)].concat()
}

/// Refreshes a second over two processes, each of which gets the rows as a refresh token has them.
async fn in_turn(shared: &Shared) -> f64 {
    let stores = [shared.store.clone(), shared.other()];
    let (_, rate) = rate(CALLERS, TIME, move |caller, count| {
        let number = grant(caller, count);
        // A grant is used by the one process, and the next time by the other one.
        let used = count / (GRANTS / CALLERS);
        let (this, last) = (stores[used % 2].clone(), stores[(used + 1) % 2].clone());
        async move {
            this.suggest(last.remembered(&[(Table::Grants, key(number).to_vec())]));
            let refresh = move |rows: &mut dyn Rows| refresh(rows, number);
            this.write(refresh).await.unwrap();
        }
    })
    .await;
    // The next round of one process begins with what that saw last.
    for number in 0..GRANTS {
        let look = |rows: &dyn Rows| rows.get(Table::Grants, &key(number));
        shared.store.read(look).await.unwrap();
    }
    rate
}

async fn fill(shared: &Shared, connection: &mut MultiplexedConnection) {
    for number in 0..GRANTS {
        let fill = move |rows: &mut dyn Rows| rows.put(Table::Grants, &key(number), &row(0));
        shared.store.write(fill).await.unwrap();
        for round in 1..=ROUNDS {
            let mut set = cmd("SET");
            let set = set.arg(bare_key(round, number)).arg(row(0));
            set.query_async::<()>(connection).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn refreshes_of_a_shared_store() {
    for program in PROGRAMS {
        let shared = Shared::new(program);
        let client = redis::Client::open(("127.0.0.1", shared.served.port)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut load = cmd("SCRIPT");
        let load = load.arg("LOAD").arg(SCRIPT);
        let sha: String = load.query_async(&mut connection).await.unwrap();
        fill(&shared, &mut connection).await;
        let (mut lowest, mut sum, mut sum_of_turns) = (f64::INFINITY, 0.0, 0.0);
        for round in 1..=ROUNDS {
            let (bare, name) = (connection.clone(), sha.clone());
            let (_, bare) = rate(CALLERS, TIME, move |caller, count| {
                let (mut bare, name) = (bare.clone(), name.clone());
                async move {
                    let command = command(&name, round, grant(caller, count), count);
                    let answer = bare.send_packed_command(&command).await;
                    assert_eq!(answer, Ok(redis::Value::Array(Vec::new())));
                }
            })
            .await;
            let trips = shared.store.figures().round_trips();
            let commits = shared.store.figures().commits();
            let store = shared.store.clone();
            let (_, own) = rate(CALLERS, TIME, move |caller, count| {
                let (store, number) = (store.clone(), grant(caller, count));
                async move {
                    let refresh = move |rows: &mut dyn Rows| refresh(rows, number);
                    store.write(refresh).await.unwrap();
                }
            })
            .await;
            let trips = (shared.store.figures().round_trips() - trips) as f64;
            let trips = trips / (shared.store.figures().commits() - commits) as f64;
            let turns = in_turn(&shared).await / bare;
            let ratio = own / bare;
            println!(
                "{program} round {round}: {CALLERS} callers {own:.0}/s, {trips:.4} round trips for each; bare loop {bare:.0}/s; ratio {ratio:.2}, {turns:.2} with two processes in turn"
            );
            (lowest, sum) = (lowest.min(ratio), sum + ratio);
            sum_of_turns += turns;
        }
        let (mean, turns) = (sum / f64::from(ROUNDS), sum_of_turns / f64::from(ROUNDS));
        println!(
            "{program} ratio: lowest {lowest:.2}, mean {mean:.2}, in turn {turns:.2}; required 0.60"
        );
        assert!(mean >= 0.6 && turns >= 0.6);
    }
}

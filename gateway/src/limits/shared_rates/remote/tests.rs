//! Rate limits that several gateways count together, in a real server.

use std::{collections::BTreeSet, time::Instant};

use mcp_gateway_core::{
    rate::{
        lease::{LEASE, largest_batch},
        token_bucket::Rate,
    },
    refusal::reason::Reason,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::*;
use crate::{
    config::{SharedRateLimits, WithoutStore},
    limits::shared_rates::{SharedRates, Terms},
    remote_store::testing::{PROGRAMS, Served, at, commands_in},
};

const HOUR: Duration = Duration::from_secs(3600);

const CLOSED: Terms = Terms {
    settings: SharedRateLimits {
        wait: Duration::from_secs(10),
        without_store: WithoutStore::Closed,
    },
    most_leases: 100,
};

/// The bucket of this number.
fn bucket(number: u8) -> [u8; 32] {
    [number; 32]
}

fn rates(served: &Served) -> Arc<SharedRates> {
    Arc::new(SharedRates::connect(&served.settings()).unwrap())
}

/// How many of so many calls are permitted, made by four tasks at once in each process.
async fn permitted(processes: &[Arc<SharedRates>], rate: Rate, name: [u8; 32], calls: u32) -> u32 {
    let tasks = processes.iter().flat_map(|rates| {
        (0..4).map(move |_| {
            let rates = rates.clone();
            tokio::spawn(async move {
                let mut permitted = 0;
                for _ in 0..calls / 4 {
                    permitted += u32::from(rates.take(&[(name, rate)], &CLOSED).await.is_ok());
                }
                permitted
            })
        })
    });
    let mut sum = 0;
    for task in tasks.collect::<Vec<_>>() {
        sum += task.await.unwrap();
    }
    sum
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_permit_together_what_the_limit_says() {
    for program in PROGRAMS {
        let served = Served::start(program, &[]);
        let processes = [rates(&served), rates(&served), rates(&served)];
        for (number, calls) in [(1, 1), (2, 12), (3, 400), (4, 4000)] {
            let (rate, begun) = (Rate::new(calls, HOUR, calls), Instant::now());
            let sum = permitted(&processes, rate, bucket(number), calls.max(4)).await;
            // What came back meanwhile, and what processes had in advance and did not use in time.
            let back = u32::try_from(begun.elapsed().as_secs()).unwrap() * calls / 3600 + 1;
            let least = calls.saturating_sub(3 * largest_batch(calls));
            assert!(
                (least.max(1)..=calls + back).contains(&sum),
                "{program}: {sum} of {calls}"
            );
        }
    }
}

#[tokio::test]
async fn a_bucket_fills_again_by_the_clock_of_the_server() {
    let served = Served::start("redis-server", &[]);
    let rates = rates(&served);
    let rate = Rate::new(2, LEASE, 2);
    let shares = [(bucket(1), rate)];
    let take = || rates.take(&shares, &CLOSED);
    assert!(take().await.is_ok() && take().await.is_ok());
    let refused = take().await.unwrap_err();
    assert_eq!(refused.reason, Reason::RateLimited);
    let wait = refused.retry_after.unwrap();
    assert!(!wait.is_zero() && wait <= LEASE / 2, "{wait:?}");
    sleep(wait).await;
    assert!(take().await.is_ok());
}

#[tokio::test]
async fn all_buckets_give_or_none_and_an_empty_one_is_named() {
    let served = Served::start("valkey-server", &[]);
    let counter = RateCounter::open(&served.settings(), Arc::default()).unwrap();
    let ask = |number, wanted| Ask {
        name: bucket(number),
        rate: Rate::new(10, HOUR, 10),
        wanted,
    };
    let take = async |asks: &[Ask]| counter.take(asks).await.unwrap();
    assert_eq!(
        take(&[ask(1, 7), ask(2, 3)]).await,
        Counted::Taken(vec![7, 3])
    );
    assert_eq!(
        take(&[ask(1, 7), ask(2, 3)]).await,
        Counted::Taken(vec![3, 3])
    );
    let empty = take(&[ask(2, 3), ask(1, 1)]).await;
    let Counted::Empty(1, wait) = empty else {
        panic!("{empty:?}");
    };
    assert!(wait > HOUR / 11 && wait <= HOUR / 10, "{wait:?}");
    assert_eq!(take(&[ask(2, 9)]).await, Counted::Taken(vec![4]));
}

#[tokio::test]
async fn without_the_server_the_configuration_decides_and_counts_go_on_when_it_is_back() {
    let mut served = Served::start("redis-server", &[]);
    let rates = rates(&served);
    let rate = Rate::new(1000, HOUR, 1000);
    let take = |terms| {
        let rates = rates.clone();
        async move { rates.take(&[(bucket(1), rate)], &terms).await }
    };
    take(CLOSED).await.unwrap();
    served.kill();
    let impatient = |without_store| Terms {
        settings: SharedRateLimits {
            wait: Duration::from_millis(50),
            without_store,
        },
        ..CLOSED
    };
    sleep(LEASE).await;
    let closed = take(impatient(WithoutStore::Closed)).await.unwrap_err();
    assert_eq!(closed.reason, Reason::RateLimitStoreUnavailable);
    assert!(closed.retry_after.is_some());
    take(impatient(WithoutStore::Open)).await.unwrap();
    assert!(rates.failures() > 0);
    served.restart();
    let begun = Instant::now();
    while take(CLOSED).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        sleep(Duration::from_millis(50)).await;
    }
}

/// A proxy before a server. Connections that it has when it falls silent stay open, and nothing arrives on them any more.
struct Silent {
    port: u16,
    generation: tokio::sync::watch::Sender<u64>,
}

impl Silent {
    async fn before(served: &Served) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (port, target) = (listener.local_addr().unwrap().port(), served.port);
        let generation = tokio::sync::watch::Sender::new(0);
        let sender = generation.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut falls_silent = sender.subscribe();
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut stream, &mut server) => {}
                        // It keeps both.
                        _ = falls_silent.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { port, generation }
    }

    fn fall_silent(&self) {
        self.generation.send_modify(|number| *number += 1);
    }
}

#[tokio::test]
async fn a_connection_on_which_nothing_arrives_is_replaced_though_no_call_waits_so_long() {
    let served = Served::start("valkey-server", &[]);
    let proxy = Silent::before(&served).await;
    let rates = SharedRates::connect(&at(proxy.port)).unwrap();
    let rate = Rate::new(1000, HOUR, 1000);
    let impatient = Terms {
        settings: SharedRateLimits {
            wait: Duration::from_millis(50),
            without_store: WithoutStore::Closed,
        },
        ..CLOSED
    };
    let counts = async |patience: Duration| {
        let begun = Instant::now();
        while rates.take(&[(bucket(1), rate)], &impatient).await.is_err() {
            assert!(begun.elapsed() < patience);
            sleep(Duration::from_millis(20)).await;
        }
    };
    counts(Duration::from_secs(30)).await;
    proxy.fall_silent();
    // What was counted in advance is over.
    sleep(LEASE).await;
    counts(Duration::from_secs(30)).await;
}

#[test]
fn every_command_of_the_script_is_tried() {
    let run: BTreeSet<_> = commands_in(include_str!("rates.lua")).collect();
    assert_eq!(run, COMMANDS.iter().copied().collect());
}

use std::{
    collections::HashMap,
    sync::{Mutex, atomic::AtomicUsize},
};

use async_trait::async_trait;
use mcp_gateway_core::{
    principal::Principal,
    rate::{
        LimitId, Limiter, Per, RateLimit,
        lease::{LEASE, largest_batch},
        shared::SharedLimit,
    },
    scope::ScopeSet,
};

use tokio::time::sleep;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

const TERMS: Terms = Terms {
    settings: SharedRateLimits {
        wait: Duration::from_secs(10),
        without_store: WithoutStore::Closed,
    },
    most_leases: 100,
};

/// A store in this process, which stands still or fails on demand.
#[derive(Debug)]
struct TestCounter {
    started: Instant,
    full_at: Mutex<HashMap<SharedName, Duration>>,
    questions: AtomicUsize,
    behaviour: Mutex<Behaviour>,
}

#[derive(Clone, Copy, Debug)]
enum Behaviour {
    Answers,
    AnswersAfter(Duration),
    Fails,
    StandsStill,
}

impl TestCounter {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            full_at: Mutex::default(),
            questions: AtomicUsize::new(0),
            behaviour: Mutex::new(Behaviour::Answers),
        })
    }

    fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    fn questions(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }

    fn count(&self, asks: &[Ask]) -> Counted {
        let now = self.started.elapsed();
        let mut all = self.full_at.lock().unwrap();
        let mut taken = Vec::new();
        let mut after = Vec::new();
        for (at, ask) in asks.iter().enumerate() {
            let mut full_at = all.get(&ask.name).copied().unwrap_or_default();
            let wait = ask.rate.wait(full_at, now);
            if !wait.is_zero() {
                return Counted::Empty(at, wait);
            }
            let mut count = 0;
            while count < ask.wanted && ask.rate.wait(full_at, now).is_zero() {
                full_at = ask.rate.after(full_at, now);
                count += 1;
            }
            taken.push(count);
            after.push((ask.name, full_at));
        }
        all.extend(after);
        Counted::Taken(taken)
    }
}

#[async_trait]
impl Counter for TestCounter {
    async fn take(&self, asks: &[Ask]) -> Result<Counted, CounterError> {
        self.questions.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        let behaviour = *self.behaviour.lock().unwrap();
        match behaviour {
            Behaviour::Answers => Ok(self.count(asks)),
            Behaviour::AnswersAfter(pause) => {
                sleep(pause).await;
                Ok(self.count(asks))
            }
            Behaviour::Fails => Err(CounterError("no".to_owned())),
            Behaviour::StandsStill => std::future::pending().await,
        }
    }
}

/// A limit, and the shares that callers take from it.
struct Limited {
    limiter: Limiter,
    shared: SharedLimit,
}

impl Limited {
    fn new(per: Per, calls: u32) -> Self {
        let limit = RateLimit {
            per,
            rate: Rate::new(calls, HOUR, calls),
            methods: Vec::new(),
            names: Vec::new().into(),
        };
        Self {
            shared: SharedLimit::new("https://a.example/mcp", &limit),
            limiter: Limiter {
                id: LimitId::new(1),
                limit,
            },
        }
    }

    fn share(&self, subject: &str) -> SharedShare {
        let caller = Principal {
            issuer: "issuer".into(),
            subject: subject.into(),
            client: None,
            scopes: ScopeSet::default(),
        };
        let share = self
            .limiter
            .share(&caller, "tools/call", Some("x"))
            .unwrap();
        (self.shared.bucket(&share), share.rate())
    }
}

async fn take(
    rates: &SharedRates,
    limited: &Limited,
    subject: &str,
    terms: &Terms,
) -> Result<(), Refusal> {
    let share = limited.share(subject);
    rates.take(&[share], terms).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_permit_together_what_the_limit_says() {
    for calls in [1, 7, 100, 2000] {
        let counter = TestCounter::new();
        let limited = Arc::new(Limited::new(Per::Principal, calls));
        let processes = [(); 2].map(|()| Arc::new(SharedRates::new(counter.clone())));
        let tasks = (0..8).map(|task: usize| {
            let (rates, limited) = (processes[task % 2].clone(), limited.clone());
            tokio::spawn(async move {
                let mut permitted = 0;
                for _ in 0..calls {
                    permitted += u32::from(take(&rates, &limited, "ana", &TERMS).await.is_ok());
                }
                permitted
            })
        });
        let mut permitted = 0;
        for task in tasks.collect::<Vec<_>>() {
            permitted += task.await.unwrap();
        }
        // What came back during the test; and what one process had in advance when the last batch was counted.
        let back = u32::try_from(counter.started.elapsed().as_secs()).unwrap() * calls / 3600 + 1;
        let least = calls.saturating_sub(2 * largest_batch(calls));
        assert!(
            (least..=calls + back).contains(&permitted),
            "{permitted} of {calls}"
        );
        assert!(permitted > 0);
    }
}

#[tokio::test]
async fn a_busy_caller_costs_the_store_a_question_for_many_calls() {
    let counter = TestCounter::new();
    let rates = SharedRates::new(counter.clone());
    let limited = Limited::new(Per::Principal, 10_000);
    for _ in 0..5000 {
        take(&rates, &limited, "ana", &TERMS).await.unwrap();
    }
    let questions = counter.questions();
    assert!((2..=100).contains(&questions), "{questions}");
    assert_eq!(rates.leases.kept(), 1);
}

#[tokio::test]
async fn a_look_counts_nothing_and_asks_nobody() {
    let counter = TestCounter::new();
    let rates = SharedRates::new(counter.clone());
    let limited = Limited::new(Per::Principal, 1);
    let look = |subject| rates.look(&[limited.share(subject)], &TERMS);
    for _ in 0..3 {
        look("ana").unwrap();
    }
    assert_eq!((counter.questions(), rates.leases.kept()), (0, 0));
    take(&rates, &limited, "ana", &TERMS).await.unwrap();
    // Nothing is left of the batch, and whether the store has another call is not known.
    look("ana").unwrap();
    take(&rates, &limited, "ana", &TERMS).await.unwrap_err();
    let refused = look("ana").unwrap_err();
    assert_eq!(refused.reason, Reason::RateLimited);
    assert!(refused.retry_after.is_some_and(|wait| wait <= LEASE));
    assert_eq!(look("bo"), Ok(()));
    assert_eq!(counter.questions(), 2);
    // After that time it is not known any more.
    sleep(LEASE).await;
    assert_eq!(look("ana"), Ok(()));
}

#[tokio::test]
async fn while_the_store_does_not_answer_a_look_says_what_holds_without_it() {
    let counter = TestCounter::new();
    let rates = SharedRates::new(counter.clone());
    let limited = Limited::new(Per::Principal, 1);
    counter.behave(Behaviour::Fails);
    take(&rates, &limited, "ana", &TERMS).await.unwrap_err();
    let open = Terms {
        settings: SharedRateLimits {
            without_store: WithoutStore::Open,
            ..TERMS.settings
        },
        ..TERMS
    };
    let shares = [limited.share("ana")];
    let refused = rates.look(&shares, &TERMS).unwrap_err();
    assert_eq!(refused.reason, Reason::RateLimitStoreUnavailable);
    assert_eq!(rates.look(&shares, &open), Ok(()));
    assert_eq!(rates.look(&[], &TERMS), Ok(()));
}

#[tokio::test]
async fn an_empty_bucket_is_not_asked_for_each_call() {
    let counter = TestCounter::new();
    let rates = SharedRates::new(counter.clone());
    let limited = Limited::new(Per::Principal, 1);
    take(&rates, &limited, "ana", &TERMS).await.unwrap();
    for _ in 0..100 {
        let refused = take(&rates, &limited, "ana", &TERMS).await.unwrap_err();
        assert_eq!(refused.reason, Reason::RateLimited);
        assert!(refused.retry_after.is_some_and(|wait| !wait.is_zero()));
    }
    assert!(counter.questions() < 30, "{}", counter.questions());
    take(&rates, &limited, "bo", &TERMS).await.unwrap();
}

#[tokio::test]
async fn a_call_takes_from_all_buckets_or_from_none() {
    let counter = TestCounter::new();
    let (one, other) = (SharedRates::new(counter.clone()), SharedRates::new(counter));
    let (small, large) = (
        Limited::new(Per::Principal, 1),
        Limited::new(Per::Resource, 5),
    );
    let both = [small.share("ana"), large.share("ana")];
    assert!(one.take(&both, &TERMS).await.is_ok());
    for rates in [&other, &one, &other] {
        assert!(rates.take(&both, &TERMS).await.is_err());
    }
    let mut left = 0;
    for _ in 0..10 {
        left += usize::from(take(&other, &large, "ana", &TERMS).await.is_ok());
    }
    assert_eq!(left, 4);
}

#[tokio::test]
async fn without_the_store_calls_are_counted_here_or_refused_as_configured() {
    let counter = TestCounter::new();
    let limited = Limited::new(Per::Principal, 1000);
    for behaviour in [Behaviour::Fails, Behaviour::StandsStill] {
        counter.behave(behaviour);
        for (without_store, expected) in [
            (WithoutStore::Open, None),
            (
                WithoutStore::Closed,
                Some(Reason::RateLimitStoreUnavailable),
            ),
        ] {
            let rates = SharedRates::new(counter.clone());
            let terms = Terms {
                settings: SharedRateLimits {
                    wait: Duration::from_millis(20),
                    without_store,
                },
                ..TERMS
            };
            for _ in 0..50 {
                let taken = take(&rates, &limited, "ana", &terms).await;
                assert_eq!(taken.err().map(|refusal| refusal.reason), expected);
            }
            let failures = rates.failures();
            assert!((1..10).contains(&failures), "{behaviour:?}: {failures}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_one_caller_is_no_failure_of_a_store_that_answers() {
    let counter = TestCounter::new();
    counter.behave(Behaviour::AnswersAfter(Duration::from_millis(15)));
    let rates = Arc::new(SharedRates::new(counter));
    let limited = Arc::new(Limited::new(Per::Principal, 60));
    let terms = Terms {
        settings: SharedRateLimits {
            wait: Duration::from_millis(50),
            without_store: WithoutStore::Closed,
        },
        ..TERMS
    };
    let calls = (0..60).map(|_| {
        let (rates, limited) = (rates.clone(), limited.clone());
        tokio::spawn(async move { take(&rates, &limited, "ana", &terms).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), Ok(()));
    }
    assert_eq!(rates.failures(), 0);
}

#[tokio::test]
async fn a_store_that_is_back_counts_again() {
    let counter = TestCounter::new();
    let rates = SharedRates::new(counter.clone());
    let limited = Limited::new(Per::Principal, 1);
    counter.behave(Behaviour::Fails);
    assert!(take(&rates, &limited, "ana", &TERMS).await.is_err());
    counter.behave(Behaviour::Answers);
    sleep(PAUSE_AFTER_FAILURE).await;
    assert!(take(&rates, &limited, "ana", &TERMS).await.is_ok());
    assert!(take(&rates, &limited, "ana", &TERMS).await.is_err());
}

#[tokio::test]
async fn the_number_of_leases_is_bounded_and_more_callers_are_counted_all_the_same() {
    let counter = TestCounter::new();
    let rates = SharedRates::new(counter);
    let limited = Limited::new(Per::Principal, 1);
    let terms = Terms {
        most_leases: 10,
        ..TERMS
    };
    for caller in 0..50 {
        let caller = caller.to_string();
        take(&rates, &limited, &caller, &terms).await.unwrap();
        assert!(take(&rates, &limited, &caller, &terms).await.is_err());
    }
    assert_eq!(rates.leases.kept(), 10);
}

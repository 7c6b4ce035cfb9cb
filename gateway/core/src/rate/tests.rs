//! Tables, and a comparison with a model that is as simple as possible.

use std::collections::HashMap;
use std::time::Duration;

use super::token_bucket::Rate;
use super::*;
use crate::policy::Pattern;
use crate::principal::Principal;
use crate::refusal::{Refusal, reason::Reason};
use crate::scope::ScopeSet;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const START: Duration = Duration::from_secs(1000);
const ROOM: usize = 1000;

fn principal(issuer: &str, subject: &str, client: Option<&str>) -> Principal {
    Principal {
        issuer: issuer.into(),
        subject: subject.into(),
        client: client.map(Into::into),
        scopes: ScopeSet::default(),
    }
}

fn alice() -> Principal {
    principal("one", "alice", Some("console"))
}

fn limiter(id: u64, per: Per, rate: Rate, methods: &[&str], names: &[&str]) -> Limiter {
    let names = names.iter().map(|name| Pattern::parse(name).unwrap());
    Limiter {
        id: LimitId::new(id),
        limit: RateLimit {
            per,
            rate,
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            names: names.collect::<Vec<_>>().into(),
        },
    }
}

/// A limit of `calls` a minute on tools.
fn tools(id: u64, per: Per, calls: u32) -> Limiter {
    let rate = Rate::new(calls, MINUTE, calls);
    limiter(id, per, rate, &["tools/call"], &[])
}

/// Calls a tool.
fn call(
    buckets: &mut Buckets,
    limits: &[&Limiter],
    caller: &Principal,
    tool: &str,
    now: Duration,
) -> Result<(), Refusal> {
    let shares = limits
        .iter()
        .filter_map(|limit| limit.share(caller, "tools/call", Some(tool)));
    buckets.take(shares.collect(), ROOM, now)
}

fn limited(wait: Duration) -> Result<(), Refusal> {
    Err(Refusal {
        retry_after: Some(wait),
        ..Reason::RateLimited.into()
    })
}

#[test]
fn a_limit_counts_the_calls_that_match_it() {
    let rate = Rate::new(1, SECOND, 1);
    for (methods, names, method, name, expected) in [
        (vec![], vec![], "tools/call", Some("x"), true),
        (vec![], vec![], "tools/list", None, true),
        (vec![], vec![], "of/tomorrow", None, true),
        (vec![], vec![], "ping", None, false),
        (vec![], vec![], "initialize", None, false),
        (vec![], vec![], "server/discover", None, false),
        (vec![], vec![], "notifications/cancelled", None, false),
        (vec!["initialize"], vec![], "initialize", None, true),
        (vec!["tools/call"], vec![], "tools/call", None, true),
        (vec!["tools/call"], vec![], "tools/list", None, false),
        (vec!["a", "b"], vec![], "b", None, true),
        (vec![], vec!["x", "report_*"], "tools/call", Some("x"), true),
        (
            vec![],
            vec!["x", "report_*"],
            "tools/call",
            Some("report_1"),
            true,
        ),
        (
            vec![],
            vec!["x", "report_*"],
            "prompts/get",
            Some("x"),
            true,
        ),
        (
            vec![],
            vec!["x", "report_*"],
            "tools/call",
            Some("y"),
            false,
        ),
        (vec![], vec!["x"], "tools/call", None, false),
        (
            vec!["tools/call"],
            vec!["x"],
            "prompts/get",
            Some("x"),
            false,
        ),
    ] {
        let limit = limiter(1, Per::Resource, rate, &methods, &names);
        let share = limit.share(&alice(), method, name);
        assert_eq!(
            share.is_some(),
            expected,
            "{methods:?} {names:?}: {method} {name:?}"
        );
    }
}

#[test]
fn another_spelling_of_a_uri_is_counted_as_well() {
    let rate = Rate::new(1, MINUTE, 1);
    let names = ["note:///my%20secret", "https://host", "docs://a/*"];
    let limit = limiter(1, Per::Principal, rate, &["resources/read"], &names);
    for (uri, expected) in [
        ("note:///my%20secret", true),
        ("note:///my secret", true),
        ("NOTE:///my secret", true),
        ("note:///m%79%20secret", true),
        ("https://host/", true),
        ("https://@HOST:443", true),
        ("docs://a\\b", true),
        ("docs://a/./b", true),
        ("note:///another", false),
        ("docs://b/a", false),
    ] {
        let share = limit.share(&alice(), "resources/read", Some(uri));
        assert_eq!(share.is_some(), expected, "{uri}");
    }
    let limit = limiter(1, Per::Tool, rate, &["tools/call"], &["create"]);
    for (tool, expected) in [("create", true), ("create\u{a0}", true), ("creat", false)] {
        let share = limit.share(&alice(), "tools/call", Some(tool));
        assert_eq!(share.is_some(), expected, "{tool:?}");
    }
}

#[test]
fn each_kind_of_limit_has_buckets_of_its_own() {
    use Per::{Client, Principal as Each, Resource, Subject, Tool};
    let tokens = [
        alice(),
        principal("two", "alice", Some("console")),
        principal("one", "bob", Some("console")),
        principal("one", "alice", Some("agent")),
        principal("one", "alice", None),
        principal("one", "bob", None),
        // Its subject is the same text as a client id.
        principal("one", "console", None),
    ];
    // Which of the tokens above share a bucket, by its number.
    for (per, expected) in [
        (Each, [0, 1, 2, 3, 4, 5, 6]),
        (Subject, [0, 1, 2, 0, 0, 2, 6]),
        (Client, [0, 1, 0, 3, 4, 5, 6]),
        (Tool, [0; 7]),
        (Resource, [0; 7]),
    ] {
        let limit = tools(1, per, 1);
        let shares = tokens.iter().map(|token| {
            let share = limit.share(token, "tools/call", Some("x"));
            share.unwrap().bucket
        });
        let shares: Vec<_> = shares.collect();
        let first = shares
            .iter()
            .map(|own| shares.iter().position(|other| other == own).unwrap());
        assert_eq!(first.collect::<Vec<_>>(), expected, "{per:?}");
    }
}

#[test]
fn each_named_tool_has_one_bucket_for_all_callers() {
    let rate = Rate::new(1, MINUTE, 1);
    let limit = limiter(1, Per::Tool, rate, &["tools/call"], &["report", "wipe"]);
    let mut buckets = Buckets::default();
    let bob = principal("one", "bob", None);
    let mut at =
        |caller: &Principal, tool: &str| call(&mut buckets, &[&limit], caller, tool, START);
    assert_eq!(at(&alice(), "report"), Ok(()));
    assert_eq!(at(&bob, "report"), limited(MINUTE));
    assert_eq!(at(&bob, "wipe"), Ok(()));
    for made_up in ["repor", "reports", "x"] {
        assert_eq!(at(&bob, made_up), Ok(()));
        assert_eq!(at(&bob, made_up), Ok(()), "{made_up} is not counted");
    }
    assert_eq!(buckets.kept(), 2);
}

#[test]
fn a_burst_then_one_at_a_time() {
    let rate = Rate::new(60, MINUTE, 3);
    let limit = limiter(1, Per::Principal, rate, &[], &[]);
    let mut buckets = Buckets::default();
    let mut at = |now| call(&mut buckets, &[&limit], &alice(), "x", now);
    for _ in 0..3 {
        assert_eq!(at(START), Ok(()));
    }
    assert_eq!(at(START), limited(SECOND));
    assert_eq!(at(START + SECOND / 4), limited(SECOND * 3 / 4));
    assert_eq!(at(START + SECOND), Ok(()));
    assert_eq!(at(START + SECOND), limited(SECOND));
    for _ in 0..3 {
        assert_eq!(at(START + MINUTE), Ok(()));
    }
    assert_eq!(at(START + MINUTE), limited(SECOND));
}

#[test]
fn a_refused_call_takes_from_no_bucket() {
    let all = tools(1, Per::Resource, 2);
    let own = tools(2, Per::Principal, 1);
    let mut buckets = Buckets::default();
    let bob = principal("one", "bob", None);
    let mut at = |caller: &Principal| call(&mut buckets, &[&all, &own], caller, "x", START);
    assert_eq!(at(&alice()), Ok(()));
    for _ in 0..10 {
        assert_eq!(at(&alice()), limited(MINUTE), "the longer wait is returned");
    }
    assert_eq!(at(&bob), Ok(()), "alice's refused calls took nothing");
    let carol = principal("one", "carol", None);
    assert_eq!(at(&carol), limited(MINUTE / 2));
    assert_eq!(buckets.kept(), 3, "who was refused has no bucket");
}

#[test]
fn a_full_bucket_is_not_stored() {
    let limit = tools(1, Per::Principal, 60);
    let mut buckets = Buckets::default();
    for number in 0..100 {
        let caller = principal("one", &number.to_string(), None);
        call(&mut buckets, &[&limit], &caller, "x", START).unwrap();
    }
    assert_eq!(buckets.kept(), 100);
    // Each new call makes room for one more than it takes.
    let mut now = START + SECOND;
    for _ in 0..100 {
        call(&mut buckets, &[&limit], &alice(), "x", now).unwrap();
        now += SECOND;
    }
    assert!(buckets.kept() <= 1, "{}", buckets.kept());
    assert_eq!(buckets.due.len(), buckets.kept());
    assert_eq!(buckets.callers, buckets.kept());
}

#[test]
fn a_new_caller_is_refused_where_every_place_is_in_use_and_no_caller_loses_one() {
    let limit = tools(1, Per::Principal, 2);
    let all = tools(2, Per::Resource, 1000);
    let mut buckets = Buckets::default();
    let mut at = |subject: &str, now| {
        let caller = principal("one", subject, None);
        let shares = [&limit, &all].map(|limit| limit.share(&caller, "tools/call", Some("x")));
        buckets.take(shares.into_iter().flatten().collect(), 2, now)
    };
    assert_eq!(at("a", START), Ok(()));
    assert_eq!(at("b", START + SECOND), Ok(()));
    let exhausted = Err(Reason::RateLimitsExhausted.into());
    assert_eq!(at("c", START + SECOND), exhausted);
    assert_eq!(at("a", START + SECOND), Ok(()), "who has a place goes on");
    assert_eq!(at("a", START + SECOND), limited(29 * SECOND));
    // b's is full again half a minute after its call, a's a minute after its first.
    assert_eq!(
        at("c", START + 31 * SECOND - Duration::from_nanos(1)),
        exhausted
    );
    assert_eq!(at("c", START + 31 * SECOND), Ok(()));
    assert_eq!(at("b", START + 31 * SECOND), exhausted);
    assert_eq!(at("b", START + 60 * SECOND), Ok(()));
    assert_eq!(buckets.kept(), 3);
}

#[test]
fn a_subject_with_many_clients_takes_no_other_callers_place() {
    for per in [Per::Principal, Per::Client] {
        let limit = tools(1, per, 2);
        let mut buckets = Buckets::default();
        let mut at = |subject: &str, client: String, now| {
            let caller = principal("one", subject, Some(&client));
            call(&mut buckets, &[&limit], &caller, "x", now)
        };
        // ROOM / SUBJECT_DIVISOR is less than the 16 that every subject has.
        for number in 0..16 {
            assert_eq!(at("a", format!("a{number}"), START), Ok(()), "{per:?}");
        }
        let beyond = Err(Reason::RateLimited.into());
        for number in 16..2 * ROOM {
            assert_eq!(at("a", format!("a{number}"), START), beyond, "{per:?}");
        }
        assert_eq!(at("a", "a0".to_owned(), START), Ok(()), "a known client");
        for number in 0..ROOM - 16 {
            let subject = format!("b{number}");
            assert_eq!(at(&subject, subject.clone(), START), Ok(()), "{per:?}");
        }
        // The buckets of the first minute are full again.
        let later = START + 2 * MINUTE;
        assert_eq!(at("a", "a16".to_owned(), later), Ok(()), "{per:?}");
        assert_eq!(buckets.caused.values().sum::<usize>(), buckets.callers);
    }
}

#[test]
fn a_clock_that_was_read_early_does_not_fill_a_bucket() {
    let limit = tools(1, Per::Principal, 1);
    let mut buckets = Buckets::default();
    let mut at = |now| call(&mut buckets, &[&limit], &alice(), "x", now);
    assert_eq!(at(START), Ok(()));
    assert_eq!(at(START + MINUTE), Ok(()));
    assert_eq!(at(START), limited(MINUTE));
    assert_eq!(at(START + 2 * MINUTE - SECOND), limited(SECOND));
}

/// Numbers that look random, the same at each run (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A limit as the model sees it: what is missing in each bucket, in nanoseconds of refilling.
struct Model {
    per: Per,
    calls: u64,
    within: u64,
    burst: u64,
    missing: HashMap<String, u64>,
    granted: HashMap<String, Vec<u64>>,
}

impl Model {
    fn key(&self, caller: &Principal, tool: &str) -> String {
        let (issuer, subject) = (&caller.issuer, &caller.subject);
        match (self.per, &caller.client) {
            (Per::Principal, client) => format!("{issuer} {subject} {client:?}"),
            (Per::Subject, _) => format!("{issuer} {subject}"),
            (Per::Client, Some(client)) => format!("{issuer} {client}"),
            (Per::Client, None) => format!("{issuer} {subject} alone"),
            (Per::Tool, _) => tool.to_owned(),
            (Per::Resource, _) => String::new(),
        }
    }

    const fn one(&self) -> u64 {
        self.within.div_ceil(self.calls)
    }

    fn pass_time(&mut self, by: u64) {
        let missing = self.missing.values_mut();
        missing.for_each(|missing| *missing = missing.saturating_sub(by));
    }

    fn wait(&self, key: &str) -> u64 {
        let missing = self.missing.get(key).copied().unwrap_or(0) + self.one();
        missing.saturating_sub(self.burst * self.one())
    }

    fn take(&mut self, key: String, now: u64) {
        *self.missing.entry(key.clone()).or_default() += self.one();
        self.granted.entry(key).or_default().push(now);
    }

    /// In no span of time did a caller get more than the burst and what came back within it.
    fn check_bound(&self) {
        for moments in self.granted.values() {
            for (index, from) in moments.iter().enumerate() {
                for (count, to) in (1..).zip(&moments[index..]) {
                    let back = u128::from(to - from) * u128::from(self.calls);
                    let most = u128::from(self.burst) + back / u128::from(self.within);
                    assert!(count <= most, "{count} of {most} in {} ns", to - from);
                }
            }
        }
    }
}

fn model(numbers: &mut Numbers) -> Model {
    let per = [
        Per::Principal,
        Per::Subject,
        Per::Client,
        Per::Tool,
        Per::Resource,
    ];
    Model {
        per: per[numbers.below(5) as usize],
        calls: 1 + numbers.below(20),
        within: 1_000_000_000 * (1 + numbers.below(5)),
        burst: 1 + numbers.below(6),
        missing: HashMap::new(),
        granted: HashMap::new(),
    }
}

#[test]
#[allow(clippy::cast_possible_truncation, reason = "small numbers")]
fn every_random_run_agrees_with_the_model() {
    let (mut granted, mut refused) = (0, 0);
    for seed in 0..150 {
        let mut numbers = Numbers(seed);
        let mut models: Vec<_> = (0..=numbers.below(3))
            .map(|_| model(&mut numbers))
            .collect();
        let limits: Vec<_> = (0..)
            .zip(&models)
            .map(|(id, model)| {
                let within = Duration::from_nanos(model.within);
                let rate = Rate::new(model.calls as u32, within, model.burst as u32);
                limiter(id, model.per, rate, &[], &["x", "y"])
            })
            .collect();
        let limits: Vec<_> = limits.iter().collect();
        let mut buckets = Buckets::default();
        let mut now = START;
        for _ in 0..200 {
            let pause = [
                0,
                0,
                1,
                numbers.below(1_000_000_000),
                numbers.below(50_000_000),
            ];
            let pause = pause[numbers.below(5) as usize];
            now += Duration::from_nanos(pause);
            models.iter_mut().for_each(|model| model.pass_time(pause));
            let client = [None, Some("a"), Some("b")][numbers.below(3) as usize];
            let subject = ["a", "b"][numbers.below(2) as usize];
            let caller = principal(["i", "j"][numbers.below(2) as usize], subject, client);
            let tool = ["x", "y"][numbers.below(2) as usize];

            let waits = models
                .iter()
                .map(|model| model.wait(&model.key(&caller, tool)));
            let wait = Duration::from_nanos(waits.max().unwrap());
            let outcome = call(&mut buckets, &limits, &caller, tool, now);
            if wait.is_zero() {
                assert_eq!(outcome, Ok(()), "seed {seed}");
                for model in &mut models {
                    model.take(model.key(&caller, tool), now.as_nanos() as u64);
                }
                granted += 1;
            } else {
                assert_eq!(outcome, limited(wait), "seed {seed}");
                let mut later = buckets.clone();
                let outcome = call(&mut later, &limits, &caller, tool, now + wait);
                assert_eq!(outcome, Ok(()), "seed {seed}");
                refused += 1;
            }
        }
        models.iter().for_each(Model::check_bound);
    }
    assert!(granted > 5000 && refused > 5000, "{granted} {refused}");
}

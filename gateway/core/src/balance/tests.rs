//! Sets of endpoints: what each call gets, and what holds after any sequence of calls, failures, checks and changes.

use std::{collections::BTreeMap, time::Duration};

use http::StatusCode;

use super::{
    ejection,
    endpoints::{Change, Chosen, Denied, Endpoints, Member, Settings, State, Wanted},
    health,
    outcome::{Outcome, Verdict},
    slow_start::SLOW_START,
    waiting::Caller,
};

const SECOND: Duration = Duration::from_secs(1);

/// When the endpoints of a test have their whole share.
const NOW: Duration = Duration::from_secs(1000);

const OK: Outcome = Outcome::Answered(StatusCode::OK);
const BAD: Outcome = Outcome::Answered(StatusCode::SERVICE_UNAVAILABLE);
const ANY: Wanted<'static> = Wanted::Any(&[]);
const ALICE: Caller = Caller(1);

type Set = Endpoints<char, u32>;

fn settings() -> Settings {
    Settings {
        ejection: Some(ejection::Settings::default()),
        health: Some(health::Settings { rise: 1, fall: 1 }),
        max_calls: None,
        queue: 2,
    }
}

fn set(keys: &str, settings: Settings) -> Set {
    let mut set = Endpoints::new(settings);
    set.replace(settings, weighted(keys), NOW - SLOW_START);
    set
}

fn weighted(keys: &str) -> Vec<(char, u32)> {
    keys.chars().map(|key| (key, 1)).collect()
}

fn capped(most: u32) -> Settings {
    Settings {
        max_calls: Some(most),
        ..settings()
    }
}

fn choose(set: &mut Set, wanted: Wanted<'_>) -> Result<char, Denied> {
    set.choose(wanted, NOW, 7).map(|chosen| chosen.key)
}

fn member(set: &Set, key: char) -> Member {
    let mut states = set.states(NOW);
    states.find(|state| *state.key == key).unwrap().member
}

/// Lets calls to `key` fail until it is ejected; false if it is not.
fn eject(set: &mut Set, key: char, outcome: Outcome, now: Duration) -> bool {
    let member = member(set, key);
    (0..5).any(|_| set.report(member, outcome, ALICE, (now, now)).is_some())
}

/// How many of 1000 calls, one after the other, each endpoint gets.
fn shares(set: &mut Set, now: Duration) -> BTreeMap<char, u32> {
    let mut shares = BTreeMap::new();
    for seed in 0..1000 {
        let chosen = set.choose(ANY, now, seed).unwrap();
        *shares.entry(chosen.key).or_default() += 1;
        set.release(chosen.member);
    }
    shares
}

#[test]
fn calls_are_spread_by_weight() {
    let mut set = set("", settings());
    set.replace(settings(), vec![('a', 3), ('b', 1)], NOW - SLOW_START);
    let shares = shares(&mut set, NOW);
    assert!(shares[&'a'].abs_diff(750) < 40, "{shares:?}");
}

#[test]
fn an_endpoint_that_is_ejected_gets_no_calls_and_returns_slowly() {
    let mut set = set("abc", settings());
    assert!(eject(&mut set, 'b', BAD, NOW));
    assert!(!shares(&mut set, NOW + 9 * SECOND).contains_key(&'b'));
    let back = NOW + 10 * SECOND;
    let ends: Vec<_> = set.states(back).map(|state| state.ejection_end).collect();
    assert_eq!(ends, [None, Some(back), None]);
    let share = shares(&mut set, back)[&'b'];
    assert!((20..80).contains(&share), "{share}");
    let share = shares(&mut set, back + SLOW_START)[&'b'];
    assert!(share.abs_diff(333) < 50, "{share}");
}

#[test]
fn an_endpoint_that_is_added_gets_its_share_slowly() {
    let mut set = set("a", settings());
    set.replace(settings(), weighted("ab"), NOW);
    let share = shares(&mut set, NOW)[&'b'];
    assert!((50..140).contains(&share), "{share}");
    let share = shares(&mut set, NOW + SLOW_START)[&'b'];
    assert!(share.abs_diff(500) < 50, "{share}");
}

#[test]
fn the_last_usable_endpoint_is_not_ejected() {
    for outcome in [BAD, Outcome::Unconnected] {
        let mut set = set("abc", settings());
        assert!(eject(&mut set, 'a', outcome, NOW));
        let dead = member(&set, 'b');
        assert_eq!(set.checked(dead, false, NOW), Some(Change::Died('b')));
        assert!(!eject(&mut set, 'c', outcome, NOW));
        assert_eq!(choose(&mut set, ANY), Ok('c'));
    }
}

#[test]
fn at_most_half_of_the_endpoints_that_can_be_reached_are_ejected() {
    for (count, most) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (9, 4)] {
        let keys = &"abcdefghi"[..count];
        let mut set = set(keys, settings());
        let ejected = keys.chars().filter(|key| eject(&mut set, *key, BAD, NOW));
        assert_eq!(ejected.count(), most, "of {count}");
        // Those that fail on are left out once others are back.
        let later = NOW + 10 * SECOND;
        let last = keys.chars().last().unwrap();
        assert_eq!(eject(&mut set, last, BAD, later), most > 0, "of {count}");
    }
}

#[test]
fn any_number_of_endpoints_without_a_connection_is_ejected_but_the_last() {
    let mut set = set("abcd", settings());
    for key in ['a', 'b'] {
        assert!(eject(&mut set, key, Outcome::Unconnected, NOW));
    }
    // Of the two that are left, one can be ejected for its answers.
    assert!(eject(&mut set, 'c', BAD, NOW));
    assert!(!eject(&mut set, 'd', BAD, NOW));
    assert!(!eject(&mut set, 'd', Outcome::Unconnected, NOW));
    assert_eq!(choose(&mut set, ANY), Ok('d'));
    // One that checks find dead does not count among those that can be reached.
    let mut set = self::set("abcd", settings());
    let dead = member(&set, 'a');
    set.checked(dead, false, NOW);
    assert!(eject(&mut set, 'b', BAD, NOW));
    assert!(!eject(&mut set, 'c', BAD, NOW));
    assert!(eject(&mut set, 'c', Outcome::Unconnected, NOW));
    assert_eq!(choose(&mut set, ANY), Ok('d'));
}

#[test]
fn an_ejection_does_not_hold_while_no_other_endpoint_is_usable() {
    let mut set = set("ab", settings());
    assert!(eject(&mut set, 'a', BAD, NOW));
    assert_eq!(choose(&mut set, ANY), Ok('b'));
    let dead = member(&set, 'b');
    set.checked(dead, false, NOW);
    assert_eq!(choose(&mut set, ANY), Ok('a'));
    set.checked(dead, true, NOW);
    assert_eq!(choose(&mut set, ANY), Ok('b'));
    set.replace(settings(), weighted("a"), NOW);
    assert_eq!(choose(&mut set, ANY), Ok('a'));
}

#[test]
fn without_a_healthy_endpoint_there_is_none() {
    let mut set = set("ab", settings());
    for key in ['a', 'b'] {
        let member = member(&set, key);
        set.checked(member, false, NOW);
    }
    assert_eq!(choose(&mut set, ANY), Err(Denied::NoneHealthy));
    set.replace(settings(), Vec::new(), NOW);
    assert_eq!(choose(&mut set, ANY), Err(Denied::NoneHealthy));
}

#[test]
fn a_session_stays_with_its_endpoint_while_that_can_be_reached() {
    let mut set = set("ab", settings());
    let wanted = Wanted::Only(member(&set, 'a'));
    assert!(eject(&mut set, 'a', BAD, NOW), "it answers, with errors");
    assert_eq!(choose(&mut set, wanted), Ok('a'));
    let member = member(&set, 'a');
    let later = NOW + SECOND;
    let back = set.report(member, OK, ALICE, (later, later));
    assert_eq!(back, Some(Change::Returned('a')));
    assert!(eject(&mut set, 'a', Outcome::Unconnected, later));
    assert_eq!(set.choose(wanted, later, 7), Err(Denied::Gone));
    assert_eq!(set.choose(wanted, later + 10 * SECOND, 7).unwrap().key, 'a');
    set.checked(member, false, later);
    assert_eq!(choose(&mut set, wanted), Err(Denied::Gone));
    set.replace(settings(), weighted("b"), later);
    assert_eq!(choose(&mut set, wanted), Err(Denied::Gone));
}

#[test]
fn a_session_with_the_only_endpoint_finds_out_itself() {
    let mut set = set("a", settings());
    let member = member(&set, 'a');
    set.checked(member, false, NOW);
    assert_eq!(choose(&mut set, Wanted::Only(member)), Ok('a'));
}

#[test]
fn a_call_that_is_made_again_goes_elsewhere() {
    let mut set = set("abc", settings());
    let first = set.choose(ANY, NOW, 1).unwrap();
    let second = set.choose(Wanted::Any(&[first.member]), NOW, 1).unwrap();
    let both = [first.member, second.member];
    let third = set.choose(Wanted::Any(&both), NOW, 1).unwrap();
    let all = [first.member, second.member, third.member];
    assert!(first.key != second.key && third.key != first.key && third.key != second.key);
    assert_eq!(choose(&mut set, Wanted::Any(&all)), Err(Denied::NoOther));
}

#[test]
fn calls_above_the_limit_wait_in_their_order_and_then_go_on() {
    let mut set = set("ab", capped(1));
    let (one, other) = (
        set.choose(ANY, NOW, 1).unwrap(),
        set.choose(ANY, NOW, 2).unwrap(),
    );
    assert_ne!(one.key, other.key);
    assert_eq!(choose(&mut set, ANY), Err(Denied::Busy));
    set.wait(Caller(1), ANY, 1).unwrap();
    let left = set.wait(Caller(2), ANY, 2).unwrap();
    assert_eq!(
        set.wait(Caller(3), ANY, 3),
        Err(Denied::Busy),
        "as many wait as may"
    );
    assert_eq!(set.grant(NOW, 1), None);
    set.release(one.member);
    // Who comes now does not come first.
    assert_eq!(choose(&mut set, ANY), Err(Denied::Busy));
    assert_eq!(set.grant(NOW, 1), Some((1, Ok(one.clone()))));
    assert_eq!(set.grant(NOW, 1), None);
    assert!(set.leave(left) && set.waiting() == 0);
    set.release(other.member);
    assert_eq!(choose(&mut set, ANY), Ok(other.key));
}

#[test]
fn a_call_that_waits_for_one_endpoint_does_not_hold_up_the_others() {
    let mut set = set("ab", capped(1));
    let only = Wanted::Only(member(&set, 'a'));
    let held = set.choose(only, NOW, 1).unwrap();
    set.wait(Caller(1), only, 1).unwrap();
    let other = set.choose(ANY, NOW, 1).unwrap();
    assert_eq!(other.key, 'b');
    set.wait(Caller(2), ANY, 2).unwrap();
    set.release(other.member);
    assert_eq!(set.grant(NOW, 1), Some((2, Ok(other))));
    set.release(held.member);
    assert_eq!(set.grant(NOW, 1), Some((1, Ok(held))));
}

#[test]
fn a_call_does_not_wait_for_an_endpoint_that_is_gone() {
    let mut set = set("ab", capped(0));
    let only = Wanted::Only(member(&set, 'a'));
    set.wait(Caller(1), only, 1).unwrap();
    set.wait(Caller(2), ANY, 2).unwrap();
    set.replace(capped(0), weighted("b"), NOW);
    assert_eq!(set.grant(NOW, 1), Some((1, Err(Denied::Gone))));
    assert_eq!(set.grant(NOW, 1), None);
    set.replace(capped(0), Vec::new(), NOW);
    assert_eq!(set.grant(NOW, 1), Some((2, Err(Denied::NoneHealthy))));
    assert_eq!(choose(&mut set, only), Err(Denied::Gone));
}

#[test]
fn endpoints_that_stay_keep_their_state_and_one_that_returns_is_new() {
    let mut set = set("abc", settings());
    let call = set.choose(Wanted::Only(member(&set, 'a')), NOW, 1).unwrap();
    assert!(eject(&mut set, 'b', BAD, NOW));
    set.replace(settings(), weighted("bad"), NOW);
    let states: Vec<_> = set
        .states(NOW)
        .map(|state| (*state.key, state.calls, state.is_ejected))
        .collect();
    assert_eq!(states, [('a', 1, false), ('b', 0, true), ('d', 0, false)]);
    set.replace(settings(), weighted("bd"), NOW);
    set.replace(settings(), weighted("bda"), NOW);
    // What ends now belongs to the endpoint that was removed.
    assert!(set.report(call.member, BAD, ALICE, (NOW, NOW)).is_none());
    set.choose(Wanted::Only(member(&set, 'a')), NOW, 1).unwrap();
    set.release(call.member);
    let calls = set
        .states(NOW)
        .find(|state| *state.key == 'a')
        .map(|state| state.calls);
    assert_eq!(calls, Some(1));
}

#[test]
fn streams_that_only_listen_need_no_place_and_take_none() {
    let mut set = set("ab", capped(1));
    let only = Wanted::Only(member(&set, 'a'));
    for _ in 0..9 {
        assert_eq!(set.choose_for_stream(only, NOW, 1).unwrap().key, 'a');
        set.choose_for_stream(ANY, NOW, 1).unwrap();
    }
    assert!(set.states(NOW).all(|state| state.calls == 0));
    assert_eq!(choose(&mut set, only), Ok('a'));
    assert_eq!(choose(&mut set, only), Err(Denied::Busy));
    assert!(set.choose_for_stream(only, NOW, 1).is_ok());
}

#[test]
fn without_ejection_no_failure_leaves_an_endpoint_out() {
    let mut set = set(
        "ab",
        Settings {
            ejection: None,
            ..settings()
        },
    );
    assert!(!eject(&mut set, 'a', Outcome::Unconnected, NOW));
}

#[test]
fn without_checks_and_ejections_nothing_keeps_an_endpoint_out() {
    let mut set = set("abc", settings());
    let dead = member(&set, 'a');
    set.checked(dead, false, NOW);
    assert!(eject(&mut set, 'b', BAD, NOW));
    assert_eq!(choose(&mut set, ANY), Ok('c'));
    let neither = Settings {
        ejection: None,
        health: None,
        ..settings()
    };
    set.replace(neither, weighted("abc"), NOW);
    let mut states = set.states(NOW);
    assert!(states.all(|state| state.is_alive && !state.is_ejected));
    drop(states);
    assert_eq!(set.checked(dead, false, NOW), None);
}

/// Random numbers that follow from one (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        let (factor, summand) = (6_364_136_223_846_793_005, 1_442_695_040_888_963_407);
        self.0 = self.0.wrapping_mul(factor).wrapping_add(summand);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn pick<T: Clone>(&mut self, list: &[T]) -> Option<T> {
        let index = self.below(list.len().max(1));
        list.get(index).cloned()
    }
}

/// A set, and what a model knows about it.
struct Run {
    set: Set,
    numbers: Numbers,
    now: Duration,
    keys: Vec<char>,
    under_way: Vec<(Chosen<char>, Duration)>,
    /// Calls that wait: what wakes them.
    waiting: Vec<u32>,
    /// Each answer.
    answers: Vec<(Member, Caller, Duration)>,
    /// The ends of ejections of endpoints without a connection.
    unreachable: BTreeMap<Member, Duration>,
    next: u32,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        let most = [None, Some(1), Some(3)][numbers.below(3)];
        let used = Settings {
            max_calls: most,
            ..settings()
        };
        Self {
            set: set("abcd", used),
            numbers,
            now: NOW,
            keys: "abcd".chars().collect(),
            under_way: Vec::new(),
            waiting: Vec::new(),
            answers: Vec::new(),
            unreachable: BTreeMap::new(),
            next: 0,
        }
    }

    fn step(&mut self) {
        self.now += Duration::from_millis(self.numbers.below(2000) as u64);
        match self.numbers.below(8) {
            0..=2 => self.call(),
            3 | 4 => self.end_call(),
            5 => self.check(),
            6 => self.change(),
            _ => self.fail(),
        }
        self.grant_all();
    }

    fn call(&mut self) {
        let key = self.numbers.pick(&self.keys);
        let only = key.filter(|_| self.numbers.below(3) == 0);
        let wanted = only.map_or(ANY, |key| Wanted::Only(member(&self.set, key)));
        let seed = self.numbers.below(usize::MAX) as u64;
        match self.set.choose(wanted, self.now, seed) {
            Ok(chosen) => {
                assert!(self.keys.contains(&chosen.key));
                assert!(only.is_none_or(|only| only == chosen.key));
                self.under_way.push((chosen, self.now));
            }
            Err(Denied::Busy) => {
                let caller = Caller(self.next as usize);
                let waits = self.set.wait(caller, wanted, self.next);
                assert_eq!(waits.is_ok(), self.waiting.len() < 2);
                if waits.is_ok() {
                    self.waiting.push(self.next);
                    self.next += 1;
                }
            }
            Err(Denied::Gone) => assert!(only.is_some()),
            Err(Denied::NoneHealthy) => assert!(self.set.states(self.now).all(|one| !one.is_alive)),
            Err(Denied::NoOther) => panic!("nothing was tried"),
        }
    }

    fn end_call(&mut self) {
        if !self.under_way.is_empty() {
            let index = self.numbers.below(self.under_way.len());
            let (chosen, began) = self.under_way.swap_remove(index);
            let outcomes = [
                OK,
                BAD,
                Outcome::Unconnected,
                Outcome::Late,
                Outcome::Unknown,
            ];
            let outcome = self.numbers.pick(&outcomes).unwrap();
            let caller = Caller(self.numbers.below(2));
            self.report(chosen.member, outcome, caller, began);
            self.set.release(chosen.member);
        }
    }

    fn fail(&mut self) {
        if let Some(key) = self.numbers.pick(&self.keys) {
            let usable = self.usable();
            let member = self
                .set
                .states(self.now)
                .find(|state| *state.key == key)
                .unwrap()
                .member;
            let outcomes = [BAD, Outcome::Broken, Outcome::Unconnected, Outcome::Late];
            let outcome = self.numbers.pick(&outcomes).unwrap();
            let callers = 1 + self.numbers.below(2);
            let answers = self.answers.iter().filter(|answer| answer.0 == member);
            let mut lately = answers.filter(|answer| answer.2 + 10 * SECOND >= self.now);
            let serves_others = lately.any(|answer| answer.1 != Caller(0));
            for number in 0..5 {
                let is_ejected = self.report(member, outcome, Caller(number % callers), self.now);
                // Before the fifth one, failures of others may count too.
                let is_of_one = callers == 1 && outcome != Outcome::Unconnected && number == 4;
                assert!(!(is_ejected && is_of_one && serves_others));
            }
            assert!(usable == 0 || self.usable() > 0, "the last one was ejected");
        }
    }

    /// Reports how a call ended. Returns whether that ejected its endpoint, which must be allowed then.
    fn report(
        &mut self,
        member: Member,
        outcome: Outcome,
        caller: Caller,
        began: Duration,
    ) -> bool {
        let now = self.now;
        if outcome.verdict() == Verdict::Works {
            self.answers.push((member, caller, now));
        }
        let change = self.set.report(member, outcome, caller, (began, now));
        let Some(Change::Ejected { until, .. }) = change else {
            return false;
        };
        let of_session = self.set.choose_for_stream(Wanted::Only(member), now, 1);
        if of_session == Err(Denied::Gone) {
            self.unreachable.insert(member, until);
            return true;
        }
        let is_reachable = |state: &State<'_, char>| {
            let end = self.unreachable.get(&state.member).copied();
            state.is_alive && !(state.is_ejected && state.ejection_end == end)
        };
        let reachable = self.set.states(now).filter(is_reachable);
        let ejected = reachable.filter(|state| state.is_ejected).count();
        let reachable = self.set.states(now).filter(is_reachable).count();
        assert!(
            2 * ejected <= reachable,
            "{ejected} of {reachable} are ejected"
        );
        true
    }

    fn check(&mut self) {
        let member = self.set.states(self.now).next().map(|state| state.member);
        let is_alive = self.numbers.below(2) == 0;
        if let Some(member) = member {
            self.set.checked(member, is_alive, self.now);
        }
    }

    fn change(&mut self) {
        self.keys = "abcde"
            .chars()
            .filter(|_| self.numbers.below(4) > 0)
            .collect();
        let keys = self.keys.iter().map(|key| (*key, 1)).collect();
        let settings = *self.set.settings();
        self.set.replace(settings, keys, self.now);
    }

    fn grant_all(&mut self) {
        while let Some((woken, granted)) = self.set.grant(self.now, 3) {
            let position = self.waiting.iter().position(|waits| *waits == woken);
            self.waiting.remove(position.expect("it waits"));
            if let Ok(chosen) = granted {
                self.under_way.push((chosen, self.now));
            }
        }
        assert_eq!(self.set.waiting(), self.waiting.len());
    }

    fn usable(&self) -> usize {
        let states = self.set.states(self.now);
        states
            .filter(|state| state.is_alive && !state.is_ejected)
            .count()
    }

    /// What holds at any time.
    fn check_all(&mut self) {
        for state in self.set.states(self.now) {
            let own = self
                .under_way
                .iter()
                .filter(|(chosen, _)| chosen.member == state.member);
            assert_eq!(state.calls as usize, own.count(), "{state:?}");
            let most = self.set.settings().max_calls;
            assert!(most.is_none_or(|most| state.calls <= most), "{state:?}");
        }
        if self.set.states(self.now).any(|state| state.is_alive) {
            let seed = self.numbers.below(usize::MAX) as u64;
            let is_ejections_fault = self.usable() > 0;
            match self.set.choose(ANY, self.now, seed) {
                Ok(chosen) => {
                    let mut states = self.set.states(self.now);
                    let state = states.find(|state| state.member == chosen.member).unwrap();
                    assert!(state.is_alive && (!state.is_ejected || !is_ejections_fault));
                    drop(states);
                    self.set.release(chosen.member);
                }
                denied => assert_eq!(denied, Err(Denied::Busy)),
            }
        }
    }
}

#[test]
fn whatever_happens_counts_are_exact_and_ejections_leave_an_endpoint() {
    for seed in 0..200 {
        let mut run = Run::new(seed);
        for _ in 0..300 {
            run.step();
            run.check_all();
        }
    }
}

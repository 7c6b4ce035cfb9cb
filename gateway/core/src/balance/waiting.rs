//! The calls that wait for an endpoint: first come, first served, no more than a limit, and only a part of them of one caller. How
//! long a call waits is decided elsewhere.

use std::collections::VecDeque;

/// One caller may have one of this many of the places; at least one.
const SHARE: usize = 4;

/// Who makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller(pub usize);

/// One call that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// Calls that wait, each for an endpoint `M` or for any one, with what wakes it.
#[derive(Debug)]
pub struct Waiting<M, W> {
    calls: VecDeque<Call<M, W>>,
    next: u64,
}

#[derive(Debug)]
struct Call<M, W> {
    ticket: Ticket,
    caller: Caller,
    wanted: Option<M>,
    waker: W,
}

impl<M, W> Default for Waiting<M, W> {
    fn default() -> Self {
        Self {
            calls: VecDeque::new(),
            next: 0,
        }
    }
}

impl<M: Copy + PartialEq, W> Waiting<M, W> {
    /// How many calls wait.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether no call waits.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether a call waits for the same.
    pub fn has(&self, wanted: Option<M>) -> bool {
        self.calls.iter().any(|call| call.wanted == wanted)
    }

    /// Lets one more call wait, where fewer than `most` do.
    ///
    /// # Errors
    /// As many wait as may, of all callers or of this one.
    pub fn push(
        &mut self,
        caller: Caller,
        wanted: Option<M>,
        waker: W,
        most: usize,
    ) -> Result<Ticket, W> {
        let own = self.calls.iter().filter(|call| call.caller == caller);
        if self.calls.len() >= most || own.count() >= (most / SHARE).max(1) {
            return Err(waker);
        }
        let ticket = Ticket(self.next);
        self.next = self.next.wrapping_add(1);
        self.calls.push_back(Call {
            ticket,
            caller,
            wanted,
            waker,
        });
        Ok(ticket)
    }

    /// A call waits no longer. Returns whether it still waited.
    pub fn remove(&mut self, ticket: Ticket) -> bool {
        let before = self.calls.len();
        self.calls.retain(|call| call.ticket != ticket);
        self.calls.len() < before
    }

    /// The first call that `serve` has something for. It is asked once about what several calls wait for.
    pub fn take<T>(&mut self, mut serve: impl FnMut(Option<M>) -> Option<T>) -> Option<(W, T)> {
        let mut any_is_served = true;
        for index in 0..self.calls.len() {
            let wanted = self.calls.get(index)?.wanted;
            if wanted.is_none() && !any_is_served {
                continue;
            }
            if let Some(served) = serve(wanted) {
                return Some((self.calls.remove(index)?.waker, served));
            }
            any_is_served &= wanted.is_some();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_served_in_their_order() {
        let mut waiting: Waiting<u8, &str> = Waiting::default();
        let calls = [(None, "a"), (Some(1), "b"), (None, "c"), (Some(2), "d")];
        for (caller, (wanted, waker)) in calls.into_iter().enumerate() {
            waiting.push(Caller(caller), wanted, waker, 9).unwrap();
        }
        assert!(waiting.has(None) && waiting.has(Some(2)) && !waiting.has(Some(3)));
        assert_eq!(waiting.take(|_| None::<()>), None);
        let only_two = |wanted| (wanted == Some(2)).then_some(2);
        assert_eq!(waiting.take(only_two), Some(("d", 2)));
        assert_eq!(waiting.take(only_two), None);
        let order = [(); 3].map(|()| waiting.take(Some).unwrap().0);
        assert_eq!(order, ["a", "b", "c"]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn no_more_wait_than_the_limit_and_one_that_leaves_makes_room() {
        let mut waiting: Waiting<u8, u8> = Waiting::default();
        let first = waiting.push(Caller(1), None, 1, 2).unwrap();
        waiting.push(Caller(2), None, 2, 2).unwrap();
        assert_eq!(waiting.push(Caller(3), None, 3, 2), Err(3));
        assert!(waiting.remove(first) && !waiting.remove(first));
        waiting.push(Caller(3), None, 4, 2).unwrap();
        assert_eq!(waiting.len(), 2);
        assert_eq!(waiting.push(Caller(4), None, 5, 0), Err(5));
        assert_eq!(waiting.take(Some).unwrap().0, 2);
    }

    #[test]
    fn what_several_calls_wait_for_is_looked_for_once() {
        let mut waiting: Waiting<u8, u8> = Waiting::default();
        for number in 0..50 {
            waiting
                .push(Caller(usize::from(number)), None, number, 50)
                .unwrap();
        }
        let mut asked = 0;
        let nothing = waiting.take(|_| {
            asked += 1;
            None::<()>
        });
        assert_eq!((nothing, asked), (None, 1));
    }

    #[test]
    fn one_caller_has_a_quarter_of_the_places_and_at_least_one() {
        for (most, expected) in [(1, 1), (2, 1), (8, 2), (100, 25)] {
            let mut waiting: Waiting<u8, u8> = Waiting::default();
            let own = (0..100).filter(|_| waiting.push(Caller(1), None, 0, most).is_ok());
            assert_eq!(own.count(), expected, "{most}");
            let other = waiting.push(Caller(2), None, 0, most);
            assert_eq!(other.is_ok(), most > 1, "{most}");
        }
    }
}

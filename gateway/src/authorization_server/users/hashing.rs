//! Passwords are hashed and verified by one thread of their own (Argon2id, RFC 9106), so that sign-ins never take more than one
//! processor from the calls that the gateway forwards.
//!
//! What waits for it is bounded by its number and by the time that it will take, and for each address; beyond that the answer is
//! 503. Addresses take turns, and one that waits with fewer passwords takes the place of the last one of the address that waits with
//! the most: few addresses never keep the others out.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use argon2::{
    Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier,
    password_hash::{self, phc},
};
use mcp_gateway_core::http::client_address::CountedAddress;
use mcp_gateway_oauth::{
    secret::Secret,
    session::{throttle::Throttled, user::Users},
};
use tokio::sync::oneshot;

/// Passwords that wait to be verified.
pub(crate) const MAX_WAITING: usize = 64;

/// Passwords from one address that wait to be verified.
pub(crate) const MAX_WAITING_PER_ADDRESS: usize = 8;

/// The longest that passwords wait to be verified, as far as the average says: much shorter than a request may take.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(5);

/// How long a hash takes until one was measured.
const FIRST_GUESS: Duration = Duration::from_millis(50);

/// Too many passwords wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "too many passwords wait to be verified (at most {MAX_WAITING} and {MAX_WAIT:?}, {MAX_WAITING_PER_ADDRESS} from one address)"
)]
pub(crate) struct Busy {
    /// The value of `Retry-After`, in seconds: when those that wait are verified.
    pub(crate) retry_after: u64,
}

/// The thread that verifies passwords. It ends when this is dropped.
pub(crate) struct PasswordVerification {
    queue: Arc<Queue>,
}

struct Queue {
    state: Mutex<State>,
    has_changed: Condvar,
}

struct State {
    /// What waits, of each address; none is empty.
    waiting: HashMap<CountedAddress, VecDeque<Job>>,
    /// Whose turn is next: each address of `waiting` once.
    turns: VecDeque<CountedAddress>,
    /// How many wait in all.
    count: usize,
    /// How long a hash takes, on average.
    average: Duration,
    is_ended: bool,
}

struct Job {
    password: Secret,
    hash: Secret,
    from: CountedAddress,
    turn: Box<dyn Turn>,
    answer: oneshot::Sender<Result<bool, Throttled>>,
}

/// What happens before and after a password is verified. Both happen on the thread, so each turn knows how all turns before it ended.
pub(crate) trait Turn: Send {
    /// The turn has come.
    ///
    /// # Errors
    /// [`Throttled`]: the password is not verified.
    fn begins(&self) -> Result<(), Throttled>;

    /// The password was verified.
    fn ended(&self, is_right: bool);
}

impl PasswordVerification {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn start() -> io::Result<Self> {
        let queue = Arc::new(Queue {
            state: Mutex::new(State::new(FIRST_GUESS)),
            has_changed: Condvar::new(),
        });
        let of_thread = Arc::clone(&queue);
        let thread = thread::Builder::new().name("passwords".to_owned());
        thread.spawn(move || work(&of_thread))?;
        Ok(Self { queue })
    }

    /// Whether this is the password of the hash, if its turn may begin. For a user who does not exist, the hash is that of [`dummy`], so
    /// that the answer takes as long. If the caller is dropped before its turn, nothing is hashed.
    ///
    /// # Errors
    /// [`Busy`].
    pub(crate) async fn verify(
        &self,
        (password, hash): (Secret, Secret),
        from: CountedAddress,
        turn: Box<dyn Turn>,
    ) -> Result<Result<bool, Throttled>, Busy> {
        let (answer, verified) = oneshot::channel();
        self.queue.add(Job {
            password,
            hash,
            from,
            turn,
            answer,
        })?;
        // Another address took its place, or the thread has ended.
        verified.await.map_err(|_| self.queue.lock().busy())
    }
}

impl Drop for PasswordVerification {
    fn drop(&mut self) {
        self.queue.lock().is_ended = true;
        self.queue.has_changed.notify_all();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, job: Job) -> Result<(), Busy> {
        self.lock().add(job)?;
        self.has_changed.notify_one();
        Ok(())
    }

    /// The next one; none when the thread has to end.
    fn next(&self) -> Option<Job> {
        let is_idle = |state: &mut State| state.count == 0 && !state.is_ended;
        let waited = self.has_changed.wait_while(self.lock(), is_idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.is_ended { None } else { state.take() }
    }
}

impl State {
    fn new(average: Duration) -> Self {
        Self {
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            count: 0,
            average,
            is_ended: false,
        }
    }

    fn add(&mut self, job: Job) -> Result<(), Busy> {
        // Callers that are gone keep nobody else out.
        if self.count >= self.room() || self.of(job.from) >= MAX_WAITING_PER_ADDRESS {
            self.forget_the_gone();
        }
        let own = self.of(job.from);
        if own >= MAX_WAITING_PER_ADDRESS || !self.has_room_for(own) {
            return Err(self.busy());
        }
        let queue = self.waiting.entry(job.from).or_default();
        if queue.is_empty() {
            self.turns.push_back(job.from);
        }
        queue.push_back(job);
        self.count += 1;
        Ok(())
    }

    /// How many may wait: as many as are verified within [`MAX_WAIT`].
    fn room(&self) -> usize {
        let each = self.average.as_nanos().max(1);
        let in_time = usize::try_from(MAX_WAIT.as_nanos() / each).unwrap_or(usize::MAX);
        in_time.clamp(1, MAX_WAITING)
    }

    /// How many of this address wait.
    fn of(&self, address: CountedAddress) -> usize {
        self.waiting.get(&address).map_or(0, VecDeque::len)
    }

    /// Whether an address with this many may have another one; makes room for it where another address would still have as many.
    fn has_room_for(&mut self, own: usize) -> bool {
        if self.count < self.room() {
            return true;
        }
        let longest = self.waiting.values_mut().max_by_key(|queue| queue.len());
        let Some(longest) = longest.filter(|longest| longest.len() > own + 1) else {
            return false;
        };
        longest.pop_back();
        self.count -= 1;
        true
    }

    /// The first one of the address whose turn it is; then it is the turn of the others.
    fn take(&mut self) -> Option<Job> {
        let address = self.turns.pop_front()?;
        let queue = self.waiting.get_mut(&address)?;
        let job = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&address);
        } else {
            self.turns.push_back(address);
        }
        self.count = self.count.saturating_sub(1);
        job
    }

    fn forget_the_gone(&mut self) {
        self.waiting.retain(|_, queue| {
            queue.retain(|job| !job.answer.is_closed());
            !queue.is_empty()
        });
        let waiting = &self.waiting;
        self.turns.retain(|address| waiting.contains_key(address));
        self.count = waiting.values().map(VecDeque::len).sum();
    }

    fn busy(&self) -> Busy {
        let waiting = u32::try_from(self.count).unwrap_or(u32::MAX);
        let all = self.average.saturating_mul(waiting);
        Busy {
            retry_after: all.as_secs() + 1,
        }
    }

    fn measured(&mut self, took: Duration) {
        self.average = (self.average * 7 + took) / 8;
    }
}

fn work(queue: &Queue) {
    while let Some(job) = queue.next() {
        if job.answer.is_closed() {
            continue;
        }
        let verified = job.turn.begins().map(|()| {
            let begun = Instant::now();
            let is_right = is_password_of(&job.password, &job.hash);
            queue.lock().measured(begun.elapsed());
            job.turn.ended(is_right);
            is_right
        });
        // The caller may be gone.
        let _ = job.answer.send(verified);
    }
}

fn is_password_of(password: &Secret, hash: &Secret) -> bool {
    let Ok(hash) = PasswordHash::new(hash.expose()) else {
        return false;
    };
    let verified = Argon2::default().verify_password(password.expose().as_bytes(), &hash);
    verified.is_ok()
}

/// The hash of a password, with a salt of its own, as it stands in the users file.
///
/// # Errors
/// The system has no random numbers, or not enough memory.
pub(crate) fn hash_password(password: &Secret) -> password_hash::Result<String> {
    let hash = Argon2::default().hash_password(password.expose().as_bytes())?;
    Ok(hash.to_string())
}

/// A hash that no password has, with the parameters that most users have: so that an attempt for a user who does not exist takes as
/// long as one for a user who does.
///
/// # Errors
/// The system has no random numbers.
pub(crate) fn dummy(users: &Users) -> password_hash::Result<Secret> {
    let mut random = [0; phc::Output::MAX_LENGTH];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| password_hash::Error::Crypto)?;
    let (salt, output) = random.split_at(phc::Salt::RECOMMENDED_LENGTH);
    let output = output.get(..Params::DEFAULT_OUTPUT_LEN).unwrap_or(output);
    let params = usual_params(users);
    let hash = PasswordHash {
        algorithm: argon2::ARGON2ID_IDENT,
        version: Some(argon2::Version::V0x13.into()),
        params: (&params).try_into()?,
        salt: Some(phc::Salt::new(salt)?),
        hash: Some(phc::Output::new(output)?),
    };
    Ok(Secret::new(hash.to_string()))
}

/// The parameters that most users have.
fn usual_params(users: &Users) -> Params {
    let mut counts: Vec<(Params, usize)> = Vec::new();
    for params in users.iter().filter_map(|user| params(user.hash())) {
        match counts.iter_mut().find(|(own, _)| *own == params) {
            Some((_, count)) => *count += 1,
            None => counts.push((params, 1)),
        }
    }
    let usual = counts.into_iter().max_by_key(|(_, count)| *count);
    usual.map(|(params, _)| params).unwrap_or_default()
}

fn params(hash: &Secret) -> Option<Params> {
    Params::try_from(&PasswordHash::new(hash.expose()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use mcp_gateway_oauth::session::user::User;

    use super::*;
    use crate::config::users_file::check_hash;

    fn address(number: u32) -> CountedAddress {
        CountedAddress::of(Ipv4Addr::from_bits(number).into())
    }

    fn hash_of(password: &str) -> Secret {
        Secret::new(hash_password(&Secret::new(password)).unwrap())
    }

    /// A turn that always begins.
    struct Always;

    impl Turn for Always {
        fn begins(&self) -> Result<(), Throttled> {
            Ok(())
        }

        fn ended(&self, _is_right: bool) {}
    }

    #[tokio::test]
    async fn a_password_is_verified() {
        let verification = PasswordVerification::start().unwrap();
        let hash = hash_of("correct horse");
        for (password, expected) in [("correct horse", true), ("wrong horse", false), ("", false)] {
            let both = (Secret::new(password), hash.clone());
            let verified = verification.verify(both, address(1), Box::new(Always));
            assert_eq!(verified.await, Ok(Ok(expected)), "{password}");
        }
        let both = (Secret::new("x"), Secret::new("no hash"));
        let none = verification.verify(both, address(1), Box::new(Always));
        assert_eq!(none.await, Ok(Ok(false)));
    }

    #[test]
    fn a_hash_is_salted_and_has_parameters_that_the_users_file_accepts() {
        let (one, other) = (hash_of("a password"), hash_of("a password"));
        assert_ne!(one.expose(), other.expose());
        assert!(one.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(check_hash(one.expose()), Ok(()));
    }

    #[test]
    fn the_dummy_has_the_parameters_that_most_users_have() {
        let usual = |parameters: &[&str]| {
            let mut users = Users::default();
            for (number, parameters) in parameters.iter().enumerate() {
                let hash = hash_of("x").expose().replace("m=19456,t=2,p=1", parameters);
                let user = User::new(&number.to_string(), None, &hash, None).unwrap();
                users.add(user).unwrap();
            }
            let dummy = dummy(&users).unwrap();
            assert_eq!(check_hash(dummy.expose()), Ok(()));
            assert!(!is_password_of(&Secret::new("x"), &dummy));
            let text = dummy.expose().to_owned();
            text.split('$').nth(3).unwrap().to_owned()
        };
        assert_eq!(usual(&[]), "m=19456,t=2,p=1");
        let three = ["m=12288,t=3,p=1", "m=9216,t=4,p=1", "m=9216,t=4,p=1"];
        assert_eq!(usual(&three), "m=9216,t=4,p=1");
    }

    type Verified = oneshot::Receiver<Result<bool, Throttled>>;

    fn waiting(state: &mut State, from: u32) -> Result<Verified, Busy> {
        let (answer, verified) = oneshot::channel();
        let job = Job {
            password: Secret::new(""),
            hash: Secret::new(""),
            from: address(from),
            turn: Box::new(Always),
            answer,
        };
        state.add(job).map(|()| verified)
    }

    /// Passwords of this many milliseconds each.
    fn state(average: u64) -> State {
        State::new(Duration::from_millis(average))
    }

    fn order(state: &mut State) -> Vec<CountedAddress> {
        std::iter::from_fn(|| state.take().map(|job| job.from)).collect()
    }

    #[test]
    fn what_waits_is_bounded_in_all_and_for_each_address() {
        let mut state = state(50);
        let mut kept = Vec::new();
        for number in 0..MAX_WAITING_PER_ADDRESS {
            kept.push(waiting(&mut state, 1).unwrap());
            assert_eq!(state.of(address(1)), number + 1);
        }
        assert_eq!(waiting(&mut state, 1).unwrap_err(), Busy { retry_after: 1 });
        // One of an address leaves, and another may come.
        state.take().unwrap();
        kept.push(waiting(&mut state, 1).unwrap());
        while state.take().is_some() {}
        for number in 0..MAX_WAITING {
            let from = 100 + u32::try_from(number).unwrap();
            kept.push(waiting(&mut state, from).unwrap());
        }
        assert_eq!(waiting(&mut state, 2).unwrap_err(), Busy { retry_after: 4 });
        while state.take().is_some() {}
        assert!(state.waiting.is_empty() && state.turns.is_empty() && state.count == 0);
    }

    #[test]
    fn no_more_wait_than_are_verified_in_time() {
        for (average, room) in [
            (1, MAX_WAITING),
            (50, MAX_WAITING),
            (500, 10),
            (5000, 1),
            (60_000, 1),
        ] {
            let mut state = state(average);
            let kept: Vec<_> = (0..100).map(|from| waiting(&mut state, from)).collect();
            let accepted = kept.iter().filter(|one| one.is_ok()).count();
            assert_eq!((accepted, state.count), (room, room), "{average} ms");
        }
    }

    #[test]
    fn addresses_take_turns() {
        let mut state = state(50);
        let kept: Vec<_> = [1, 1, 1, 2, 2, 3]
            .map(|from| waiting(&mut state, from).unwrap())
            .into();
        let expected = [1, 2, 3, 1, 2, 1].map(address);
        assert_eq!(order(&mut state), expected);
        drop(kept);
    }

    #[test]
    fn few_addresses_do_not_keep_others_out() {
        let mut state = state(50);
        let mut flood = Vec::new();
        for from in (1..=8).cycle().take(8 * MAX_WAITING_PER_ADDRESS) {
            flood.push(waiting(&mut state, from).unwrap());
        }
        assert_eq!(state.count, MAX_WAITING);
        let mut own = waiting(&mut state, 100).unwrap();
        assert_eq!(state.count, MAX_WAITING);
        // One of the flood lost its place, and gets an answer.
        let lost = flood.iter_mut().filter_map(|one| one.try_recv().err());
        let lost = lost.filter(|error| *error == oneshot::error::TryRecvError::Closed);
        assert_eq!(lost.count(), 1);
        // The flood cannot take it back, and it is served after one of each.
        assert!((1..=8).all(|from| waiting(&mut state, from).is_err()));
        assert_eq!(own.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        let place = order(&mut state)
            .into_iter()
            .position(|from| from == address(100));
        assert_eq!(place, Some(8));
    }

    #[test]
    fn callers_that_are_gone_keep_nobody_out() {
        let mut state = state(50);
        for number in 0..u32::try_from(MAX_WAITING).unwrap() {
            drop(waiting(&mut state, number).unwrap());
        }
        let kept = waiting(&mut state, 1000);
        assert!(kept.is_ok());
        assert_eq!((state.count, state.turns.len()), (1, 1));
        for _ in 1..MAX_WAITING_PER_ADDRESS {
            drop(waiting(&mut state, 1000).unwrap());
        }
        assert!(waiting(&mut state, 1000).is_ok());
        assert_eq!(state.count, 2);
    }

    #[tokio::test]
    async fn what_waits_is_answered_when_the_thread_ends() {
        let verification = PasswordVerification::start().unwrap();
        let queue = Arc::clone(&verification.queue);
        drop(verification);
        while Arc::strong_count(&queue) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(queue.next().is_none());
    }
}

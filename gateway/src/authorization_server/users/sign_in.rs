//! A user signs in with name and password: may somebody try now, and is the password right? Attempts and the thread that verifies
//! passwords outlive a reload of the users file.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use arc_swap::ArcSwap;
use mcp_gateway_core::http::client_address::CountedAddress;
use mcp_gateway_oauth::{
    secret::Secret,
    session::{
        throttle::{Attempt, Throttle, Throttled},
        user::{User, Users},
    },
};

use super::hashing::{self, Busy, PasswordVerification, Turn};

/// Somebody cannot sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignInFault {
    /// There is no such user, or the password is wrong. Nobody but the log learns which.
    #[error("{}", if *.is_known { "wrong password" } else { "unknown user" })]
    Wrong {
        /// Whether the users file has the name.
        is_known: bool,
    },
    /// There were too many attempts.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// Too many passwords wait to be verified.
    #[error(transparent)]
    Busy(#[from] Busy),
}

/// Sign-in with name and password.
pub(crate) struct PasswordSignIn {
    people: ArcSwap<People>,
    throttle: Arc<Mutex<Throttle>>,
    verification: PasswordVerification,
    started: Instant,
}

/// The users, and the hash for names that nobody has.
struct People {
    users: Users,
    dummy: Secret,
}

impl PasswordSignIn {
    /// Sign-in for these users.
    ///
    /// # Errors
    /// The system has no thread or no random numbers.
    pub(crate) fn start(users: Users) -> io::Result<Self> {
        Ok(Self {
            people: ArcSwap::from_pointee(People::new(users)?),
            throttle: Arc::default(),
            verification: PasswordVerification::start()?,
            started: Instant::now(),
        })
    }

    /// The users of a file that was read again.
    ///
    /// # Errors
    /// The system has no random numbers; then the users stay as they are.
    pub(crate) fn replace(&self, users: Users) -> io::Result<()> {
        let people = Arc::new(People::new(users)?);
        let names = people.users.iter().map(User::name);
        self.throttle().keep(names);
        self.people.store(people);
        Ok(())
    }

    /// The user with this `sub`: sessions are of users who still exist.
    pub(crate) fn with_subject(&self, subject: &str) -> Option<User> {
        self.people.load().users.with_subject(subject).cloned()
    }

    /// The user with this name and password. An unknown name takes as long as a wrong password.
    ///
    /// # Errors
    /// [`SignInFault`].
    pub(crate) async fn sign_in(
        &self,
        name: &str,
        password: Secret,
        from: CountedAddress,
    ) -> Result<User, SignInFault> {
        let (user, hash) = self.people.load().named(name);
        let is_known = user.is_some();
        let turn = ThrottledTurn {
            throttle: self.throttle.clone(),
            attempt: Attempt::new(name, is_known, from),
            started: self.started,
        };
        // Who has to wait anyway takes nobody's place. Attempts before this one may still fail, so it is asked again at its turn.
        turn.begins()?;
        let verified = self
            .verification
            .verify((password, hash), from, Box::new(turn));
        match (verified.await??, user) {
            (true, Some(user)) => Ok(user),
            _ => Err(SignInFault::Wrong { is_known }),
        }
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        lock(&self.throttle)
    }
}

/// The turn of an attempt: the throttle lets it begin, and learns how it ended. It counts also where its request was ended meanwhile.
struct ThrottledTurn {
    throttle: Arc<Mutex<Throttle>>,
    attempt: Attempt,
    started: Instant,
}

impl Turn for ThrottledTurn {
    fn begins(&self) -> Result<(), Throttled> {
        lock(&self.throttle).check(&self.attempt, self.started.elapsed())
    }

    fn ended(&self, is_right: bool) {
        let mut throttle = lock(&self.throttle);
        match is_right {
            true => throttle.succeeded(&self.attempt),
            false => throttle.failed(&self.attempt, self.started.elapsed()),
        }
    }
}

fn lock(throttle: &Mutex<Throttle>) -> MutexGuard<'_, Throttle> {
    throttle.lock().unwrap_or_else(PoisonError::into_inner)
}

impl People {
    fn new(users: Users) -> io::Result<Self> {
        let dummy = hashing::dummy(&users).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { users, dummy })
    }

    /// The user with this name, and the hash to verify.
    fn named(&self, name: &str) -> (Option<User>, Secret) {
        let user = self.users.named(name).cloned();
        let hash = user.as_ref().map_or(&self.dummy, User::hash).clone();
        (user, hash)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use mcp_gateway_oauth::session::throttle::{BY_ACCOUNT, BY_ADDRESS, ThrottledBy};

    use super::*;

    const PASSWORD: &str = "correct horse";

    fn address(number: u32) -> CountedAddress {
        CountedAddress::of(Ipv4Addr::from_bits(number).into())
    }

    fn users(password: &str) -> Users {
        let hash = hashing::hash_password(&Secret::new(password)).unwrap();
        let mut users = Users::default();
        users
            .add(User::new("ana", None, &hash, None).unwrap())
            .unwrap();
        users
    }

    async fn try_as(
        sign_in: &PasswordSignIn,
        name: &str,
        password: &str,
        from: u32,
    ) -> Result<String, SignInFault> {
        let user = sign_in
            .sign_in(name, Secret::new(password), address(from))
            .await;
        user.map(|user| user.subject())
    }

    #[tokio::test]
    async fn a_user_signs_in_with_the_password_of_the_file_that_was_read_last() {
        let sign_in = PasswordSignIn::start(users(PASSWORD)).unwrap();
        assert_eq!(
            try_as(&sign_in, " Ana", PASSWORD, 1).await.unwrap(),
            "u:ana"
        );
        let wrong = Err(SignInFault::Wrong { is_known: true });
        assert_eq!(try_as(&sign_in, "ana", "wrong horse", 1).await, wrong);
        let unknown = Err(SignInFault::Wrong { is_known: false });
        assert_eq!(try_as(&sign_in, "bo", PASSWORD, 1).await, unknown);
        sign_in.replace(users("another password")).unwrap();
        assert_eq!(try_as(&sign_in, "ana", PASSWORD, 1).await, wrong);
        assert!(try_as(&sign_in, "ana", "another password", 1).await.is_ok());
        assert!(sign_in.with_subject("u:ana").is_some());
        assert!(sign_in.with_subject("u:bo").is_none());
    }

    #[tokio::test]
    async fn a_wrong_password_and_an_unknown_name_are_throttled_alike() {
        let sign_in = PasswordSignIn::start(users(PASSWORD)).unwrap();
        for name in ["ana", "bo"] {
            for _ in 0..BY_ACCOUNT.free {
                let tried = try_as(&sign_in, name, "wrong horse", 1).await;
                assert!(matches!(tried, Err(SignInFault::Wrong { .. })), "{tried:?}");
            }
            let throttled = try_as(&sign_in, name, PASSWORD, 1).await;
            let Err(SignInFault::Throttled(throttled)) = throttled else {
                panic!("{name}: {throttled:?}");
            };
            assert_eq!(throttled.by, ThrottledBy::Account);
            assert!((1..=2).contains(&throttled.retry_after()), "{throttled:?}");
        }
    }

    /// How many attempts of each kind there are: right, wrong, throttled, busy.
    async fn at_once(
        sign_in: &Arc<PasswordSignIn>,
        attempts: impl Iterator<Item = (&'static str, u32)>,
    ) -> [u32; 4] {
        let begin = |(password, from): (&'static str, u32)| {
            let sign_in = Arc::clone(sign_in);
            tokio::spawn(async move { try_as(&sign_in, "ana", password, from).await })
        };
        let attempts: Vec<_> = attempts.map(begin).collect();
        let mut counts = [0; 4];
        for attempt in attempts {
            let kind = match attempt.await.unwrap() {
                Ok(_) => 0,
                Err(SignInFault::Wrong { .. }) => 1,
                Err(SignInFault::Throttled(_)) => 2,
                Err(SignInFault::Busy(_)) => 3,
            };
            counts[kind] += 1;
        }
        counts
    }

    #[tokio::test]
    async fn right_passwords_at_once_are_not_throttled() {
        let sign_in = Arc::new(PasswordSignIn::start(users(PASSWORD)).unwrap());
        // Those of one address that find no place get Busy, and do not count either.
        for attempts in [8, 40] {
            let own = (0..attempts).map(|_| (PASSWORD, 1));
            let [right, wrong, throttled, busy] = at_once(&sign_in, own).await;
            assert_eq!((wrong, throttled, right + busy), (0, 0, attempts));
            assert!(right >= 8, "{right}");
        }
        let everywhere = (0..3 * BY_ACCOUNT.free).map(|from| (PASSWORD, 100 + from));
        let [_, wrong, throttled, _] = at_once(&sign_in, everywhere).await;
        assert_eq!((wrong, throttled), (0, 0));
    }

    #[tokio::test]
    async fn of_wrong_passwords_at_once_no_more_are_looked_at_than_one_after_the_other() {
        let sign_in = Arc::new(PasswordSignIn::start(users(PASSWORD)).unwrap());
        let guesses = (0..6 * BY_ACCOUNT.free).map(|from| ("wrong horse", from));
        let [right, wrong, throttled, _] = at_once(&sign_in, guesses).await;
        assert_eq!((right, wrong), (0, BY_ACCOUNT.free));
        assert!(throttled > 0);
    }

    #[tokio::test]
    async fn requests_that_are_ended_before_their_turn_do_not_count() {
        let sign_in = PasswordSignIn::start(users(PASSWORD)).unwrap();
        for _ in 0..4 * BY_ADDRESS.free {
            let attempt = try_as(&sign_in, "ana", PASSWORD, 1);
            let ended = tokio::time::timeout(Duration::ZERO, attempt).await;
            assert!(
                !matches!(ended, Ok(Err(SignInFault::Throttled(_)))),
                "{ended:?}"
            );
        }
    }

    #[tokio::test]
    async fn an_unknown_name_takes_as_long_as_a_wrong_password() {
        let sign_in = PasswordSignIn::start(users(PASSWORD)).unwrap();
        let mut took = [Duration::ZERO; 2];
        for from in 0..4 {
            for (took, name) in took.iter_mut().zip(["ana", "bo"]) {
                let begun = Instant::now();
                let _ = try_as(&sign_in, name, "wrong horse", from).await;
                *took += begun.elapsed();
            }
        }
        let [known, unknown] = took;
        assert!(unknown * 3 > known && known * 3 > unknown, "{took:?}");
    }
}

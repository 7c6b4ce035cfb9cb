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

use super::hashing::{self, Busy, PasswordVerification};

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
    throttle: Mutex<Throttle>,
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
            throttle: Mutex::default(),
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
        let mut attempt = self.begin(name, is_known, from)?;
        let is_right = self.verification.verify(password, hash, from).await?;
        attempt.is_looked_at = true;
        match (is_right, user) {
            (true, Some(user)) => {
                self.throttle().succeeded(attempt.attempt);
                Ok(user)
            }
            _ => Err(SignInFault::Wrong { is_known }),
        }
    }

    fn begin(
        &self,
        name: &str,
        is_known: bool,
        from: CountedAddress,
    ) -> Result<Begun<'_>, Throttled> {
        let now = self.started.elapsed();
        let attempt = self.throttle().begin(name, is_known, from, now)?;
        Ok(Begun {
            sign_in: self,
            attempt,
            is_looked_at: false,
        })
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt that was counted. It is given back when it ends before its password was looked at, also where the request was ended.
struct Begun<'a> {
    sign_in: &'a PasswordSignIn,
    attempt: Attempt,
    is_looked_at: bool,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if !self.is_looked_at {
            self.sign_in.throttle().give_back(self.attempt);
        }
    }
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

    #[tokio::test]
    async fn attempts_that_were_not_looked_at_are_given_back() {
        let sign_in = Arc::new(PasswordSignIn::start(users(PASSWORD)).unwrap());
        // The file has no such user, so that each attempt has a name of its own.
        let attempts: Vec<_> = (0..BY_ADDRESS.free)
            .map(|number| {
                let sign_in = Arc::clone(&sign_in);
                tokio::spawn(async move {
                    try_as(&sign_in, &format!("user {number}"), PASSWORD, 1).await
                })
            })
            .collect();
        let mut busy = 0;
        for attempt in attempts {
            let tried = tokio::time::timeout(Duration::from_secs(60), attempt).await;
            let tried = tried.unwrap().unwrap().unwrap_err();
            busy += u32::from(matches!(tried, SignInFault::Busy(_)));
        }
        assert!(busy > 0, "the queue was never full");
        let given_back = try_as(&sign_in, "ana", PASSWORD, 1).await;
        assert!(given_back.is_ok(), "{given_back:?}");
    }

    #[tokio::test]
    async fn attempts_of_requests_that_were_ended_are_given_back() {
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

//! Users whom the file no longer has, or has with the word that it is somebody else (a new password without a stable id): what they
//! allowed ends. They are found when the file changes, and at the start among the grants in the store, since the file may have changed
//! while the process was down.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use mcp_gateway_core::time::UnixTime;
use mcp_gateway_oauth::{
    grant::{self, EndedBy, Filter, Grant, Revoked},
    session::{
        self,
        user::{SUBJECT_PREFIX, User, Users},
    },
    store::rows::{Rows, StoreError},
};

use tokio::sync::Notify;

use super::sign_in::PasswordSignIn;
use crate::{authorization_server::store::Store, clock};

/// Grants that are looked at in one transaction.
const BATCH: usize = 256;

/// Subjects whose grants are looked at soon. There are no more than users and grants.
#[derive(Debug, Default)]
pub(in crate::authorization_server) struct Gone {
    subjects: Mutex<BTreeSet<String>>,
    /// Notified when there are some.
    noted: Notify,
}

impl Gone {
    /// Notes who is not the same any longer in another file.
    pub(in crate::authorization_server) fn note_changes(&self, before: &Users, after: &Users) {
        let changed = before.iter().filter(|user| {
            let now = after.with_subject(&user.subject());
            now.is_none_or(|now| now.identity() != user.identity())
        });
        self.note(changed.map(User::subject));
    }

    fn note(&self, subjects: impl IntoIterator<Item = String>) {
        let mut gone = self.lock();
        gone.extend(subjects);
        if !gone.is_empty() {
            self.noted.notify_one();
        }
    }

    /// Returns when somebody is noted, at once where somebody is already. One waits.
    pub(in crate::authorization_server) async fn wait(&self) {
        while self.lock().is_empty() {
            self.noted.notified().await;
        }
    }

    /// Notes whose grants in the store are of users who are gone.
    ///
    /// # Errors
    /// [`StoreError`]: not all grants were looked at.
    pub(in crate::authorization_server) async fn find(
        &self,
        store: &Store,
        users: &PasswordSignIn,
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let listed = |rows: &dyn Rows| grant::list(rows, &Filter::default(), after, BATCH);
            let page = store.read(listed).await?;
            let grants = page.grants.iter().map(|(_, grant)| grant);
            let gone = grants.filter(|grant| grant.ended.is_none() && is_gone(users, grant));
            self.note(gone.map(|grant| grant.subject.clone()));
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Ends what those allowed who were noted, unless they are back. What fails is tried again the next time. Returns whose access tokens
    /// are refused from now on, with whose they are.
    pub(in crate::authorization_server) async fn end(
        &self,
        store: &Store,
        users: &PasswordSignIn,
    ) -> Vec<(String, Revoked)> {
        let mut all = Vec::new();
        for subject in self.take() {
            let user = users.with_subject(&subject);
            match end_of(store, subject.clone(), user, clock::now()).await {
                Ok(ended) => {
                    all.extend(ended.into_iter().map(|revoked| (subject.clone(), revoked)));
                }
                Err(error) => {
                    tracing::warn!("the grants of a removed user have not ended yet: {error}");
                    self.note([subject]);
                }
            }
        }
        all
    }

    fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_gone(users: &PasswordSignIn, grant: &Grant) -> bool {
    let user = || users.with_subject(&grant.subject);
    grant.subject.starts_with(SUBJECT_PREFIX) && user().is_none_or(|user| !allowed(&user, grant))
}

fn allowed(user: &User, grant: &Grant) -> bool {
    grant.identity == user.identity()
}

async fn end_of(
    store: &Store,
    subject: String,
    user: Option<User>,
    now: UnixTime,
) -> Result<Vec<Revoked>, StoreError> {
    let end = move |rows: &mut dyn Rows| {
        // A session with another password is nobody's; it leaves with the others of its time.
        if user.is_none() {
            session::end_all_of_account(rows, &subject)?;
        }
        let is_of_another = |grant: &Grant| user.as_ref().is_none_or(|user| !allowed(user, grant));
        grant::end_all_that(rows, &subject, is_of_another, EndedBy::UserRemoved, now)
    };
    store.write(end).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mcp_gateway_oauth::{
        id::Id,
        session::user::{User, Users},
    };
    use tokio::time::{sleep, timeout};

    use super::*;

    const NOW: UnixTime = UnixTime::new(1_800_000_000);

    fn users(all: &[(&str, Option<&str>, &str)]) -> Users {
        let mut users = Users::default();
        for (name, id, hash) in all {
            users
                .add(User::new(name, *id, hash, None).unwrap())
                .unwrap();
        }
        users
    }

    /// A store in which each of these users has one grant, by the number of its id.
    async fn granted(store: &Store, users: &Users) {
        let owners: Vec<_> = users.iter().map(User::owner).collect();
        let insert = move |rows: &mut dyn Rows| {
            for (number, owner) in (0..).zip(&owners) {
                let grant: Grant = serde_json::from_value(serde_json::json!({
                    "client": "app", "subject": owner.subject, "identity": owner.identity, "resource": "https://mcp.example/mcp",
                    "scopes": "read", "created": NOW.secs(), "signed_in": NOW.secs(), "is_refreshable": true, "generation": 0,
                    "rotated": NOW.secs(), "tokens_end": NOW.secs() + 900, "idle_end": NOW.secs() + 9000,
                    "end": NOW.secs() + 90_000,
                }))
                .unwrap();
                grant::room::insert(rows, (Id::new([number; 16]), &grant), 9, NOW)?;
            }
            Ok(())
        };
        store.write(insert).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn those_are_found_in_the_store_who_left_while_nobody_looked() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state")).unwrap();
        let before = users(&[
            ("stays", None, "a"),
            ("leaves", None, "a"),
            ("new password", None, "a"),
            ("stable", Some("7"), "a"),
        ]);
        let after = users(&[
            ("stays", None, "a"),
            ("new password", None, "b"),
            ("stable", Some("7"), "b"),
        ]);
        granted(&store, &before).await;
        let signing_in = PasswordSignIn::start(after.clone()).unwrap();
        let found = Gone::default();
        found.find(&store, &signing_in).await.unwrap();
        // A file that changes while the process runs has the same outcome.
        let noted = Gone::default();
        noted.note_changes(&before, &after);
        let expected = ["u:leaves", "u:new password"].map(str::to_owned);
        assert_eq!(noted.take(), BTreeSet::from(expected.clone()));
        assert_eq!(*found.lock(), BTreeSet::from(expected));
        let ended = found.end(&store, &signing_in).await;
        let numbers: BTreeSet<_> = ended.iter().map(|(_, one)| one.id.as_bytes()[0]).collect();
        assert_eq!(numbers, BTreeSet::from([1, 2]));
        assert!(found.end(&store, &signing_in).await.is_empty());
        found.find(&store, &signing_in).await.unwrap();
        assert!(found.take().is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn somebody_who_is_back_in_time_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state")).unwrap();
        let all = users(&[("ana", None, "a")]);
        granted(&store, &all).await;
        let gone = Gone::default();
        gone.note_changes(&all, &Users::default());
        let signing_in = PasswordSignIn::start(all).unwrap();
        assert!(gone.end(&store, &signing_in).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_when_somebody_is_noted_and_lasts_while_nobody_is() {
        let gone = Gone::default();
        let moment = Duration::from_secs(3600);
        let (ana, nobody) = (users(&[("ana", None, "a")]), Users::default());
        gone.note_changes(&ana, &ana);
        assert!(timeout(moment, gone.wait()).await.is_err());
        let (waited, ()) = tokio::join!(timeout(moment, gone.wait()), async {
            sleep(moment / 2).await;
            gone.note_changes(&ana, &nobody);
        });
        assert!(waited.is_ok());
        // Somebody whose grants could not be ended is waited for no longer than somebody new.
        assert!(timeout(moment, gone.wait()).await.is_ok());
        assert_eq!(gone.take().len(), 1);
        assert!(timeout(moment, gone.wait()).await.is_err());
    }
}

//! The ring of signing keys in a store that several processes share, sealed with the server keys. One process at a time changes it: a
//! change is made only where the ring is still the one that was read.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use mcp_gateway_core::time::UnixTime;
use mcp_gateway_oauth::{
    keys::{
        Purpose, ServerKeys,
        ring::{Due, Ring, Schedule},
    },
    secret::Secret,
    store::rows::{Rows, StoreError, Table},
};

use super::{KeyFileProblem, turning::turned};
use crate::{
    authorization_server::{error::ServerError, store::Store},
    new_key::new_key,
};

/// The row of the ring.
const KEY: &[u8] = b"signing keys";

/// How often it is tried again when another process was first.
const MAX_TRIES: usize = 8;

/// A ring in a store.
pub(crate) struct SharedRing {
    store: Store,
    keys: ArcSwap<ServerKeys>,
}

impl fmt::Debug for SharedRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SharedRing")
    }
}

impl SharedRing {
    /// The ring in this store, sealed with these keys.
    pub(crate) fn new(store: Store, keys: Arc<ServerKeys>) -> Self {
        Self {
            store,
            keys: ArcSwap::new(keys),
        }
    }

    /// Seals with these keys from now on.
    pub(super) fn seal_with(&self, keys: Arc<ServerKeys>) {
        self.keys.store(keys);
    }

    /// The ring, when what is due has been done. It has the keys that this process knows: the store may have lost them, and another
    /// process may have made new ones since. Where nobody knows any, one is made.
    ///
    /// # Errors
    /// The store cannot be used, or the ring cannot be read: it was sealed with a key that is not among the key files.
    pub(super) async fn turn(
        &self,
        known: Option<&Ring>,
        schedule: &Schedule,
        now: UnixTime,
    ) -> Result<Ring, ServerError> {
        for _ in 0..MAX_TRIES {
            let before = self.store.read(|rows| rows.get(Table::Meta, KEY)).await?;
            let ring = match &before {
                None => match known {
                    None => {
                        let key = new_key(schedule.algorithm).map_err(KeyFileProblem::from)?;
                        Ring::new(key, now)
                    }
                    Some(known) => known.clone(),
                },
                Some(sealed) => {
                    let ring = self.open(sealed)?;
                    known.map_or_else(|| ring.clone(), |known| ring.with_keys_of(known))
                }
            };
            let due = due(&ring, schedule, now);
            let ring = turned(&ring, &due, schedule, now)?;
            let after = self.seal(&ring);
            if before.as_ref() == Some(&after) || self.replace(before, after).await? {
                return Ok(ring);
            }
        }
        Err(StoreError::Failed("the signing keys change too quickly".to_owned()).into())
    }

    /// Writes the ring where it is still as before.
    async fn replace(&self, before: Option<Vec<u8>>, after: Vec<u8>) -> Result<bool, StoreError> {
        let replace = move |rows: &mut dyn Rows| {
            let is_same = rows.get(Table::Meta, KEY)? == before;
            if is_same {
                rows.put(Table::Meta, KEY, &after)?;
            }
            Ok(is_same)
        };
        self.store.write(replace).await
    }

    /// The same ring is always sealed to the same, unless the newest key is another one.
    fn seal(&self, ring: &Ring) -> Vec<u8> {
        let text = ring.to_text();
        let sealed = self
            .keys
            .load()
            .seal(Purpose::SigningKeys, KEY, text.expose().as_bytes());
        sealed.into_bytes()
    }

    fn open(&self, sealed: &[u8]) -> Result<Ring, ServerError> {
        let unreadable = |problem: &str| StoreError::Row {
            table: Table::Meta,
            problem: problem.to_owned(),
        };
        let sealed = std::str::from_utf8(sealed).map_err(|_| unreadable("it is not text"))?;
        let text = self.keys.load().open(Purpose::SigningKeys, KEY, sealed);
        let text = text.ok_or_else(|| {
            unreadable("the signing keys are sealed with a key that is not in authorization_server.key_files")
        })?;
        let text = Secret::new(String::from_utf8_lossy(&text));
        Ok(Ring::from_text(&text).map_err(KeyFileProblem::from)?)
    }
}

/// What is due. Processes whose configurations name different algorithms do not take turns: the newest key is published first.
fn due(ring: &Ring, schedule: &Schedule, now: UnixTime) -> Due {
    let due = ring.due(schedule, now);
    let is_young = now < ring.newest_since().plus(schedule.publish_before);
    Due {
        new_key: due.new_key.filter(|_| !is_young),
        ..due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mcp_gateway_oauth::keys::signing_key::SigningAlgorithm;

    use super::*;

    const HOUR: i64 = 3600;

    fn schedule(algorithm: SigningAlgorithm) -> Schedule {
        Schedule {
            algorithm,
            rotation: Duration::from_secs(100 * 3600),
            publish_before: Duration::from_secs(2 * 3600),
            access_token: Duration::from_secs(3600),
        }
    }

    fn keys(secrets: &[u8]) -> Arc<ServerKeys> {
        let secrets: Vec<_> = secrets.iter().map(|byte| [*byte; 32]).collect();
        Arc::new(ServerKeys::new(&secrets).unwrap())
    }

    struct Site {
        _folder: tempfile::TempDir,
        store: Store,
    }

    fn site() -> Site {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state")).unwrap();
        Site {
            _folder: folder,
            store,
        }
    }

    async fn ids(ring: &SharedRing, schedule: &Schedule, now: i64) -> Vec<String> {
        let ring = ring.turn(None, schedule, UnixTime::new(now)).await.unwrap();
        ring.published().map(|key| key.id().to_owned()).collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn processes_have_the_same_keys_and_one_of_them_makes_each() {
        let site = site();
        let schedule = schedule(SigningAlgorithm::Es256);
        let ring = || SharedRing::new(site.store.clone(), keys(&[1]));
        let (a, b) = (ring(), ring());
        for (now, count) in [(0, 1), (HOUR, 1), (98 * HOUR, 2), (102 * HOUR, 1)] {
            let (first, second) = tokio::join!(ids(&a, &schedule, now), ids(&b, &schedule, now));
            assert_eq!(first, second, "{now}");
            assert_eq!(first.len(), count, "{now}");
        }
        // Nothing in the store is the text of a key.
        let row = site.store.read(|rows| rows.get(Table::Meta, KEY)).await;
        let row = String::from_utf8(row.unwrap().unwrap()).unwrap();
        assert!(!row.contains("pkcs8"));
    }

    #[tokio::test]
    async fn a_ring_that_the_store_lost_is_written_again() {
        let (before, after) = (site(), site());
        let schedule = schedule(SigningAlgorithm::Es256);
        let now = UnixTime::new(0);
        let ring = SharedRing::new(before.store.clone(), keys(&[1]));
        let known = ring.turn(None, &schedule, now).await.unwrap();
        let ring = SharedRing::new(after.store.clone(), keys(&[1]));
        let again = ring.turn(Some(&known), &schedule, now).await.unwrap();
        assert!(again.is_same(&known));
        let found = ring.turn(None, &schedule, now).await.unwrap();
        assert!(found.is_same(&known));
    }

    #[tokio::test]
    async fn keys_that_the_store_lost_stay_published_beside_those_that_another_process_made() {
        let schedule = schedule(SigningAlgorithm::Es256);
        let (before, after) = (site(), site());
        let now = UnixTime::new(0);
        let known = SharedRing::new(before.store.clone(), keys(&[1]));
        let known = known.turn(None, &schedule, now).await.unwrap();
        let ring = SharedRing::new(after.store.clone(), keys(&[1]));
        let made = ring.turn(None, &schedule, UnixTime::new(10)).await.unwrap();
        let both = ring.turn(Some(&known), &schedule, UnixTime::new(20)).await;
        let both = both.unwrap();
        for signed_with in [&known, &made] {
            let id = signed_with.signer(now).id();
            assert!(both.published().any(|key| key.id() == id));
        }
        // Everybody signs with the same one, and the other one goes when its last token has expired.
        assert_eq!(both.signer(UnixTime::new(20)).id(), made.signer(now).id());
        let found = ring.turn(Some(&made), &schedule, UnixTime::new(30)).await;
        assert!(found.unwrap().is_same(&both));
        let later = UnixTime::new(2 * HOUR);
        let later = ring.turn(Some(&both), &schedule, later).await.unwrap();
        assert!(later.is_same(&made));
        let again = ring.turn(Some(&both), &schedule, UnixTime::new(2 * HOUR));
        assert!(again.await.unwrap().is_same(&made));
    }

    #[tokio::test]
    async fn key_files_are_rotated_and_a_ring_that_another_key_sealed_is_refused() {
        let site = site();
        let schedule = schedule(SigningAlgorithm::Es256);
        let ring = |secrets: &[u8]| SharedRing::new(site.store.clone(), keys(secrets));
        let first = ids(&ring(&[1]), &schedule, 0).await;
        assert_eq!(ids(&ring(&[2, 1]), &schedule, 0).await, first);
        // It is sealed with the newest key from then on.
        assert_eq!(ids(&ring(&[2]), &schedule, 0).await, first);
        let other = ring(&[1]).turn(None, &schedule, UnixTime::new(0)).await;
        let other = other.unwrap_err().to_string();
        assert!(other.contains("authorization_server.key_files"), "{other}");
    }

    #[tokio::test]
    async fn processes_with_different_algorithms_do_not_add_keys_in_turn() {
        let site = site();
        let ring = SharedRing::new(site.store.clone(), keys(&[1]));
        let (es, ed) = (SigningAlgorithm::Es256, SigningAlgorithm::EdDsa);
        for minute in 0..60 {
            let schedule = schedule(if minute % 2 == 0 { es } else { ed });
            let found = ids(&ring, &schedule, 3 * HOUR + minute * 60).await;
            assert_eq!(found.len(), 1, "{minute}");
        }
        let found = ids(&ring, &schedule(ed), 6 * HOUR).await;
        assert_eq!(found.len(), 2);
    }
}

//! The ring of keys that sign access tokens, in a file of the directory or in the store that several processes share. It is made at
//! the first start; a task then adds and retires keys on schedule. What the ring has is durable before anybody can see it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use mcp_gateway_core::time::UnixTime;
use mcp_gateway_oauth::{
    keys::{
        ServerKeys,
        ring::{Ring, Schedule},
    },
    secret::Secret,
};
use tokio::sync::Notify;

use super::{
    private_file::{self, KeyFileError, KeyFileProblem, MadeBy},
    shared_ring::SharedRing,
    turning::turned,
};
use crate::{authorization_server::error::ServerError, clock, new_key::new_key};

/// The file in the directory.
const NAME: &str = "signing-keys.json";

/// The shortest and the longest time between two looks at the schedule. A machine that slept looks soon after it woke.
const LOOKS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10 * 60));

/// The longest time between two looks at a ring that other processes change too. A new key is published half an hour at least before it
/// signs.
const LOOK_AT_SHARED: Duration = Duration::from_secs(60);

/// The time until the next look after one that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// The keys that sign access tokens.
#[derive(Debug)]
pub(crate) struct SigningKeys {
    place: Place,
    schedule: Schedule,
    ring: ArcSwap<Ring>,
    /// Notified when there is another ring.
    turned: Notify,
}

/// Where the ring is.
#[derive(Debug)]
enum Place {
    File(PathBuf),
    Shared(SharedRing),
}

impl SigningKeys {
    /// The ring in `directory`, which is made with one key if there is none.
    ///
    /// # Errors
    /// The file cannot be used or made.
    pub(crate) fn open(
        directory: &Path,
        schedule: Schedule,
        now: UnixTime,
    ) -> Result<Self, KeyFileError> {
        let file = directory.join(NAME);
        let ring = open_ring(&file, &schedule, now).map_err(|problem| problem.at(&file))?;
        Ok(Self {
            place: Place::File(file),
            schedule,
            ring: ArcSwap::from_pointee(ring),
            turned: Notify::new(),
        })
    }

    /// The ring in a store that several processes share, which is made with one key if there is none.
    ///
    /// # Errors
    /// The store cannot be used, or the ring there cannot be read.
    pub(crate) async fn open_shared(
        place: SharedRing,
        schedule: Schedule,
        now: UnixTime,
    ) -> Result<Self, ServerError> {
        let ring = place.turn(None, &schedule, now).await?;
        Ok(Self {
            place: Place::Shared(place),
            schedule,
            ring: ArcSwap::from_pointee(ring),
            turned: Notify::new(),
        })
    }

    /// The keys that seal a shared ring from now on.
    pub(crate) fn seal_with(&self, keys: Arc<ServerKeys>) {
        if let Place::Shared(place) = &self.place {
            place.seal_with(keys);
        }
    }

    /// The ring at the moment.
    pub(crate) fn ring(&self) -> Arc<Ring> {
        self.ring.load_full()
    }

    /// Returns when there was another ring since it returned last. One waits.
    pub(crate) async fn changed(&self) {
        self.turned.notified().await;
    }

    /// Reads the ring again, adds and retires what is due. When to look next.
    ///
    /// # Errors
    /// The ring cannot be read or written: it stays as it is.
    pub(crate) async fn turn(self: &Arc<Self>, now: UnixTime) -> Result<UnixTime, ServerError> {
        let turned = match &self.place {
            Place::Shared(place) => place.turn(Some(&self.ring()), &self.schedule, now).await?,
            Place::File(_) => {
                let keys = self.clone();
                // Making a key of RSA takes a while.
                let turned = tokio::task::spawn_blocking(move || keys.turn_file(now)).await;
                turned.map_err(std::io::Error::other)??
            }
        };
        let next = turned.next(&self.schedule);
        if !turned.is_same(&self.ring()) {
            self.ring.store(Arc::new(turned));
            self.turned.notify_one();
        }
        Ok(match self.place {
            Place::Shared(_) => next.min(now.plus(LOOK_AT_SHARED)),
            Place::File(_) => next,
        })
    }

    /// Keeps the schedule until the future is dropped.
    pub(crate) async fn keep(self: Arc<Self>) {
        loop {
            let now = clock::now();
            let pause = match self.turn(now).await {
                Ok(next) => next.since(now).clamp(LOOKS.0, LOOKS.1),
                Err(error) => {
                    tracing::error!("signing keys cannot be rotated: {error}");
                    AFTER_FAILURE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// The ring of the file, when what is due has been done. Only the process that has the store does this.
    fn turn_file(&self, now: UnixTime) -> Result<Ring, KeyFileError> {
        match &self.place {
            Place::File(file) => self.turned(file, now).map_err(|problem| problem.at(file)),
            Place::Shared(_) => Ok((*self.ring()).clone()),
        }
    }

    fn turned(&self, file: &Path, now: UnixTime) -> Result<Ring, KeyFileProblem> {
        let ring = open_ring(file, &self.schedule, now)?;
        let due = ring.due(&self.schedule, now);
        if due.new_key.is_none() && due.retired.is_empty() {
            return Ok(ring);
        }
        let turned = turned(&ring, &due, &self.schedule, now)?;
        private_file::replace(file, turned.to_text().expose().as_bytes())?;
        Ok(turned)
    }
}

fn open_ring(file: &Path, schedule: &Schedule, now: UnixTime) -> Result<Ring, KeyFileProblem> {
    if let Some(ring) = read_ring(file)? {
        return Ok(ring);
    }
    let ring = Ring::new(new_key(schedule.algorithm)?, now);
    private_file::make(file, ring.to_text().expose().as_bytes())?;
    // Another process may have been first.
    Ok(read_ring(file)?.unwrap_or(ring))
}

fn read_ring(file: &Path) -> Result<Option<Ring>, KeyFileProblem> {
    let Some(content) = private_file::read(file, MadeBy::Server)? else {
        return Ok(None);
    };
    let text = Secret::new(String::from_utf8_lossy(&content));
    Ok(Some(Ring::from_text(&text)?))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt,
    };

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

    fn at(seconds: i64) -> UnixTime {
        UnixTime::new(seconds)
    }

    fn ids(keys: &SigningKeys) -> Vec<String> {
        let ring = keys.ring();
        ring.published().map(|key| key.id().to_owned()).collect()
    }

    #[test]
    fn keys_of_every_algorithm_are_made_once_and_kept() {
        for algorithm in [
            SigningAlgorithm::Es256,
            SigningAlgorithm::EdDsa,
            SigningAlgorithm::Rs256,
        ] {
            let folder = tempfile::tempdir().unwrap();
            let open = || SigningKeys::open(folder.path(), schedule(algorithm), at(0)).unwrap();
            let (first, second) = (open(), open());
            assert_eq!(ids(&first), ids(&second));
            let signed = first.ring().signer(at(0)).sign(b"{}").unwrap();
            assert_eq!(second.ring().open(signed.expose()).unwrap(), b"{}");
            let mode = fs::metadata(folder.path().join(NAME)).unwrap();
            assert_eq!(mode.permissions().mode() & 0o7777, 0o600);
        }
    }

    #[tokio::test]
    async fn a_key_is_published_then_signs_then_its_predecessor_leaves_across_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let schedule = schedule(SigningAlgorithm::Es256);
        let open = |now| SigningKeys::open(folder.path(), schedule, at(now)).unwrap();
        let keys = Arc::new(open(0));
        let first = ids(&keys);
        assert_eq!(keys.turn(at(HOUR)).await.unwrap(), at(98 * HOUR));
        assert_eq!(ids(&keys), first);
        keys.turn(at(98 * HOUR)).await.unwrap();
        let both = ids(&keys);
        assert_eq!(both.len(), 2);
        let keys = Arc::new(open(99 * HOUR));
        assert_eq!(ids(&keys), both);
        let signer = |now| keys.ring().signer(at(now)).id().to_owned();
        assert_eq!(
            (signer(99 * HOUR), signer(100 * HOUR)),
            (both[0].clone(), both[1].clone())
        );
        // Another process that has the store now does the next step; this one reads what it did.
        let other = Arc::new(open(99 * HOUR));
        other.turn(at(102 * HOUR)).await.unwrap();
        keys.turn(at(102 * HOUR)).await.unwrap();
        assert_eq!(ids(&keys), both[1..]);
    }

    #[tokio::test]
    async fn a_ring_that_cannot_be_used_is_refused_and_the_one_in_use_stays() {
        let folder = tempfile::tempdir().unwrap();
        let schedule = schedule(SigningAlgorithm::Es256);
        let keys = Arc::new(SigningKeys::open(folder.path(), schedule, at(0)).unwrap());
        let before = ids(&keys);
        let file = folder.path().join(NAME);
        let good = fs::read(&file).unwrap();
        let open = || SigningKeys::open(folder.path(), schedule, at(0));
        for bad in [&b""[..], b"{}", &good[..good.len() / 2], &[0xff; 100]] {
            fs::write(&file, bad).unwrap();
            assert!(open().unwrap_err().to_string().contains(NAME));
            assert!(keys.turn(at(98 * HOUR)).await.is_err());
            assert_eq!(ids(&keys), before);
            assert_eq!(fs::read(&file).unwrap(), bad, "nothing is overwritten");
        }
        fs::write(&file, &good).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        assert!(open().unwrap_err().to_string().contains("has mode 0640"));
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        assert!(open().is_ok());
    }

    #[tokio::test]
    async fn the_task_does_what_is_due() {
        let folder = tempfile::tempdir().unwrap();
        let schedule = schedule(SigningAlgorithm::EdDsa);
        let long_ago = clock::now().minus(Duration::from_secs(99 * 3600));
        let keys = Arc::new(SigningKeys::open(folder.path(), schedule, long_ago).unwrap());
        let task = tokio::spawn(keys.clone().keep());
        tokio::time::timeout(Duration::from_secs(60), keys.changed())
            .await
            .unwrap();
        assert_eq!(ids(&keys).len(), 2);
        task.abort();
    }
}

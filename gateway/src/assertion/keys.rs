//! The keys that sign assertions: those of the files (`assertions.key_files`), or one that is made at the start and kept in memory.
//!
//! Every key is published from the moment it is read. A new one signs only after it was published for `assertions.publish_before`,
//! so that every cache of the key set has it; until then an older one signs. A process that starts knows no earlier time: it signs
//! with the oldest of its keys first, which is published everywhere.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use mcp_gateway_core::{time::UnixTime, token::assertion::claims::TYPE};
use mcp_gateway_oauth::{
    keys::{
        ring::{Ring, Schedule},
        signing_key::{SigningAlgorithm, SigningKey, SigningKeyError},
    },
    secret::Secret,
};
use serde_json::json;
use thiserror::Error;

use crate::{
    config::{
        Assertions,
        files::{self, FileError},
    },
    new_key::{NewKeyError, new_key},
};

/// Why there are no keys.
#[derive(Debug, Error)]
pub(crate) enum AssertionKeysError {
    #[error("the assertion key {} (assertions.key_files) {error}", path.display())]
    File { path: PathBuf, error: FileError },
    #[error("cannot create the assertion key: {0}")]
    New(#[from] NewKeyError),
}

/// The keys that sign assertions.
#[derive(Debug)]
pub(crate) struct AssertionKeys {
    ring: Ring,
    has_new_key: bool,
    /// The public keys (RFC 7517 §5), as they are served.
    jwk_set: Bytes,
}

impl AssertionKeys {
    /// `previous`, if its keys and their times are the same; else the current keys of the files, each with the time since which
    /// `previous` has published it. A key that was made at the start stays as long as there are no files.
    ///
    /// # Errors
    /// A file cannot be used any more, or there is no new key.
    pub(crate) fn reuse_or_new(
        previous: Option<&Arc<Self>>,
        configured: &Assertions,
        now: UnixTime,
    ) -> Result<Arc<Self>, AssertionKeysError> {
        let has_new_key = configured.key_files.is_empty();
        let previous = previous.filter(|previous| previous.has_new_key == has_new_key);
        if let Some(previous) = previous.filter(|_| has_new_key) {
            return Ok(previous.clone());
        }
        let known = previous.map(|previous| &previous.ring);
        let ring = current_ring(configured, known, now)?;
        if let Some(previous) = previous.filter(|previous| previous.ring.is_same(&ring)) {
            return Ok(previous.clone());
        }
        log_new(&ring, known);
        let jwk_set = ring.jwk_set().to_string().into();
        Ok(Arc::new(Self {
            ring,
            has_new_key,
            jwk_set,
        }))
    }

    /// The public keys as a JWK set.
    pub(crate) const fn jwk_set(&self) -> &Bytes {
        &self.jwk_set
    }

    /// A signed assertion of these claims.
    ///
    /// # Errors
    /// The library did not sign.
    pub(super) fn sign(&self, claims: &str, now: UnixTime) -> Result<Secret, SigningKeyError> {
        let key = self.ring.signer(now);
        let header = json!({ "alg": key.algorithm().name(), "kid": key.id(), "typ": TYPE });
        key.sign_with(&header, claims.as_bytes())
    }
}

/// The keys of the files in the order in which they sign: the oldest first, which signs at once. Without files, a new key.
fn current_ring(
    configured: &Assertions,
    known: Option<&Ring>,
    now: UnixTime,
) -> Result<Ring, AssertionKeysError> {
    let schedule = Schedule {
        publish_before: configured.publish_before,
        ..Schedule::default()
    };
    let mut ring: Option<Ring> = None;
    for path in configured.key_files.iter().rev() {
        let key = read_key(path)?;
        let since = known.and_then(|known| known.published_since(key.id()));
        let since = since.unwrap_or(now);
        ring = Some(match ring {
            None => Ring::new(key, since),
            Some(ring) => ring.add(key, &schedule, since),
        });
    }
    match ring {
        Some(ring) => Ok(ring),
        None => Ok(Ring::new(new_key(SigningAlgorithm::Es256)?, now)),
    }
}

fn read_key(path: &Path) -> Result<SigningKey, AssertionKeysError> {
    files::assertion_key(path).map_err(|error| AssertionKeysError::File {
        path: path.to_owned(),
        error,
    })
}

/// Logs the keys that were not published before.
fn log_new(ring: &Ring, known: Option<&Ring>) {
    for key in ring.published() {
        let (kid, alg) = (key.id(), key.algorithm().name());
        if known.is_none_or(|known| known.published_since(kid).is_none()) {
            tracing::info!(kid, alg, "assertion key published");
        }
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// Keys with one that was made now.
    pub(in crate::assertion) fn keys() -> Arc<AssertionKeys> {
        AssertionKeys::reuse_or_new(None, &Assertions::default(), UnixTime::new(0)).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt,
        time::Duration,
    };

    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use serde_json::Value;

    use super::*;

    /// A folder with key files, and their keys' ids.
    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        /// A file with a new key, and its id.
        fn key(&self, name: &str, algorithm: SigningAlgorithm) -> (PathBuf, String) {
            let key = new_key(algorithm).unwrap();
            let path = self.0.path().join(name);
            let der = BASE64_STANDARD.decode(key.private().expose()).unwrap();
            let pem = format!(
                "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
                BASE64_STANDARD.encode(der)
            );
            fs::write(&path, pem).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            (path, key.id().to_owned())
        }
    }

    fn configured(files: &[&PathBuf]) -> Assertions {
        Assertions {
            key_files: files.iter().map(|path| (*path).clone()).collect(),
            publish_before: Duration::from_secs(900),
        }
    }

    fn at(seconds: i64) -> UnixTime {
        UnixTime::new(seconds)
    }

    fn signer(keys: &AssertionKeys, now: i64) -> String {
        keys.ring.signer(at(now)).id().to_owned()
    }

    fn published(keys: &AssertionKeys) -> Vec<String> {
        let set: Value = serde_json::from_slice(keys.jwk_set()).unwrap();
        let ids = set["keys"].as_array().unwrap().iter();
        ids.map(|jwk| jwk["kid"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_new_key_is_published_before_it_signs() {
        let folder = Folder::new();
        let (old, old_id) = folder.key("old.pem", SigningAlgorithm::Es256);
        let (new, new_id) = folder.key("new.pem", SigningAlgorithm::EdDsa);
        let of = |previous, files: &[&PathBuf], now| {
            AssertionKeys::reuse_or_new(previous, &configured(files), at(now)).unwrap()
        };
        let first = of(None, &[&old], 0);
        assert_eq!(signer(&first, 0), old_id);
        let both = of(Some(&first), &[&new, &old], 1000);
        assert_eq!(published(&both), [old_id.clone(), new_id.clone()]);
        assert_eq!(signer(&both, 1899), old_id);
        assert_eq!(signer(&both, 1900), new_id);
        // A reload without a change does not begin again.
        let again = of(Some(&both), &[&new, &old], 1500);
        assert!(Arc::ptr_eq(&both, &again));
        // The old one leaves; the new one signs at once.
        let rest = of(Some(&both), &[&new], 3000);
        assert_eq!(
            (signer(&rest, 3000), published(&rest)),
            (new_id.clone(), vec![new_id.clone()])
        );
        // A process that starts with both signs with the one that is published everywhere.
        let restarted = of(None, &[&new, &old], 5000);
        assert_eq!(signer(&restarted, 5000), old_id);
        assert_eq!(signer(&restarted, 5900), new_id);
    }

    #[test]
    fn the_newest_of_several_signs_and_a_key_file_without_a_key_is_named() {
        let folder = Folder::new();
        let (one, _) = folder.key("1.pem", SigningAlgorithm::Es256);
        let (two, _) = folder.key("2.pem", SigningAlgorithm::Es256);
        let (three, three_id) = folder.key("3.pem", SigningAlgorithm::Es256);
        let configured = configured(&[&three, &two, &one]);
        let keys = AssertionKeys::reuse_or_new(None, &configured, at(0)).unwrap();
        assert_eq!(signer(&keys, 900), three_id);
        assert_eq!(published(&keys).len(), 3);
        fs::write(&two, "none").unwrap();
        let error = AssertionKeys::reuse_or_new(Some(&keys), &configured, at(0)).unwrap_err();
        assert!(
            error.to_string().contains("2.pem (assertions.key_files)"),
            "{error}"
        );
        let (rsa, _) = folder.key("rsa.pem", SigningAlgorithm::Rs256);
        let error = files::assertion_key(&rsa).unwrap_err();
        assert!(matches!(error, FileError::NotAnAssertionKey), "{error}");
    }

    #[test]
    fn a_key_that_was_made_stays_until_there_are_files() {
        let made = testing::keys();
        let default = Assertions::default();
        let again = AssertionKeys::reuse_or_new(Some(&made), &default, at(9000)).unwrap();
        assert!(Arc::ptr_eq(&made, &again));
        let folder = Folder::new();
        let (file, id) = folder.key("key.pem", SigningAlgorithm::Es256);
        let read = AssertionKeys::reuse_or_new(Some(&made), &configured(&[&file]), at(9000));
        assert_eq!(published(&read.unwrap()), [id]);
        let jwk_set: Value = serde_json::from_slice(made.jwk_set()).unwrap();
        assert!(jwk_set["keys"][0].get("d").is_none());
    }
}

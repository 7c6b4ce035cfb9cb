//! The sealer of session ids, task ids and request states, with the configured keys (`sessions.key_files`) or a random one.

use std::{path::PathBuf, sync::Arc};

use mcp_gateway_core::seal::Sealer;

use super::error::SnapshotError;
use crate::config::files;

/// A sealer, and whether its key is random.
#[derive(Clone, Debug)]
pub(crate) struct ConfiguredSealer {
    sealer: Arc<Sealer>,
    has_random_key: bool,
}

impl ConfiguredSealer {
    /// `previous`, if its key is random and stays random: no session ends because of another change. Else a sealer with the
    /// current keys of the files.
    ///
    /// # Errors
    /// A key file cannot be used, or the system has no randomness for a key.
    pub(crate) fn reuse_or_new(
        previous: Option<&Self>,
        key_files: &[PathBuf],
    ) -> Result<Self, SnapshotError> {
        let has_random_key = key_files.is_empty();
        let reusable = previous.filter(|previous| previous.has_random_key && has_random_key);
        match reusable {
            Some(previous) => Ok(previous.clone()),
            None => Ok(Self {
                sealer: Arc::new(read_keys(key_files)?),
                has_random_key,
            }),
        }
    }

    /// The sealer.
    pub(crate) const fn sealer(&self) -> &Arc<Sealer> {
        &self.sealer
    }
}

fn read_keys(key_files: &[PathBuf]) -> Result<Sealer, SnapshotError> {
    let keys = key_files.iter().map(|path| {
        files::sealing_key(path).map_err(|error| SnapshotError::SessionKey {
            path: path.clone(),
            error,
        })
    });
    Ok(Sealer::new(keys.collect::<Result<_, _>>()?)?)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn only_a_random_key_that_stays_random_is_reused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("session.key");
        fs::write(&file, [7; 32]).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let (random, from_file) = (&[][..], &[file][..]);
        for (old_files, new_files, expected) in [
            (random, random, true),
            (random, from_file, false),
            (from_file, random, false),
            // The file is read again: it may hold another key.
            (from_file, from_file, false),
        ] {
            let old = ConfiguredSealer::reuse_or_new(None, old_files).unwrap();
            let new = ConfiguredSealer::reuse_or_new(Some(&old), new_files).unwrap();
            let is_reused = Arc::ptr_eq(old.sealer(), new.sealer());
            assert_eq!(is_reused, expected, "{old_files:?} {new_files:?}");
        }
    }
}

//! The public keys of the gateway (RFC 7517 §5), read when a key is asked for that is not known, and again after a while.

use std::{
    convert::Infallible,
    path::PathBuf,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use jsonwebtoken::jwk::{Jwk, JwkSet};
use tokio::sync::Mutex;

/// How long keys are used before they are read again: the gateway publishes a new key longer than that before it signs.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);
/// How long to wait between two readings, whatever keys are asked for.
const PAUSE: Duration = Duration::from_secs(1);
/// Deadline of one reading.
const DEADLINE: Duration = Duration::from_secs(5);
/// The largest key set, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Where the keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// At a URL of the gateway.
    Url(String),
    /// In a file.
    File(PathBuf),
}

impl FromStr for KeySource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let is_url = text.starts_with("https://") || text.starts_with("http://");
        Ok(match is_url {
            true => Self::Url(text.to_owned()),
            false => Self::File(text.into()),
        })
    }
}

/// Why the keys cannot be read.
#[derive(Debug, thiserror::Error)]
enum KeysError {
    #[error("{0}")]
    Fetch(#[from] reqwest::Error),
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error("status {0}")]
    Status(reqwest::StatusCode),
    #[error("larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("not a JWK set: {0}")]
    NotASet(#[from] serde_json::Error),
}

/// The keys, as they were read last.
#[derive(Debug)]
pub(super) struct Keys {
    source: KeySource,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    keys: Arc<[Jwk]>,
    /// When they were read.
    since: Option<Instant>,
    /// When it was last tried.
    tried: Option<Instant>,
}

impl Known {
    fn find(&self, id: &str) -> Option<Jwk> {
        let mut keys = self.keys.iter();
        keys.find(|key| key.common.key_id.as_deref() == Some(id))
            .cloned()
    }
}

fn is_within(time: Option<Instant>, duration: Duration) -> bool {
    time.is_some_and(|time| time.elapsed() < duration)
}

impl Keys {
    pub(super) fn new(source: KeySource) -> Self {
        Self {
            source,
            known: Mutex::default(),
        }
    }

    /// The key with this id. Calls that come at the same time wait for one reading.
    pub(super) async fn find(&self, id: &str) -> Option<Jwk> {
        let mut known = self.known.lock().await;
        let found = known.find(id);
        let is_settled = found.is_some() && is_within(known.since, MAX_AGE);
        if is_settled || is_within(known.tried, PAUSE) {
            return found;
        }
        known.tried = Some(Instant::now());
        match self.read().await {
            Ok(set) => {
                known.keys = set.keys.into();
                known.since = Some(Instant::now());
            }
            Err(error) => tracing::warn!(%error, "the keys of the gateway cannot be read"),
        }
        known.find(id)
    }

    async fn read(&self) -> Result<JwkSet, KeysError> {
        let bytes = match &self.source {
            KeySource::File(path) => tokio::fs::read(path).await?,
            KeySource::Url(url) => fetch(url).await?,
        };
        match bytes.len() > MAX_BYTES {
            true => Err(KeysError::TooLarge),
            false => Ok(serde_json::from_slice(&bytes)?),
        }
    }
}

async fn fetch(url: &str) -> Result<Vec<u8>, KeysError> {
    let client = reqwest::Client::builder()
        .timeout(DEADLINE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?;
    let mut response = client.get(url).send().await?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(KeysError::Status(response.status()));
    }
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await? {
        if bytes.len() + piece.len() > MAX_BYTES {
            return Err(KeysError::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use test_support::{Key, key_set};

    use super::*;

    #[test]
    fn a_source_is_a_url_or_a_file() {
        for (text, expected) in [
            (
                "https://a.example/keys",
                KeySource::Url("https://a.example/keys".to_owned()),
            ),
            (
                "http://127.0.0.1:1/keys",
                KeySource::Url("http://127.0.0.1:1/keys".to_owned()),
            ),
            ("keys.json", KeySource::File("keys.json".into())),
            ("/https:/keys", KeySource::File("/https:/keys".into())),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[tokio::test]
    async fn an_unknown_key_is_looked_for_again_and_known_ones_survive_a_broken_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.json");
        let (one, two) = (Key::es256("one"), Key::eddsa("two"));
        std::fs::write(&file, key_set(&[&one]).to_string()).unwrap();
        let keys = Keys::new(KeySource::File(file.clone()));
        assert!(keys.find("one").await.is_some());
        let later = async || keys.known.lock().await.tried = None;
        std::fs::write(&file, key_set(&[&two]).to_string()).unwrap();
        assert!(keys.find("two").await.is_none(), "within the pause");
        later().await;
        assert!(keys.find("two").await.is_some());
        assert!(keys.find("one").await.is_none(), "it was withdrawn");
        for broken in ["", "{}", &"x".repeat(MAX_BYTES + 1)] {
            std::fs::write(&file, broken).unwrap();
            later().await;
            assert!(keys.find("one").await.is_none());
            assert!(keys.find("two").await.is_some(), "{} bytes", broken.len());
        }
    }
}

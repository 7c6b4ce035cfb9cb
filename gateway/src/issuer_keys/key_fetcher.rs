//! Fetches the key set of one issuer from where the configuration says it is: a file, a URI, or where discovery finds it.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use mcp_gateway_core::token::key_set::{KeySet, ParsedKeySet};
use tokio::time::timeout;

use super::discovery;
use crate::{
    config::{Issuer, Jwks, KeySource, files},
    fetch::client::{FetchError, Fetcher},
};

/// What the key set of one issuer is fetched with.
#[derive(Debug)]
pub(crate) struct KeyFetcher {
    /// None where the keys come from a file.
    client: Option<Fetcher>,
    /// The `jwks_uri` that discovery found last.
    discovered: Mutex<Option<String>>,
}

impl KeyFetcher {
    /// For `issuer`, which is given at each fetch again.
    ///
    /// # Errors
    /// The issuer's CA file cannot be used.
    pub(crate) fn new(issuer: &Issuer, settings: Jwks) -> Result<Self, FetchError> {
        let client = match issuer.keys {
            KeySource::File(_) => None,
            KeySource::Discovery | KeySource::Uri(_) => Some(Fetcher::new(
                issuer.ca_file.as_deref(),
                issuer.allow_http,
                settings.fetch,
                settings.bytes,
            )?),
        };
        Ok(Self {
            client,
            discovered: Mutex::default(),
        })
    }

    /// The same client with the limits of `settings`; discovery begins anew.
    pub(crate) fn with_settings(&self, settings: Jwks) -> Self {
        let client = self.client.as_ref();
        Self {
            client: client.map(|client| client.within(settings.fetch, settings.bytes)),
            discovered: Mutex::default(),
        }
    }

    /// Fetches the key set once, under one `deadline` for all requests that this takes. A set that was fetched may have no
    /// usable key.
    ///
    /// # Errors
    /// No key set could be fetched or read, or not in time.
    pub(crate) async fn fetch(
        &self,
        issuer: &Issuer,
        deadline: Duration,
    ) -> Result<ParsedKeySet, FetchError> {
        timeout(deadline, self.key_set(issuer))
            .await
            .unwrap_or(Err(FetchError::Deadline(deadline)))
    }

    /// Lets the next fetch begin with discovery.
    pub(crate) fn forget_discovered(&self) {
        *self.lock_discovered() = None;
    }

    async fn key_set(&self, issuer: &Issuer) -> Result<ParsedKeySet, FetchError> {
        let body = match (&issuer.keys, &self.client) {
            (KeySource::File(path), _) => return read_file(path),
            (KeySource::Uri(uri), Some(client)) => client.get(uri).await?,
            (KeySource::Discovery, Some(client)) => self.discover(client, issuer).await?,
            (_, None) => {
                return Err(FetchError::Document(
                    "no HTTP client for this issuer".into(),
                ));
            }
        };
        KeySet::parse(&body)
            .map_err(|error| FetchError::Document(format!("invalid key set: {error}")))
    }

    /// Asks for the key set where discovery found it, last time or now.
    async fn discover(&self, client: &Fetcher, issuer: &Issuer) -> Result<Bytes, FetchError> {
        let known = self.lock_discovered().clone();
        let uri = match known {
            Some(uri) => uri,
            None => discovery::jwks_uri(client, &issuer.issuer).await?,
        };
        *self.lock_discovered() = Some(uri.clone());
        client.get(&uri).await
    }

    fn lock_discovered(&self) -> MutexGuard<'_, Option<String>> {
        self.discovered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_file(path: &Path) -> Result<ParsedKeySet, FetchError> {
    files::key_set(path)
        .map_err(|error| FetchError::Document(format!("{} {error}", path.display())))
}

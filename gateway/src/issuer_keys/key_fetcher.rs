//! Fetches the key set of one issuer from its configured source: a file, a URI, or discovery.

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
    fetch::{
        client::Fetcher,
        error::{FetchError, Via},
    },
};

/// The HTTP client for one issuer's key set, and the result of discovery.
#[derive(Debug)]
pub(crate) struct KeyFetcher {
    /// None where the keys are in a file, or published in this process.
    client: Option<Fetcher>,
    /// The `jwks_uri` that discovery last returned.
    discovered: Mutex<Option<String>>,
}

impl KeyFetcher {
    /// A fetcher for `issuer`, which is passed again at each fetch.
    ///
    /// # Errors
    /// The issuer's CA file cannot be used.
    pub(crate) fn new(issuer: &Issuer, settings: Jwks) -> Result<Self, FetchError> {
        let client = match issuer.keys {
            KeySource::File(_) | KeySource::BuiltIn | KeySource::Introspection => None,
            KeySource::Discovery | KeySource::Uri(_) => Some(Fetcher::new(issuer, settings)?),
        };
        Ok(Self {
            client,
            discovered: Mutex::default(),
        })
    }

    /// The same client with the limits of `settings`; discovery starts again.
    pub(crate) fn with_settings(&self, settings: Jwks) -> Self {
        let client = self.client.as_ref();
        Self {
            client: client.map(|client| client.within(settings.fetch, settings.bytes)),
            discovered: Mutex::default(),
        }
    }

    /// Fetches the key set once, with one `deadline` for all requests that this needs. The set may have no usable key.
    ///
    /// # Errors
    /// The key set could not be fetched or parsed, or not in time.
    pub(crate) async fn fetch(
        &self,
        issuer: &Issuer,
        deadline: Duration,
    ) -> Result<ParsedKeySet, FetchError> {
        timeout(deadline, self.key_set(issuer))
            .await
            .unwrap_or_else(|_| Err(self.late(deadline)))
    }

    /// What may help an operator with `error`.
    pub(crate) fn hint(&self, error: &FetchError) -> Option<String> {
        self.client.as_ref().and_then(|client| client.hint(error))
    }

    fn late(&self, deadline: Duration) -> FetchError {
        match &self.client {
            Some(client) => client.late(deadline),
            None => FetchError::Deadline(deadline, Via::default()),
        }
    }

    /// Starts the next fetch with discovery.
    pub(crate) fn forget_discovered(&self) {
        *self.lock_discovered() = None;
    }

    async fn key_set(&self, issuer: &Issuer) -> Result<ParsedKeySet, FetchError> {
        let body = match (&issuer.keys, &self.client) {
            (KeySource::File(path), _) => return read_file(path),
            (KeySource::Uri(uri), Some(client)) => client.get(uri).await?,
            (KeySource::Discovery, Some(client)) => self.discover(client, issuer).await?,
            (KeySource::BuiltIn | KeySource::Introspection, _) | (_, None) => {
                return Err(FetchError::Document(
                    "no HTTP client for this issuer".into(),
                ));
            }
        };
        KeySet::parse(&body)
            .map_err(|error| FetchError::Document(format!("invalid key set: {error}")))
    }

    /// Fetches the key set from the `jwks_uri` of discovery, stored or new.
    async fn discover(&self, client: &Fetcher, issuer: &Issuer) -> Result<Bytes, FetchError> {
        let known = self.lock_discovered().clone();
        let uri = match known {
            Some(uri) => uri,
            None => discovery::jwks_uri(client, &issuer.issuer).await?,
        };
        client.check_found(&uri, &issuer.issuer)?;
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

//! What clients publish: their Client ID Metadata Documents and their key sets (`jwks_uri`). Strangers choose the URLs.
//!
//! [`Documents`] keeps what was fetched: of each kind a [`shelf`], which is a [`cache`] of bounded shares and the fetches that are
//! being made. [`budget`] says how many there may be, [`freshness`] how long a document is used, [`fault`] why there is none.
//!
//! What was fetched before serves while its server is silent, then a copy that is shipped with the program. A document that is
//! wrong is not kept, and ends what was kept of its URL: its owner has spoken.

pub(crate) mod budget;
pub(crate) mod cache;
pub(crate) mod fault;
pub(crate) mod freshness;
mod shelf;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mcp_gateway_core::{http::outbound::foreign_url::ForeignUrl, token::key_set::KeySet};
use mcp_gateway_oauth::{
    client::{
        document::{self, DocumentUrl, Freshness},
        model::Client,
        shipped,
    },
    redirect_uri::RedirectRules,
};

use self::{
    budget::{Budget, FetchShares},
    cache::CacheShares,
    fault::DocumentFault,
    freshness::{Bounds, lifetime},
    shelf::{Read, Shelf},
};
use crate::{
    clock,
    fetch::foreign::{Document, ForeignClient},
    telemetry::log_interval::LogInterval,
};

const MINUTE: Duration = Duration::from_secs(60);

/// Between two log lines about documents that were not fetched.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The limits of what is fetched and kept. They are not configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DocumentLimits {
    /// Metadata documents that are kept.
    pub(crate) clients: CacheShares,
    /// How long they are used.
    pub(crate) client_bounds: Bounds,
    /// Key sets that are kept.
    pub(crate) keys: CacheShares,
    /// How long they are used. A key that its owner removed is refused soon.
    pub(crate) key_bounds: Bounds,
    /// The shortest time between two fetches of a key set for assertions that name a key which is not in it.
    pub(crate) unknown_key: Duration,
    /// How long a URL that could not be fetched is not asked again.
    pub(crate) rest: Duration,
    /// How often documents are fetched.
    pub(crate) fetches: FetchShares,
}

impl Default for DocumentLimits {
    fn default() -> Self {
        let bounds = |unsaid: u32, most: u32| {
            let [unsaid, most] = [unsaid, most].map(|minutes| MINUTE.saturating_mul(minutes));
            let least = MINUTE;
            Bounds {
                fresh: Freshness {
                    least,
                    most,
                    unsaid,
                },
                stale: most,
            }
        };
        Self {
            clients: CacheShares::default(),
            client_bounds: bounds(60, 24 * 60),
            keys: CacheShares::default(),
            key_bounds: bounds(15, 60),
            unknown_key: Duration::from_secs(30),
            rest: Duration::from_secs(10),
            fetches: FetchShares::default(),
        }
    }
}

/// What the operator says of documents.
pub(crate) struct DocumentRules {
    /// Which redirect URIs are allowed.
    pub(crate) redirects: RedirectRules,
    /// Whether copies that are shipped with the program are used (`metadata_documents.shipped`).
    pub(crate) shipped: bool,
}

/// The documents of clients.
pub(crate) struct Documents {
    rules: DocumentRules,
    limits: DocumentLimits,
    /// None where nothing is fetched (`metadata_documents.fetch`).
    source: Option<ForeignClient>,
    budget: Budget,
    clients: Shelf<Client>,
    keys: Shelf<KeySet>,
    spent: LogInterval,
}

impl Documents {
    /// Documents that `source` fetches.
    pub(crate) fn new(
        rules: DocumentRules,
        source: Option<ForeignClient>,
        limits: DocumentLimits,
    ) -> Self {
        Self {
            rules,
            limits,
            source,
            budget: Budget::new(limits.fetches),
            clients: Shelf::new(limits.clients, limits.rest),
            keys: Shelf::new(limits.keys, limits.rest),
            spent: LogInterval::every(LOG_INTERVAL),
        }
    }

    /// The client whose id is this URL.
    ///
    /// # Errors
    /// [`DocumentFault`]: the document is not valid, or cannot be fetched at the moment.
    pub(crate) async fn client(&self, url: &DocumentUrl) -> Result<Arc<Client>, DocumentFault> {
        let foreign = ForeignUrl::parse(url.as_str())?;
        let fetch = self.fetch_client(&foreign, url);
        match self.clients.get(&foreign, None, fetch).await {
            Ok(kept) => Ok(kept.value),
            Err(fault) if fault.is_silence() => self.shipped(url).ok_or(fault),
            Err(fault) => Err(fault),
        }
    }

    /// The key set at this URL.
    ///
    /// # Errors
    /// [`DocumentFault`]: the key set is not valid, or cannot be fetched at the moment.
    pub(crate) async fn keys(&self, jwks_uri: &str) -> Result<Arc<KeySet>, DocumentFault> {
        self.keys_since(jwks_uri, None).await
    }

    /// The key set at this URL, for an assertion that no key of the kept set verifies: it is fetched again if that was not done for a
    /// while ([`DocumentLimits::unknown_key`]). What cannot be fetched again stays as it is.
    ///
    /// # Errors
    /// As for [`keys`](Self::keys).
    pub(crate) async fn newer_keys(&self, jwks_uri: &str) -> Result<Arc<KeySet>, DocumentFault> {
        let youngest = Instant::now().checked_sub(self.limits.unknown_key);
        self.keys_since(jwks_uri, youngest).await
    }

    async fn keys_since(
        &self,
        jwks_uri: &str,
        youngest: Option<Instant>,
    ) -> Result<Arc<KeySet>, DocumentFault> {
        let url = ForeignUrl::parse(jwks_uri)?;
        let kept = self.keys.get(&url, youngest, self.fetch_keys(&url)).await;
        Ok(kept?.value)
    }

    fn shipped(&self, url: &DocumentUrl) -> Option<Arc<Client>> {
        let found = || shipped::find(url, &self.rules.redirects);
        self.rules.shipped.then(found)?.map(Arc::new)
    }

    async fn fetch_client(
        &self,
        url: &ForeignUrl,
        document_url: &DocumentUrl,
    ) -> Result<Read<Client>, DocumentFault> {
        let fetched = self.fetch(url).await?;
        let judged = document::judge(document_url, &fetched.body, &self.rules.redirects);
        let client = judged.map_err(|error| self.noted(url, error.into()))?;
        Ok(read(client, &fetched, &self.limits.client_bounds))
    }

    async fn fetch_keys(&self, url: &ForeignUrl) -> Result<Read<KeySet>, DocumentFault> {
        let fetched = self.fetch(url).await?;
        match KeySet::parse(&fetched.body) {
            Ok(parsed) if !parsed.keys.is_empty() => {
                Ok(read(parsed.keys, &fetched, &self.limits.key_bounds))
            }
            Ok(_) => Err(self.noted(url, DocumentFault::NoKeys)),
            Err(error) => Err(self.noted(url, error.into())),
        }
    }

    async fn fetch(&self, url: &ForeignUrl) -> Result<Document, DocumentFault> {
        let source = self.source.as_ref().ok_or(DocumentFault::Off)?;
        let slot = self.budget.take(url.site(), Instant::now());
        let _slot = slot.map_err(|spent| self.noted(url, spent.into()))?;
        let document = source.get(url).await;
        document.map_err(|error| self.noted(url, error.into()))
    }

    /// Logs why there is no document: the one place where that can be learned.
    fn noted(&self, url: &ForeignUrl, fault: DocumentFault) -> DocumentFault {
        let (url, reason) = (url.as_str(), fault.label());
        if let DocumentFault::Spent(_) = fault {
            // Nothing bounds how often requests are refused so.
            if let Some(count) = self.spent.count_due() {
                tracing::warn!(
                    url,
                    reason,
                    count,
                    "a client's document was not fetched: {fault}"
                );
            }
        } else {
            tracing::warn!(url, reason, "a client's document cannot be used: {fault}");
        }
        fault
    }
}

fn read<T>(value: T, fetched: &Document, bounds: &Bounds) -> Read<T> {
    Read {
        value,
        bytes: fetched.body.len(),
        lifetime: lifetime(&fetched.headers, bounds, clock::now()),
    }
}

#[cfg(test)]
mod tests;

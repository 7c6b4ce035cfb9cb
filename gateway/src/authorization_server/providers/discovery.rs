//! The discovery document of a provider and its keys: fetched when they are needed first, kept, and refreshed. A provider that is down keeps
//! what it said before for as long as its keys may be used (`jwks.stale`).

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use mcp_gateway_oauth::federation::{
    protocol::metadata::ProviderMetadata, provider::Provider as Profile,
};
use tokio::sync::Mutex;

use super::fault::ProviderFault;
use crate::{
    config::{Issuer, Jwks, KeySource},
    fetch::client::Fetcher,
    issuer_keys::keys::IssuerKeys,
    telemetry::metrics::Metrics,
};

/// The least time between two attempts after a failure: until then, the answer is the same.
const PAUSE: Duration = Duration::from_secs(2);

/// The discovery document of a provider.
pub(super) struct Discovery {
    url: String,
    /// The issuer that it must name.
    named: String,
    announces_pkce: bool,
    issuer: Issuer,
    settings: Jwks,
    metrics: Arc<Metrics>,
    known: ArcSwapOption<Known>,
    began: Instant,
    /// Held by the one that fetches.
    fetching: Mutex<Option<Failure>>,
}

/// What a provider says of itself.
pub(in crate::authorization_server) struct Known {
    /// Its document.
    pub(in crate::authorization_server) metadata: ProviderMetadata,
    /// Its keys.
    pub(super) keys: Arc<IssuerKeys>,
    at: Instant,
}

struct Failure {
    at: Instant,
    fault: ProviderFault,
}

impl Discovery {
    /// The document of this provider. Nothing is fetched yet.
    pub(super) fn new(
        profile: &Profile,
        issuer: Issuer,
        settings: Jwks,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let (url, named) = profile.discovery();
        Self {
            url,
            named,
            announces_pkce: profile.announces_pkce,
            issuer,
            settings,
            metrics: metrics.clone(),
            known: ArcSwapOption::empty(),
            began: Instant::now(),
            fetching: Mutex::default(),
        }
    }

    /// What the provider says of itself: what is known, or what it says now.
    ///
    /// # Errors
    /// It is unavailable, or its document cannot be used.
    pub(super) async fn known(&self, fetcher: &Fetcher) -> Result<Arc<Known>, ProviderFault> {
        if let Some(known) = self.younger_than(self.settings.refresh) {
            return Ok(known);
        }
        let mut last = self.fetching.lock().await;
        // Somebody may have fetched it meanwhile.
        if let Some(known) = self.younger_than(self.settings.refresh) {
            return Ok(known);
        }
        let failed = last.as_ref().filter(|failure| failure.at.elapsed() < PAUSE);
        let fetched = match failed {
            Some(failure) => Err(failure.fault.clone()),
            None => self.fetch(fetcher).await,
        };
        match fetched {
            Ok(known) => {
                *last = None;
                self.known.store(Some(known.clone()));
                Ok(known)
            }
            Err(fault) => {
                if failed.is_none() {
                    *last = Some(Failure {
                        at: Instant::now(),
                        fault: fault.clone(),
                    });
                }
                self.younger_than(self.settings.stale).ok_or(fault)
            }
        }
    }

    /// The keys, where the provider has answered once.
    pub(super) fn keys_in_use(&self) -> Option<Arc<IssuerKeys>> {
        self.known.load().as_ref().map(|known| known.keys.clone())
    }

    /// Sets the metric for the age of the keys: since the start, while there are none.
    pub(super) fn observe_age(&self) {
        match self.keys_in_use() {
            Some(keys) => keys.observe_age(),
            None => {
                let age = self
                    .metrics
                    .jwks_age
                    .with_label_values(&[&self.issuer.name]);
                age.set(self.began.elapsed().as_secs_f64());
            }
        }
    }

    fn younger_than(&self, age: Duration) -> Option<Arc<Known>> {
        let known = self.known.load_full();
        known.filter(|known| known.at.elapsed() <= age)
    }

    async fn fetch(&self, fetcher: &Fetcher) -> Result<Arc<Known>, ProviderFault> {
        let document = fetcher.get(&self.url).await?;
        let metadata = ProviderMetadata::read(&document, &self.named, self.announces_pkce)?;
        let own = &self.issuer.issuer;
        let userinfo = metadata.userinfo_endpoint.iter();
        for url in userinfo.chain([&metadata.token_endpoint, &metadata.jwks_uri]) {
            fetcher.check_found(url, own)?;
        }
        Ok(Arc::new(Known {
            keys: self.keys(&metadata.jwks_uri)?,
            metadata,
            at: Instant::now(),
        }))
    }

    /// The keys at this place: those that are refreshed already, or new ones.
    fn keys(&self, uri: &str) -> Result<Arc<IssuerKeys>, ProviderFault> {
        let known = self.known.load_full();
        if let Some(known) = known.filter(|known| known.metadata.jwks_uri == uri) {
            return Ok(known.keys.clone());
        }
        let issuer = Issuer {
            keys: KeySource::Uri(uri.to_owned()),
            ..self.issuer.clone()
        };
        let (metrics, unchanged) = (&self.metrics, BTreeSet::new());
        let keys = IssuerKeys::reuse_or_new(None, &issuer, self.settings, metrics, &unchanged)?;
        // It ends with the last one who has the keys.
        tokio::spawn(keys.clone().run());
        Ok(keys)
    }
}

//! The providers that people sign in with: what the configuration says of each ([`provider`]), what its discovery document says
//! ([`discovery`]), and what is asked of it: [`tokens`] for a code, and the account behind them ([`openid`], [`github`]), and [`again`] at each refresh.
//! [`places`]: how many at once. [`fault`]: why a sign-in fails. [`watch`]: whether it can succeed, for the operator.

mod again;
mod discovery;
pub(super) mod fault;
mod github;
mod openid;
mod places;
pub(super) mod provider;
mod tokens;
pub(crate) mod watch;

use std::sync::Arc;

use mcp_gateway_oauth::owner::Vouched;
use tokio::task::JoinSet;

use self::watch::ProviderState;
pub(super) use self::{fault::ProviderFault, provider::Provider};
use super::error::ServerError;
use crate::{
    config::{AuthorizationServer, Config},
    telemetry::metrics::Metrics,
};

/// All providers, in the order of the configuration.
#[derive(Default)]
pub(super) struct Providers {
    providers: Vec<Arc<Provider>>,
}

impl Providers {
    /// The providers of a configuration; each of `previous` with all that it knows, if nothing changed about it.
    ///
    /// # Errors
    /// A file cannot be used.
    pub(super) fn reuse_or_new(
        previous: Option<&Self>,
        config: &Config,
        own: &AuthorizationServer,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, ServerError> {
        let providers = own.providers.iter().map(|configured| {
            let new = Provider::new(configured, config, own, metrics)?;
            let name = &configured.provider.name;
            let previous = previous.and_then(|previous| previous.named(name));
            Ok(match previous.filter(|previous| previous.is_like(&new)) {
                Some(previous) => previous.clone(),
                None => Arc::new(new),
            })
        });
        Ok(Self {
            providers: providers.collect::<Result<_, ServerError>>()?,
        })
    }

    /// The provider with this name.
    pub(super) fn named(&self, name: &str) -> Option<&Arc<Provider>> {
        let mut providers = self.providers.iter();
        providers.find(|provider| provider.profile.name == name)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.iter()
    }

    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.providers.is_empty()
    }

    /// What counts now of what a provider said; none where the provider is gone, or the account is not known to meet its rules.
    pub(super) fn still_vouch(&self, vouched: &Vouched) -> Option<Vouched> {
        self.named(&vouched.provider)?
            .profile
            .still_vouches(vouched)
    }

    /// Says whose people may have to sign in again after a reload.
    pub(super) fn log_changes_since(&self, before: &Self) {
        for old in &before.providers {
            let provider = &old.profile.name;
            match self.named(provider) {
                None => tracing::info!(
                    provider,
                    "the provider was removed from the configuration: people who signed in with it are signed out at the next refresh (authorization_server.providers)"
                ),
                Some(new) if !new.profile.judges_like(&old.profile) => tracing::info!(
                    provider,
                    "the rules of the provider have changed: people who are not known to meet them sign in again (may_sign_in, refresh, tenants, groups_claim); scopes change at the next refresh (grants)"
                ),
                Some(_) => {}
            }
        }
    }

    /// Asks each provider for its documents that has not answered yet, so that nobody has to wait for them later. Returns when all have
    /// answered or failed; whether all have answered once.
    pub(super) async fn prepare(&self) -> bool {
        let mut asked = JoinSet::new();
        for provider in self.iter().filter(|provider| !provider.watch.is_known()) {
            let provider = provider.clone();
            asked.spawn(async move {
                let prepared = provider.prepare().await;
                provider.watch.note(&provider.profile.name, prepared);
            });
        }
        while asked.join_next().await.is_some() {}
        self.iter().all(|provider| provider.watch.is_known())
    }

    /// What is known of each, in the order of the configuration.
    pub(super) fn states(&self) -> Vec<ProviderState> {
        self.iter().map(|provider| provider.state()).collect()
    }

    /// Sets the metric for the age of the keys of each.
    pub(super) fn observe_ages(&self) {
        self.iter().for_each(|provider| provider.observe_age());
    }
}

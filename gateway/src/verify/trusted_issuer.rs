//! An issuer as one resource trusts it: the requirements for its tokens, and the keys that verify them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use mcp_gateway_core::token::issuer_profile::IssuerProfile;

use crate::{
    config::{Config, Issuer, IssuerName, KeySource, Resource},
    fetch::error::FetchError,
    issuer_keys::keys::IssuerKeys,
    telemetry::metrics::Metrics,
};

/// The keys of every configured issuer, by its name in the configuration.
pub(crate) type KeysByIssuer = BTreeMap<String, Arc<IssuerKeys>>;

/// An issuer as one resource trusts it.
#[derive(Debug)]
pub(crate) struct TrustedIssuer {
    pub(crate) profile: IssuerProfile,
    pub(crate) keys: Arc<IssuerKeys>,
}

impl TrustedIssuer {
    /// The issuers that `resource` trusts, in its order; one for each of their names.
    pub(crate) fn all_of(config: &Config, resource: &Resource, keys: &KeysByIssuer) -> Arc<[Self]> {
        let configured = resource.issuers.iter();
        let configured =
            configured.filter_map(|name| Some((config.issuers.get(name)?, keys.get(name)?)));
        let trusted = configured.flat_map(|(issuer, keys)| {
            issuer.names.iter().map(|name| Self {
                profile: profile(issuer, name, resource),
                keys: keys.clone(),
            })
        });
        trusted.collect()
    }

    /// Whether both verify any token with the same result.
    pub(super) fn verifies_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.keys, &other.keys) && self.profile == other.profile
    }
}

/// The keys of every issuer of `config`; unchanged ones are reused from `previous`.
///
/// # Errors
/// An issuer's CA file cannot be used; with the name of the issuer.
pub(crate) fn keys_by_issuer(
    config: &Config,
    metrics: &Arc<Metrics>,
    previous: Option<&KeysByIssuer>,
    changed_files: &BTreeSet<PathBuf>,
) -> Result<KeysByIssuer, (String, FetchError)> {
    let keys = config.kept_issuers().map(|issuer| {
        let name = &issuer.name;
        let previous = previous.and_then(|previous| previous.get(name));
        let keys = IssuerKeys::reuse_or_new(previous, issuer, config.jwks, metrics, changed_files);
        let keys = keys.map_err(|error| (name.clone(), error));
        Ok((name.clone(), keys?))
    });
    keys.collect()
}

/// The requirements for tokens of this issuer with this name, for this resource.
pub(crate) fn profile(issuer: &Issuer, name: &IssuerName, resource: &Resource) -> IssuerProfile {
    IssuerProfile {
        issuer: name.issuer.clone(),
        tenant: name.tenant.clone(),
        names: issuer.names_of(name.tenant.as_deref()).cloned().collect(),
        token_types: issuer.token_types.clone(),
        algorithms: issuer.algorithms.clone(),
        scope_claims: issuer.scope_claims.clone(),
        scope_prefixes: resource.scope_prefixes.clone(),
        subject_claim: issuer.subject_claim.clone(),
        client_claims: issuer.client_claims.clone(),
        clock_skew: issuer.clock_skew,
        max_lifetime: issuer.max_lifetime,
        ignored_headers: issuer.ignored_headers.clone(),
        names_grants: issuer.keys == KeySource::BuiltIn,
        takes_id_tokens: false,
        kept_claims: resource.policy.claims_read(),
    }
}

//! What vouches for the caller of an explained call: an issuer, or the key files.

use mcp_gateway_core::{
    refusal::reason::Reason,
    time::UnixTime,
    token::{
        api_key::{
            entry::{self, KeyEntry},
            text::ApiKey,
        },
        bearer::BearerToken,
        issuer_profile::IssuerProfile,
        unproven::Unproven,
    },
};

use crate::config::{Config, Issuer, KeySource, Resource};

/// What vouches for a caller.
#[derive(Clone, Copy)]
pub(super) enum Vouching<'a> {
    /// The issuer of its token.
    Issuer(&'a Issuer),
    /// A key file.
    ApiKeys,
}

impl Vouching<'_> {
    /// Its name in the configuration.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Issuer(issuer) => &issuer.name,
            Self::ApiKeys => entry::ISSUER,
        }
    }

    /// What only a running gateway checks of the credential.
    pub(super) fn not_checked(&self) -> &'static str {
        match self {
            Self::ApiKeys => "",
            Self::Issuer(issuer) => match issuer.keys {
                KeySource::BuiltIn => "the token's signature, whether its grant has ended, ",
                KeySource::Discovery | KeySource::Uri(_) | KeySource::File(_) => {
                    "the token's signature, "
                }
                KeySource::Introspection => "what the issuer says of the token, ",
            },
        }
    }
}

/// The form of claims that stand for an API key.
pub(super) fn profile_of_keys(resource: &Resource) -> IssuerProfile {
    IssuerProfile {
        kept_claims: resource.policy.claims_read(),
        ..IssuerProfile::new(entry::ISSUER)
    }
}

/// The caller with this API key. A key for other resources or of the past names one too.
pub(super) fn caller_of_key(
    token: &BearerToken<'_>,
    config: &Config,
    resource: &Resource,
    now: UnixTime,
) -> Result<Unproven, Reason> {
    let is_accepted = resource.api_keys.is_some();
    is_accepted
        .then_some(())
        .ok_or(Reason::ApiKeysNotAccepted)?;
    let key = ApiKey::parse(token.expose()).map_err(|_| Reason::MalformedApiKey)?;
    let ring = &config.api_keys.ring;
    let judged = ring.judge(&key, (&resource.path, &resource.uri), now);
    let entry = ring.find(&key).ok_or(Reason::UnknownApiKey)?;
    Ok(unproven(entry, resource, judged.err()))
}

fn unproven(entry: &KeyEntry, resource: &Resource, refusal: Option<Reason>) -> Unproven {
    Unproven {
        principal: entry.principal.clone(),
        claims: entry.claims(&resource.policy.claims_read()),
        binding: None,
        refusals: refusal.into_iter().collect(),
    }
}

//! Which issuer of a resource is asked about its tokens, as the configuration says.

use std::sync::Arc;

use mcp_gateway_core::token::issuer_profile::IssuerProfile;

use super::endpoint::{Endpoint, EndpointsByIssuer};
use crate::{
    config::{Config, Resource},
    verify::trusted_issuer::profile,
};

/// The issuer of `resource` that is asked about its tokens: there is one at most.
pub(crate) fn asked_issuer(
    config: &Config,
    resource: &Resource,
    endpoints: &EndpointsByIssuer,
) -> Option<(Arc<Endpoint>, IssuerProfile)> {
    resource.issuers.iter().find_map(|name| {
        let (issuer, endpoint) = (config.issuers.get(name)?, endpoints.get(name)?);
        let profile = profile(issuer, issuer.names.first()?, resource);
        Some((endpoint.clone(), profile))
    })
}

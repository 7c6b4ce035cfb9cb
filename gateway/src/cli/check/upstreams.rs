//! What `check` warns of about upstreams.

use super::certificates::of_validity;
use crate::config::{Config, Resource, UpstreamTarget};

/// A certificate of the gateway that is not valid now, and credentials that others on the network can read.
pub(super) fn warnings(config: &Config, now: i64) -> Vec<String> {
    let resources = config.resources.iter();
    let warnings = resources.flat_map(|resource| [certificate(resource, now), exposed(resource)]);
    warnings.flatten().collect()
}

fn certificate(resource: &Resource, now: i64) -> Option<String> {
    let UpstreamTarget::Https { tls, .. } = &resource.upstream.target else {
        return None;
    };
    let pair = tls.certificate.as_ref()?;
    of_validity(&pair.certificate, "the upstream", now)
}

fn exposed(resource: &Resource) -> Option<String> {
    let UpstreamTarget::Http { authority } = &resource.upstream.target else {
        return None;
    };
    let is_exposed = resource.upstream_credentials.is_some() && !authority.is_loopback();
    is_exposed.then(|| {
        format!(
            "credentials for the upstream of {} go over plain HTTP to {authority}: others on the network can read them",
            resource.path
        )
    })
}

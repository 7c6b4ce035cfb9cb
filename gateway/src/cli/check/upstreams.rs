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
    let what = match (&resource.upstream_credentials, &resource.assertion) {
        (Some(_), _) => "credentials",
        (None, Some(_)) => "assertions",
        (None, None) => return None,
    };
    let others = resource.balancing.endpoints.iter();
    let all = [&resource.upstream]
        .into_iter()
        .chain(others.map(|other| &other.upstream));
    let mut exposed = all.filter_map(|upstream| match &upstream.target {
        UpstreamTarget::Http { authority } if !authority.is_loopback() => Some(authority),
        _ => None,
    });
    let authority = exposed.next()?;
    Some(format!(
        "{what} for the upstream of {} go over plain HTTP to {authority}: others on the network can read them",
        resource.path
    ))
}

//! Log lines about the endpoints of a resource.

use std::{sync::Arc, time::Duration};

use mcp_gateway_core::balance::{
    endpoints::Change,
    resolution::{self, Failure},
};

use super::instance::Instance;

/// An endpoint is left out, or back.
pub(super) fn changed(resource: &str, change: &Change<Arc<Instance>>, now: Duration) {
    match change {
        Change::Ejected { chosen, until } => {
            let (endpoint, seconds) = (
                chosen.key.endpoint.shown(),
                until.saturating_sub(now).as_secs_f64().ceil(),
            );
            tracing::warn!(
                resource,
                endpoint,
                seconds,
                "endpoint ejected: calls to it failed (resources.upstream.ejection)"
            );
        }
        Change::Returned(instance) => {
            let endpoint = instance.endpoint.shown();
            tracing::info!(resource, endpoint, "endpoint back: it answered a call");
        }
        Change::Died(instance) => {
            let endpoint = instance.endpoint.shown();
            tracing::warn!(
                resource,
                endpoint,
                "endpoint left out: health checks failed (resources.upstream.health_check)"
            );
        }
        Change::Recovered(instance) => {
            let endpoint = instance.endpoint.shown();
            tracing::info!(resource, endpoint, "endpoint back: health checks succeed");
        }
    }
}

/// The time of an ejection is over.
pub(super) fn ejection_over(resource: &str, instance: &Instance) {
    let endpoint = instance.endpoint.shown();
    tracing::info!(resource, endpoint, "endpoint back: its ejection is over");
}

/// Endpoints were added or removed.
pub(super) fn replaced(resource: &str, added: &[Arc<Instance>], removed: &[Arc<Instance>]) {
    for instance in added {
        let endpoint = instance.endpoint.shown();
        tracing::info!(resource, endpoint, "endpoint added");
    }
    for instance in removed {
        let endpoint = instance.endpoint.shown();
        tracing::info!(
            resource,
            endpoint,
            "endpoint removed: calls under way continue"
        );
    }
}

/// A check of an endpoint failed.
pub(super) fn check_failed(resource: &str, instance: &Instance, problem: &str) {
    let endpoint = instance.endpoint.shown();
    tracing::debug!(resource, endpoint, "health check failed: {problem}");
}

/// A name has more addresses than can be used.
pub(super) fn left_out<A>(resource: &str, host: &str, change: &resolution::Change<A>) {
    if change.left_out > 0 {
        let (left_out, most) = (change.left_out, resolution::MAX_ADDRESSES);
        tracing::warn!(
            resource,
            host,
            "{left_out} addresses not used: a name can have {most} endpoints"
        );
    }
}

/// A name resolves again.
pub(super) fn resolves_again(resource: &str, host: &str) {
    tracing::info!(resource, host, "name resolved again");
}

/// A name could not be resolved.
pub(super) fn unresolved<A>(resource: &str, host: &str, failure: &Failure<A>, problem: &str) {
    match failure {
        Failure::Holds { left, is_first } if *is_first => {
            let seconds = left.as_secs();
            tracing::warn!(
                resource,
                host,
                "name cannot be resolved: {problem}; its last addresses are used for another {seconds} s (resources.upstream.resolve)"
            );
        }
        Failure::Over(_) => tracing::error!(
            resource,
            host,
            "name cannot be resolved: {problem}; its last addresses are too old and no longer used (resources.upstream.resolve)"
        ),
        Failure::Nothing { is_first } if *is_first => tracing::warn!(
            resource,
            host,
            "name cannot be resolved: {problem}; there is no endpoint (resources.upstream.resolve)"
        ),
        Failure::Holds { .. } | Failure::Nothing { .. } => {}
    }
}

//! Endpoints in the summary of `check`: where they are, and what several of them do not share.

use mcp_gateway_core::mcp::tasks::Tasks;

use crate::{
    config::{Config, RequestState, Resource, Transport, Upstream, UpstreamTarget},
    limits::overload::descriptors::Capacity,
};

/// Where the calls of a resource go.
pub(super) fn destination(resource: &Resource) -> String {
    let all: Vec<_> = resource.upstreams().map(shown).collect();
    let resolved = match resource.balancing.resolve {
        Some(_) => " (each address of the name)",
        None => "",
    };
    format!("{}{resolved}", all.join(", "))
}

fn shown(upstream: &Upstream) -> String {
    let path = &upstream.path;
    match &upstream.target {
        UpstreamTarget::Http { authority } => format!("http://{authority}{path}"),
        UpstreamTarget::Https { authority, .. } => format!("https://{authority}{path}"),
        UpstreamTarget::Unix { socket } => format!("unix:{} {path}", socket.display()),
    }
}

/// Warnings about values of one instance that the gateway does not lead back to it, and about limits that one caller can use up.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut found = lost_values(config);
    let own = Capacity::divide(None, (0, 0), &config.limits).calls_per_principal;
    let resources = config.resources.iter();
    found.extend(resources.filter_map(|resource| used_up(resource, own)));
    found
}

/// All calls of a resource are those that one principal may have.
fn used_up(resource: &Resource, own: usize) -> Option<String> {
    let balancing = &resource.balancing;
    let most = balancing
        .max_calls
        .filter(|_| balancing.resolve.is_none())?;
    let all = most.saturating_mul(resource.upstreams().count());
    (own >= all).then(|| {
        format!(
            "{} can have {all} calls at its endpoints (`max_calls`), and one principal {own} (`limits.calls_per_principal`): it can keep all others waiting",
            resource.uri
        )
    })
}

fn lost_values(config: &Config) -> Vec<String> {
    // With HTTP+SSE, every message is of a session, which leads back to its instance.
    let several = |resource: &&Resource| {
        resource.balancing.has_several() && resource.transport != Transport::Sse
    };
    let resources = config.resources.iter().filter(several);
    resources.flat_map(unbound).collect()
}

fn unbound(resource: &Resource) -> impl Iterator<Item = String> {
    let tasks = (resource.tasks == Tasks::Upstream).then_some((
        "task ids",
        "tasks: upstream",
        "tasks: seal",
    ));
    let states = (resource.request_state == RequestState::Upstream).then_some((
        "request states",
        "request_state: upstream",
        "request_state: seal",
    ));
    let uri = resource.uri.clone();
    [tasks, states].into_iter().flatten().map(move |(values, found, cure)| {
        format!(
            "{uri} has several endpoints and `{found}`: a call with {values} goes to any of them, so all must know the {values} of the others, or set `{cure}`"
        )
    })
}

//! Resources whose MCP server has the transport HTTP+SSE (MCP 2024-11-05): what has no meaning there, and their second path.

use mcp_gateway_core::{
    http::authority::Authority,
    http_sse::message_path::message_path,
    mcp::{supported::Supported, tasks::Tasks},
};

use crate::config::{
    declaration::resource::{RequestState, Transport},
    model::Resource,
    reading::reader::{Item, Section},
};

/// Refuses what a resource cannot have with HTTP+SSE.
pub(in crate::config::check) fn refuse_other_revisions(
    section: &Section<'_>,
    transport: Transport,
    (tasks, request_state): (Tasks, RequestState),
    supported: Option<&Supported>,
) {
    if transport != Transport::Sse {
        return;
    }
    if tasks != Tasks::Refuse {
        section.report_at(
            "tasks",
            "must be `refuse` where `upstream.transport` is sse: that transport is older than tasks",
            "Remove it",
        );
    }
    if request_state != RequestState::Upstream {
        section.report_at(
            "request_state",
            "must be `upstream` where `upstream.transport` is sse: that transport is older than request states",
            "Remove it",
        );
    }
    if supported.is_some_and(|supported| !supported.has_legacy()) {
        section.report_at(
            "protocol_versions",
            "must list a revision up to 2025-11-25 where `upstream.transport` is sse",
            "Add 2024-11-05, or remove the key",
        );
    }
}

/// Refuses a resource at the path of the messages of another one, on the same host.
pub(in crate::config::check) fn refuse_path_of_messages(
    (item, later): (&Item<'_>, &Resource),
    earlier: &Resource,
) {
    let host = |resource: &Resource| resource.host.clone();
    if !shares_host(host(later), host(earlier)) {
        return;
    }
    let messages = |resource: &Resource| {
        (resource.transport == Transport::Sse).then(|| message_path(&resource.path))
    };
    let (of_later, of_earlier) = (messages(later), messages(earlier));
    // Two resources at one path are of different hosts, and so are their messages.
    let is_shared = later.path != earlier.path && of_later == of_earlier;
    let is_at = |resource: &Resource, path: &String| {
        path == resource.path.strip_suffix('/').unwrap_or(&resource.path)
    };
    let at_earlier = of_later.filter(|path| is_shared || is_at(earlier, path));
    let taken = at_earlier.or_else(|| of_earlier.filter(|path| is_at(later, path)));
    if let Some(path) = taken {
        item.report(
            format_args!(
                "{path} is the path of messages of a resource with `upstream.transport: sse`"
            ),
            "Change the path of one of the two resources",
        );
    }
}

/// Whether both answer on some host. A resource without a host answers on every host.
fn shares_host(one: Option<Authority>, other: Option<Authority>) -> bool {
    one.is_none() || other.is_none() || one == other
}

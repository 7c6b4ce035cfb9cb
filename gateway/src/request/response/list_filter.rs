//! Which answers may list what the policy denies the caller, and the edit that hides it.

use std::sync::Arc;

use http::Method;
use mcp_gateway_core::{
    mcp::{listed::Listed, message::Message, method::McpMethod},
    policy::hide::Hide,
    rewrite::lists::ListFilter,
};

use super::editing::Editing;
use crate::{
    request::{admit::Admitted, exchange::Exchange, viewer::Viewer},
    snapshot::ProtectedResource,
    verify::Verdict,
};

/// The edit for the answer to this request; none if nothing is hidden, or nothing is listed.
///
/// A stream that a GET opens may replay any answer, and a task may hold any result, so they are edited too: lists are recognised by
/// their shape.
pub(crate) fn edit(
    exchange: &Exchange<'_>,
    resource: &Arc<ProtectedResource>,
    verdict: &Verdict,
    message: &Message,
    admitted: &Admitted,
) -> Option<Editing> {
    let http_method = &exchange.session.req_header().method;
    let may_list =
        |method: McpMethod| method.list().is_some() || method.is_about_tasks() || method.listens();
    let may_list = message.called().is_some_and(may_list) || http_method == Method::GET;
    if resource.policy.hide == Hide::Nothing || !may_list {
        return None;
    }
    let viewer = Viewer::of(exchange, verdict, admitted);
    let counters = exchange.gateway.metrics().list_entries_hidden.clone();
    let (resource, counted) = (resource.clone(), resource.clone());
    let shows = move |listed, name: &str| resource.policy.shows(&viewer.caller(), listed, name);
    let count_hidden = move |listed: Listed, count: usize| {
        let labels = [counted.label.as_str(), listed.label()];
        counters
            .with_label_values(&labels)
            .inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    };
    Some(Box::new(ListFilter::new(shows, count_hidden)))
}

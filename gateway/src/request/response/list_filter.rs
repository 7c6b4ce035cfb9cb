//! Which answers may list what the policy denies the caller, and the edit that hides it.

use std::{net::IpAddr, sync::Arc};

use http::Method;
use mcp_gateway_core::{
    cel::{RequestFacts, kept_claims::KeptClaims},
    mcp::{listed::Listed, message::Message, method::McpMethod},
    policy::{Caller, hide::Hide},
    principal::Principal,
    rewrite::lists::ListFilter,
};

use super::editing::Editing;
use crate::{
    clock,
    request::{admit::Admitted, exchange::Exchange},
    snapshot::{ProtectedResource, VerifiedToken},
};

/// The edit for the answer to this request; none if nothing is hidden, or nothing is listed.
///
/// A stream that a GET opens may replay any answer, and a task may hold any result, so they are edited too: lists are recognised by
/// their shape.
pub(crate) fn edit(
    exchange: &Exchange<'_>,
    resource: &Arc<ProtectedResource>,
    token: &VerifiedToken,
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
    let viewer = Viewer {
        principal: token.verified.principal.clone(),
        claims: token.verified.claims.clone(),
        http_method: http_method.clone(),
        path: admitted.path.clone(),
        host: admitted.host.host().to_owned(),
        client_address: exchange.record.client_address().known(),
    };
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

/// Who gets a list, and for which request; stored until its answer ends.
struct Viewer {
    principal: Arc<Principal>,
    claims: Arc<KeptClaims>,
    http_method: Method,
    path: String,
    host: String,
    /// None where it is unknown.
    client_address: Option<IpAddr>,
}

impl Viewer {
    /// The caller as the policy sees it at this moment.
    fn caller(&self) -> Caller<'_> {
        Caller {
            principal: &self.principal,
            claims: &self.claims,
            request: RequestFacts {
                http_method: self.http_method.as_str(),
                path: &self.path,
                host: &self.host,
                client_address: self.client_address,
                now: clock::now(),
            },
        }
    }
}

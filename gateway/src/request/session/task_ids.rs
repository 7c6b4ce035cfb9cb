//! Phase 6, continued: task ids and request states, sealed like session ids if the resource is configured so.
//!
//! The policy and the logs see what the client sent. The upstream gets the client's message with these values opened. The
//! request decides how its answer is edited.

use bytes::Bytes;
use http::Method;
use mcp_gateway_core::{
    endpoint_id::EndpointId,
    mcp::{headers::encode_sentinel, message::Message, tasks::Tasks},
    policy::permit::Permit,
    refusal::{Refusal, reason::Reason},
    rewrite::sealing::Sealing,
    seal::{Opened, Opening},
};

use super::binding::binding;
use crate::{
    clock,
    config::RequestState,
    request::{
        exchange::Exchange,
        record::why,
        response::editing::{self, Editing},
    },
    snapshot::ProtectedResource,
};

/// The detail in the access log where tasks are refused.
const REFUSED: &str = "tasks are refused (resources.tasks: refuse); `seal` binds task ids to callers, `upstream` leaves that to the MCP server";

/// The sealed values of a message, opened.
#[derive(Default)]
pub(crate) struct OpenedValues(Opened);

impl OpenedValues {
    /// The endpoint that the message belongs to, if a value names one.
    pub(super) const fn endpoint(&self) -> Option<EndpointId> {
        self.0.endpoint
    }

    /// The reason where that endpoint does not know the value.
    pub(super) const fn unknown(&self) -> Reason {
        match self.0.tasks.is_empty() {
            true => Reason::RequestState,
            false => Reason::TaskUnknown,
        }
    }
}

/// Opens the sealed values in a message. They must be of this endpoint, which is that of its session.
pub(crate) fn open(
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
    permit: &Permit,
    message: &mut Message,
    endpoint: Option<EndpointId>,
) -> Result<OpenedValues, Refusal> {
    let opened = open_values(exchange, resource, permit, message, endpoint);
    opened.inspect_err(|refusal| {
        if refusal.detail.is_none() && exchange.record.detail().is_none() {
            let found = why::sealed(exchange, message, refusal.reason);
            exchange.record.set_detail_if(found);
        }
    })
}

fn open_values(
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
    permit: &Permit,
    message: &mut Message,
    endpoint: Option<EndpointId>,
) -> Result<OpenedValues, Refusal> {
    check_task_use(exchange, resource, message)?;
    let tasks = resource.tasks == Tasks::Seal;
    let lifetime = exchange.snapshot.timeouts.request_state;
    let request_state = (resource.request_state == RequestState::Seal).then_some(lifetime);
    if !tasks && request_state.is_none() {
        return Ok(OpenedValues::default());
    }
    let opening = Opening {
        sealer: exchange.snapshot.sealer(),
        binding: binding(resource, permit),
        endpoint,
        tasks,
        request_state,
        now: clock::now(),
    };
    let body = message.body.as_deref();
    let mut opened = body.map_or_else(|| Ok(Opened::default()), |body| opening.open(body))?;
    if let Some(body) = opened.body.take() {
        message.body = Some(reserve(exchange, body)?);
    }
    if let Some(task) = opened.task.take() {
        message.mirror = Some(encode_sentinel(&task).ok_or(Reason::Internal)?);
    }
    Ok(OpenedValues(opened))
}

/// Adds the edit that seals the values in the answer of this endpoint.
pub(crate) fn seal_answer(
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
    permit: &Permit,
    message: &Message,
    OpenedValues(opened): OpenedValues,
    endpoint: EndpointId,
) {
    let tasks = (resource.tasks == Tasks::Seal).then(|| binding(resource, permit).task());
    if is_answered(exchange, message) && (tasks.is_some() || opened.state.is_some()) {
        let sealing = Editing::new(Sealing {
            sealer: exchange.snapshot.sealer().clone(),
            endpoint,
            tasks,
            known: opened.tasks,
            state: opened.state,
            now: clock::now,
        });
        exchange.edit = editing::combine(exchange.edit.take(), Some(sealing));
    }
}

/// Whether the message gets a response: notifications and responses are accepted without a body (MCP transports, *Sending
/// Messages*).
fn is_answered(exchange: &Exchange<'_>, message: &Message) -> bool {
    let is_request = message.method.is_some() && exchange.rpc_id.is_some();
    is_request || exchange.session.req_header().method == Method::GET
}

/// Whether the resource allows the message's use of tasks.
fn check_task_use(
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
    message: &Message,
) -> Result<(), Reason> {
    let method = message.method_name();
    let outcome = resource.tasks.judge(message.era, method, message.task_use);
    if outcome == Err(Reason::TasksRefused) {
        exchange.record.set_detail(REFUSED);
    }
    outcome
}

/// Reserves memory for the body that is sent upstream, in addition to the client's.
fn reserve(exchange: &Exchange<'_>, body: Vec<u8>) -> Result<Bytes, Reason> {
    let mut reservation = exchange.body_reservation();
    reservation.grow(body.len(), &exchange.snapshot.bodies)?;
    Ok(reservation.attach_to(body.into()))
}

//! Phase 6, continued: ids of tasks and request states, sealed like session ids where the resource says so.
//!
//! What the policy and the logs see is what the client sent. The upstream gets the client's bytes with these values opened; how
//! its answers are edited follows from the request.

use bytes::Bytes;
use http::Method;
use mcp_gateway_core::{
    mcp::{headers::encode_sentinel, message::Message, tasks::Tasks},
    policy::permit::Permit,
    refusal::reason::Reason,
    rewrite::sealing::Sealing,
    seal::{Opened, Opening},
};

use super::binding::binding;
use crate::{
    config::RequestState,
    request::{
        exchange::Exchange,
        response::editing::{self, Editing},
    },
    snapshot::ProtectedResource,
};

/// What is logged where tasks are refused.
const REFUSED: &str = "tasks are refused (resources.tasks: refuse); `seal` binds task ids to callers, `upstream` leaves that to the MCP server";

/// Opens what is sealed in a message, and sees to it that what its answer hands out is sealed.
pub(crate) fn open(
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
    permit: &Permit,
    message: &mut Message,
) -> Result<(), Reason> {
    check_task_use(exchange, resource, message)?;
    let tasks = resource.tasks == Tasks::Seal;
    let request_state = resource.request_state == RequestState::Seal;
    if !tasks && !request_state {
        return Ok(());
    }
    let sealer = exchange.snapshot.sealer().clone();
    let binding = binding(resource, permit);
    let opening = Opening {
        sealer: &sealer,
        binding,
        tasks,
        request_state,
    };
    let body = message.body.as_deref();
    let opened = body.map_or_else(|| Ok(Opened::default()), |body| opening.open(body))?;
    if let Some(body) = opened.body {
        message.body = Some(reserve(exchange, body)?);
    }
    if let Some(task) = opened.task {
        message.mirror = Some(encode_sentinel(&task).ok_or(Reason::Internal)?);
    }
    let tasks = tasks.then(|| binding.task());
    if is_answered(exchange, message) && (tasks.is_some() || opened.state.is_some()) {
        let sealing: Editing = Box::new(Sealing {
            sealer,
            tasks,
            known: opened.tasks,
            state: opened.state,
        });
        exchange.edit = editing::combine(exchange.edit.take(), Some(sealing));
    }
    Ok(())
}

/// Whether messages come back: notifications and responses are accepted without a body (MCP transports, *Sending Messages*).
fn is_answered(exchange: &Exchange<'_>, message: &Message) -> bool {
    let is_request = message.method.is_some() && exchange.rpc_id.is_some();
    is_request || exchange.session.req_header().method == Method::GET
}

/// Whether the resource allows what the message does with tasks.
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

/// Reserves memory for the body that goes upstream, as for the client's.
fn reserve(exchange: &Exchange<'_>, body: Vec<u8>) -> Result<Bytes, Reason> {
    let mut reservation = exchange.gateway.body_budget().reservation();
    reservation.grow(body.len(), exchange.snapshot.body_budget_bytes)?;
    Ok(reservation.attach_to(body.into()))
}

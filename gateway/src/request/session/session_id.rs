//! Phase 6: legacy sessions, sealed.
//!
//! A client never gets an upstream's own session id. It gets a sealed one, bound to resource and principal, and sends that
//! back. It leads to the endpoint that issued it. Nothing is stored, so every replica with the same key can open it.

use http::{HeaderValue, Response};
use mcp_gateway_core::{
    endpoint_id::EndpointId,
    http::forwarding::copies,
    mcp::{headers::SESSION_ID, message::Message, version::Era},
    policy::permit::Permit,
    refusal::{fault::Fault, reason::Reason},
};

use super::binding::binding;
use crate::{request::exchange::Exchange, snapshot::ProtectedResource, upstream::UpstreamBody};

/// The detail in the access log where a client names two sessions.
const TWO_IDS: &str = "mcp-session-id was sent twice with different values";
/// The upstream's id is longer than 1024 bytes, or has other characters than visible ASCII.
const NOT_AN_ID: &str =
    "the upstream's session id is longer than 1024 bytes (a fixed limit), or not visible ASCII";

/// A legacy session whose sealed id was opened.
pub(crate) struct OpenedSession {
    sealed: HeaderValue,
    pub(crate) upstream_id: String,
    /// The endpoint that has the session.
    pub(crate) endpoint: EndpointId,
}

/// Opens the sealed session id that a legacy client sends. Another caller's, a changed and an unknown one get the same
/// refusal.
pub(crate) fn open(
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
    permit: &Permit,
    message: &Message,
) -> Result<Option<OpenedSession>, Reason> {
    if message.era == Era::Modern || message.initializes() {
        return Ok(None);
    }
    let mut sent = exchange
        .session
        .req_header()
        .headers
        .get_all(SESSION_ID)
        .iter();
    let Some(sealed) = sent.next() else {
        // Only a session shows which client the server asked. Without one, any client could answer for another.
        return match message.answers() {
            true => Err(Reason::SessionRequired),
            false => Ok(None),
        };
    };
    let text = sealed.to_str().map_err(|_| Reason::SessionUnknown)?;
    let text = copies::one_word(text);
    if sent.any(|other| other.to_str().map(copies::one_word).ok() != Some(text)) {
        exchange.record.set_detail(TWO_IDS);
        return Err(Reason::SessionUnknown);
    }
    let issued = exchange
        .snapshot
        .sealer()
        .open(&binding(resource, permit).session(), text)?;
    let sealed = match text.len() == sealed.len() {
        true => sealed.clone(),
        false => HeaderValue::from_str(text).map_err(|_| Reason::SessionUnknown)?,
    };
    Ok(Some(OpenedSession {
        sealed,
        upstream_id: issued.value,
        endpoint: issued.endpoint,
    }))
}

/// The session id for the client: the one it sent, or the upstream's, sealed. Never the upstream's own.
pub(crate) fn answer_id(
    exchange: &Exchange<'_>,
    resource: &ProtectedResource,
    permit: &Permit,
    endpoint: EndpointId,
    response: &Response<UpstreamBody>,
    era: Era,
    opened: Option<OpenedSession>,
) -> Result<Option<HeaderValue>, Fault> {
    let given = response
        .headers()
        .get(SESSION_ID)
        .filter(|_| era == Era::Legacy);
    match (given, opened) {
        (None, _) => Ok(None),
        (Some(given), Some(opened)) if given.as_bytes() == opened.upstream_id.as_bytes() => {
            Ok(Some(opened.sealed))
        }
        (Some(_), Some(_)) => Err(Fault::new(
            Reason::UpstreamSession,
            "the upstream answered with another session id than the one it was sent",
        )),
        (Some(given), None) => {
            let id = given.to_str().map_err(|_| Reason::UpstreamSession)?;
            let sealed =
                exchange
                    .snapshot
                    .sealer()
                    .seal(&binding(resource, permit).session(), endpoint, id);
            let sealed = sealed.ok_or_else(|| Fault::new(Reason::UpstreamSession, NOT_AN_ID))?;
            HeaderValue::from_str(&sealed)
                .map(Some)
                .map_err(|_| Reason::Internal.into())
        }
    }
}

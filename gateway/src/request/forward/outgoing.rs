//! The request to the upstream: the client's headers that are allowed there, the caller's identity, the gateway's own credential, and the
//! session of the upstream.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, HOST},
};
use http_body_util::Full;
use mcp_gateway_core::{
    http::forwarding::{self, LAST_EVENT_ID, identity::IdentityValues},
    mcp::{
        headers::{NAME, PROTOCOL_VERSION, SESSION_ID},
        message::Message,
    },
    policy::permit::Permit,
    refusal::reason::Reason,
};

use super::waiting::Unanswered;
use crate::{
    assertion::asserter::AssertedCall,
    clock,
    config::{EventIds, IdentityHeaders},
    request::{exchange::Exchange, session::session_id::OpenedSession},
    snapshot::ProtectedResource,
    upstream::{Endpoint, UpstreamBody},
    upstream_credentials::Given,
};

/// The detail in the access log where a client resumes a stream and gets a new one.
const NOT_RESUMED: &str = "Last-Event-ID was removed (resources.event_ids: drop); `upstream` leaves binding event ids to the MCP server";

/// The detail where a client resumes a stream after two events.
const TWO_EVENTS: &str = "last-event-id was sent twice with different values";

/// The detail in the access log where the identity of the caller does not fit into a header.
const TOO_LONG: &str = "the subject, client id or scopes of the token are too long for a header (resources.identity_headers)";

/// What a request to the upstream is made of, without its body.
pub(super) struct Outgoing<'a> {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) resource: &'a ProtectedResource,
    pub(super) permit: &'a Permit,
    pub(super) message: &'a Message,
    pub(super) session: Option<&'a OpenedSession>,
    /// Instead of the target of the resource.
    pub(super) own_target: Option<&'a Uri>,
    pub(super) last_event: Option<HeaderValue>,
    pub(super) query: Option<String>,
    /// The gateway's own.
    pub(super) credential: Option<Given>,
}

impl Outgoing<'_> {
    /// Whether the upstream refused the credential, and another one may be accepted. The refused one is forgotten.
    pub(super) fn is_refused(
        &self,
        response: &Result<Response<UpstreamBody>, Unanswered>,
        exchange: &Exchange<'_>,
    ) -> bool {
        let Some((credentials, given)) = self
            .resource
            .upstream_credentials
            .as_ref()
            .zip(self.credential.as_ref())
        else {
            return false;
        };
        let is_refused =
            matches!(response, Ok(response) if response.status() == StatusCode::UNAUTHORIZED);
        is_refused && credentials.forget(given, &exchange.token_digest)
    }

    /// The request with this body.
    ///
    /// # Errors
    /// A header of the client is ambiguous, or the identity of the caller does not fit into a header.
    pub(super) fn request(
        &self,
        exchange: &mut Exchange<'_>,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Reason> {
        let (client, endpoint) = (exchange.session.req_header(), &self.endpoint);
        let mut headers = forwarding::to_upstream(&client.headers, self.message.era);
        let added = &self.resource.upstream_headers;
        added.add(&client.headers, &mut headers).map_err(|(reason, name)| {
            exchange.record.set_detail(format!(
                "{name} was sent more than once with different values (resources.upstream.pass_headers)"
            ));
            reason
        })?;
        if let Some(credential) = &self.credential {
            headers.insert(AUTHORIZATION, credential.authorization().clone());
        }
        if self.own_target.is_some() {
            // HTTP+SSE has no such header: the body alone says what the message is.
            headers.remove(PROTOCOL_VERSION);
        }
        headers.insert(HOST, endpoint.host().clone());
        let identity = exchange.identity.clone().unwrap_or_default();
        let identity = identity.values(self.permit.principal());
        identify(&mut headers, &self.resource.identity_headers, identity)
            .inspect_err(|_| exchange.record.set_detail(TOO_LONG))?;
        self.add_assertion(&mut headers, exchange)?;
        let mirror = self.message.mirror.as_ref();
        if let Some(name) = mirror.filter(|_| headers.contains_key(NAME)) {
            headers.insert(NAME, name.clone());
        }
        if let Some(session) = self.session {
            let id =
                HeaderValue::from_str(&session.upstream_id).map_err(|_| Reason::SessionUnknown)?;
            headers.insert(SESSION_ID, id);
            if let Some(event) = &self.last_event {
                headers.insert(LAST_EVENT_ID, event.clone());
            }
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = exchange.session.req_header().method.clone();
        *request.uri_mut() = match self.own_target {
            Some(target) => target.clone(),
            None => endpoint.target(self.query.as_deref()),
        };
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Adds the assertion about the caller, where the upstream receives one.
    fn add_assertion(
        &self,
        headers: &mut HeaderMap,
        exchange: &mut Exchange<'_>,
    ) -> Result<(), Reason> {
        let Some(asserter) = &self.resource.asserter else {
            return Ok(());
        };
        let call = AssertedCall {
            principal: self.permit.principal(),
            expires: exchange.token_expires,
            accepted_until: exchange.token_ends,
            method: self.message.method_name(),
            name: self.message.name.as_deref(),
            request_id: exchange.record.request_id(),
        };
        // A key that was removed while the call waited signs nothing.
        let keys = exchange.gateway.assertion_keys();
        let added = asserter.add(headers, &call, keys.as_ref(), clock::now());
        added.map_err(|fault| {
            exchange.record.set_detail(fault.to_string());
            fault.reason()
        })
    }
}

/// The event after which a client resumes a stream of its session. Some servers replay the events of any session, so it is
/// forwarded only to those that are known not to, and only on a stream that is known to resume one (MCP 2025-11-25,
/// transports: always by GET).
pub(super) fn last_event_id(
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
) -> Result<Option<HeaderValue>, Reason> {
    let client = exchange.session.req_header();
    let mut events = client.headers.get_all(LAST_EVENT_ID).iter();
    let Some(event) = events.next().filter(|_| client.method == Method::GET) else {
        return Ok(None);
    };
    match resource.event_ids {
        EventIds::Upstream if events.next().is_some() => {
            exchange.record.set_detail(TWO_EVENTS);
            Err(Reason::HeaderMismatch)
        }
        EventIds::Upstream => Ok(Some(event.clone())),
        EventIds::Drop => {
            exchange.record.set_detail(NOT_RESUMED);
            Ok(None)
        }
    }
}

/// Adds the caller's identity. These header names are in no allow-list, so a client's own headers never get here.
fn identify(
    headers: &mut HeaderMap,
    names: &IdentityHeaders,
    values: &IdentityValues,
) -> Result<(), Reason> {
    let values = [
        (&names.subject, Some(&values.subject)),
        (&names.issuer, Some(&values.issuer)),
        (&names.client, values.client.as_ref()),
        (&names.scope, Some(&values.scope)),
    ];
    for (name, value) in values {
        if let (Some(name), Some(value)) = (name, value) {
            let value = value.as_ref().ok_or(Reason::UnusableSubject)?;
            headers.insert(name.clone(), value.clone());
        }
    }
    Ok(())
}

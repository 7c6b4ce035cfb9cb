//! Answers that the gateway makes itself: refusals, documents, preflights.
//!
//! A refusal is written from its row of the table only. Its body is short and fixed; the details are in the log under the
//! same request id.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, RETRY_AFTER, WWW_AUTHENTICATE,
    },
};
use http_body_util::BodyExt;
use mcp_gateway_core::{
    http::cors,
    mcp::tasks::EXTENSION as TASKS_EXTENSION,
    refusal::{Refusal, reason::Reason},
    token::{bearer::named_scheme, dpop::field::DPOP_NONCE},
};
use pingora::http::ResponseHeader;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{limit, write::within};
use crate::{
    client_session::ClientSession,
    local::{documents::Documents, service::LocalEndpoint},
    request::{
        admit::Admitted,
        exchange::{Broken, Exchange, Stop},
        possession::dpop::next_nonce,
        record::{Record, audit, why},
    },
    shared::Gateway,
    snapshot::Part,
    telemetry::request_log::refusal_log,
};

/// How long the rest of a body is read and discarded before a refusal is written: several clients lose an answer that
/// arrives before they have sent everything. At most twice the body limit.
const DISCARD_DEADLINE: Duration = Duration::from_secs(5);

/// `Retry-After` where no better value is known.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(5);

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The methods of resources and documents, for `Allow` (RFC 9110 §10.2.1).
const RESOURCE_METHODS: HeaderValue = HeaderValue::from_static("POST, GET, DELETE");
const STREAM_METHODS: HeaderValue = HeaderValue::from_static("GET");
const MESSAGE_METHODS: HeaderValue = HeaderValue::from_static("POST");
const MODERN_METHODS: HeaderValue = HeaderValue::from_static("POST");
const DOCUMENT_METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// The detail in the access log of a head that the HTTP parser refuses.
const NOT_A_HEAD: &str =
    "the head is not valid HTTP/1.1: TLS, or HTTP/2 without TLS, on a plain listener looks so too";

/// Answers a refused request.
pub(crate) async fn refuse(exchange: &mut Exchange<'_>, refusal: &Refusal) -> Result<(), Broken> {
    set_detail(exchange, refusal);
    audit::write_refused(exchange.record, exchange.gateway, refusal);
    note_refusal(exchange.record, exchange.gateway, refusal);
    if refusal.reason.leaves_body_in_doubt() {
        exchange.session.close_afterwards();
    } else {
        discard_body(exchange).await;
    }
    if refusal.reason.closes_connection() {
        exchange.session.close_afterwards();
    }
    let body = body(exchange, refusal);
    let headers = headers(exchange, refusal);
    let status = exchange.record.status();
    write(exchange.session, status, headers, body).await?;
    Ok(())
}

/// Serves a document of the gateway's own.
pub(crate) async fn document(exchange: &mut Exchange<'_>, admitted: &Admitted) -> Result<(), Stop> {
    let head = exchange.session.req_header();
    let mut request = http::Request::new(Body::empty());
    // HEAD gets the head that GET would get, with its length (RFC 9110 §9.3.2): the body is left out when it is written.
    *request.method_mut() = match head.method {
        Method::HEAD => Method::GET,
        _ => head.method.clone(),
    };
    *request.uri_mut() = admitted.path.parse().map_err(|_| Reason::NotFound)?;
    *request.headers_mut() = head.headers.clone();
    let documents = &exchange.snapshot.documents;
    let (parts, body) = documents.answer(&admitted.host, request).await.into_parts();
    let body = body
        .collect()
        .await
        .map_err(|_| Reason::Internal)?
        .to_bytes();
    let reason = match parts.status {
        StatusCode::NOT_FOUND => Some(Reason::NotFound),
        StatusCode::METHOD_NOT_ALLOWED => Some(Reason::MethodNotAllowed),
        _ => None,
    };
    if let Some(reason) = reason {
        return Err(reason.into());
    }
    discard_body(exchange).await;
    exchange.record.set_status(parts.status);
    let headers = parts
        .headers
        .into_iter()
        .filter_map(|(name, value)| Some((name?, value)));
    write(exchange.session, parts.status, headers.collect(), body).await?;
    Ok(())
}

/// Writes the answer of a service of the gateway's own.
pub(crate) async fn local(
    exchange: &mut Exchange<'_>,
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
) -> Result<(), Stop> {
    discard_body(exchange).await;
    exchange.record.set_status(status);
    write(exchange.session, status, headers, body).await?;
    Ok(())
}

/// Answers a CORS preflight of an allowed origin; it needs no token.
pub(crate) async fn preflight(exchange: &mut Exchange<'_>) -> Result<(), Stop> {
    let asked = &exchange.session.req_header().headers;
    let origin = exchange.origin.as_ref().ok_or(Reason::Origin)?;
    let resource = exchange.resource.as_ref();
    let passed = resource.map_or(&[][..], |resource| resource.upstream_headers.passed());
    let headers = cors::preflight_headers(origin, asked, passed);
    exchange.record.set_status(StatusCode::NO_CONTENT);
    write(
        exchange.session,
        StatusCode::NO_CONTENT,
        headers,
        Bytes::new(),
    )
    .await?;
    Ok(())
}

/// Answers a head that could not be parsed. Nothing of it is logged, because nothing of it is certain; `found` says what is known.
pub(crate) async fn unreadable_head(
    session: &mut ClientSession,
    record: &mut Record,
    gateway: &Gateway,
    reason: Reason,
) {
    let limit = limit::of_head(&gateway.snapshot(), reason);
    record.set_detail(limit.unwrap_or_else(|| NOT_A_HEAD.to_owned()));
    note_refusal(record, gateway, &reason.into());
    session.close_afterwards();
    let row = reason.row();
    let body = refusal_json(row.error, row.description, record.request_id());
    let headers = vec![(CONTENT_TYPE, JSON), (CACHE_CONTROL, NO_STORE)];
    // A failed write needs no handling: the connection closes anyway.
    let _ = write(session, record.status(), headers, body).await;
    session.shutdown().await;
}

/// Records, counts and logs a refusal; some also count against the client's address.
pub(crate) fn note_refusal(record: &mut Record, gateway: &Gateway, refusal: &Refusal) {
    let reason = refusal.reason;
    record.set_refusal(reason);
    if refusal.counts_against_address() {
        gateway.count_refusal(record.client_address());
    }
    let (resource, detail) = (record.resource_label(), record.detail());
    gateway.metrics().count_refusal(resource, reason);
    let detail = detail.unwrap_or_default();
    refusal_log::write(record.request_id(), resource, reason, detail);
}

/// Says what was found: what the check says, else the limit, else what is found now.
fn set_detail(exchange: &mut Exchange<'_>, refusal: &Refusal) {
    if let Some(said) = &refusal.detail {
        return exchange.record.set_detail(said.clone());
    }
    if exchange.record.detail().is_none() {
        let found = limit::of_request(exchange, refusal.reason)
            .or_else(|| why::found(exchange, refusal.reason, &methods(exchange)));
        exchange.record.set_detail_if(found);
    }
}

fn headers(exchange: &Exchange<'_>, refusal: &Refusal) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![(CONTENT_TYPE, JSON), (CACHE_CONTROL, NO_STORE)];
    let path = exchange.session.req_header().uri.path();
    let used = named_scheme(&exchange.session.req_header().headers);
    if let Some(resource) = &exchange.resource {
        let challenges = resource.challenger(path).headers(refusal, used);
        headers.extend(challenges.into_iter().map(|own| (WWW_AUTHENTICATE, own)));
    }
    headers.extend(next_nonce(exchange).map(|nonce| (DPOP_NONCE, nonce)));
    match exchange.record.status() {
        StatusCode::METHOD_NOT_ALLOWED => headers.push((ALLOW, methods(exchange))),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            headers.push((RETRY_AFTER, retry_after(refusal)));
        }
        _ if refusal.retry_after.is_some() => {
            headers.push((RETRY_AFTER, retry_after(refusal)));
        }
        _ => {}
    }
    if let Some(endpoint) = exchange.endpoint {
        headers.extend(endpoint.is_for_pages.then(cors::public_header));
    } else if exchange.resource.is_some() {
        headers.extend(cors::answer_headers(exchange.origin.as_ref()));
    } else if Documents::claims(exchange.session.req_header().uri.path()) {
        headers.push(cors::public_header());
    }
    headers
}

/// Whole seconds (RFC 9110 §10.2.3), rounded up, so that a client does not retry too early.
fn retry_after(refusal: &Refusal) -> HeaderValue {
    let wait = refusal.retry_after.unwrap_or(RETRY_AFTER_DEFAULT);
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    HeaderValue::from(seconds.max(1))
}

fn methods(exchange: &Exchange<'_>) -> HeaderValue {
    let resource = exchange.resource.as_ref();
    let supported = resource.and_then(|resource| resource.supported.as_ref());
    let path = exchange.session.req_header().uri.path();
    let part = resource.map(|resource| resource.part(path));
    if let Some(endpoint) = exchange.endpoint.or_else(|| endpoint_named(exchange)) {
        endpoint.allow()
    } else if Documents::claims(path) {
        DOCUMENT_METHODS
    } else if part == Some(Part::Stream) {
        STREAM_METHODS
    } else if part == Some(Part::Messages) {
        MESSAGE_METHODS
    } else if supported.is_some_and(|supported| !supported.has_legacy()) {
        MODERN_METHODS
    } else {
        RESOURCE_METHODS
    }
}

/// The endpoint that a request names which was refused before it was routed.
fn endpoint_named(exchange: &Exchange<'_>) -> Option<LocalEndpoint> {
    if exchange.resource.is_some() {
        return None;
    }
    let service = exchange.snapshot.service.as_ref()?;
    let host = why::host(exchange.session, &exchange.snapshot)?;
    service.endpoint(&host, exchange.session.req_header().uri.path())
}

fn body(exchange: &Exchange<'_>, refusal: &Refusal) -> Bytes {
    let request_id = exchange.record.request_id();
    let row = refusal.reason.row();
    let description = refusal.text.as_deref().unwrap_or(row.description);
    let Some(code) = row.rpc_code else {
        return refusal_json(row.error, description, request_id);
    };
    let id = exchange.rpc_id.as_ref().map_or("null", |id| id.as_json());
    let error = json!({
        "code": code,
        "message": description,
        "data": error_data(exchange, refusal.reason, request_id),
    });
    // The id is returned exactly as it was sent, so a number keeps its form.
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#).into()
}

/// `data` of a JSON-RPC error. For a refused version it has the supported ones (`UnsupportedProtocolVersionError`), for a
/// missing capability that capability (`MissingRequiredClientCapabilityError`).
fn error_data(exchange: &Exchange<'_>, reason: Reason, request_id: &str) -> Value {
    if reason == Reason::TasksUndeclared {
        return json!({
            "requiredCapabilities": { "extensions": { TASKS_EXTENSION: {} } },
            "request_id": request_id,
        });
    }
    let resource = exchange.resource.as_ref();
    let supported = resource.and_then(|resource| resource.supported.as_ref());
    match (supported, &exchange.refused_version) {
        (Some(supported), Some(requested)) => json!({
            "supported": supported.versions(),
            "requested": requested,
            "request_id": request_id,
        }),
        _ => json!({ "request_id": request_id }),
    }
}

fn refusal_json(error: &str, description: &str, request_id: &str) -> Bytes {
    let body = json!({
        "error": error,
        "error_description": description,
        "request_id": request_id,
    });
    body.to_string().into()
}

/// Reads the rest of the request body, within limits. A client that waits for `100 Continue` sends none.
async fn discard_body(exchange: &mut Exchange<'_>) {
    let limit = exchange.snapshot.limits.body_bytes.saturating_mul(2);
    let session = &mut *exchange.session;
    if session.is_body_done() || session.req_header().headers.contains_key(EXPECT) {
        return;
    }
    let discard = async {
        let mut left = limit;
        while let Some(chunk) = session.read_body().await.ok()? {
            left = left.checked_sub(chunk.len())?;
        }
        Some(())
    };
    let discarded = timeout(DISCARD_DEADLINE, discard).await;
    if !matches!(discarded, Ok(Some(()))) {
        // Too late, too large or badly framed: the next bytes on this connection are not a request.
        session.close_afterwards();
    }
}

async fn write(
    session: &mut ClientSession,
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
) -> Result<(), Broken> {
    let mut head =
        ResponseHeader::build_no_case(status, Some(headers.len() + 3)).map_err(|_| Broken)?;
    for (name, value) in headers {
        head.append_header(name, value).map_err(|_| Broken)?;
    }
    if status != StatusCode::NO_CONTENT {
        head.insert_header(CONTENT_LENGTH, body.len())
            .map_err(|_| Broken)?;
    }
    let deadline = session.write_deadline();
    within(deadline, session.write_head(Box::new(head))).await?;
    let is_head = session.is_http2() && session.req_header().method == Method::HEAD;
    let body = if is_head { Bytes::new() } else { body };
    within(deadline, session.write_body(body, true)).await
}

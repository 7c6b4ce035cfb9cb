//! Answers that are edited on their way to the client.
//!
//! A JSON answer is collected whole, edited, and sent with its new length, so what cannot be read is refused before anything
//! was sent. An event stream is edited event by event while it is relayed; what cannot be read cuts it visibly. Both are
//! bounded by `limits.answer_bytes`, and all of them together, with the bodies of requests, by `limits.bodies_bytes`. The
//! upstream was told of no encoding, so an encoded answer cannot be read.

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG, LAST_MODIFIED},
};
use http_body_util::BodyExt;
use hyper::body::Body;
use mcp_gateway_core::{
    http::media_type::is_media_type, refusal::reason::Reason, rewrite::document,
};
use tokio::time::{Instant, sleep_until};

use super::{editing::Editing, stream_end::StreamEnd};
use crate::request::{
    exchange::{Exchange, Stop},
    record::Record,
};
use crate::{limits::body_budget::BodyReservation, snapshot::Snapshot, upstream::UpstreamBody};

/// What an answer that is to be edited is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One JSON document.
    Document,
    /// An event stream.
    Events,
}

impl Form {
    /// By the answer's headers.
    ///
    /// # Errors
    /// [`Reason::AnswerUnreadable`], with what is wrong in the record.
    pub(crate) fn of(headers: &HeaderMap, record: &mut Record) -> Result<Self, Reason> {
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
        if !encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            record.set_detail(
                "the upstream's answer has a Content-Encoding, though none was asked for",
            );
            return Err(Reason::AnswerUnreadable);
        }
        let mut types = headers.get_all(CONTENT_TYPE).iter();
        if let (Some(one), None) = (types.next(), types.next()) {
            if is_media_type(one, "application/json") {
                return Ok(Self::Document);
            }
            if is_media_type(one, "text/event-stream") {
                return Ok(Self::Events);
            }
        }
        record
            .set_detail("the upstream's answer is neither application/json nor text/event-stream");
        Err(Reason::AnswerUnreadable)
    }
}

/// Headers that speak of the bytes as they were.
pub(crate) fn forget_validators(headers: &mut HeaderMap) {
    headers.remove(ETAG);
    headers.remove(LAST_MODIFIED);
}

/// Collects a JSON answer and edits it. It has to be there by `deadline`: the client gets no head before.
///
/// # Errors
/// A refusal, or the client has gone.
pub(crate) async fn document(
    exchange: &mut Exchange<'_>,
    body: UpstreamBody,
    mut edit: Editing,
    deadline: Instant,
    stream_end: &mut StreamEnd,
) -> Result<Bytes, Stop> {
    let snapshot = exchange.snapshot.clone();
    let reservation = exchange.gateway.body_budget().reservation();
    let whole = tokio::select! {
        biased;
        whole = collect(body, reservation, &snapshot) => whole,
        _ = exchange.session.read_body_or_idle(true) => return Err(Stop::Broken),
        () = sleep_until(deadline) => Err(Reason::UpstreamTimeout),
        () = stream_end.reached() => Err(Reason::Expired),
    };
    let (whole, reservation) = whole?;
    // Nothing lists nothing.
    if whole.is_empty() {
        return Ok(whole);
    }
    match document::edit(&whole, &mut edit) {
        Ok(edited) => Ok(reservation.attach_to(edited.map_or(whole, Bytes::from))),
        Err(error) => {
            exchange.record.set_detail(error.to_string());
            Err(error.reason().into())
        }
    }
}

async fn collect(
    mut body: UpstreamBody,
    mut reservation: BodyReservation,
    snapshot: &Snapshot,
) -> Result<(Bytes, BodyReservation), Reason> {
    let limit = snapshot.limits.answer_bytes;
    let announced = body.size_hint().exact();
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(Reason::AnswerTooLarge);
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Reason::UpstreamBroken)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len() + data.len() > limit {
            return Err(Reason::AnswerTooLarge);
        }
        reservation.grow(data.len(), snapshot.body_budget_bytes)?;
        whole.extend_from_slice(&data);
    }
    Ok((whole.freeze(), reservation))
}

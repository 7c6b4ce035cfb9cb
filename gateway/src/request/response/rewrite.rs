//! Answers that are edited before they reach the client.
//!
//! A JSON answer is collected as a whole, edited, and sent with its new length, so an answer that cannot be read is refused
//! before anything was sent. An event stream is edited event by event while it is relayed; an event that cannot be read ends
//! it visibly incomplete. Each answer is limited by `limits.answer_bytes` after it is decoded, and all of them, together with
//! the bodies of requests, by `limits.bodies_bytes`.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use hyper::body::Body;
use mcp_gateway_core::{
    http::media_type::{is_media_type, may_be_utf8},
    refusal::reason::Reason,
    rewrite::{document, edit::Edit},
};
use tokio::time::{Instant, sleep_until};

use super::{
    body::coding_fault,
    decoding::{AnswerBody, AnswerFault},
    editing::Editing,
    stream_end::StreamEnd,
};
use crate::request::{
    exchange::{Exchange, Stop},
    record::Record,
};
use crate::{limits::body_budget::BodyReservation, snapshot::Snapshot};

/// The longest value of an answer's header in a detail, in characters.
const MAX_SHOWN: usize = 80;

/// The form of an answer that is to be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerForm {
    /// One JSON document.
    Document,
    /// An event stream.
    Events,
}

impl AnswerForm {
    /// By the answer's headers.
    ///
    /// # Errors
    /// [`Reason::AnswerUnreadable`]; the record has the detail.
    pub(crate) fn of(headers: &HeaderMap, record: &mut Record) -> Result<Self, Reason> {
        let mut types = headers.get_all(CONTENT_TYPE).iter();
        if let (Some(one), None) = (types.next(), types.next())
            && may_be_utf8(one)
        {
            if is_media_type(one, "application/json") {
                return Ok(Self::Document);
            }
            if is_media_type(one, "text/event-stream") {
                return Ok(Self::Events);
            }
        }
        record.set_detail(unreadable_type(headers));
        Err(Reason::AnswerUnreadable)
    }
}

/// Says which type was found.
fn unreadable_type(headers: &HeaderMap) -> String {
    let found: Vec<_> = headers.get_all(CONTENT_TYPE).iter().map(shown).collect();
    let found = match found.as_slice() {
        [] => "no Content-Type".to_owned(),
        found => format!("Content-Type {}", found.join(" and ")),
    };
    format!(
        "the MCP server's answer has {found}; an answer that must be read needs application/json or text/event-stream, in UTF-8"
    )
}

fn shown(value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    text.chars()
        .take(MAX_SHOWN)
        .flat_map(char::escape_debug)
        .collect()
}

/// An answer that is refused, with the detail for the operator.
#[derive(Debug, PartialEq, Eq)]
struct Unfit {
    reason: Reason,
    detail: String,
}

impl Unfit {
    fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

/// Collects a JSON answer and edits it, by `deadline`: the client gets no head before.
///
/// # Errors
/// A refusal, or the client disconnected.
pub(crate) async fn document(
    exchange: &mut Exchange<'_>,
    body: AnswerBody,
    mut edit: Editing,
    deadline: Instant,
    stream_end: &mut StreamEnd,
) -> Result<Bytes, Stop> {
    let snapshot = exchange.snapshot.clone();
    let reservation = exchange.body_reservation();
    let whole = tokio::select! {
        biased;
        whole = collect(body, reservation, &snapshot) => whole,
        () = exchange.session.gone() => return Err(Stop::Broken),
        () = sleep_until(deadline) => Err(Unfit::new(
            Reason::UpstreamTimeout,
            "the answer was not complete in time (timeouts.response_head, resources.response_head)",
        )),
        () = stream_end.reached() => Err(Unfit::new(
            Reason::Expired,
            "the token expired before the answer was complete (timeouts.max_after_expiry)",
        )),
    };
    let (whole, reservation) = whole.map_err(|unfit| {
        exchange.record.set_detail(unfit.detail);
        unfit.reason
    })?;
    // An empty body has no list.
    if whole.is_empty() {
        return Ok(whole);
    }
    loop {
        let edited = document::edit(&whole, &mut edit).map_err(|error| {
            exchange.record.set_detail(error.to_string());
            error.reason()
        })?;
        if edit.settle() {
            return Ok(reservation.attach_to(edited.map_or(whole, Bytes::from)));
        }
        ask(exchange, &edit).await?;
    }
}

/// Asks what the edit lacks. How long that may take is the business of who is asked.
async fn ask(exchange: &mut Exchange<'_>, edit: &Editing) -> Result<(), Stop> {
    let questions = edit.questions().ok_or(Reason::Internal)?;
    let asked = tokio::select! {
        biased;
        asked = questions.ask() => asked,
        () = exchange.session.gone() => return Err(Stop::Broken),
    };
    asked.map_err(|(refusal, detail)| {
        exchange.record.set_detail(detail);
        Stop::Refused(refusal)
    })
}

async fn collect(
    mut body: AnswerBody,
    mut reservation: BodyReservation,
    snapshot: &Snapshot,
) -> Result<(Bytes, BodyReservation), Unfit> {
    let limit = snapshot.limits.answer_bytes;
    let announced = body.size_hint().exact();
    if let Some(length) = announced.filter(|length| *length > limit as u64) {
        let detail =
            format!("the answer has {length} bytes, more than {limit} (limits.answer_bytes)");
        return Err(Unfit::new(Reason::AnswerTooLarge, detail));
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|fault| unread(fault, whole.len()))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len() + data.len() > limit {
            let detail = format!("the answer has more than {limit} bytes (limits.answer_bytes)");
            return Err(Unfit::new(Reason::AnswerTooLarge, detail));
        }
        reservation
            .grow(data.len(), &snapshot.bodies)
            .map_err(|reason| Unfit::new(reason, BODIES))?;
        whole.extend_from_slice(&data);
    }
    Ok((whole.freeze(), reservation))
}

/// The detail where an answer that must be read whole exceeds a limit of all bodies.
pub(crate) const BODIES: &str = "body limit reached (limits.bodies_bytes, limits.bodies_bytes_per_principal): the answer must be buffered to be read";

fn unread(fault: AnswerFault, received: usize) -> Unfit {
    match fault {
        AnswerFault::BrokenOff => Unfit::new(
            Reason::UpstreamBroken,
            format!("the MCP server broke off its answer after {received} bytes"),
        ),
        AnswerFault::Coding(found) => Unfit::new(Reason::UpstreamEncoding, coding_fault(found)),
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc};

    use http::HeaderName;

    use super::*;
    use crate::{
        limits::body_budget::{BodyBudget, BodyLimits},
        request::record::client::Client,
        shared::test_gateway::gateway,
        upstream::test_server,
    };

    fn headers(fields: &[(HeaderName, &'static str)]) -> HeaderMap {
        let value = HeaderValue::from_static;
        let fields = fields.iter();
        let pairs = fields.map(|(name, text)| (name.clone(), value(text)));
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value);
        }
        headers
    }

    /// The form of an answer with these headers, or the detail of its refusal.
    fn form(fields: &[(HeaderName, &'static str)]) -> Result<AnswerForm, String> {
        let peer: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let mut record = Record::new(gateway("").request_id(), Client::Peer(peer), None);
        AnswerForm::of(&headers(fields), &mut record).map_err(|reason| {
            assert_eq!(reason, Reason::AnswerUnreadable);
            record.detail().unwrap().to_owned()
        })
    }

    #[test]
    fn a_single_content_type_decides_the_form_of_an_answer() {
        for (value, expected) in [
            ("application/json", AnswerForm::Document),
            ("Application/JSON; charset=utf-8", AnswerForm::Document),
            ("text/event-stream", AnswerForm::Events),
            ("text/event-stream;charset=utf-8", AnswerForm::Events),
        ] {
            assert_eq!(form(&[(CONTENT_TYPE, value)]), Ok(expected), "{value}");
        }
        for fields in [
            &[][..],
            &[(CONTENT_TYPE, "")],
            &[(CONTENT_TYPE, "text/plain")],
            &[(CONTENT_TYPE, "application/jsonp")],
            &[(CONTENT_TYPE, "application/json; charset=utf-16")],
            &[(CONTENT_TYPE, "text/event-stream; charset=utf-7")],
            &[(CONTENT_TYPE, "application/json, text/event-stream")],
            &[
                (CONTENT_TYPE, "application/json"),
                (CONTENT_TYPE, "application/json"),
            ],
        ] {
            let detail = form(fields).unwrap_err();
            let found = fields.first().map_or("no Content-Type", |(_, found)| found);
            assert!(detail.contains(found), "{fields:?}: {detail}");
            assert!(
                detail.contains("application/json or text/event-stream"),
                "{detail}"
            );
        }
    }

    /// The collected answer while other bodies take `taken` bytes.
    async fn collected(answer: String, taken: usize) -> Result<Bytes, Reason> {
        let snapshot = gateway("limits: { answer_bytes: 64KiB, bodies_bytes: 4MiB }\n").snapshot();
        let budget: Arc<BodyBudget> = Arc::default();
        let mut others = budget.reservation(None);
        others
            .grow(taken, &BodyLimits::without_shares(usize::MAX))
            .unwrap();
        let body = AnswerBody::AsSent(test_server::body(answer).await);
        let collected = collect(body, budget.reservation(None), &snapshot).await;
        let (whole, _) = collected.map_err(|unfit| {
            assert!(!unfit.detail.is_empty());
            unfit.reason
        })?;
        Ok(whole)
    }

    fn sized(length: usize, body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
    }

    #[tokio::test]
    async fn an_answer_is_collected_up_to_its_limit_and_not_beyond() {
        const LIMIT: usize = 64 << 10;
        let most = "x".repeat(LIMIT);
        let unsized_answer =
            |body: &str| format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}");
        for answer in [sized(LIMIT, &most), unsized_answer(&most)] {
            assert_eq!(collected(answer, 0).await.unwrap(), most);
        }
        let announced = sized(LIMIT + 1, "");
        let unannounced = unsized_answer(&format!("{most}x"));
        for answer in [announced, unannounced] {
            assert_eq!(collected(answer, 0).await, Err(Reason::AnswerTooLarge));
        }
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_or_exceeds_the_body_limit_is_refused() {
        let broken = collected(sized(10, "{}"), 0).await;
        assert_eq!(broken, Err(Reason::UpstreamBroken));
        const BODIES: usize = 4 << 20;
        assert_eq!(collected(sized(2, "{}"), BODIES - 2).await.unwrap(), "{}");
        let crowded = collected(sized(2, "{}"), BODIES - 1).await;
        assert_eq!(crowded, Err(Reason::BodiesTooLarge));
    }
}

//! Answers that are edited on their way to the client.
//!
//! A JSON answer is collected whole, edited, and sent with its new length, so what cannot be read is refused before anything
//! was sent. An event stream is edited event by event while it is relayed; what cannot be read cuts it visibly. Both are
//! bounded by `limits.answer_bytes`, and all of them together, with the bodies of requests, by `limits.bodies_bytes`. The
//! upstream was told of no encoding, so an encoded answer cannot be read.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG, LAST_MODIFIED},
};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use mcp_gateway_core::{
    refusal::reason::Reason,
    rewrite::{
        document,
        edit::{Edit, EditError},
        events::EventEditor,
    },
};
use tokio::time::{Instant, sleep_until};

use super::relay::{Dismissal, is_media_type};
use crate::request::{
    account::Account,
    pipeline::{Exchange, Stop},
};
use crate::{limits::body_budget::Held, snapshot::Snapshot, upstream::Answer};

/// An edit of a request's answer.
pub(crate) type Editing = Box<dyn Edit + Send + Sync>;

/// The edits of a request's answer as one.
pub(crate) fn both(one: Option<Editing>, other: Option<Editing>) -> Option<Editing> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Box::new((one, other))),
        (one, other) => one.or(other),
    }
}

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
    /// [`Reason::AnswerUnreadable`], with what is wrong in the account.
    pub(crate) fn of(headers: &HeaderMap, account: &mut Account) -> Result<Self, Reason> {
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
        if !encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            account
                .detail("the upstream's answer has a Content-Encoding, though none was asked for");
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
        account.detail("the upstream's answer is neither application/json nor text/event-stream");
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
    body: Answer,
    mut edit: Editing,
    deadline: Instant,
    dismissal: &mut Dismissal,
) -> Result<Bytes, Stop> {
    let snapshot = exchange.snapshot.clone();
    let held = exchange.account.gateway().bodies().begin();
    let whole = tokio::select! {
        biased;
        whole = collect(body, held, &snapshot) => whole,
        _ = exchange.session.read_body_or_idle(true) => return Err(Stop::Broken),
        () = sleep_until(deadline) => Err(Reason::UpstreamTimeout),
        () = dismissal.comes() => Err(Reason::Expired),
    };
    let (whole, held) = whole?;
    // Nothing lists nothing.
    if whole.is_empty() {
        return Ok(whole);
    }
    match document::edit(&whole, &mut edit) {
        Ok(edited) => Ok(held.keep(edited.map_or(whole, Bytes::from))),
        Err(error) => {
            exchange.account.detail(error.to_string());
            Err(error.reason().into())
        }
    }
}

async fn collect(
    mut body: Answer,
    mut held: Held,
    snapshot: &Snapshot,
) -> Result<(Bytes, Held), Reason> {
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
        held.grow(data.len(), snapshot.bodies)?;
        whole.extend_from_slice(&data);
    }
    Ok((whole.freeze(), held))
}

/// Why a relayed answer ends before it is whole.
#[derive(Debug)]
pub(crate) enum Cut {
    /// The upstream broke off.
    Upstream,
    /// It says what must not pass; why, in words for the operator.
    Refused(Reason, String),
}

/// The body of an answer as it is relayed.
pub(crate) enum Source {
    /// As the upstream sends it.
    Plain(Answer),
    /// Its events edited.
    Edited(Box<Edited>),
}

impl Source {
    /// An event stream, to be edited within the limits of `snapshot`.
    pub(crate) fn edited(body: Answer, edit: Editing, held: Held, snapshot: &Snapshot) -> Self {
        Self::Edited(Box::new(Edited {
            body,
            editor: Some(EventEditor::new(edit, snapshot.limits.answer_bytes)),
            held,
            bodies: snapshot.bodies,
            cut: None,
        }))
    }
}

impl Body for Source {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut *self {
            Self::Plain(body) => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map_err(|_| Cut::Upstream)))
            }
            Self::Edited(edited) => edited
                .poll_data(cx)
                .map(|data| data.map(|data| data.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Plain(body) => body.is_end_stream(),
            Self::Edited(edited) => edited.editor.is_none() && edited.cut.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Plain(body) => body.size_hint(),
            Self::Edited(_) => SizeHint::default(),
        }
    }
}

/// An event stream, and what edits it.
pub(crate) struct Edited {
    body: Answer,
    /// None once the stream has ended.
    editor: Option<EventEditor<Editing>>,
    /// What the editor holds back, counted among all bodies.
    held: Held,
    bodies: usize,
    /// Told once what stood before it has been passed on.
    cut: Option<Cut>,
}

impl Edited {
    /// What of the stream may be passed on next.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        loop {
            if let Some(cut) = self.cut.take() {
                self.editor = None;
                return Poll::Ready(Some(Err(cut)));
            }
            if self.editor.is_none() {
                return Poll::Ready(None);
            }
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            let mut out = Vec::new();
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.push(&data, &mut out);
                    }
                }
                Some(Err(_)) => self.cut = Some(Cut::Upstream),
                None => self.finish(&mut out),
            }
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(out.into())));
            }
        }
    }

    fn push(&mut self, data: &[u8], out: &mut Vec<u8>) {
        let Some(editor) = &mut self.editor else {
            return;
        };
        let pushed = editor.push(data, out);
        let counted = self.held.resize(editor.held(), self.bodies);
        self.cut = match (pushed, counted) {
            (Err(error), _) => Some(error.into()),
            (_, Err(reason)) => Some(Cut::Refused(
                reason,
                "too much is held of event streams".to_owned(),
            )),
            (Ok(()), Ok(())) => None,
        };
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let finished = self.editor.take().map(|editor| editor.finish(out));
        if let Some(Err(error)) = finished {
            self.cut = Some(error.into());
        }
    }
}

impl From<EditError> for Cut {
    fn from(error: EditError) -> Self {
        Self::Refused(error.reason(), error.to_string())
    }
}

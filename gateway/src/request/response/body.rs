//! The body of an answer as it is relayed: as the upstream sends it, or its events edited.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use mcp_gateway_core::{
    refusal::reason::Reason,
    rewrite::{edit::EditError, events::EventEditor},
};

use super::editing::Editing;
use crate::{limits::body_budget::BodyReservation, snapshot::Snapshot, upstream::UpstreamBody};

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
    Plain(UpstreamBody),
    /// Its events edited.
    Edited(Box<Edited>),
}

impl Source {
    /// An event stream, to be edited within the limits of `snapshot`.
    pub(crate) fn edited(
        body: UpstreamBody,
        edit: Editing,
        reservation: BodyReservation,
        snapshot: &Snapshot,
    ) -> Self {
        Self::Edited(Box::new(Edited {
            body,
            editor: Some(EventEditor::new(edit, snapshot.limits.answer_bytes)),
            reservation,
            bodies: snapshot.body_budget_bytes,
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
    body: UpstreamBody,
    /// None once the stream has ended.
    editor: Option<EventEditor<Editing>>,
    /// What the editor holds back, counted among all bodies.
    reservation: BodyReservation,
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
        let counted = self.reservation.resize(editor.held(), self.bodies);
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

//! The body of a relayed answer: unchanged, or with edited events.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use mcp_gateway_core::{
    refusal::reason::Reason,
    rewrite::{edit::EditError, events::EventEditor},
};

use super::{
    decoding::{AnswerBody, AnswerFault},
    editing::{Answered, Asking, Editing, Questions},
};
use crate::{
    limits::body_budget::{BodyLimits, BodyReservation},
    snapshot::Snapshot,
};

/// Why a relayed answer ends before it is complete.
#[derive(Debug)]
pub(crate) enum Cut {
    /// The upstream broke off.
    Upstream,
    /// The answer has something that must not be forwarded; with the reason and the detail for the operator.
    Refused(Reason, String),
}

/// The body of a relayed answer.
pub(crate) enum RelayedBody {
    /// Unchanged.
    Plain(AnswerBody),
    /// With edited events.
    Edited(Box<Edited>),
}

impl RelayedBody {
    /// An event stream to be edited, within the limits of `snapshot`.
    pub(crate) fn edited(
        body: AnswerBody,
        edit: Editing,
        reservation: BodyReservation,
        snapshot: &Snapshot,
    ) -> Self {
        let (questions, opening) = (edit.questions(), edit.opening());
        let editor = EventEditor::new(edit, snapshot.limits.answer_bytes).with_opening(opening);
        Self::Edited(Box::new(Edited {
            body,
            questions,
            asking: None,
            editor: Some(editor),
            reservation,
            bodies: snapshot.bodies,
            first: None,
            cut: None,
        }))
    }

    /// Returns these bytes before all others: they were read before the head of the answer was written.
    pub(crate) fn put_back(&mut self, read: Bytes) {
        if let Self::Edited(edited) = self {
            edited.first = Some(read);
        }
    }
}

impl Body for RelayedBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut *self {
            Self::Plain(body) => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map_err(Cut::from)))
            }
            Self::Edited(edited) => edited
                .poll_data(cx)
                .map(|data| data.map(|data| data.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Plain(body) => body.is_end_stream(),
            Self::Edited(edited) => {
                edited.editor.is_none() && edited.cut.is_none() && edited.first.is_none()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Plain(body) => body.size_hint(),
            Self::Edited(_) => SizeHint::default(),
        }
    }
}

/// An event stream, and its editor.
pub(crate) struct Edited {
    body: AnswerBody,
    /// What a decision point is asked for its edits.
    questions: Option<Arc<dyn Questions>>,
    /// A question that an event waits for.
    asking: Option<Awaited>,
    /// None once the stream has ended.
    editor: Option<EventEditor<Editing>>,
    /// The bytes in the editor, counted among all bodies.
    reservation: BodyReservation,
    bodies: BodyLimits,
    /// Returned once, before everything else.
    first: Option<Bytes>,
    /// Returned once, after everything before it.
    cut: Option<Cut>,
}

impl Edited {
    /// The next part of the stream that may be forwarded.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        loop {
            if let Some(cut) = self.cut.take() {
                self.editor = None;
                return Poll::Ready(Some(Err(cut)));
            }
            if self.editor.is_none() {
                return Poll::Ready(None);
            }
            let mut out = Vec::new();
            if let Some(asking) = &mut self.asking {
                let answered = ready!(asking.answer.as_mut().poll(cx));
                self.go_on(answered, &mut out);
                if !out.is_empty() {
                    return Poll::Ready(Some(Ok(out.into())));
                }
                continue;
            }
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.push(&data, &mut out);
                    }
                }
                Some(Err(fault)) => self.cut = Some(fault.into()),
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
        let counted = self.reservation.resize(editor.held(), &self.bodies);
        self.cut = match (pushed, counted) {
            (Err(EditError::Unanswered), Ok(())) => self.ask(false),
            (Err(error), _) => Some(error.into()),
            (_, Err(reason)) => {
                let limit = self.bodies.reached(reason).unwrap_or_default();
                let detail = format!("{limit}: an event must be buffered to be edited");
                Some(Cut::Refused(reason, detail))
            }
            (Ok(()), Ok(())) => None,
        };
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let finished = self.editor.as_mut().map(|editor| editor.finish(out));
        match finished {
            Some(Err(EditError::Unanswered)) => {
                self.cut = self.ask(true);
                return;
            }
            Some(Err(error)) => self.cut = Some(error.into()),
            Some(Ok(())) | None => {}
        }
        self.editor = None;
    }

    /// Asks what an event lacks; the answer goes on with it.
    fn ask(&mut self, is_last: bool) -> Option<Cut> {
        let Some(questions) = self.questions.clone() else {
            return Some(EditError::Unanswered.into());
        };
        self.asking = Some(Awaited {
            answer: questions.ask(),
            is_last,
        });
        None
    }

    /// Edits the event again that waited.
    fn go_on(&mut self, answered: Answered, out: &mut Vec<u8>) {
        let asked = self.asking.take();
        match answered {
            Err((refusal, detail)) => self.cut = Some(Cut::Refused(refusal.reason, detail)),
            Ok(()) if asked.is_some_and(|asked| asked.is_last) => self.finish(out),
            Ok(()) => self.push(&[], out),
        }
    }
}

/// A question that an event waits for.
struct Awaited {
    answer: Asking,
    /// The upstream's stream has ended with the event.
    is_last: bool,
}

impl From<AnswerFault> for Cut {
    fn from(fault: AnswerFault) -> Self {
        match fault {
            AnswerFault::BrokenOff => Self::Upstream,
            AnswerFault::Coding(found) => {
                Self::Refused(Reason::UpstreamEncoding, coding_fault(found))
            }
        }
    }
}

/// Says that an answer is not in the content coding that its head names.
pub(super) fn coding_fault(found: &str) -> String {
    format!("the MCP server's answer is not what its Content-Encoding says: {found}")
}

impl From<EditError> for Cut {
    fn from(error: EditError) -> Self {
        Self::Refused(error.reason(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt;
    use mcp_gateway_core::rewrite::edit::Edit;

    use super::*;
    use crate::{
        limits::body_budget::BodyBudget, shared::test_gateway::gateway, upstream::test_server,
    };

    const STREAM: &str =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

    async fn sent(answer: impl Into<Vec<u8>>) -> AnswerBody {
        AnswerBody::AsSent(test_server::body(answer).await)
    }

    /// Replaces one string, and refuses messages with another one.
    struct Censor;

    impl Edit for Censor {
        fn edit(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
            let text = String::from_utf8_lossy(message);
            if text.contains("forbidden") {
                return Err(EditError::Unfit("forbidden"));
            }
            let edited = text.replace("secret", "hidden");
            Ok((edited != text).then(|| edited.into_bytes()))
        }
    }

    async fn edited(budget: &Arc<BodyBudget>, events: &str) -> RelayedBody {
        let body = sent(format!("{STREAM}{events}")).await;
        let snapshot = gateway("limits: { answer_bytes: 64KiB }\n").snapshot();
        RelayedBody::edited(
            body,
            Editing::new(Censor),
            budget.reservation(None),
            &snapshot,
        )
    }

    /// The forwarded bytes, and the reason why they ended early.
    async fn read(source: &mut RelayedBody) -> (String, Option<Cut>) {
        let mut text = String::new();
        while let Some(frame) = source.frame().await {
            match frame {
                Ok(frame) => text += std::str::from_utf8(&frame.into_data().unwrap()).unwrap(),
                Err(cut) => return (text, Some(cut)),
            }
        }
        (text, None)
    }

    async fn read_edited(events: &str) -> (String, Option<Cut>) {
        read(&mut edited(&Arc::default(), events).await).await
    }

    #[tokio::test]
    async fn only_events_that_need_it_are_edited() {
        let events = ": comment\n\nid: 1\ndata:  {\"a\":1}\n\ndata: {\"b\":\"secret\"}\n\n";
        let (text, cut) = read_edited(events).await;
        assert!(cut.is_none(), "{cut:?}");
        let kept = text.strip_prefix(": comment\n\nid: 1\ndata:  {\"a\":1}\n\n");
        let kept = kept.unwrap_or_else(|| panic!("{text}"));
        assert!(kept.contains("{\"b\":\"hidden\"}"), "{text}");
    }

    #[tokio::test]
    async fn everything_before_a_refused_event_is_forwarded_and_nothing_after_it() {
        let events = "data: 1\n\ndata: {forbidden}\n\ndata: 3\n\n";
        let mut source = edited(&Arc::default(), events).await;
        let (text, cut) = read(&mut source).await;
        assert_eq!(text, "data: 1\n\n");
        assert!(matches!(
            cut,
            Some(Cut::Refused(Reason::AnswerUnreadable, _))
        ));
        assert!(source.is_end_stream());
        assert!(source.frame().await.is_none());
    }

    #[tokio::test]
    async fn an_unterminated_event_is_checked_when_the_stream_ends() {
        let (text, cut) = read_edited("data: 1\n\ndata: {secret}").await;
        assert!(cut.is_none(), "{cut:?}");
        assert!(
            text.starts_with("data: 1\n\n") && !text.contains("secret"),
            "{text}"
        );
        let (text, cut) = read_edited("data: 1\n\ndata: {forbidden}").await;
        assert_eq!(text, "data: 1\n\n");
        assert!(matches!(
            cut,
            Some(Cut::Refused(Reason::AnswerUnreadable, _))
        ));
    }

    #[tokio::test]
    async fn what_was_put_back_comes_first() {
        let mut source = edited(&Arc::default(), "data: 1\n\n").await;
        source.put_back(Bytes::from_static(b": first\n\n"));
        assert!(!source.is_end_stream());
        let (text, cut) = read(&mut source).await;
        assert_eq!(
            (text.as_str(), cut.is_none()),
            (": first\n\ndata: 1\n\n", true)
        );
        source.put_back(Bytes::from_static(b": last\n\n"));
        assert!(!source.is_end_stream());
    }

    #[tokio::test]
    async fn an_event_longer_than_the_limit_ends_the_stream() {
        let long = format!("data: 1\n\ndata: {}\n\n", "x".repeat(65 << 10));
        let (text, cut) = read_edited(&long).await;
        assert!(matches!(cut, Some(Cut::Refused(Reason::AnswerTooLarge, _))));
        assert_eq!(text, "data: 1\n\n");
    }

    #[tokio::test]
    async fn a_held_event_counts_among_all_bodies() {
        let budget: Arc<BodyBudget> = Arc::default();
        let mut full = budget.reservation(None);
        full.grow(usize::MAX / 2, &BodyLimits::without_shares(usize::MAX))
            .unwrap();
        let mut source = edited(&budget, "data: 1\n\ndata: {half").await;
        let (text, cut) = read(&mut source).await;
        assert!(matches!(cut, Some(Cut::Refused(Reason::BodiesTooLarge, _))));
        assert_eq!(text, "data: 1\n\n");
    }

    #[tokio::test]
    async fn a_stream_of_whole_events_releases_its_reservation() {
        let budget: Arc<BodyBudget> = Arc::default();
        let mut source = edited(&budget, "data: 1\n\n").await;
        let (_, cut) = read(&mut source).await;
        assert!(cut.is_none());
        budget
            .reservation(None)
            .grow(1, &BodyLimits::without_shares(1))
            .unwrap();
    }

    #[tokio::test]
    async fn an_upstream_that_breaks_off_ends_either_answer_early() {
        let short = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ndata: 1\n\ndata";
        let snapshot = gateway("").snapshot();
        let budget: Arc<BodyBudget> = Arc::default();
        let edited = RelayedBody::edited(
            sent(short).await,
            Editing::new(Censor),
            budget.reservation(None),
            &snapshot,
        );
        let plain = RelayedBody::Plain(sent(short).await);
        for (mut source, expected) in [(edited, "data: 1\n\n"), (plain, "data: 1\n\ndata")] {
            let (text, cut) = read(&mut source).await;
            assert_eq!(text, expected);
            assert!(matches!(cut, Some(Cut::Upstream)), "{cut:?}");
        }
    }

    #[tokio::test]
    async fn only_a_plain_answer_keeps_its_length() {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ndata: 1\n\n";
        let plain = RelayedBody::Plain(sent(answer).await);
        assert_eq!(plain.size_hint().exact(), Some(9));
        let snapshot = gateway("").snapshot();
        let budget: Arc<BodyBudget> = Arc::default();
        let body = sent(answer).await;
        let edited = RelayedBody::edited(
            body,
            Editing::new(Censor),
            budget.reservation(None),
            &snapshot,
        );
        assert_eq!(edited.size_hint().exact(), None);
        assert!(!edited.is_end_stream());
        let empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        assert!(RelayedBody::Plain(sent(empty).await).is_end_stream());
    }
}

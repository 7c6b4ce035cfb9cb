//! An edit of one JSON-RPC message, and why it can fail.

use super::event::Event;
use crate::json::{FIXED, JsonError, JsonLimits};
use crate::refusal::reason::Reason;

/// Limits for reading one message of an upstream. Lists of tools contain schemas, so they are higher than those for clients.
pub const MESSAGE_LIMITS: JsonLimits = JsonLimits {
    depth: 128,
    members: 1_000_000,
};

/// Changes one JSON-RPC message of an upstream.
pub trait Edit {
    /// The replacement of `message`; `None` leaves it as it is, byte for byte.
    ///
    /// Nothing has checked the message before, and it may be any text: an edit reads it strictly, within
    /// [`MESSAGE_LIMITS`].
    ///
    /// # Errors
    /// The message must not be forwarded: it cannot be read, or two readers might see different things in it.
    fn edit(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, EditError>;

    /// Other data for an event, instead of an edit of the message in it. Most edits replace none.
    ///
    /// # Errors
    /// The event must not be forwarded.
    fn event(&mut self, _event: &Event<'_>) -> Result<Option<Vec<u8>>, EditError> {
        Ok(None)
    }

    /// Whether the edits since the last call had all that they need. Where one lacked somebody's answer, its result must not be used:
    /// when the answer is there, the same messages are edited again.
    fn settle(&mut self) -> bool {
        true
    }
}

/// Why a response cannot be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A message is not JSON that every reader understands alike.
    #[error("a message from the upstream cannot be read: {}", MESSAGE_LIMITS.explain(*.0, FIXED))]
    Json(#[from] JsonError),
    /// A message is not what the protocol says it is.
    #[error("a message from the upstream cannot be edited: {0}")]
    Unfit(&'static str),
    /// An event is not one that the transport has.
    #[error("an event from the upstream cannot be used: {1}")]
    Event(Reason, &'static str),
    /// A stream has more bytes than this up to the end of its first event.
    #[error(
        "the event stream has more than {0} bytes before the end of its endpoint event (a fixed limit)"
    )]
    LongOpening(usize),
    /// An edit lacks somebody's answer.
    #[error("it is edited when an answer is there")]
    Unanswered,
    /// A response or event is longer than its limit, in bytes.
    #[error("the upstream's response or event has more than {0} bytes (limits.answer_bytes)")]
    TooLarge(usize),
}

impl EditError {
    /// The reason for the client.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Json(_) | Self::Unfit(_) => Reason::AnswerUnreadable,
            Self::TooLarge(_) => Reason::AnswerTooLarge,
            Self::Event(reason, _) => reason,
            Self::LongOpening(_) => Reason::UpstreamEndpoint,
            // The caller waits for the answer and edits again.
            Self::Unanswered => Reason::Internal,
        }
    }
}

/// One edit after the other: the second reads what the first wrote.
impl<A: Edit, B: Edit> Edit for (A, B) {
    fn edit(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
        let first = self.0.edit(message)?;
        let second = self.1.edit(first.as_deref().unwrap_or(message))?;
        Ok(second.or(first))
    }

    fn event(&mut self, event: &Event<'_>) -> Result<Option<Vec<u8>>, EditError> {
        let first = self.0.event(event)?;
        match first {
            Some(_) => Ok(first),
            None => self.1.event(event),
        }
    }

    fn settle(&mut self) -> bool {
        let (first, second) = (self.0.settle(), self.1.settle());
        first && second
    }
}

/// An optional edit.
impl<E: Edit> Edit for Option<E> {
    fn edit(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
        self.as_mut().map_or(Ok(None), |edit| edit.edit(message))
    }

    fn event(&mut self, event: &Event<'_>) -> Result<Option<Vec<u8>>, EditError> {
        self.as_mut().map_or(Ok(None), |edit| edit.event(event))
    }

    fn settle(&mut self) -> bool {
        self.as_mut().is_none_or(Edit::settle)
    }
}

impl<E: Edit + ?Sized> Edit for Box<E> {
    fn edit(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
        (**self).edit(message)
    }

    fn event(&mut self, event: &Event<'_>) -> Result<Option<Vec<u8>>, EditError> {
        (**self).event(event)
    }

    fn settle(&mut self) -> bool {
        (**self).settle()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replaces one text with another.
    struct Swap(&'static str, &'static str);

    impl Edit for Swap {
        fn edit(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
            let text = std::str::from_utf8(message).unwrap();
            let swapped = text.contains(self.0).then(|| text.replace(self.0, self.1));
            Ok(swapped.map(String::into_bytes))
        }
    }

    struct Refuse;

    impl Edit for Refuse {
        fn edit(&mut self, _: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
            Err(EditError::Unfit("always"))
        }
    }

    fn edited(mut edit: impl Edit, message: &str) -> Option<String> {
        let edited = edit.edit(message.as_bytes()).unwrap();
        edited.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_second_edit_reads_what_the_first_wrote() {
        let both = || (Swap("a", "b"), Swap("b", "c"));
        assert_eq!(edited(both(), "a").as_deref(), Some("c"));
        assert_eq!(edited(both(), "b").as_deref(), Some("c"));
        assert_eq!(edited(both(), "x"), None);
        assert_eq!(
            edited((Swap("a", "b"), Swap("x", "y")), "a").as_deref(),
            Some("b")
        );
        let boxed: Box<dyn Edit> = Box::new(both());
        assert_eq!(
            edited((Some(boxed), None::<Refuse>), "a").as_deref(),
            Some("c")
        );
    }

    #[test]
    fn a_limit_is_named_with_its_value() {
        for (error, text) in [
            (
                EditError::Json(JsonError::TooDeep),
                "a message from the upstream cannot be read: more than 128 objects and arrays in one another (a fixed limit)",
            ),
            (
                EditError::Json(JsonError::TooManyMembers),
                "a message from the upstream cannot be read: more than 1000000 members and elements (a fixed limit)",
            ),
            (
                EditError::Json(JsonError::TooManyValues),
                "a message from the upstream cannot be read: more values than are stored (a fixed limit)",
            ),
            (
                EditError::TooLarge(7),
                "the upstream's response or event has more than 7 bytes (limits.answer_bytes)",
            ),
            (
                EditError::LongOpening(7),
                "the event stream has more than 7 bytes before the end of its endpoint event (a fixed limit)",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn what_one_edit_refuses_is_refused() {
        assert!((Refuse, Swap("a", "b")).edit(b"a").is_err());
        assert!((Swap("a", "b"), Refuse).edit(b"a").is_err());
    }
}

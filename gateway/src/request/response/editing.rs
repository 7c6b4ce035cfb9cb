//! The edits of one answer.

use std::{pin::Pin, sync::Arc};

use mcp_gateway_core::{
    refusal::Refusal,
    rewrite::{
        edit::{Edit, EditError},
        event::Event,
    },
};

/// What changes the messages of an answer.
type Boxed = Box<dyn Edit + Send + Sync>;

/// That the answers are there which an edit lacks; or why the answer must not be sent, with what an operator should know.
pub(crate) type Answered = Result<(), (Refusal, String)>;

/// The wait for answers that an edit lacks.
pub(crate) type Asking = Pin<Box<dyn Future<Output = Answered> + Send + Sync>>;

/// What is asked for an edit.
pub(crate) trait Questions: Send + Sync {
    /// Asks everything that the edit lacks.
    fn ask(self: Arc<Self>) -> Asking;
}

/// An edit of a request's answer.
pub(crate) struct Editing {
    edit: Boxed,
    /// What a decision point is asked for it.
    questions: Option<Arc<dyn Questions>>,
    /// The most bytes of the stream up to the end of its first event.
    opening: Option<usize>,
}

impl Editing {
    /// An edit that needs nobody's answer.
    pub(crate) fn new(edit: impl Edit + Send + Sync + 'static) -> Self {
        Self {
            edit: Box::new(edit),
            questions: None,
            opening: None,
        }
    }

    /// The same for a stream with at most so many bytes up to the end of its first event.
    pub(crate) fn with_opening(self, most: usize) -> Self {
        Self {
            opening: Some(most),
            ..self
        }
    }

    /// An edit that is settled when these questions are answered.
    pub(crate) fn asking(
        edit: impl Edit + Send + Sync + 'static,
        questions: Arc<dyn Questions>,
    ) -> Self {
        Self {
            questions: Some(questions),
            ..Self::new(edit)
        }
    }

    /// The most bytes of the stream up to the end of its first event.
    pub(crate) const fn opening(&self) -> Option<usize> {
        self.opening
    }

    /// What is asked where the edit is not settled.
    pub(crate) fn questions(&self) -> Option<Arc<dyn Questions>> {
        self.questions.clone()
    }
}

impl Edit for Editing {
    fn edit(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
        self.edit.edit(message)
    }

    fn event(&mut self, event: &Event<'_>) -> Result<Option<Vec<u8>>, EditError> {
        self.edit.event(event)
    }

    fn settle(&mut self) -> bool {
        self.edit.settle()
    }
}

/// Combines the edits of a request's answer.
pub(crate) fn combine(first: Option<Editing>, second: Option<Editing>) -> Option<Editing> {
    match (first, second) {
        (Some(first), Some(second)) => Some(Editing {
            questions: first.questions.or(second.questions),
            opening: first.opening.or(second.opening),
            edit: Box::new((first.edit, second.edit)),
        }),
        (first, second) => first.or(second),
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    /// Appends its letter.
    struct Append(u8);

    impl Edit for Append {
        fn edit(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
            Ok(Some([message, &[self.0]].concat()))
        }
    }

    fn append(letter: u8) -> Option<Editing> {
        Some(Editing::new(Append(letter)))
    }

    #[test]
    fn the_first_edit_runs_before_the_second_and_a_missing_one_changes_nothing() {
        for (first, second, expected) in [
            (append(b'a'), append(b'b'), "xab"),
            (append(b'a'), None, "xa"),
            (None, append(b'b'), "xb"),
        ] {
            let mut both = combine(first, second).unwrap();
            let edited = both.edit(b"x").unwrap().unwrap();
            assert_eq!(edited, expected.as_bytes());
        }
        assert!(combine(None, None).is_none());
        let limited = append(b'a').map(|edit| edit.with_opening(7));
        let opening = combine(limited, append(b'b')).unwrap().opening();
        assert_eq!(opening, Some(7));
    }
}

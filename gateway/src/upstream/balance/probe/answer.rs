//! The result of a request in the body of its answer, JSON or events. Nothing after the result is waited for.

use http::{Response, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use mcp_gateway_core::rewrite::{
    edit::{Edit, EditError},
    events::EventEditor,
};
use serde_json::Value;

use crate::upstream::body::UpstreamBody;

/// The most of an answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// What an answer has.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    /// The result.
    Result(Value),
    /// An error, or an end without either.
    Nothing,
    /// Neither came in time.
    Late,
}

/// Reads an answer until its result or its error, or until its end.
pub(super) async fn read(answer: Response<UpstreamBody>) -> Found {
    let content_type = answer.headers().get(CONTENT_TYPE);
    let is_stream = content_type.is_some_and(|value| {
        let value = value.to_str().unwrap_or_default().to_ascii_lowercase();
        value.starts_with("text/event-stream")
    });
    let mut reader = Reader::new(is_stream);
    let mut body = answer.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if let Some(found) = reader.push(&data) {
            return found;
        }
    }
    reader.finish()
}

/// Reads a body piece by piece.
struct Reader {
    /// How many bytes came.
    length: usize,
    form: Form,
}

enum Form {
    /// One message; these bytes of it came.
    Json(Vec<u8>),
    Events(Box<EventEditor<Finding>>),
}

impl Reader {
    fn new(is_stream: bool) -> Self {
        let form = match is_stream {
            true => Form::Events(Box::new(EventEditor::new(Finding::default(), MAX_ANSWER))),
            false => Form::Json(Vec::new()),
        };
        Self { length: 0, form }
    }

    /// What is known after more bytes; none while more must come.
    fn push(&mut self, data: &[u8]) -> Option<Found> {
        self.length += data.len();
        if self.length > MAX_ANSWER {
            return Some(Found::Nothing);
        }
        match &mut self.form {
            Form::Json(held) => {
                held.extend_from_slice(data);
                None
            }
            Form::Events(editor) => {
                let is_readable = editor.push(data, &mut Vec::new()).is_ok();
                let found = editor.edit().found.take();
                found.or_else(|| (!is_readable).then_some(Found::Nothing))
            }
        }
    }

    /// What is known at the end.
    fn finish(self) -> Found {
        let found = match self.form {
            Form::Json(held) => found_in(&held),
            Form::Events(mut editor) => {
                let _ = editor.finish(&mut Vec::new());
                editor.edit().found.take()
            }
        };
        found.unwrap_or(Found::Nothing)
    }
}

/// The first result or error of a stream. It changes nothing.
#[derive(Default)]
struct Finding {
    found: Option<Found>,
}

impl Edit for Finding {
    fn edit(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
        self.found = self.found.take().or_else(|| found_in(message));
        Ok(None)
    }
}

/// What a message has; none if it is not the answer to a request.
fn found_in(message: &[u8]) -> Option<Found> {
    let mut message: Value = serde_json::from_slice(message).ok()?;
    let is_error = message.get("error").is_some();
    match message.get_mut("result").map(Value::take) {
        Some(result) => Some(Found::Result(result)),
        None => is_error.then_some(Found::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in these pieces of a body, and after how many.
    fn found(is_stream: bool, pieces: &[&str]) -> (Found, usize) {
        let mut reader = Reader::new(is_stream);
        for (count, piece) in pieces.iter().enumerate() {
            if let Some(found) = reader.push(piece.as_bytes()) {
                return (found, count + 1);
            }
        }
        (reader.finish(), pieces.len() + 1)
    }

    fn result() -> Found {
        Found::Result(Value::from("R"))
    }

    #[test]
    fn a_stream_is_read_until_its_result_or_its_error() {
        let cases: &[(&[&str], Found, usize)] = &[
            (&["data: {\"result\":\"R\"}\n\n", "rest"], result(), 1),
            (&["data:{\"res", "ult\":\"R\"}\r", "\n\r\n"], result(), 3),
            (&["data: {\ndata: \"result\":\"R\"}\n", "\n"], result(), 2),
            (
                &[
                    ": comment\n\n",
                    "event: message\nid: 7\ndata:\n\n",
                    "data: {\"method\":\"notifications/message\"}\n\n",
                    "data: {\"id\":1,\"result\":\"R\"}\n\n",
                ],
                result(),
                4,
            ),
            (&["data: {\"error\":{}}\n\n", "rest"], Found::Nothing, 1),
            (&["data: {\"result\":\"R\"}"], result(), 2),
            (&["data: {\"resu"], Found::Nothing, 2),
            (&["unknown: field\n\n", "rest"], Found::Nothing, 1),
        ];
        for (pieces, expected, count) in cases {
            assert_eq!(
                found(true, pieces),
                (expected.clone(), *count),
                "{pieces:?}"
            );
        }
    }

    #[test]
    fn json_is_read_to_its_end() {
        assert_eq!(found(false, &["{\"result\":", "\"R\"}"]), (result(), 3));
        for other in ["{\"error\":{\"code\":-32601}}", "{}", "no JSON", ""] {
            assert_eq!(found(false, &[other]).0, Found::Nothing, "{other}");
        }
    }

    #[test]
    fn no_more_than_the_limit_is_read() {
        let piece = ": a comment of a stream without an end\n\n".repeat(100);
        let pieces = vec![piece.as_str(); 100];
        let expected = MAX_ANSWER / piece.len() + 1;
        for is_stream in [true, false] {
            assert_eq!(found(is_stream, &pieces), (Found::Nothing, expected));
        }
    }
}

//! The `endpoint` event of a stream: the first one, and the only one of its kind (MCP 2024-11-05, transports, *HTTP with SSE*).
//!
//! A client sends its messages to the URI in it. So the event is replaced, and a second one, which some clients would follow, ends
//! the stream.

use crate::refusal::{fault::Fault, reason::Reason};
use crate::rewrite::{
    edit::{Edit, EditError},
    event::Event,
};

/// The most bytes of a stream up to the end of the event, with the comments that some servers begin with.
pub const MAX_BEFORE_ENDPOINT: usize = 8 * 1024;

/// The name of the event.
const ENDPOINT: &[u8] = b"endpoint";

const REASON: Reason = Reason::UpstreamEndpoint;

/// The edit of a stream that replaces the URI of its first event.
#[derive(Debug)]
pub struct EndpointEvent<R, F> {
    /// The URI for the client, instead of the MCP server's.
    replace: R,
    /// Receives why there is none.
    failed: F,
    is_replaced: bool,
}

impl<R, F> EndpointEvent<R, F>
where
    R: FnMut(&str) -> Result<String, Fault>,
    F: FnMut(Fault),
{
    /// At the start of a stream. `replace` has the URI for the client; `failed` receives why there is none.
    pub const fn new(replace: R, failed: F) -> Self {
        Self {
            replace,
            failed,
            is_replaced: false,
        }
    }

    fn first(&mut self, event: &Event<'_>, is_endpoint: bool) -> Result<Vec<u8>, EditError> {
        if !is_endpoint {
            return Err(EditError::Event(REASON, "the first one is not `endpoint`"));
        }
        let data = event.data();
        let uri = data.as_deref().map(std::str::from_utf8);
        let (Some(Ok(uri)), 1) = (uri, event.names().count()) else {
            let fault = "the `endpoint` event has several names, no data, or data that is not text";
            return Err(EditError::Event(REASON, fault));
        };
        let replaced = (self.replace)(uri).map_err(|fault| {
            let reason = fault.reason;
            (self.failed)(fault);
            EditError::Event(reason, "its URI is not forwarded")
        })?;
        self.is_replaced = true;
        Ok(replaced.into())
    }
}

impl<R, F> Edit for EndpointEvent<R, F>
where
    R: FnMut(&str) -> Result<String, Fault>,
    F: FnMut(Fault),
{
    fn edit(&mut self, _message: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
        Ok(None)
    }

    fn event(&mut self, event: &Event<'_>) -> Result<Option<Vec<u8>>, EditError> {
        if self.is_replaced {
            // Some readers trim names, or compare them without case.
            let mut names = event.names();
            let is_read_so = names.any(|name| name.trim_ascii().eq_ignore_ascii_case(ENDPOINT));
            return match is_read_so {
                true => Err(EditError::Event(REASON, "a second `endpoint` event")),
                false => Ok(None),
            };
        }
        if !event.has_name_or_data() {
            return Ok(None);
        }
        let is_endpoint = event.names().any(|name| name == ENDPOINT);
        self.first(event, is_endpoint).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewrite::events::EventEditor;

    /// The edited stream, why it ended, and what was noted about the URI.
    fn edited(stream: &str) -> (String, Result<(), EditError>, Option<Fault>) {
        let mut noted = None;
        let replace = |uri: &str| match uri {
            "bad" => Err(Fault::new(Reason::EndpointOrigin, "found")),
            uri => Ok(format!("/sse/message?session=({uri})")),
        };
        let edit = EndpointEvent::new(replace, |fault| noted = Some(fault));
        let mut editor = EventEditor::new(edit, 1000);
        let mut out = Vec::new();
        let done = editor.push(stream.as_bytes(), &mut out);
        let done = done.and_then(|()| editor.finish(&mut out));
        drop(editor);
        (String::from_utf8(out).unwrap(), done, noted)
    }

    #[test]
    fn the_first_event_is_replaced_and_all_others_stay() {
        for (stream, expected) in [
            (
                "event: endpoint\ndata: /m?s=1\n\nevent: message\ndata: {}\n\n",
                "event: endpoint\ndata: /sse/message?session=(/m?s=1)\n\nevent: message\ndata: {}\n\n",
            ),
            (
                ": hello\n\nretry: 5\n\nevent:endpoint\r\ndata:/m\r\n\r\n: ping\r\n\r\n",
                ": hello\n\nretry: 5\n\nevent:endpoint\r\ndata: /sse/message?session=(/m)\r\n\r\n: ping\r\n\r\n",
            ),
            (
                "id: 7\ndata: /m\nevent: endpoint\n\ndata: endpoint\n\nevent: endpoints\ndata: 1\n\n",
                "id: 7\ndata: /sse/message?session=(/m)\nevent: endpoint\n\ndata: endpoint\n\nevent: endpoints\ndata: 1\n\n",
            ),
        ] {
            let (out, done, noted) = edited(stream);
            assert_eq!((out.as_str(), done, noted), (expected, Ok(()), None));
        }
    }

    #[test]
    fn a_stream_that_begins_otherwise_is_refused() {
        for stream in [
            "data: /m\n\n",
            "event: message\ndata: {}\n\n",
            "event: Endpoint\ndata: /m\n\n",
            "event: endpoint \ndata: /m\n\n",
            "event: other\n\nevent: endpoint\ndata: /m\n\n",
            "event: endpoint\n\n",
            "event: endpoint\nevent: endpoint\ndata: /m\n\n",
            "event: endpoint\nevent: message\ndata: /m\n\n",
            "event: message\nevent: endpoint\ndata: /m\n\n",
            "event: endpoint",
        ] {
            let (out, done, _) = edited(stream);
            assert_eq!(out, "", "{stream:?}");
            assert_eq!(done.unwrap_err().reason(), REASON, "{stream:?}");
        }
    }

    #[test]
    fn a_uri_without_replacement_has_its_own_reason() {
        let (out, done, noted) = edited("event: endpoint\ndata: bad\n\n");
        assert_eq!(out, "");
        assert_eq!(done.unwrap_err().reason(), Reason::EndpointOrigin);
        assert_eq!(noted.unwrap().detail, "found");
    }

    #[test]
    fn a_second_endpoint_event_ends_the_stream() {
        let first = "event: endpoint\ndata: /m\n\n";
        for second in [
            first,
            "event: endpoint\n\n",
            "event: message\nevent: endpoint\ndata: {}\n\n",
            // As some readers take it.
            "event:  endpoint\ndata: /x\n\n",
            "event: endpoint \ndata: /x\n\n",
            "event: endpoint\t\ndata: /x\n\n",
            "event: Endpoint\ndata: /x\n\n",
        ] {
            let (out, done, _) = edited(&format!("{first}{second}data: 1\n\n"));
            assert_eq!(out, "event: endpoint\ndata: /sse/message?session=(/m)\n\n");
            assert_eq!(done.unwrap_err().reason(), REASON, "{second:?}");
        }
    }
}

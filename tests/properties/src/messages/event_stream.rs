//! Event streams: a comment at a boundary changes no event, however the stream is split into chunks.

use mcp_gateway_core::sse::{COMMENT, EventBoundary};

/// One byte that sets the size of the chunks, then the stream.
pub fn event_stream(bytes: &[u8]) {
    let Some((cut, stream)) = bytes.split_first() else {
        return;
    };
    // An event source drops one byte order mark at the very start, so nothing is allowed before it.
    let stream = stream.strip_prefix("\u{feff}".as_bytes()).unwrap_or(stream);
    let size = usize::from(*cut % 7) + 1;
    let whole = events(stream);
    let mut byte_by_byte = EventBoundary::new();
    for at in 0..=stream.len().min(256) {
        assert_eq!(
            byte_by_byte,
            chunked(&stream[..at], size),
            "the result depends on the chunks"
        );
        if byte_by_byte.at_boundary() {
            let commented = [&stream[..at], COMMENT, &stream[at..]].concat();
            assert_eq!(
                events(&commented),
                whole,
                "a comment at {at} changes an event"
            );
            let mut commented_after = byte_by_byte.clone();
            commented_after.push(COMMENT);
            assert!(
                commented_after.at_boundary(),
                "a comment leaves the boundary"
            );
        }
        byte_by_byte.push(stream.get(at..at + 1).unwrap_or_default());
    }
}

fn chunked(stream: &[u8], size: usize) -> EventBoundary {
    let mut boundary = EventBoundary::new();
    stream.chunks(size).for_each(|chunk| boundary.push(chunk));
    boundary
}

/// What an event source does with a stream, one text for each effect (WHATWG HTML, *Interpreting an event stream*).
fn events(stream: &[u8]) -> Vec<String> {
    let stream = String::from_utf8_lossy(stream);
    let lines = stream.replace("\r\n", "\n").replace('\r', "\n");
    let (mut events, mut data, mut kind, mut id) = (Vec::new(), None, String::new(), String::new());
    // Text after the last line end is not a line, and an event without a blank line after it is not an event.
    let complete = lines.rsplit_once('\n').map_or("", |(complete, _)| complete);
    for line in complete.split('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => {
                let text: Option<String> = data.take();
                events.extend(text.map(|text| format!("{id}|{kind}|{text}")));
                kind.clear();
            }
            "data" => data = Some(format!("{}{value}\n", data.unwrap_or_default())),
            "event" => kind = value.to_owned(),
            "id" if !value.contains('\0') => id = value.to_owned(),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                events.push(format!("retry {value}"))
            }
            _ => {}
        }
    }
    events
}

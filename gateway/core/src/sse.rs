//! Where one event of an event stream ends (WHATWG HTML, *Server-sent events*).

/// A comment and the blank line after it: keeps an idle stream open without sending an event.
pub const COMMENT: &[u8] = b":\n\n";

/// Follows a stream chunk by chunk and tracks whether it is between two events, where a comment can be inserted.
///
/// Lines end with LF, CR or CRLF. A CR at the very end of what has been seen may be half of a CRLF, so it is not
/// a boundary until the next byte arrives: a stream with bare CRs gets no comments, which is harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBoundary {
    /// Nothing has been seen since the last line end.
    line_empty: bool,
    /// The last line that ended was blank, or there was none yet.
    after_blank: bool,
    /// The last byte was a CR.
    after_cr: bool,
}

impl EventBoundary {
    /// At the start of a stream.
    pub const fn new() -> Self {
        Self {
            line_empty: true,
            after_blank: true,
            after_cr: false,
        }
    }

    /// Reads the next bytes of the stream.
    pub fn push(&mut self, chunk: &[u8]) {
        // Only the line ends at the end of the chunk matter, and whether there is text before them.
        let text = chunk
            .iter()
            .rposition(|byte| !matches!(byte, b'\r' | b'\n'));
        if text.is_some() {
            *self = Self {
                line_empty: false,
                after_blank: false,
                after_cr: false,
            };
        }
        let ends = chunk.get(text.map_or(0, |at| at + 1)..).unwrap_or_default();
        ends.iter().for_each(|end| self.end_line(*end));
    }

    /// Whether a comment can be inserted here: at the start and right after a blank line.
    pub const fn at_boundary(&self) -> bool {
        self.line_empty && self.after_blank && !self.after_cr
    }

    const fn end_line(&mut self, end: u8) {
        if self.after_cr && end == b'\n' {
            self.after_cr = false;
            return;
        }
        self.after_blank = self.line_empty;
        self.line_empty = true;
        self.after_cr = end == b'\r';
    }
}

impl Default for EventBoundary {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: &[(&str, bool)] = &[
        ("", true),
        ("data", false),
        ("data: a\n", false),
        ("data: a\n\n", true),
        ("data: a\r\n\r\n", true),
        ("data: a\r\n\r", false),
        ("data: a\r\n", false),
        ("data: a\r\r", false),
        ("data: a\r\r\n", true),
        ("data: a\n\r\n", true),
        ("data: a\n\r", false),
        ("data: a\r\n\n", true),
        ("data: a\n\n\n", true),
        ("\n", true),
        ("\r", false),
        ("\r\n", true),
        (":\n\n", true),
        (": a\n", false),
        ("data: a\n\ndata: b", false),
        ("data: a\n\ndata: b\n", false),
        ("data: a\n\ndata: b\n\n", true),
        ("data: a\r\rdata: b\r\n\r\n", true),
    ];

    #[test]
    fn a_boundary_is_right_after_a_blank_line() {
        for (stream, expected) in CASES {
            let mut boundary = EventBoundary::new();
            boundary.push(stream.as_bytes());
            assert_eq!(boundary.at_boundary(), *expected, "{stream:?}");
        }
    }

    #[test]
    fn it_does_not_matter_how_the_stream_is_split() {
        for (stream, expected) in CASES {
            for first in 0..=stream.len() {
                for second in first..=stream.len() {
                    let mut boundary = EventBoundary::new();
                    for chunk in [&stream[..first], &stream[first..second], &stream[second..]] {
                        boundary.push(chunk.as_bytes());
                    }
                    assert_eq!(
                        boundary.at_boundary(),
                        *expected,
                        "{stream:?} split at {first} and {second}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_comment_leaves_the_stream_at_a_boundary() {
        let mut boundary = EventBoundary::new();
        boundary.push(b"data: a\n\n");
        boundary.push(COMMENT);
        assert!(boundary.at_boundary());
    }
}

//! An event stream of an upstream (WHATWG HTML, *Server-sent events*), edited event by event.
//!
//! An event is forwarded only when it is complete, because only then its data is known. Events that need no edit are forwarded
//! byte for byte. A line that is not a field of the standard is refused, because some reader might find data in it. Comments between events are forwarded as soon as their line ends, so that they keep the stream open. The
//! output does not depend on how the stream is split into chunks.

use super::document;
use super::event::{DATA, Event, data, data_of, is_line_end, lines};
use crate::rewrite::edit::{Edit, EditError};

/// A byte order mark, which readers drop at the start of a stream.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The other fields of an event. Readers ignore all others by the standard; a lenient one may take `Data` for `data`.
const OTHER_FIELDS: [&[u8]; 3] = [b"event", b"id", b"retry"];

/// What ends a line for some readers (Unicode, *Line Breaking*; Python's `splitlines`), in UTF-8.
const WIDE_LINE_ENDS: [&[u8]; 3] = [
    "\u{85}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{2029}".as_bytes(),
];

/// Edits a stream chunk by chunk.
#[derive(Debug)]
pub struct EventEditor<E> {
    edit: E,
    /// The maximum size of one event, in bytes.
    limit: usize,
    /// The most bytes up to the end of the first event, until it has ended.
    opening: Option<usize>,
    /// How many bytes before `held` the stream had, until then.
    passed: usize,
    /// Bytes received and not yet forwarded: at most one incomplete event, once a chunk is processed.
    held: Vec<u8>,
    /// Where the current event begins in `held`.
    start: usize,
    /// Where the current line begins in `held`.
    line: usize,
    /// How far `held` has been searched for the end of that line.
    searched: usize,
    /// The start of the stream has been read, with the byte order mark if there is one.
    begun: bool,
    /// The current event waits for somebody's answer; and whether it ends with a CR.
    stalled: Option<bool>,
    /// The last event ended with a CR; a LF may follow as the second half of the line end.
    after_cr: bool,
}

impl<E: Edit> EventEditor<E> {
    /// At the start of a stream. At most `limit` bytes of an event are held.
    pub const fn new(edit: E, limit: usize) -> Self {
        Self {
            edit,
            limit,
            opening: None,
            passed: 0,
            held: Vec::new(),
            start: 0,
            line: 0,
            searched: 0,
            begun: false,
            stalled: None,
            after_cr: false,
        }
    }

    /// The same for a stream that has at most `most` bytes up to the end of its first event, with comments and blank lines before it.
    pub fn with_opening(self, most: Option<usize>) -> Self {
        Self {
            opening: most,
            ..self
        }
    }

    /// Reads the next bytes of the stream and adds to `out` what can be forwarded by now.
    ///
    /// # Errors
    /// An event that must not be forwarded. What came before it is in `out`; the stream cannot continue, except after
    /// [`EditError::Unanswered`]: when the answer is there, the next push edits the event again.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), EditError> {
        self.held.extend_from_slice(chunk);
        let done = self.advance(out);
        self.let_go();
        done
    }

    /// Handles the end of the stream: the rest is treated as a complete event, because some readers treat it so.
    ///
    /// # Errors
    /// As [`push`](Self::push); after [`EditError::Unanswered`], the stream is finished again when the answer is there.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EditError> {
        self.emit(self.held.len(), out)
    }

    /// What edits the events.
    pub const fn edit(&mut self) -> &mut E {
        &mut self.edit
    }

    /// How many bytes are held.
    pub const fn held(&self) -> usize {
        self.held.len()
    }

    fn advance(&mut self, out: &mut Vec<u8>) -> Result<(), EditError> {
        if !self.begin(out) {
            return Ok(());
        }
        if let Some(ends_in_cr) = self.stalled.take() {
            self.leave(ends_in_cr, out)?;
        }
        while let Some(line) = self.next_line(out) {
            if line.leaves {
                self.leave(line.ends_in_cr, out)?;
            }
        }
        self.check_length(self.held.len())
    }

    /// Refuses a current event or an opening that reaches until here and is too long.
    fn check_length(&self, end: usize) -> Result<(), EditError> {
        if let Some(most) = self.opening
            && self.passed.saturating_add(end) > most
        {
            return Err(EditError::LongOpening(most));
        }
        match end - self.start > self.limit {
            true => Err(EditError::TooLarge(self.limit)),
            false => Ok(()),
        }
    }

    /// Forwards the current event, which ends with the line before the current one.
    fn leave(&mut self, ends_in_cr: bool, out: &mut Vec<u8>) -> Result<(), EditError> {
        let emitted = self.emit(self.line, out);
        match emitted {
            Ok(()) => self.after_cr = ends_in_cr,
            Err(EditError::Unanswered) => self.stalled = Some(ends_in_cr),
            Err(_) => {}
        }
        emitted
    }

    /// Skips the byte order mark; false while it is unknown whether there is one.
    fn begin(&mut self, out: &mut Vec<u8>) -> bool {
        if self.begun {
            return true;
        }
        if self.held.len() < BOM.len() && BOM.starts_with(&self.held) {
            return false;
        }
        self.begun = true;
        if self.held.starts_with(BOM) {
            out.extend_from_slice(BOM);
            self.move_to(BOM.len());
        }
        true
    }

    /// Skips the next line whose end is known.
    fn next_line(&mut self, out: &mut Vec<u8>) -> Option<EventLine> {
        self.pass_second_half(out)?;
        let rest = self.held.get(self.searched..)?;
        let Some(found) = rest.iter().position(|byte| is_line_end(*byte)) else {
            self.searched = self.held.len();
            return None;
        };
        let at = self.searched + found;
        let is_comment = self.held.get(self.line) == Some(&b':');
        let leaves = at == self.line || (is_comment && self.line == self.start);
        let is_cr = self.held.get(at) == Some(&b'\r');
        let mut end = at + 1;
        // An event is forwarded at once; the other half of its line end follows. Inside an event more must arrive anyway.
        if is_cr && !leaves {
            match self.held.get(end) {
                None => {
                    self.searched = at;
                    return None;
                }
                Some(next) => end += usize::from(*next == b'\n'),
            }
        }
        (self.line, self.searched) = (end, end);
        Some(EventLine {
            leaves,
            ends_in_cr: is_cr,
        })
    }

    /// Forwards the LF after a CR that was forwarded; none while it is unknown whether there is one.
    fn pass_second_half(&mut self, out: &mut Vec<u8>) -> Option<()> {
        if self.after_cr {
            if *self.held.get(self.line)? == b'\n' {
                out.push(b'\n');
                self.move_to(self.line + 1);
            }
            self.after_cr = false;
        }
        Some(())
    }

    /// Forwards the current event, which ends here.
    fn emit(&mut self, end: usize, out: &mut Vec<u8>) -> Result<(), EditError> {
        self.check_length(end)?;
        let event = self.held.get(self.start..end).unwrap_or_default();
        match edited(event, &mut self.edit)? {
            None => out.extend_from_slice(event),
            Some(edited) => out.extend_from_slice(&edited),
        }
        if self.opening.is_some() && Event(event).has_name_or_data() {
            self.opening = None;
        }
        self.move_to(end);
        Ok(())
    }

    fn move_to(&mut self, at: usize) {
        (self.start, self.line, self.searched) = (at, at, at);
    }

    /// Releases the memory of what was forwarded.
    fn let_go(&mut self) {
        let left = self.start;
        self.passed = self.passed.saturating_add(left);
        if left == self.held.len() {
            // A stream may be idle for a long time: it holds no memory meanwhile.
            self.held = Vec::new();
        } else {
            self.held.drain(..left);
        }
        self.start = 0;
        self.line -= left;
        self.searched -= left;
    }
}

/// A line whose end is known.
struct EventLine {
    /// It ends an event, or is a comment in front of one.
    leaves: bool,
    ends_in_cr: bool,
}

/// The replacement of an event; `None` where nothing changes.
fn edited(event: &[u8], edit: &mut impl Edit) -> Result<Option<Vec<u8>>, EditError> {
    refuse_unreadable(event)?;
    if let Some(new) = edit.event(&Event(event))? {
        return Ok(Some(rewritten(event, &new)));
    }
    let Some(data) = data(event) else {
        return Ok(None);
    };
    if !could_be_message(&data) {
        return match is_one_line(&data) {
            true => Ok(None),
            false => Err(SPLIT),
        };
    }
    let edited = document::edit(&data, edit)?;
    if !edit.settle() {
        return Err(EditError::Unanswered);
    }
    Ok(edited.map(|new| rewritten(event, &new)))
}

/// Some readers would find other lines in an event.
const SPLIT: EditError = EditError::Unfit("a line of an event has another line in it");

/// Refuses lines in which some reader might find data that is not the event's data.
fn refuse_unreadable(event: &[u8]) -> Result<(), EditError> {
    for (line, _) in lines(event) {
        let name = line.split(|byte| *byte == b':').next().unwrap_or(line);
        if name == DATA || line.is_empty() {
            continue;
        }
        if !name.is_empty() && !OTHER_FIELDS.contains(&name) {
            return Err(EditError::Unfit("a line of an event has an unknown field"));
        }
        if !is_one_line(line) {
            return Err(SPLIT);
        }
    }
    Ok(())
}

/// Whether every reader finds one line in this text of one line or of data.
fn is_one_line(text: &[u8]) -> bool {
    let is_control = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n');
    let has_wide = || {
        let mut ends = WIDE_LINE_ENDS.iter();
        ends.any(|end| text.windows(end.len()).any(|part| part == *end))
    };
    !text.iter().any(is_control) && (text.is_ascii() || !has_wide())
}

/// The event with other data, at the position of its first `data` line; everything else is unchanged.
fn rewritten(event: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(event.len().max(new.len()));
    let mut written = false;
    for (line, end) in lines(event) {
        if data_of(line).is_none() {
            out.extend_from_slice(line);
            out.extend_from_slice(end);
            continue;
        }
        if written {
            continue;
        }
        written = true;
        let between = if end.is_empty() { b"\n" } else { end };
        for (number, piece) in new.split(|byte| is_line_end(*byte)).enumerate() {
            out.extend_from_slice(if number > 0 { between } else { b"" });
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(piece);
        }
        out.extend_from_slice(end);
    }
    out
}

/// Whether some reader might find an object or an array in this text: it has a brace, or its first visible ASCII character is a
/// bracket. What else servers put into events (the URI of an `endpoint` event, nothing at all) is not a message.
fn could_be_message(text: &[u8]) -> bool {
    let visible = text.iter().find(|byte| byte.is_ascii_graphic());
    text.contains(&b'{') || visible == Some(&b'[')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replaces `one` with `two`, on two lines; refuses `bad`.
    struct Two;

    impl Edit for Two {
        fn edit(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
            let text = std::str::from_utf8(message).unwrap();
            if text.contains("bad") {
                return Err(EditError::Unfit("bad"));
            }
            let edited = text.contains("one").then(|| text.replace("one", "two\n"));
            Ok(edited.map(String::into_bytes))
        }
    }

    type Edited = (String, Result<(), EditError>);

    fn edited(chunks: &[&str], limit: usize) -> Edited {
        let mut editor = EventEditor::new(Two, limit);
        let mut out = Vec::new();
        let mut done = Ok(());
        for chunk in chunks {
            done = done.and_then(|()| editor.push(chunk.as_bytes(), &mut out));
        }
        let done = done.and_then(|()| editor.finish(&mut out));
        (String::from_utf8(out).unwrap(), done)
    }

    const UNTOUCHED: &[&str] = &[
        "",
        "\n",
        "\r",
        "\r\n\r\n",
        ":\n\n",
        ": comment\n: {one}\ndata: {}\n\n",
        "data: {\"a\":1}\n\n",
        "data:{}\r\rdata: []\r\n\r\n",
        "id: 1\ndata:\n\n",
        "id: 1\ndata\n\n",
        "id: {one}\nevent: {one}\nretry: 5\n: {one}\nid\ndata:  {}\n\n",
        "event: endpoint\ndata: /messages?session=one\n\n",
        "data: one\n\n",
        "event: \u{fc}\n: \t\u{fc}\ndata: \u{fc}\n\n",
        "data: {}",
        "data: {}\n",
        "\u{feff}data: {}\n\n",
        "\n\n\n\ndata: {}\n\n\n",
    ];

    const CHANGED: &[(&str, &str)] = &[
        ("data: {one}\n\n", "data: {two\ndata: }\n\n"),
        ("data:{one}\r\n\r\n", "data: {two\r\ndata: }\r\n\r\n"),
        ("data:{one}\r\r", "data: {two\rdata: }\r\r"),
        (
            "id: 7\r\ndata: {\nevent: x\ndata\ndata: one}\n: c\nretry: 1\n\n",
            "id: 7\r\ndata: {\ndata: \ndata: two\ndata: }\nevent: x\n: c\nretry: 1\n\n",
        ),
        (
            "data: {}\n\ndata: [{\"a\":\"one\"}]\n\n: c\n\ndata: {}\n\n",
            "data: {}\n\ndata: [{\"a\":\"two\ndata: \"}]\n\n: c\n\ndata: {}\n\n",
        ),
        ("data\ndata: {one}\n\n", "data: \ndata: {two\ndata: }\n\n"),
        ("\u{feff}data: {one}\n\n", "\u{feff}data: {two\ndata: }\n\n"),
        ("data: {one}", "data: {two\ndata: }"),
        ("data: {one}\r", "data: {two\rdata: }\r"),
        (": c\rdata: {one}\n\n", ": c\rdata: {two\ndata: }\n\n"),
    ];

    #[test]
    fn events_that_need_no_edit_are_forwarded_byte_for_byte() {
        for stream in UNTOUCHED {
            assert_eq!(edited(&[stream], 1000), ((*stream).to_owned(), Ok(())));
        }
    }

    #[test]
    fn edited_data_is_where_its_first_line_was() {
        for (stream, expected) in CHANGED {
            assert_eq!(edited(&[stream], 1000), ((*expected).to_owned(), Ok(())));
        }
    }

    #[test]
    fn it_does_not_matter_how_the_stream_is_split() {
        let streams = UNTOUCHED
            .iter()
            .chain(CHANGED.iter().map(|(stream, _)| stream));
        let refused = ["data: {}\n\ndata: {bad}\n\n", ": c\r\n\r\ndata: {}\r\n\r\n"];
        for stream in streams.chain(&refused) {
            for limit in [9, 10, 11, 12, 1000] {
                let whole = edited(&[stream], limit);
                for first in (0..=stream.len()).filter(|at| stream.is_char_boundary(*at)) {
                    for second in (first..=stream.len()).filter(|at| stream.is_char_boundary(*at)) {
                        let chunks = [&stream[..first], &stream[first..second], &stream[second..]];
                        assert_eq!(edited(&chunks, limit), whole, "{chunks:?} {limit}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_part_of_an_event_is_forwarded_before_it_is_complete() {
        let mut editor = EventEditor::new(Two, 1000);
        let steps = [
            (": keep", ""),
            ("-alive\n", ": keep-alive\n"),
            ("id: 1\n: not alone\ndata: {}", ""),
            ("\n", ""),
            ("\n", "id: 1\n: not alone\ndata: {}\n\n"),
            ("data: {}\r\n\r", "data: {}\r\n\r"),
            ("\n", "\n"),
            ("data: {}\r", ""),
            ("\r", "data: {}\r\r"),
        ];
        for (chunk, expected) in steps {
            let mut out = Vec::new();
            editor.push(chunk.as_bytes(), &mut out).unwrap();
            assert_eq!(out, expected.as_bytes(), "{chunk:?}");
        }
        assert_eq!(editor.held(), 0);
    }

    #[test]
    fn an_unreadable_event_ends_the_stream_after_the_events_before_it() {
        let (out, done) = edited(&["data: {}\n\ndata: {bad}\n\ndata: {}\n\n"], 1000);
        assert_eq!(
            (&*out, done),
            ("data: {}\n\n", Err(EditError::Unfit("bad")))
        );
        let (out, done) = edited(&["data: {}\n\ndata: {bad}"], 1000);
        assert_eq!(
            (&*out, done),
            ("data: {}\n\n", Err(EditError::Unfit("bad")))
        );
    }

    #[test]
    fn an_event_that_is_too_large_ends_the_stream() {
        let whole = "data: {}\n\n";
        let (out, done) = edited(&[whole, "data: {}x\n\n"], whole.len());
        assert_eq!(
            (&*out, done),
            (whole, Err(EditError::TooLarge(whole.len())))
        );
        let mut editor = EventEditor::new(Two, 4);
        let mut out = Vec::new();
        assert_eq!(editor.push(b"data", &mut out), Ok(()));
        assert_eq!(editor.push(b":", &mut out), Err(EditError::TooLarge(4)));
        assert_eq!(out, b"");
    }

    /// The same with a limit for the opening, byte by byte or at once.
    fn opened(stream: &str, most: usize, size: usize) -> Edited {
        let mut editor = EventEditor::new(Two, 1000).with_opening(Some(most));
        let mut out = Vec::new();
        let mut chunks = stream.as_bytes().chunks(size);
        let done = chunks.try_for_each(|chunk| editor.push(chunk, &mut out));
        let done = done.and_then(|()| editor.finish(&mut out));
        (String::from_utf8(out).unwrap(), done)
    }

    #[test]
    fn everything_up_to_the_end_of_the_first_event_counts_and_nothing_after_it() {
        let rest = format!("data: {}\n\n: {}\n\n", "x".repeat(200), "x".repeat(200));
        for opening in [
            "data: 1\n\n",
            "event: a\n\n",
            ": c\n\n\nretry: 5\n\nid: 7\n\ndata: 1\n\n",
            "\u{feff}\r\n\r\n: c\r\n\r\ndata: 1\r\n\r",
            "\n\n\n\n\n\n\n\ndata\n\n",
        ] {
            let stream = format!("{opening}{rest}");
            for size in [1, 2, 5, stream.len()] {
                let whole = opened(&stream, opening.len(), size);
                assert_eq!(whole, (stream.clone(), Ok(())), "{opening:?} {size}");
                let most = opening.len() - 1;
                let (out, done) = opened(&stream, most, size);
                assert_eq!(done, Err(EditError::LongOpening(most)), "{opening:?}");
                assert!(out.len() < opening.len() && !out.contains('1'), "{out:?}");
            }
        }
    }

    #[test]
    fn an_opening_without_end_is_refused_as_soon_as_it_is_too_long() {
        for unended in ["data: ", "event", "\n", ": ", "\u{feff}"] {
            let mut editor = EventEditor::new(Two, 1000).with_opening(Some(10));
            let (mut out, mut pushed) = (Vec::new(), 0);
            let stopped = unended
                .bytes()
                .chain(std::iter::repeat(unended.as_bytes()[0]));
            let done = stopped.take(100).try_for_each(|byte| {
                pushed += 1;
                editor.push(&[byte], &mut out)
            });
            assert_eq!((pushed, done), (11, Err(EditError::LongOpening(10))));
            assert!(editor.held() <= 11, "{unended:?}");
        }
    }

    #[test]
    fn a_line_in_which_some_reader_might_find_data_is_refused() {
        for line in [
            "Data: {one}",
            "DATA: {one}",
            "data : {one}",
            " data: {one}",
            "\tdata: {one}",
            "\u{feff}data: {one}",
            "\u{feff}\u{feff}data: {one}",
            "\0data: {one}",
            "d\0a\0t\0a\0:\0 \0{\0}\0",
            "\u{a0}data: {one}",
            "other: {one}",
            "other",
            "{one}",
            "[{one}]",
            ": \u{2028}data: {one}",
            ":\u{b}data: {one}",
            "event: x\u{85}data: {one}",
            "id: 1\u{c}data: {one}",
            "retry: 5\u{2029}data: {one}",
        ] {
            for stream in [
                format!("data: {{}}\n\n{line}\n\n"),
                format!("data: {{}}\n\ndata: {{}}\n{line}"),
                format!("data: {{}}\n\n{line}\ndata: {{}}\n\n"),
            ] {
                let (out, done) = edited(&[&stream], 1000);
                assert_eq!(out, "data: {}\n\n", "{stream:?}");
                assert!(matches!(done, Err(EditError::Unfit(_))), "{stream:?}");
            }
        }
    }

    #[test]
    fn data_that_some_reader_splits_is_refused_unless_it_is_a_message() {
        for data in ["x\u{2028}data: [one]", "\u{b}", "x\u{1e}", "x\0"] {
            let (out, done) = edited(&[&format!("data: {data}\n\n")], 1000);
            assert_eq!((&*out, done), ("", Err(SPLIT)), "{data:?}");
        }
        let message = "data: {\"a\":\"\u{2028}\"}\n\n";
        assert_eq!(edited(&[message], 1000), (message.to_owned(), Ok(())));
    }

    #[test]
    fn text_without_an_object_or_array_is_not_a_message() {
        for text in [
            "",
            " ",
            "/messages?session=1",
            "http://[::1]/x",
            "1",
            "null",
        ] {
            assert!(!could_be_message(text.as_bytes()), "{text}");
        }
        for text in [
            "{}",
            " \n[",
            "\u{feff}{",
            "\u{a0}{",
            "\u{0}[1]",
            "x{",
            "\"{\"",
        ] {
            assert!(could_be_message(text.as_bytes()), "{text}");
        }
    }
}

//! One event of a stream: its lines, its name, its data (WHATWG HTML, *Server-sent events*).

use std::borrow::Cow;

pub(super) const DATA: &[u8] = b"data";

const NAME: &[u8] = b"event";

/// One event, or what stands between two events: comments and blank lines.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a>(pub(super) &'a [u8]);

impl<'a> Event<'a> {
    /// Its names, in order. A reader of the standard takes the last one.
    pub fn names(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        lines(self.0).filter_map(|(line, _)| value(line, NAME))
    }

    /// Whether it is an event: comments, blank lines and the time to wait before the next connection are none.
    pub fn has_name_or_data(&self) -> bool {
        self.names().next().is_some() || self.data().is_some()
    }

    /// Its data.
    pub fn data(&self) -> Option<Cow<'a, [u8]>> {
        data(self.0)
    }
}

/// The event's data: the values of its `data` lines, joined by line feeds.
pub(super) fn data(event: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut values = lines(event).filter_map(|(line, _)| data_of(line));
    let mut data = Cow::Borrowed(values.next()?);
    for value in values {
        let data = data.to_mut();
        data.push(b'\n');
        data.extend_from_slice(value);
    }
    Some(data)
}

/// The value of a line, where its field is `data`: what follows the colon and one space.
pub(super) fn data_of(line: &[u8]) -> Option<&[u8]> {
    value(line, DATA)
}

/// The value of a line with this field: what follows the colon and one space.
fn value<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(field)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// The lines of an event, each with its end.
pub(super) fn lines(event: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = event;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at = rest
            .iter()
            .position(|byte| is_line_end(*byte))
            .unwrap_or(rest.len());
        let (line, behind) = rest.split_at(at);
        let length = match behind {
            [b'\r', b'\n', ..] => 2,
            [] => 0,
            _ => 1,
        };
        let (end, behind) = behind.split_at(length);
        rest = behind;
        Some((line, end))
    })
}

pub(super) const fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_names_and_its_data() {
        let cases: &[(&str, &[&str], Option<&str>)] = &[
            ("", &[], None),
            (": event: x\n", &[], None),
            ("id: 1\nretry: 5\n\n", &[], None),
            ("event: endpoint\ndata: /a\n\n", &["endpoint"], Some("/a")),
            (
                "event:endpoint\r\ndata:/a\r\n\r\n",
                &["endpoint"],
                Some("/a"),
            ),
            ("event\rdata\r\r", &[""], Some("")),
            (
                "event:  a\nevent: b\ndata: 1\ndata: 2\n\n",
                &[" a", "b"],
                Some("1\n2"),
            ),
            ("events: a\ndata2: b\n\n", &[], None),
        ];
        for (text, names, data) in cases {
            let event = Event(text.as_bytes());
            let names: Vec<_> = names.iter().map(|name| name.as_bytes()).collect();
            assert_eq!(event.names().collect::<Vec<_>>(), names, "{text:?}");
            let found = event.data();
            assert_eq!(found.as_deref(), data.map(str::as_bytes), "{text:?}");
            let is_event = !names.is_empty() || data.is_some();
            assert_eq!(event.has_name_or_data(), is_event, "{text:?}");
        }
    }
}

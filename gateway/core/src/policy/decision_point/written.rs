//! JSON as questions have it: one form for one value, because the text of a question is its key in the cache.

/// The capacity of the text of an ordinary question, in bytes.
const ORDINARY: usize = 512;

/// JSON that is being written.
pub(super) struct Written(Vec<u8>);

impl Written {
    pub(super) fn new() -> Self {
        Self(Vec::with_capacity(ORDINARY))
    }

    /// What follows after these bytes, which stay before it. What is written next must not begin with a name.
    pub(super) fn after(text: &[u8]) -> Self {
        let mut written = Vec::with_capacity(ORDINARY.max(text.len().saturating_mul(2)));
        written.extend_from_slice(text);
        Self(written)
    }

    /// Writes what needs no escape.
    pub(super) fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Writes a text, with quotes and escapes (RFC 8259 §7).
    pub(super) fn text(&mut self, text: &str) {
        self.0.push(b'"');
        let mut rest = text;
        // Nearly always there is nothing to escape, which a walk to the end finds out faster than one that may stop.
        if !text
            .bytes()
            .fold(false, |found, byte| found | is_escaped(byte))
        {
            rest = "";
            self.raw(text);
        }
        while let Some(at) = rest.bytes().position(is_escaped) {
            let (plain, other) = rest.split_at(at);
            self.raw(plain);
            let mut characters = other.chars();
            self.escape(characters.next().map_or(0, u32::from));
            rest = characters.as_str();
        }
        self.raw(rest);
        self.0.push(b'"');
    }

    /// Writes the name of a member, and the comma before it unless it is the first one.
    pub(super) fn name(&mut self, name: &str) {
        self.comma();
        self.text(name);
        self.0.push(b':');
    }

    /// Writes a comma unless an object or array has just begun.
    pub(super) fn comma(&mut self) {
        if !matches!(self.0.last(), Some(b'{' | b'[') | None) {
            self.0.push(b',');
        }
    }

    /// Writes a member whose value is a text.
    pub(super) fn member(&mut self, name: &str, text: &str) {
        self.name(name);
        self.text(text);
    }

    /// How long it is.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The text.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn escape(&mut self, character: u32) {
        match character {
            0x22 => self.raw("\\\""),
            0x5c => self.raw("\\\\"),
            control => self.raw(&format!("\\u{control:04x}")),
        }
    }
}

const fn is_escaped(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=0x1f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_read_back_as_it_was() {
        for text in [
            "",
            "plain",
            "a\"b\\c/d",
            "\u{0}\u{1f}\n\r\t\u{7f}",
            "é \u{2028} 𝄞",
            "\"",
            "\\",
        ] {
            let mut written = Written::new();
            written.text(text);
            let read: String = serde_json::from_slice(&written.into_bytes()).unwrap();
            assert_eq!(read, text);
        }
    }
}

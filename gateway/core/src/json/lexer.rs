//! The tokens of JSON (RFC 8259 §2, §6, §7), read from bytes that are already known to be UTF-8.

use super::limits::JsonError;

/// How many bytes are checked together at the beginning and at the end of the plain part of a string.
const WORD: usize = 8;

/// The words that are checked one by one before the blocks: most strings end in them.
const SHORT_WORDS: usize = 4;

/// How many bytes are checked together between them. The loop over them compiles to vector instructions.
const BLOCK: usize = 32;

/// A position in a document.
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes have been read.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// The bytes from `start` to here.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// The next byte, without consuming it.
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next byte after white space, without consuming it.
    pub(super) fn peek_token(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }

    /// Consumes the next byte.
    pub(super) fn take(&mut self) -> Result<u8, JsonError> {
        let byte = self.peek().ok_or(JsonError::Syntax)?;
        self.at += 1;
        Ok(byte)
    }

    /// Consumes white space and the next byte.
    pub(super) fn take_token(&mut self) -> Result<u8, JsonError> {
        self.peek_token();
        self.take()
    }

    /// Consumes white space and the next byte, which must be this one.
    pub(super) fn expect(&mut self, wanted: u8) -> Result<(), JsonError> {
        if self.take_token()? == wanted {
            Ok(())
        } else {
            Err(JsonError::Syntax)
        }
    }

    /// Checks that only white space follows.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        match self.peek_token() {
            None => Ok(()),
            Some(_) => Err(JsonError::Syntax),
        }
    }

    /// Consumes the rest of a string after its opening quote. Returns the bytes between the quotes, still escaped.
    pub(super) fn string(&mut self) -> Result<&'a [u8], JsonError> {
        let start = self.at;
        self.skip_string()?;
        Ok(self.bytes.get(start..self.at - 1).unwrap_or_default())
    }

    /// Consumes the same, and returns whether there is an escape in it.
    pub(super) fn skip_string(&mut self) -> Result<bool, JsonError> {
        let mut has_escapes = false;
        loop {
            self.skip_plain();
            match self.take()? {
                b'"' => return Ok(has_escapes),
                b'\\' => self.escape()?,
                _ => return Err(JsonError::Syntax),
            }
            has_escapes = true;
        }
    }

    /// Consumes the rest of a number after its first byte.
    pub(super) fn number(&mut self, first: u8) -> Result<(), JsonError> {
        let lead = if first == b'-' { self.take()? } else { first };
        match lead {
            b'0' => {}
            b'1'..=b'9' => self.skip_digits(),
            _ => return Err(JsonError::Syntax),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Consumes the rest of `true`, `false` or `null`.
    pub(super) fn literal(&mut self, rest: &[u8]) -> Result<(), JsonError> {
        if self
            .bytes
            .get(self.at..)
            .is_some_and(|ahead| ahead.starts_with(rest))
        {
            self.at += rest.len();
            Ok(())
        } else {
            Err(JsonError::Syntax)
        }
    }

    /// Skips the rest of a number or literal after its first byte.
    pub(super) fn skip_word(&mut self) {
        while self
            .peek()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-'))
        {
            self.at += 1;
        }
    }

    fn skip_plain(&mut self) {
        if self.skip_words(SHORT_WORDS) {
            return;
        }
        self.skip_blocks();
        if self.skip_words(usize::MAX) {
            return;
        }
        // The last bytes of the document are less than a word.
        while self.peek().is_some_and(|byte| !stops(byte)) {
            self.at += 1;
        }
    }

    /// Skips at most so many plain words, and the plain bytes of the next one. True if that one [`stops`].
    fn skip_words(&mut self, most: usize) -> bool {
        for _ in 0..most {
            let rest = self.bytes.get(self.at..);
            let Some(word) = rest.and_then(|rest| rest.first_chunk::<WORD>()) else {
                return false;
            };
            let stops = stops_in_word(u64::from_le_bytes(*word));
            if stops != 0 {
                self.at += (stops.trailing_zeros() / u8::BITS) as usize;
                return true;
            }
            self.at += WORD;
        }
        false
    }

    /// Skips the plain blocks before the first one with a byte that [`stops`].
    fn skip_blocks(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (blocks, _) = rest.as_chunks::<BLOCK>();
        self.at += BLOCK * blocks.iter().take_while(|block| is_plain(block)).count();
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        match self.take()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => (0..4).try_for_each(|_| match self.take()? {
                digit if digit.is_ascii_hexdigit() => Ok(()),
                _ => Err(JsonError::Syntax),
            }),
            _ => Err(JsonError::Syntax),
        }
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.take()?.is_ascii_digit() {
            return Err(JsonError::Syntax);
        }
        self.skip_digits();
        Ok(())
    }

    fn skip_digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }
}

fn is_plain(block: &[u8; BLOCK]) -> bool {
    // No early exit: without branches the compiler can check all bytes at once.
    !block.iter().fold(false, |found, byte| found | stops(*byte))
}

/// Whether this byte ends the plain part of a string: a quote, an escape, or a control character (an error, RFC 8259 §7).
const fn stops(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

/// The same for the eight bytes of a word, first byte lowest: the lowest bit that is set is in the first byte that [`stops`]. Bits
/// above it mean nothing, because a subtraction can borrow from the byte above.
const fn stops_in_word(word: u64) -> u64 {
    below(word, 0x20)
        | below(word ^ (EACH * b'"' as u64), 1)
        | below(word ^ (EACH * b'\\' as u64), 1)
}

/// Marks the bytes of a word that are less than `limit`, at most 0x80, by their highest bit.
const fn below(word: u64, limit: u64) -> u64 {
    word.wrapping_sub(EACH * limit) & !word & (EACH * 0x80)
}

/// One in each byte of a word.
const EACH: u64 = u64::from_le_bytes([1; WORD]);

#[cfg(test)]
mod tests {
    use super::*;

    /// The length of the plain part that begins a text, byte by byte.
    fn plain_bytes(text: &[u8]) -> usize {
        let stop = text.iter().position(|byte| stops(*byte));
        stop.unwrap_or(text.len())
    }

    #[test]
    fn a_string_ends_at_its_first_quote_escape_or_control_character() {
        for length in 0..3 * BLOCK + WORD {
            for (at, byte) in (0..length).flat_map(|at| BYTES.map(|byte| (at, byte))) {
                let mut text = vec![b'a'; length];
                text[at] = byte;
                // What follows the first stop has no influence.
                text.extend_from_slice(b"\"\\\0\x1f");
                assert_eq!(
                    skipped(&text),
                    plain_bytes(&text),
                    "{byte} at {at} of {length}"
                );
            }
        }
    }

    #[test]
    fn bytes_around_a_stop_do_not_hide_it() {
        for (before, stop) in BYTES.iter().flat_map(|one| BYTES.map(|two| (*one, two))) {
            for behind in BYTES {
                let text = [b'x', before, stop, behind, before, behind, stop, b'x', b'"'];
                assert_eq!(skipped(&text), plain_bytes(&text), "{text:?}");
            }
        }
    }

    /// Those that stop, and others that differ from them in one bit or by one.
    const BYTES: [u8; 16] = [
        0, 1, 0x1f, 0x20, 0x21, b'"', 0x23, 0x5b, b'\\', 0x5d, 0x7f, 0x80, 0xa2, 0xdc, 0x9f, 0xff,
    ];

    fn skipped(text: &[u8]) -> usize {
        let mut lexer = Lexer::new(text);
        lexer.skip_plain();
        lexer.at()
    }
}

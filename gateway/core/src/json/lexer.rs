//! The tokens of JSON (RFC 8259 §2, §6, §7), read from bytes that are already known to be UTF-8.

use super::limits::JsonError;

/// Bytes looked at together while skipping the plain part of a string; the loop over them becomes vector instructions.
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

    /// How many bytes lie behind.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// The bytes from `start` to here.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// The next byte, without taking it.
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next byte behind white space, without taking it.
    pub(super) fn peek_token(&mut self) -> Option<u8> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.peek()
    }

    /// Takes the next byte.
    pub(super) fn take(&mut self) -> Result<u8, JsonError> {
        let byte = self.peek().ok_or(JsonError::Syntax)?;
        self.at += 1;
        Ok(byte)
    }

    /// Takes the next byte behind white space.
    pub(super) fn take_token(&mut self) -> Result<u8, JsonError> {
        self.peek_token();
        self.take()
    }

    /// Takes the next byte behind white space, which must be this one.
    pub(super) fn expect(&mut self, wanted: u8) -> Result<(), JsonError> {
        if self.take_token()? == wanted {
            Ok(())
        } else {
            Err(JsonError::Syntax)
        }
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        match self.peek_token() {
            None => Ok(()),
            Some(_) => Err(JsonError::Syntax),
        }
    }

    /// The rest of a string whose opening quote was taken; returns what stands between the quotes, still escaped.
    pub(super) fn string(&mut self) -> Result<&'a [u8], JsonError> {
        let start = self.at;
        loop {
            self.skip_plain();
            let end = self.at;
            match self.take()? {
                b'"' => return Ok(self.bytes.get(start..end).unwrap_or_default()),
                b'\\' => self.escape()?,
                _ => return Err(JsonError::Syntax),
            }
        }
    }

    /// The rest of a number whose first byte was taken.
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

    /// The rest of `true`, `false` or `null`.
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

    /// The rest of a number or literal whose first byte was taken, unread.
    pub(super) fn skip_word(&mut self) {
        while self
            .peek()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-'))
        {
            self.at += 1;
        }
    }

    fn skip_plain(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let blocks = rest
            .chunks_exact(BLOCK)
            .take_while(|block| is_plain(block))
            .count();
        let tail = rest.get(blocks * BLOCK..).unwrap_or_default();
        let plain = tail
            .iter()
            .position(|byte| stops(*byte))
            .unwrap_or(tail.len());
        self.at += blocks * BLOCK + plain;
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

fn is_plain(block: &[u8]) -> bool {
    // No short cut: looking at every byte is what lets the compiler look at all of them at once.
    !block.iter().fold(false, |found, byte| found | stops(*byte))
}

/// Ends the plain part of a string: a quote, an escape, or a control character (which is an error, RFC 8259 §7).
const fn stops(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

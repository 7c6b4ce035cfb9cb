//! The tokens of JSON (RFC 8259 §2, §6, §7), read from bytes that are already known to be UTF-8.

use super::limits::JsonError;

/// How many bytes are checked together in the plain part of a string. The loop over them compiles to vector instructions.
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
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.peek()
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
    // No early exit: without branches the compiler can check all bytes at once.
    !block.iter().fold(false, |found, byte| found | stops(*byte))
}

/// Whether this byte ends the plain part of a string: a quote, an escape, or a control character (an error, RFC 8259 §7).
const fn stops(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

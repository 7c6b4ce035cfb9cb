//! The chunked transfer coding (RFC 9112 §7.1), removed from the body of an upstream's answer or of a client's request.
//!
//! Bytes come in any portions, and data is returned as part of them, without a copy. Extensions are skipped, and trailers as well: they
//! are not forwarded, but must be fields: other lines are chunks after a chunk of no length. A line ends with CRLF and nothing else.

use bytes::{Buf, Bytes};
use thiserror::Error;

/// Bytes of all extensions of a body, with the spaces before them and zeros before sizes, and of all its trailers, at most, each.
const MAX_SKIPPED: u32 = 16 * 1024;

/// Bytes of a chunk, at most: other programs read its size as a signed number.
const MAX_CHUNK: u64 = i64::MAX as u64;

/// Why a body is not chunked as its head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChunkFault {
    /// A byte that may not stand there.
    #[error("a chunk of the body is invalid")]
    Syntax,
    /// A chunk longer than [`MAX_CHUNK`].
    #[error("a chunk of the body is too long")]
    Size,
    /// More than 16 KiB of extensions or trailers.
    #[error("the body has more than 16 KiB of chunk extensions or trailers")]
    Skipped,
}

/// How far a chunked body has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunked {
    at: At,
    /// The rest of the chunk, in bytes.
    left: u64,
    extensions: u32,
    trailers: u32,
}

/// What the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// The first digit of a chunk's size.
    Start,
    /// Another digit, or what ends the size.
    Size,
    /// Spaces after the size.
    Space,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The first byte of a line after the last chunk.
    Line,
    /// The name of a trailer, and its colon.
    TrailerName,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

impl Chunked {
    /// At the start of a body.
    pub const fn new() -> Self {
        Self {
            at: At::Start,
            left: 0,
            extensions: 0,
            trailers: 0,
        }
    }

    /// Whether the body has been read to its end.
    pub const fn is_complete(&self) -> bool {
        matches!(self.at, At::End)
    }

    /// Takes the next data from the front of `input`; none where it has no data, or the body is complete.
    ///
    /// # Errors
    /// The body is not chunked as its head says. Data before that has been returned.
    pub fn take(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, ChunkFault> {
        self.skip(input)?;
        if self.at != At::Data || input.is_empty() {
            return Ok(None);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let data = input.split_to(most.min(input.len()));
        self.left -= data.len() as u64;
        if self.left == 0 {
            self.at = At::DataCr;
            // So it is known at once whether this was the last data. A fault is found again by the next call.
            let _ = self.skip(input);
        }
        Ok(Some(data))
    }

    /// Reads what stands between data.
    fn skip(&mut self, input: &mut Bytes) -> Result<(), ChunkFault> {
        while !matches!(self.at, At::Data | At::End)
            && let Some(byte) = input.first()
        {
            self.at = self.step(*byte)?;
            input.advance(1);
        }
        Ok(())
    }

    fn step(&mut self, byte: u8) -> Result<At, ChunkFault> {
        match (self.at, byte) {
            (At::Start | At::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte),
            (At::Size | At::Space, b' ' | b'\t') => {
                count(&mut self.extensions)?;
                Ok(At::Space)
            }
            (At::Size | At::Space, b';') => Ok(At::Extension),
            (At::Size | At::Space | At::Extension, b'\r') => Ok(At::SizeLf),
            (At::Extension, byte) if byte != b'\n' => {
                count(&mut self.extensions)?;
                Ok(At::Extension)
            }
            (At::SizeLf, b'\n') if self.left == 0 => Ok(At::Line),
            (At::SizeLf, b'\n') => Ok(At::Data),
            (At::DataCr, b'\r') => Ok(At::DataLf),
            (At::DataLf, b'\n') => Ok(At::Start),
            (At::Line, b'\r') => Ok(At::EndLf),
            (At::Trailer, b'\r') => Ok(At::TrailerLf),
            (At::Line | At::TrailerName, byte) if is_token(byte) => {
                count(&mut self.trailers)?;
                Ok(At::TrailerName)
            }
            (At::TrailerName, b':') => Ok(At::Trailer),
            (At::Trailer, byte) if byte != b'\n' => {
                count(&mut self.trailers)?;
                Ok(At::Trailer)
            }
            (At::TrailerLf, b'\n') => Ok(At::Line),
            (At::EndLf, b'\n') => Ok(At::End),
            _ => Err(ChunkFault::Syntax),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<At, ChunkFault> {
        let digit = char::from(byte).to_digit(16).ok_or(ChunkFault::Syntax)?;
        let size = self.left.checked_mul(16).ok_or(ChunkFault::Size)? + u64::from(digit);
        if size > MAX_CHUNK {
            return Err(ChunkFault::Size);
        }
        if size == 0 {
            // Zeros may lead: they are limited like extensions.
            count(&mut self.extensions)?;
        }
        self.left = size;
        Ok(At::Size)
    }
}

impl Default for Chunked {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a name of a field may have it (RFC 9110 §5.6.2).
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

const fn count(skipped: &mut u32) -> Result<(), ChunkFault> {
    *skipped += 1;
    match *skipped > MAX_SKIPPED {
        true => Err(ChunkFault::Skipped),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data of a body that comes in portions of `size` bytes, and the bytes after it; or its fault.
    fn read(body: &[u8], size: usize) -> (Vec<u8>, Result<Option<Vec<u8>>, ChunkFault>) {
        let (mut chunked, mut data) = (Chunked::new(), Vec::new());
        let mut rest = body;
        while !rest.is_empty() {
            let (portion, later) = rest.split_at(size.min(rest.len()));
            let mut input = Bytes::copy_from_slice(portion);
            loop {
                match chunked.take(&mut input) {
                    Ok(Some(more)) => data.extend_from_slice(&more),
                    Ok(None) => break,
                    Err(fault) => return (data, Err(fault)),
                }
            }
            rest = later;
            if chunked.is_complete() {
                return (data, Ok(Some([&*input, rest].concat())));
            }
            assert!(input.is_empty());
        }
        (data, Ok(None))
    }

    #[test]
    fn a_body_is_the_same_in_any_portions() {
        let body = b"5\r\nhello\r\n6 ;a=\"b\"\r\n world\r\n00\r\nTrailer: x\r\nOther:\r\n\r\nnext";
        for size in 1..=body.len() {
            let (data, end) = read(body, size);
            assert_eq!(data, b"hello world", "{size}");
            assert_eq!(end, Ok(Some(b"next".to_vec())), "{size}");
        }
    }

    #[test]
    fn a_body_that_has_not_ended_is_not_complete() {
        let body = b"A\r\n0123456789\r\n0\r\n\r\n";
        for length in 0..body.len() {
            let begun = body.get(..length).unwrap();
            assert_eq!(read(begun, 3).1, Ok(None), "{length}");
        }
    }

    #[test]
    fn the_end_is_known_with_the_last_data() {
        let mut chunked = Chunked::new();
        let mut input = Bytes::from_static(b"2\r\nok\r\n0\r\n\r\n");
        assert_eq!(chunked.take(&mut input).unwrap().unwrap(), "ok");
        assert!(chunked.is_complete() && input.is_empty());
        assert_eq!(chunked.take(&mut input), Ok(None));
    }

    #[test]
    fn what_is_not_chunked_is_refused_after_the_data_before_it() {
        for (body, expected) in [
            ("2\r\nok\r\nx\r\n", "ok"),
            ("2\r\nok\n0\r\n\r\n", "ok"),
            ("2\r\nokay\r\n", "ok"),
            ("\r\n0\r\n\r\n", ""),
            ("+2\r\nok\r\n", ""),
            ("0x2\r\nok\r\n", ""),
            ("2\nok\r\n", ""),
            ("2 2\r\nok\r\n", ""),
            ("2;a\nb\r\nok\r\n", ""),
            ("0\r\na: b\nc: d\r\n\r\n", ""),
            ("0\r\nabc\r\n\r\n", ""),
            ("2\r\nok\r\n0\r\n2\r\nno\r\n0\r\n\r\n", "ok"),
            ("0\r\na: b\r\n c\r\n\r\n", ""),
            ("0\r\n: b\r\n\r\n", ""),
            ("0\r\na : b\r\n\r\n", ""),
            ("0\r\n\n", ""),
            ("0\r\n\ra", ""),
            (";\r\n", ""),
        ] {
            for size in 1..=body.len() {
                let (data, end) = read(body.as_bytes(), size);
                assert_eq!(
                    (&*data, end),
                    (expected.as_bytes(), Err(ChunkFault::Syntax)),
                    "{body:?}"
                );
            }
        }
    }

    #[test]
    fn a_size_beyond_any_number_is_refused() {
        assert_eq!(read(b"7FFFFFFFFFFFFFFF\r\n", 1).1, Ok(None));
        assert_eq!(read(b"8000000000000000\r\n", 1).1, Err(ChunkFault::Size));
        assert_eq!(read(b"10000000000000000\r\n", 1).1, Err(ChunkFault::Size));
    }

    #[test]
    fn zeros_and_spaces_around_sizes_are_limited_over_the_whole_body() {
        let most = MAX_SKIPPED as usize;
        for filler in ["0", " "] {
            let body = |count: usize| match filler {
                "0" => format!("{}5\r\n", "0".repeat(count)),
                _ => format!("5{}\r\n", filler.repeat(count)),
            };
            assert_eq!(read(body(most).as_bytes(), 100).1, Ok(None), "{filler:?}");
            let fault = read(body(most + 1).as_bytes(), 100).1;
            assert_eq!(fault, Err(ChunkFault::Skipped), "{filler:?}");
        }
    }

    #[test]
    fn extensions_and_trailers_are_limited_over_the_whole_body() {
        let most = usize::try_from(MAX_SKIPPED).unwrap();
        let extended = |length: usize| format!("1;{}\r\n", "e".repeat(length));
        let body = format!("{}x\r\n{}", extended(most / 2), extended(most / 2));
        assert_eq!(read(body.as_bytes(), 100).1, Ok(None));
        let body = format!("{}x\r\n{}", extended(most / 2), extended(most / 2 + 1));
        assert_eq!(read(body.as_bytes(), 100).1, Err(ChunkFault::Skipped));
        let trailers = |length: usize| format!("0\r\n{}", "t".repeat(length));
        assert_eq!(read(trailers(most).as_bytes(), 100).1, Ok(None));
        assert_eq!(
            read(trailers(most + 1).as_bytes(), 100).1,
            Err(ChunkFault::Skipped)
        );
    }
}

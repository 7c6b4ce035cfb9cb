//! Where a body over HTTP/1.1 ends (RFC 9112 §6.3): that of an upstream's answer, by its head, or that of a client's request.

use bytes::Bytes;
use http::{
    HeaderMap, Method, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
};
use thiserror::Error;

use super::chunked::{ChunkFault, Chunked};

/// How a body ends, and how far it has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After so many more bytes.
    Length(u64),
    /// With its last chunk.
    Chunked(Chunked),
    /// When the upstream closes the connection: whether it has.
    Close(bool),
}

/// Why the end of a body is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FramingFault {
    /// Its length is not a number, or several lengths differ.
    #[error("its Content-Length is not one number")]
    Length,
    /// HTTP/1.0 has no transfer codings.
    #[error("it is of HTTP/1.0 and has a Transfer-Encoding")]
    Coding,
}

impl Framing {
    /// How the body ends of an answer to `method`.
    ///
    /// # Errors
    /// The head does not say it.
    pub fn of(
        method: &Method,
        status: StatusCode,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<Self, FramingFault> {
        let has_no_body = matches!(
            status,
            StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
        if has_no_body || method == Method::HEAD {
            return Ok(Self::Length(0));
        }
        if headers.contains_key(TRANSFER_ENCODING) {
            return match (version, is_chunked(headers)) {
                (Version::HTTP_10, _) => Err(FramingFault::Coding),
                (_, true) => Ok(Self::Chunked(Chunked::new())),
                (_, false) => Ok(Self::Close(false)),
            };
        }
        match headers.contains_key(CONTENT_LENGTH) {
            true => length(headers)
                .map(Self::Length)
                .ok_or(FramingFault::Length),
            false => Ok(Self::Close(false)),
        }
    }

    /// Whether the body has been read to its end.
    pub const fn is_complete(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_complete(),
            Self::Close(has_closed) => *has_closed,
        }
    }

    /// The bytes that are still to come, where the head announced them.
    pub const fn left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(_) | Self::Close(_) => None,
        }
    }

    /// Takes the next data from the front of `input`; none where it has no data, or the body is complete.
    ///
    /// # Errors
    /// The body is not what the head says.
    pub fn take(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, ChunkFault> {
        let most = match self {
            Self::Chunked(chunked) => return chunked.take(input),
            Self::Length(left) => usize::try_from(*left).unwrap_or(usize::MAX),
            Self::Close(_) => usize::MAX,
        };
        let data = input.split_to(most.min(input.len()));
        if let Self::Length(left) = self {
            *left -= data.len() as u64;
        }
        Ok((!data.is_empty()).then_some(data))
    }

    /// The upstream closed the connection. Whether the body is complete.
    pub const fn close(&mut self) -> bool {
        if let Self::Close(has_closed) = self {
            *has_closed = true;
        }
        self.is_complete()
    }
}

/// Whether the last transfer coding is chunked.
fn is_chunked(headers: &HeaderMap) -> bool {
    let last = headers.get_all(TRANSFER_ENCODING).iter().next_back();
    let last = last.and_then(|line| line.to_str().ok());
    last.and_then(|line| line.rsplit(',').next())
        .is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
}

/// The one length that all lines name.
fn length(headers: &HeaderMap) -> Option<u64> {
    let mut found = None;
    for line in headers.get_all(CONTENT_LENGTH) {
        for value in line.to_str().ok()?.split(',') {
            let value = number(value.trim())?;
            if *found.get_or_insert(value) != value {
                return None;
            }
        }
    }
    found
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Whether the connection can be used again after this message, as far as its head says (RFC 9112 §9.3).
pub(crate) fn keeps_alive(version: Version, headers: &HeaderMap) -> bool {
    let has = |option: &str| {
        let lines = headers.get_all(CONNECTION).iter();
        lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .any(|found| found.trim().eq_ignore_ascii_case(option))
    };
    !has("close") && (version == Version::HTTP_11 || has("keep-alive"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn framing(
        status: u16,
        lines: &[(&'static str, &'static str)],
    ) -> Result<Framing, FramingFault> {
        let status = StatusCode::from_u16(status).unwrap();
        Framing::of(&Method::POST, status, Version::HTTP_11, &headers(lines))
    }

    const CHUNKED: Framing = Framing::Chunked(Chunked::new());
    const CLOSE: Framing = Framing::Close(false);

    #[test]
    fn the_head_says_how_the_body_ends() {
        let (length, coding) = ("content-length", "transfer-encoding");
        for (status, lines, expected) in [
            (200, vec![(length, "5")], Ok(Framing::Length(5))),
            (
                200,
                vec![(length, "5, 5"), (length, "5")],
                Ok(Framing::Length(5)),
            ),
            (
                200,
                vec![(length, "5"), (length, "6")],
                Err(FramingFault::Length),
            ),
            (200, vec![(length, "+5")], Err(FramingFault::Length)),
            (200, vec![(length, "")], Err(FramingFault::Length)),
            (
                200,
                vec![(length, "99999999999999999999")],
                Err(FramingFault::Length),
            ),
            (200, vec![(coding, "chunked")], Ok(CHUNKED)),
            (200, vec![(coding, "gzip, Chunked")], Ok(CHUNKED)),
            (
                200,
                vec![(coding, "gzip"), (coding, "chunked")],
                Ok(CHUNKED),
            ),
            (200, vec![(coding, "chunked"), (coding, "gzip")], Ok(CLOSE)),
            (200, vec![(coding, "xchunked")], Ok(CLOSE)),
            (200, vec![(coding, "chunked"), (length, "5")], Ok(CHUNKED)),
            (200, vec![], Ok(CLOSE)),
            (204, vec![(length, "5")], Ok(Framing::Length(0))),
            (304, vec![(coding, "chunked")], Ok(Framing::Length(0))),
            (101, vec![], Ok(Framing::Length(0))),
        ] {
            assert_eq!(framing(status, &lines), expected, "{status} {lines:?}");
        }
    }

    #[test]
    fn http_1_0_has_no_transfer_codings_and_head_no_body() {
        let chunked = headers(&[("transfer-encoding", "chunked")]);
        let (ok, old) = (StatusCode::OK, Version::HTTP_10);
        let of = |method, headers| Framing::of(method, ok, old, headers);
        assert_eq!(of(&Method::GET, &chunked), Err(FramingFault::Coding));
        assert_eq!(of(&Method::HEAD, &chunked), Ok(Framing::Length(0)));
        assert_eq!(of(&Method::GET, &HeaderMap::new()), Ok(CLOSE));
    }

    #[test]
    fn a_body_with_a_length_ends_with_its_last_byte() {
        let mut framing = Framing::Length(4);
        let mut input = Bytes::from_static(b"ab");
        assert_eq!(framing.take(&mut input).unwrap().unwrap(), "ab");
        assert_eq!((framing.left(), framing.is_complete()), (Some(2), false));
        assert_eq!(framing.take(&mut input), Ok(None));
        assert!(!framing.close());
        let mut input = Bytes::from_static(b"cdHTTP");
        assert_eq!(framing.take(&mut input).unwrap().unwrap(), "cd");
        assert!(framing.is_complete());
        assert_eq!(
            (framing.take(&mut input), &*input),
            (Ok(None), &b"HTTP"[..])
        );
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection() {
        let mut framing = CLOSE;
        let mut input = Bytes::from_static(b"all of it");
        assert_eq!(framing.take(&mut input).unwrap().unwrap(), "all of it");
        assert!(!framing.is_complete() && framing.left().is_none());
        assert!(framing.close() && framing.is_complete());
        assert!(!Framing::Chunked(Chunked::new()).close());
    }

    #[test]
    fn a_connection_is_kept_unless_a_line_closes_it() {
        let (new, old) = (Version::HTTP_11, Version::HTTP_10);
        for (version, lines, expected) in [
            (new, vec![], true),
            (old, vec![], false),
            (old, vec!["Keep-Alive"], true),
            (new, vec!["x, Close"], false),
            (new, vec!["close", "keep-alive"], false),
            (old, vec!["keep-alive", "close"], false),
        ] {
            let lines: Vec<_> = lines.into_iter().map(|line| ("connection", line)).collect();
            assert_eq!(
                keeps_alive(version, &headers(&lines)),
                expected,
                "{lines:?}"
            );
        }
    }
}

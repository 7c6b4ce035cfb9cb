//! The head of an upstream's answer over HTTP/1.1 (RFC 9112 §4, §5), taken from the bytes that were read.
//!
//! `httparse` reads its lines. Header values are parts of the bytes that were read, not copies. Interim answers (1xx) are skipped.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use httparse::{ParserConfig, Status};
use thiserror::Error;

use super::framing::{Framing, FramingFault, keeps_alive};

/// Bytes of a head, at most.
pub const MAX_HEAD: usize = 8 * 1024;

/// Fields of a head, at most.
const MAX_FIELDS: usize = 100;

/// The head of an answer.
#[derive(Debug)]
pub struct AnswerHead {
    /// The status.
    pub status: StatusCode,
    /// The header fields, in their order.
    pub headers: HeaderMap,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the connection may be used again after the body.
    pub keeps_alive: bool,
}

/// Why bytes are not the head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeadFault {
    /// A line cannot be read.
    #[error("the head of its answer is invalid: {0}")]
    Syntax(httparse::Error),
    /// The status is not between 100 and 999.
    #[error("the head of its answer is invalid: invalid status")]
    Status,
    /// A name or a value with a byte that it must not have.
    #[error("the head of its answer is invalid: invalid header field")]
    Field,
    /// It is longer than [`MAX_HEAD`].
    #[error("the head of its answer is longer than 8 KiB")]
    TooLong,
    /// More than [`MAX_FIELDS`] fields.
    #[error("the head of its answer has more than 100 header fields")]
    TooManyFields,
    /// The end of the body is not known.
    #[error("the body of its answer cannot be read: {0}")]
    Framing(FramingFault),
}

impl From<httparse::Error> for HeadFault {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooManyFields,
            error => Self::Syntax(error),
        }
    }
}

/// Takes the head of the final answer to `method` from the front of `bytes`; none until it is complete.
///
/// # Errors
/// It is not the head of an answer.
pub fn take(bytes: &mut Bytes, method: &Method) -> Result<Option<AnswerHead>, HeadFault> {
    while !bytes.is_empty() {
        let Some((length, head)) = parse(bytes, method)? else {
            return match bytes.len() >= MAX_HEAD {
                true => Err(HeadFault::TooLong),
                false => Ok(None),
            };
        };
        bytes.advance(length);
        if head.is_some() {
            return Ok(head);
        }
    }
    Ok(None)
}

/// The length of the head at the front, and what it says; nothing of an interim answer.
fn parse(bytes: &Bytes, method: &Method) -> Result<Option<(usize, Option<AnswerHead>)>, HeadFault> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut read = httparse::Response::new(&mut []);
    let config = ParserConfig::default();
    let parsed = config.parse_response_with_uninit_headers(&mut read, bytes, &mut fields)?;
    let Status::Complete(length) = parsed else {
        return Ok(None);
    };
    if length > MAX_HEAD {
        return Err(HeadFault::TooLong);
    }
    let status = read.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(HeadFault::Status)?;
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Some((length, None)));
    }
    let version = match read.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    let headers = header_map(bytes, read.headers).ok_or(HeadFault::Field)?;
    let framing = Framing::of(method, status, version, &headers).map_err(HeadFault::Framing)?;
    let keeps_alive = status != StatusCode::SWITCHING_PROTOCOLS && keeps_alive(version, &headers);
    let head = AnswerHead {
        status,
        headers,
        framing,
        keeps_alive,
    };
    Ok(Some((length, Some(head))))
}

/// The fields of a head as parts of the bytes that were read; none if a name or a value has a byte that it must not have.
pub(crate) fn header_map(bytes: &Bytes, fields: &[httparse::Header<'_>]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value)).ok()?;
        headers.append(name, value);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> Result<Option<(AnswerHead, Bytes)>, HeadFault> {
        let mut bytes = Bytes::copy_from_slice(text.as_bytes());
        let head = take(&mut bytes, &Method::POST)?;
        Ok(head.map(|head| (head, bytes)))
    }

    #[test]
    fn a_head_is_taken_once_it_is_complete() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nx-a:  2 \r\n\r\nokay";
        let end = text.len() - "okay".len();
        for length in 0..end {
            let begun = text.get(..length).unwrap();
            assert!(taken(begun).unwrap().is_none(), "{begun:?}");
        }
        let (head, rest) = taken(text).unwrap().unwrap();
        assert_eq!((head.status, &*rest), (StatusCode::OK, &b"okay"[..]));
        assert_eq!((head.framing, head.keeps_alive), (Framing::Length(2), true));
        let values: Vec<_> = head.headers.get_all("x-a").iter().collect();
        assert_eq!(values, ["1", "2"]);
    }

    #[test]
    fn interim_answers_are_skipped() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n";
        assert!(taken(text).unwrap().is_none());
        let (head, rest) = taken(&format!("{text}HTTP/1.1 204 None\r\n\r\n"))
            .unwrap()
            .unwrap();
        assert_eq!((head.status.as_u16(), rest.len()), (204, 0));
        assert!(head.headers.is_empty());
    }

    #[test]
    fn another_protocol_ends_the_connection() {
        let (head, _) = taken("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n")
            .unwrap()
            .unwrap();
        assert_eq!((head.status.as_u16(), head.keeps_alive), (101, false));
        assert!(head.framing.is_complete());
    }

    #[test]
    fn an_old_answer_is_read_until_the_connection_closes() {
        let (head, _) = taken("HTTP/1.0 200 OK\r\n\r\nx").unwrap().unwrap();
        assert_eq!(
            (head.framing, head.keeps_alive),
            (Framing::Close(false), false)
        );
    }

    #[test]
    fn what_is_not_a_head_is_refused() {
        use httparse::Error as Syntax;
        for (text, expected) in [
            ("220 smtp.test\r\n\r\n", HeadFault::Syntax(Syntax::Version)),
            (
                "HTTP/2.0 200 OK\r\n\r\n",
                HeadFault::Syntax(Syntax::Version),
            ),
            ("HTTP/1.1 2x0 OK\r\n\r\n", HeadFault::Syntax(Syntax::Status)),
            ("HTTP/1.1 099 OK\r\n\r\n", HeadFault::Status),
            (
                "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
                HeadFault::Syntax(Syntax::HeaderName),
            ),
            (
                "HTTP/1.1 200 OK\r\na : c\r\n\r\n",
                HeadFault::Syntax(Syntax::HeaderName),
            ),
            (
                "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
                HeadFault::Syntax(Syntax::HeaderName),
            ),
            (
                "HTTP/1.1 200 OK\r\na: \0\r\n\r\n",
                HeadFault::Syntax(Syntax::HeaderValue),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
                HeadFault::Framing(FramingFault::Length),
            ),
        ] {
            assert_eq!(taken(text).unwrap_err(), expected, "{text:?}");
        }
    }

    #[test]
    fn the_length_and_the_number_of_fields_are_limited() {
        let of_length = |length: usize| {
            let start = "HTTP/1.1 200 OK\r\na: ";
            format!("{start}{}\r\n\r\n", "x".repeat(length - start.len() - 4))
        };
        assert!(taken(&of_length(MAX_HEAD)).unwrap().is_some());
        assert_eq!(
            taken(&of_length(MAX_HEAD + 1)).unwrap_err(),
            HeadFault::TooLong
        );
        let endless = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(MAX_HEAD));
        assert_eq!(taken(&endless).unwrap_err(), HeadFault::TooLong);
        let of_fields =
            |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(count));
        assert!(taken(&of_fields(MAX_FIELDS)).unwrap().is_some());
        let fault = taken(&of_fields(MAX_FIELDS + 1)).unwrap_err();
        assert_eq!(fault, HeadFault::TooManyFields);
    }
}

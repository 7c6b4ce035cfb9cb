//! The head of a client's request over HTTP/1.1 (RFC 9112 §3, §5), taken from the bytes that were read.
//!
//! `httparse` reads its lines. The target and the header values are parts of the bytes that were read, not copies. Whether it is exactly
//! one request is checked later ([`framing`]): nothing is removed or corrected here.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes};
use http::{HeaderMap, Method, Version};
use httparse::{Request, Status};
use thiserror::Error;

use crate::http::{
    answer::{
        framing::{Framing, keeps_alive},
        head::header_map,
    },
    framing,
};

/// Fields of a head, at most, whatever the configured limit is.
pub const MAX_FIELDS: usize = 256;

/// The head of a request.
#[derive(Debug)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The request target, as it was sent.
    pub target: Bytes,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// The header fields, in their order.
    pub headers: HeaderMap,
    /// Where the body ends; none where that is uncertain. Then the bytes after the head are neither a body nor another request.
    pub body: Option<Framing>,
    /// Whether the client accepts another answer on the connection, and the end of this request is certain.
    pub keeps_alive: bool,
}

/// Why bytes are not the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeadFault {
    /// A line cannot be read.
    #[error("the head of the request is invalid: {0}")]
    Syntax(httparse::Error),
    /// A method, a name or a value with a byte that it must not have.
    #[error("the head of the request is invalid: invalid header field")]
    Field,
    /// More than [`MAX_FIELDS`] fields.
    #[error("the head of the request has more than 256 header fields")]
    TooManyFields,
}

impl From<httparse::Error> for HeadFault {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooManyFields,
            error => Self::Syntax(error),
        }
    }
}

/// Takes the head of a request from the front of `bytes`; none until it is complete. Empty lines before it are skipped (RFC 9112 §2.2).
///
/// # Errors
/// It is not the head of a request.
pub fn take(bytes: &mut Bytes) -> Result<Option<RequestHead>, HeadFault> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut read = Request::new(&mut []);
    let Status::Complete(length) = read.parse_with_uninit_headers(bytes, &mut fields)? else {
        return Ok(None);
    };
    let method = Method::from_bytes(read.method.unwrap_or_default().as_bytes());
    let method = method.map_err(|_| HeadFault::Field)?;
    let target = bytes.slice_ref(read.path.unwrap_or_default().as_bytes());
    let version = match read.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    let headers = header_map(bytes, read.headers).ok_or(HeadFault::Field)?;
    bytes.advance(length);
    let body = framing::body(version, &headers);
    Ok(Some(RequestHead {
        keeps_alive: body.is_some() && keeps_alive(version, &headers),
        method,
        target,
        version,
        headers,
        body,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::answer::chunked::Chunked;

    fn taken(text: &str) -> Result<Option<(RequestHead, Bytes)>, HeadFault> {
        let mut bytes = Bytes::copy_from_slice(text.as_bytes());
        let head = take(&mut bytes)?;
        Ok(head.map(|head| (head, bytes)))
    }

    fn head(text: &str) -> RequestHead {
        taken(text).unwrap().unwrap().0
    }

    #[test]
    fn a_head_is_taken_once_it_is_complete() {
        let text = "\r\nPOST /mcp?a#b HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a:  2 \r\ncontent-length: 4\r\n\r\nbody";
        let end = text.len() - "body".len();
        for length in 0..end {
            let begun = text.get(..length).unwrap();
            assert!(taken(begun).unwrap().is_none(), "{begun:?}");
        }
        let (head, rest) = taken(text).unwrap().unwrap();
        assert_eq!((&head.method, &*rest), (&Method::POST, &b"body"[..]));
        assert_eq!(
            (&*head.target, head.version),
            (&b"/mcp?a#b"[..], Version::HTTP_11)
        );
        assert_eq!(
            (head.body, head.keeps_alive),
            (Some(Framing::Length(4)), true)
        );
        let values: Vec<_> = head.headers.get_all("x-a").iter().collect();
        assert_eq!(values, ["1", "2"]);
    }

    #[test]
    fn the_client_says_whether_the_connection_stays_open() {
        for (request, stays) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n", true),
            ("GET / HTTP/1.1\r\nConnection: close\r\n", false),
            (
                "GET / HTTP/1.1\r\nConnection: keep-alive\r\nConnection: x, Close\r\n",
                false,
            ),
            ("GET / HTTP/1.0\r\nHost: a\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n", true),
        ] {
            assert_eq!(
                head(&format!("{request}\r\n")).keeps_alive,
                stays,
                "{request}"
            );
        }
    }

    #[test]
    fn a_body_whose_end_is_uncertain_ends_the_connection() {
        let body = |fields: &str| {
            let head = head(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
            assert_eq!(head.keeps_alive, head.body.is_some(), "{fields}");
            head.body
        };
        assert_eq!(body(""), Some(Framing::Length(0)));
        let chunked = Framing::Chunked(Chunked::new());
        assert_eq!(body("transfer-encoding: chunked\r\n"), Some(chunked));
        for uncertain in [
            "content-length: 1\r\ncontent-length: 1\r\n",
            "content-length: +1\r\n",
            "content-length: 1\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: gzip, chunked\r\n",
            "transfer-encoding: \r\n",
        ] {
            assert_eq!(body(uncertain), None, "{uncertain}");
        }
        assert_eq!(
            head("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n").body,
            None
        );
    }

    #[test]
    fn what_is_not_a_head_is_refused() {
        use httparse::Error as Syntax;
        for (text, expected) in [
            ("\x16\x03\x01\x02", HeadFault::Syntax(Syntax::Token)),
            ("PRI * HTTP/2.0\r\n\r\n", HeadFault::Syntax(Syntax::Version)),
            (
                "GET /a b HTTP/1.1\r\n\r\n",
                HeadFault::Syntax(Syntax::Version),
            ),
            ("GET  / HTTP/1.1\r\n\r\n", HeadFault::Syntax(Syntax::Token)),
            ("GET /\r\n\r\n", HeadFault::Syntax(Syntax::Token)),
            (
                "GET / HTTP/1.1\r\na b: c\r\n\r\n",
                HeadFault::Syntax(Syntax::HeaderName),
            ),
            (
                "GET / HTTP/1.1\r\na : c\r\n\r\n",
                HeadFault::Syntax(Syntax::HeaderName),
            ),
            (
                "GET / HTTP/1.1\r\na: b\r\n c\r\n\r\n",
                HeadFault::Syntax(Syntax::HeaderName),
            ),
            (
                "GET / HTTP/1.1\r\na: \0\r\n\r\n",
                HeadFault::Syntax(Syntax::HeaderValue),
            ),
            (
                "GET / HTTP/1.1\r\na: b\rc\r\n\r\n",
                HeadFault::Syntax(Syntax::HeaderValue),
            ),
        ] {
            assert_eq!(taken(text).unwrap_err(), expected, "{text:?}");
        }
    }

    #[test]
    fn the_number_of_fields_is_limited() {
        let of = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(count));
        assert_eq!(head(&of(MAX_FIELDS)).headers.len(), MAX_FIELDS);
        let fault = taken(&of(MAX_FIELDS + 1)).unwrap_err();
        assert_eq!(fault, HeadFault::TooManyFields);
    }
}

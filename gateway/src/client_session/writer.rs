//! The answer of an HTTP/1.1 session as bytes (RFC 9112 §4, §6, §7.1).

use std::{
    future::poll_fn,
    io::{self, Write},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderMap, Method, StatusCode, Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use pingora::{
    http::{RequestHeader, ResponseHeader},
    protocols::{Stream, http::date::get_cached_date},
};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::fault::Unwritten;

/// What ends a chunked body.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Room for a head: most need no more, in bytes.
const HEAD_BYTES: usize = 512;

/// How the body of an answer is written, and how much of it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    /// The answer has no body, whatever its head says: that of HEAD, or a status without one.
    Bodiless,
    /// So many bytes are left.
    Length(u64),
    /// As chunks.
    Chunked,
    /// It ends with the connection.
    Close,
    /// It is complete.
    Complete,
}

impl Writer {
    /// How the body is written of an answer with `head` to `request`.
    pub(super) fn of(request: &RequestHeader, head: &ResponseHeader) -> Self {
        if is_bodiless(head.status) || request.method == Method::HEAD {
            return Self::Bodiless;
        }
        if head.headers.contains_key(TRANSFER_ENCODING) {
            return match request.version {
                Version::HTTP_11 => Self::Chunked,
                _ => Self::Close,
            };
        }
        match length(&head.headers) {
            Some(0) => Self::Complete,
            Some(length) => Self::Length(length),
            None => Self::Close,
        }
    }

    /// Whether another answer may follow on the connection.
    pub(super) const fn is_complete(self) -> bool {
        matches!(self, Self::Bodiless | Self::Complete)
    }

    /// Whether the body has no length.
    pub(super) const fn is_open_ended(self) -> bool {
        matches!(self, Self::Chunked | Self::Close)
    }

    /// Writes a part of the body; the `last` one ends it. Returns the bytes of it that were written: none beyond its length.
    pub(super) async fn write(
        &mut self,
        stream: &mut Stream,
        mut data: Bytes,
        last: bool,
    ) -> Result<usize, Unwritten> {
        match self {
            Self::Bodiless | Self::Complete => return Ok(0),
            Self::Length(left) => {
                data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= data.len() as u64;
                stream.write_all(&data).await.map_err(|_| Unwritten)?;
                if *left == 0 {
                    *self = Self::Complete;
                } else if last {
                    return Err(Unwritten);
                }
            }
            Self::Chunked => {
                let written = write_chunk(stream, &data, last).await;
                written.map_err(|_| Unwritten)?;
                if last {
                    *self = Self::Complete;
                }
            }
            Self::Close => stream.write_all(&data).await.map_err(|_| Unwritten)?,
        }
        Ok(data.len())
    }
}

/// Writes `data` as a chunk, and after the `last` one the end of the body. An empty chunk would end it.
async fn write_chunk(stream: &mut Stream, data: &[u8], last: bool) -> io::Result<()> {
    let rest = begin_chunk(stream, data, last).await?;
    stream.write_all(&rest).await
}

/// Writes as much of a chunk as the connection takes at once, usually all of it. Returns the rest.
pub(crate) async fn begin_chunk(
    stream: &mut Stream,
    data: &[u8],
    last: bool,
) -> io::Result<Vec<u8>> {
    let mut line = Size::default();
    let end: &[u8] = if last { LAST_CHUNK } else { b"" };
    let parts = match data.is_empty() {
        true => [end, b"", b"", b""],
        false => [line.of(data.len()), data, b"\r\n", end],
    };
    poll_fn(|cx| Poll::Ready(begin(stream, &parts, cx))).await
}

fn begin(stream: &mut Stream, parts: &[&[u8]], cx: &mut Context<'_>) -> io::Result<Vec<u8>> {
    for (at, part) in parts.iter().enumerate() {
        let mut left = *part;
        while !left.is_empty() {
            match Pin::new(&mut *stream).poll_write(cx, left)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(taken) => left = left.get(taken..).unwrap_or_default(),
                Poll::Pending => {
                    let later = parts.get(at + 1..).unwrap_or_default();
                    return Ok([&[left], later].concat().concat());
                }
            }
        }
    }
    Ok(Vec::new())
}

/// The line before a chunk: its length in hexadecimal.
#[derive(Default)]
struct Size([u8; 18]);

impl Size {
    fn of(&mut self, length: usize) -> &[u8] {
        let mut line = io::Cursor::new(&mut self.0[..]);
        // It has room for the digits of any length.
        let _ = write!(line, "{length:X}\r\n");
        let written = usize::try_from(line.position()).unwrap_or_default();
        self.0.get(..written).unwrap_or_default()
    }
}

/// The head of an answer as it is written: its fields, the date, and whether the connection stays open.
pub(super) fn head_bytes(head: &ResponseHeader, keeps_alive: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES);
    bytes.extend_from_slice(b"HTTP/1.1 ");
    bytes.extend_from_slice(head.status.as_str().as_bytes());
    bytes.push(b' ');
    let reason = head.get_reason_phrase().unwrap_or_default();
    bytes.extend_from_slice(reason.as_bytes());
    bytes.extend_from_slice(b"\r\n");
    head.header_to_h1_wire(&mut bytes);
    bytes.extend_from_slice(b"Date: ");
    bytes.extend_from_slice(get_cached_date().as_bytes());
    bytes.extend_from_slice(match keeps_alive {
        true => b"\r\nConnection: keep-alive\r\n\r\n",
        false => b"\r\nConnection: close\r\n\r\n",
    });
    bytes
}

/// Whether an answer with this status has no body, whatever its head says (RFC 9110 §6.4.1).
pub(crate) const fn is_bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// The length that a head announces.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

//! A request over HTTP/1.1 as bytes (RFC 9112 §3, §6.2), while it is written.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::{
    Request,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use http_body_util::Full;
use hyper::rt::Write;

use super::wire::Wire;

/// A request to an upstream, with its whole body.
pub(super) type SentRequest = Request<Full<Bytes>>;

/// What of a request is still to be written.
pub(super) struct Sending {
    head: Vec<u8>,
    /// The bytes of the head that are written.
    written: usize,
    body: Bytes,
}

impl Sending {
    /// A request, of which nothing is written. Its body has a length; a request without a body names none.
    pub(super) fn of(request: &SentRequest) -> Self {
        let body = request.body().clone().into_inner().unwrap_or_default();
        Self {
            head: head(request, body.len()),
            written: 0,
            body,
        }
    }

    /// Writes what the connection takes; ready once all is sent.
    ///
    /// # Errors
    /// The connection broke off.
    pub(super) fn poll(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let head = self.head.get(self.written..).unwrap_or_default();
            if head.is_empty() && self.body.is_empty() {
                break;
            }
            let parts = [io::IoSlice::new(head), io::IoSlice::new(&self.body)];
            let written = ready!(Pin::new(&mut *wire).poll_write_vectored(cx, &parts))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_head = written.min(head.len());
            self.written += of_head;
            self.body.advance((written - of_head).min(self.body.len()));
        }
        Pin::new(wire).poll_flush(cx)
    }
}

fn head<B>(request: &Request<B>, length: usize) -> Vec<u8> {
    let headers = request.headers();
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let fields = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4);
    let mut head = Vec::with_capacity(fields.sum::<usize>() + target.len() + 64);
    let mut add = |parts: &[&[u8]]| parts.iter().for_each(|part| head.extend_from_slice(part));
    add(&[
        request.method().as_str().as_bytes(),
        b" ",
        target.as_bytes(),
        b" HTTP/1.1\r\n",
    ]);
    for (name, value) in headers {
        // How the body ends is said here alone.
        if *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING {
            add(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
        }
    }
    if length > 0 {
        add(&[
            b"content-length: ",
            itoa::Buffer::new().format(length).as_bytes(),
            b"\r\n",
        ]);
    }
    add(&[b"\r\n"]);
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    fn sent(request: http::request::Builder, body: &'static str) -> String {
        let request = request
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .unwrap();
        let sending = Sending::of(&request);
        assert_eq!(sending.body, body);
        String::from_utf8(sending.head).unwrap()
    }

    #[test]
    fn a_request_has_its_fields_in_order_and_the_length_of_its_body() {
        let request = Request::post("/mcp?a=b")
            .header("Host", "a.test")
            .header("x-a", "1");
        assert_eq!(
            sent(request.header("x-a", "2"), "{}"),
            "POST /mcp?a=b HTTP/1.1\r\nhost: a.test\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: 2\r\n\r\n"
        );
        let request = Request::builder().method(Method::DELETE).uri("/mcp");
        assert_eq!(sent(request, ""), "DELETE /mcp HTTP/1.1\r\n\r\n");
    }

    #[test]
    fn no_field_contradicts_the_length_of_the_body() {
        let request = Request::post("http://a.test/mcp").header("content-length", "9");
        let request = request.header("transfer-encoding", "chunked");
        assert_eq!(
            sent(request, "{}"),
            "POST /mcp HTTP/1.1\r\ncontent-length: 2\r\n\r\n"
        );
    }
}

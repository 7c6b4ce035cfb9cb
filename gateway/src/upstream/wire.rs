//! The byte stream of a connection to an upstream: plain TCP, TLS over TCP, or a unix socket.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

/// Bytes that are read at once, at most.
const READ_BYTES: usize = 8 * 1024;

/// The byte stream of a connection.
pub(super) enum Wire {
    Tcp(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TokioIo<TokioIo<TcpStream>>>>>),
    Unix(TokioIo<UnixStream>),
}

impl From<MaybeHttpsStream<TokioIo<TcpStream>>> for Wire {
    fn from(stream: MaybeHttpsStream<TokioIo<TcpStream>>) -> Self {
        match stream {
            MaybeHttpsStream::Http(tcp) => Self::Tcp(tcp),
            MaybeHttpsStream::Https(tls) => Self::Tls(Box::new(tls)),
        }
    }
}

trait Duplex: Read + Write + Unpin {}
impl<T: Read + Write + Unpin> Duplex for T {}

impl Wire {
    /// Whether the server chose HTTP/2 (ALPN).
    pub(super) fn chose_http2(&self) -> bool {
        match self {
            Self::Tls(tls) => tls.inner().get_ref().1.alpn_protocol() == Some(b"h2"),
            Self::Tcp(_) | Self::Unix(_) => false,
        }
    }

    /// The next bytes, in memory of just their length; none once the upstream has closed the connection. While there are none, no
    /// memory waits for them.
    ///
    /// # Errors
    /// The connection broke off.
    pub(super) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let mut space = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(self.pinned().poll_read(cx, read.unfilled()))?;
        Poll::Ready(Ok(Bytes::copy_from_slice(read.filled())))
    }

    fn pinned(&mut self) -> Pin<&mut dyn Duplex> {
        match self {
            Self::Tcp(tcp) => Pin::new(tcp),
            Self::Tls(tls) => Pin::new(tls.as_mut()),
            Self::Unix(unix) => Pin::new(unix),
        }
    }
}

impl Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().pinned().poll_read(cx, buf)
    }
}

impl Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().pinned().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().pinned().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().pinned().poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
            Self::Unix(unix) => unix.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().pinned().poll_write_vectored(cx, bufs)
    }
}

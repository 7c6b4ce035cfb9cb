//! HTTP/1.1 byte by byte: what no well-behaved client library would send.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::SOON;
use crate::client::Reply;

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open connection.
pub struct Raw {
    stream: Box<dyn Duplex>,
    buffer: Vec<u8>,
}

/// One answer as it came.
#[derive(Debug)]
pub struct RawReply {
    /// The status code.
    pub status: u16,
    /// Header fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// Whether the framing says that the body is whole.
    pub complete: bool,
}

impl Raw {
    /// Connects without TLS.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Self {
            stream: Box::new(stream),
            buffer: Vec::new(),
        }
    }

    /// Connects without TLS from this address of the machine, such as 127.0.0.2.
    pub async fn connect_from(from: &str, address: SocketAddr) -> Self {
        let from: IpAddr = from.parse().expect("an address");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((from, 0).into()).expect("a loopback address");
        let stream = socket.connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Self {
            stream: Box::new(stream),
            buffer: Vec::new(),
        }
    }

    /// Starts TLS on the connection, with `host` as SNI.
    pub async fn secure(self, config: Arc<rustls::ClientConfig>, host: &'static str) -> Self {
        let name = ServerName::try_from(host).expect("a host name");
        let stream = tokio_rustls::TlsConnector::from(config)
            .connect(name, self.stream)
            .await
            .expect("a handshake");
        Self {
            stream: Box::new(stream),
            buffer: self.buffer,
        }
    }

    /// Connects with TLS, with `host` as SNI.
    pub async fn connect_tls(
        address: SocketAddr,
        config: Arc<rustls::ClientConfig>,
        host: &'static str,
    ) -> Self {
        let stream = TcpStream::connect(address).await.expect("it listens");
        let name = ServerName::try_from(host).expect("a host name");
        let stream = tokio_rustls::TlsConnector::from(config)
            .connect(name, stream)
            .await
            .expect("a handshake");
        Self {
            stream: Box::new(stream),
            buffer: Vec::new(),
        }
    }

    /// Sends these bytes; the other side may have closed already.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
        let _ = self.stream.flush().await;
    }

    /// The next answer, or `None` when the connection ends without one.
    pub async fn reply(&mut self) -> Option<RawReply> {
        self.reply_within(SOON).await
    }

    /// The same with a longer timeout.
    pub async fn reply_within(&mut self, within: Duration) -> Option<RawReply> {
        timeout(within, self.read_reply())
            .await
            .unwrap_or_else(|_| {
                panic!(
                    "no whole answer within {within:?}, only {:?}",
                    String::from_utf8_lossy(&self.buffer)
                )
            })
    }

    /// The head of the next answer alone, with the end of its last line.
    pub async fn head(&mut self) -> Option<String> {
        let head = timeout(SOON, self.until(b"\r\n\r\n")).await.ok()??;
        Some(format!("{}\r\n", String::from_utf8_lossy(&head)))
    }

    /// Whether these bytes arrive soon, as they come over the wire.
    pub async fn brings(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(SOON, self.until(bytes)).await, Ok(Some(_)))
    }

    /// Closes the sending half; answers can still be read.
    pub async fn end(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Everything received until the other side closes, or `None` when it does not close within `within`.
    pub async fn rest(&mut self, within: Duration) -> Option<Vec<u8>> {
        let end = async { while self.fill().await {} };
        timeout(within, end).await.ok()?;
        Some(std::mem::take(&mut self.buffer))
    }

    /// Whether the other side closes within `within`; what it still sends is discarded.
    pub async fn closes(&mut self, within: Duration) -> bool {
        let end = async { while self.fill().await {} };
        timeout(within, end).await.is_ok()
    }

    async fn read_reply(&mut self) -> Option<RawReply> {
        let head = self.until(b"\r\n\r\n").await?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut reply = RawReply {
            status,
            headers,
            body: Vec::new(),
            complete: true,
        };
        if reply.header("transfer-encoding") == "chunked" {
            reply.complete = self.chunks(&mut reply.body).await;
        } else if let Ok(length) = reply.header("content-length").parse() {
            reply.complete = self.exactly(length, &mut reply.body).await;
        } else if status >= 200 && status != 204 && status != 304 {
            while self.fill().await {}
            reply.body = std::mem::take(&mut self.buffer);
        }
        Some(reply)
    }

    async fn chunks(&mut self, body: &mut Vec<u8>) -> bool {
        loop {
            let Some(line) = self.until(b"\r\n").await else {
                return false;
            };
            let line = String::from_utf8_lossy(&line).into_owned();
            let Ok(length) = usize::from_str_radix(line.trim(), 16) else {
                return false;
            };
            if !self.exactly(length, body).await || self.until(b"\r\n").await.is_none() {
                return false;
            }
            if length == 0 {
                return true;
            }
        }
    }

    async fn exactly(&mut self, length: usize, body: &mut Vec<u8>) -> bool {
        while self.buffer.len() < length {
            if !self.fill().await {
                body.append(&mut self.buffer);
                return false;
            }
        }
        body.extend(self.buffer.drain(..length));
        true
    }

    /// Everything before `mark`; `mark` is consumed too.
    async fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self
                .buffer
                .windows(mark.len())
                .position(|window| window == mark)
            {
                let before = self.buffer.drain(..at).collect();
                self.buffer.drain(..mark.len());
                return Some(before);
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    async fn fill(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.buffer).await, Ok(count) if count > 0)
    }
}

impl RawReply {
    /// A header, empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The same as an ordinary answer.
    pub fn to_reply(&self) -> Reply {
        let mut headers = http::HeaderMap::new();
        for (name, value) in &self.headers {
            let name: http::HeaderName = name.parse().expect("a header name");
            headers.append(name, value.parse().expect("a header value"));
        }
        Reply {
            status: self.status,
            headers,
            body: self.body.clone().into(),
        }
    }
}

/// Sends `bytes` on a new connection and reads the first answer.
pub async fn once(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Option<RawReply> {
    let mut connection = Raw::connect(address).await;
    connection.send(bytes).await;
    connection.reply().await
}

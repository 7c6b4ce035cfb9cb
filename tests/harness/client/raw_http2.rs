//! HTTP/2 frame by frame: what no client library would send. Fields are written as literals without indexing (RFC 7541
//! §6.2.2), so that the test chooses every byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::SOON;

/// What a client sends first (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types (RFC 9113 §6).
pub const DATA: u8 = 0;
/// HEADERS.
pub const HEADERS: u8 = 1;
/// PRIORITY.
pub const PRIORITY: u8 = 2;
/// RST_STREAM.
pub const RESET: u8 = 3;
/// SETTINGS.
pub const SETTINGS: u8 = 4;
/// PING.
pub const PING: u8 = 6;
/// GOAWAY.
pub const GOAWAY: u8 = 7;
/// WINDOW_UPDATE.
pub const WINDOW_UPDATE: u8 = 8;
/// CONTINUATION.
pub const CONTINUATION: u8 = 9;

/// Flags.
pub const END_STREAM: u8 = 1;
/// The header block is whole.
pub const END_HEADERS: u8 = 4;

/// The setting of the initial window: bytes that can be sent on each stream.
pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// An open connection.
pub struct RawHttp2(TlsStream<TcpStream>, HasSaidGoaway);

/// Whether GOAWAY arrived, read by any of the methods.
type HasSaidGoaway = bool;

/// One frame as it came.
#[derive(Debug)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// What is in it.
    pub payload: Vec<u8>,
}

/// The outcome of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Response headers came.
    Answered,
    /// The stream was reset.
    Reset,
    /// The whole connection was ended.
    Ended,
}

impl RawHttp2 {
    /// Connects to `localhost` at `address`, with preface and empty settings.
    pub async fn connect(address: SocketAddr, config: Arc<rustls::ClientConfig>) -> Self {
        Self::connect_with(address, config, &[], None).await
    }

    /// The same with these settings, and a receive buffer of so many bytes in the kernel.
    pub async fn connect_with(
        address: SocketAddr,
        config: Arc<rustls::ClientConfig>,
        settings: &[(u16, u32)],
        receive_buffer: Option<u32>,
    ) -> Self {
        let mut connection = Self::connect_silently(address, config, receive_buffer).await;
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        connection.send(PREFACE).await;
        connection.send(frame(SETTINGS, 0, 0, &payload)).await;
        connection
    }

    /// Only the handshake.
    pub async fn connect_silently(
        address: SocketAddr,
        config: Arc<rustls::ClientConfig>,
        receive_buffer: Option<u32>,
    ) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes).expect("a TCP socket");
        }
        let stream = socket.connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("a TCP socket");
        let name = ServerName::try_from("localhost").expect("a host name");
        let connector = tokio_rustls::TlsConnector::from(config);
        let stream = connector.connect(name, stream).await;
        Self(stream.expect("a handshake"), false)
    }

    /// Sends these bytes; returns whether the connection was still open for writing.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).await.is_ok() && self.0.flush().await.is_ok()
    }

    /// The next frame, or `None` when the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let stream = [stream[0] & 0x7f, stream[1], stream[2], stream[3]];
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        self.1 |= kind == GOAWAY;
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }

    /// The next frame of this type.
    pub async fn next_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// Reads until the connection ends; `None` if it does not within `within`, else whether a GOAWAY announced it.
    pub async fn ends(&mut self, within: Duration) -> Option<bool> {
        let end = async { while self.next().await.is_some() {} };
        let ended = timeout(within, end).await.is_ok();
        ended.then_some(self.1)
    }

    /// The halves, to write and read at the same time.
    pub fn into_stream(self) -> TlsStream<TcpStream> {
        self.0
    }

    /// Sends a request of these fields and this body, and waits for its outcome.
    pub async fn request(&mut self, fields: &[(&[u8], &[u8])], body: &[u8]) -> Outcome {
        let mut bytes = frame(HEADERS, END_HEADERS, 1, &block(fields));
        bytes.extend(frame(DATA, END_STREAM, 1, body));
        self.send(bytes).await;
        timeout(SOON, self.outcome())
            .await
            .expect("an outcome in time")
    }

    async fn outcome(&mut self) -> Outcome {
        loop {
            match self.next().await.map(|frame| frame.kind) {
                Some(HEADERS) => return Outcome::Answered,
                Some(RESET) => return Outcome::Reset,
                Some(GOAWAY) | None => return Outcome::Ended,
                Some(_) => {}
            }
        }
    }
}

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("a short frame")
        .to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The header block of these fields.
pub fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let literals = fields.iter().map(|(name, value)| literal(name, value));
    literals.flatten().collect()
}

fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        length(&mut bytes, text.len());
        bytes.extend(text);
    }
    bytes
}

/// A length with a prefix of seven bits (RFC 7541 §5.1).
fn length(bytes: &mut Vec<u8>, length: usize) {
    if length < 127 {
        return bytes.push(length as u8);
    }
    bytes.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    bytes.push(rest as u8);
}

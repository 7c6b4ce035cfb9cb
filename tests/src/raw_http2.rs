//! HTTP/2 frame by frame: header fields no client library would send. Fields are written as literals without indexing
//! (RFC 7541 §6.2.2), so that every byte is the test's own.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::SOON;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// An open connection with one request at most.
pub struct RawHttp2(TlsStream<TcpStream>);

/// What became of the request.
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
    /// Connects to `localhost` at `address`.
    pub async fn connect(address: SocketAddr, config: Arc<rustls::ClientConfig>) -> Self {
        let stream = TcpStream::connect(address).await.expect("it listens");
        let name = ServerName::try_from("localhost").expect("a host name");
        let connector = tokio_rustls::TlsConnector::from(config);
        let mut stream = connector.connect(name, stream).await.expect("a handshake");
        stream.write_all(PREFACE).await.expect("it reads");
        stream
            .write_all(&frame(SETTINGS, 0, 0, &[]))
            .await
            .expect("it reads");
        Self(stream)
    }

    /// Sends a request of these fields and this body, and waits for what becomes of it.
    pub async fn request(&mut self, fields: &[(&[u8], &[u8])], body: &[u8]) -> Outcome {
        let block: Vec<u8> = fields
            .iter()
            .flat_map(|(name, value)| literal(name, value))
            .collect();
        let mut bytes = frame(HEADERS, END_HEADERS, 1, &block);
        bytes.extend(frame(DATA, END_STREAM, 1, body));
        let _ = self.0.write_all(&bytes).await;
        let _ = self.0.flush().await;
        timeout(SOON, self.outcome())
            .await
            .expect("an outcome in time")
    }

    async fn outcome(&mut self) -> Outcome {
        loop {
            let mut head = [0; 9];
            if self.0.read_exact(&mut head).await.is_err() {
                return Outcome::Ended;
            }
            let length =
                usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            if self.0.read_exact(&mut payload).await.is_err() {
                return Outcome::Ended;
            }
            match head[3] {
                HEADERS => return Outcome::Answered,
                RESET => return Outcome::Reset,
                GOAWAY => return Outcome::Ended,
                _ => {}
            }
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("a short frame")
        .to_be_bytes();
    let mut bytes = vec![
        length[1], length[2], length[3], kind, flags, 0, 0, 0, stream,
    ];
    bytes.extend(payload);
    bytes
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

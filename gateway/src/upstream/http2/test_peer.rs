//! A server for tests that speaks HTTP/2 frame by frame, so that it can do what no library does.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use mcp_gateway_core::http::authority::Authority;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

use super::{
    bounds::Pings,
    connections::{Connections, Sent},
    stream::StreamBody,
};
use crate::{
    config::{Upstream as Configured, UpstreamTarget},
    upstream::{connect::Connector, error::SendError, pool::Pool},
};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RESET: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PREFACE: usize = 24;
pub(super) const CANCEL: u32 = 8;

/// How long anything may take.
pub(super) const SOON: Duration = Duration::from_secs(5);
/// How long nothing may happen.
pub(super) const MOMENT: Duration = Duration::from_millis(100);

/// One frame.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

/// A listener.
pub(super) struct Peer {
    listener: TcpListener,
    pub(super) address: SocketAddr,
}

/// A connection, on the server's side.
pub(super) struct Line(TcpStream);

impl Peer {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// The next connection, without a word.
    pub(super) async fn silent(&self) -> TcpStream {
        let accepted = timeout(SOON, self.listener.accept()).await;
        accepted.expect("a connection is opened").unwrap().0
    }

    /// The next connection, with these SETTINGS.
    pub(super) async fn line(&self, settings: &[(u16, u32)]) -> Line {
        let mut tcp = self.silent().await;
        let mut preface = [0; PREFACE];
        tcp.read_exact(&mut preface).await.unwrap();
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        let mut line = Line(tcp);
        line.send(SETTINGS, 0, 0, &payload).await;
        line.send(SETTINGS, ACK, 0, &[]).await;
        line
    }

    /// Whether no connection is opened for a moment.
    pub(super) async fn is_left_alone(&self) -> bool {
        timeout(MOMENT, self.listener.accept()).await.is_err()
    }

    /// The gateway's side, with this idle timeout.
    pub(super) fn connections(&self, keep_alive: Duration) -> Arc<Connections> {
        let target = UpstreamTarget::Http {
            authority: Authority::parse(&self.address.to_string()).unwrap(),
        };
        connections(target, &format!("http://{}/mcp", self.address), keep_alive)
    }
}

/// The gateway's side of an upstream, which it asks for a sign of life soon.
pub(super) fn connections(
    target: UpstreamTarget,
    uri: &str,
    keep_alive: Duration,
) -> Arc<Connections> {
    let configured = Configured {
        target,
        host: "not.sent".to_owned(),
        path: "/mcp".to_owned(),
        query: None,
        http2: true,
    };
    let connector = Connector::new(&configured, Duration::from_secs(1)).unwrap();
    let pings = Pings {
        interval: Duration::from_secs(60),
        pause: Duration::ZERO,
        late: 3 * MOMENT,
        deadline: 10 * MOMENT,
    };
    let pool = Pool::new(keep_alive);
    let uri: http::Uri = uri.parse().unwrap();
    let authority = uri.authority().unwrap().clone();
    Connections::with(
        Arc::new(connector),
        (uri, authority),
        keep_alive,
        pool,
        pings,
    )
}

/// An answer that is awaited.
pub(super) type Asked = JoinHandle<Result<Response<StreamBody>, SendError>>;

/// Sends a request in a task of its own.
pub(super) fn ask(connections: &Arc<Connections>, body: impl Into<Bytes>) -> Asked {
    let request = Request::post("/mcp?a=b")
        .header("host", "not.sent")
        .header("x-own", "value")
        .body(Full::new(body.into()))
        .unwrap();
    let connections = connections.clone();
    tokio::spawn(async move {
        match connections.send(request, 0).await? {
            Sent::Answered(response) => Ok(response),
            Sent::ChoseHttp1(_) => panic!("not HTTP/1.1"),
        }
    })
}

/// The answer, soon.
pub(super) async fn answered(asked: Asked) -> Response<StreamBody> {
    timeout(SOON, asked)
        .await
        .expect("an answer")
        .unwrap()
        .unwrap()
}

/// Why there is no answer.
pub(super) async fn refused(asked: Asked) -> String {
    let ended = timeout(SOON, asked).await.expect("an end").unwrap();
    ended.err().expect("no answer").to_string()
}

impl Line {
    pub(super) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        // The gateway may have closed the connection.
        let _ = self.0.write_all(&frame).await;
    }

    /// The head of an answer: `:status 200`, and these fields.
    pub(super) async fn head(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) {
        self.block(stream, flags, &[0x88], fields).await;
    }

    /// A header block that begins with `block`.
    pub(super) async fn block(
        &mut self,
        stream: u32,
        flags: u8,
        block: &[u8],
        fields: &[(&str, &str)],
    ) {
        let mut block = block.to_vec();
        for (name, value) in fields {
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).unwrap());
                block.extend(text.bytes());
            }
        }
        self.send(HEADERS, flags | END_HEADERS, stream, &block)
            .await;
    }

    /// A whole answer with this body.
    pub(super) async fn answer(&mut self, stream: u32, body: &str) {
        self.head(stream, 0, &[]).await;
        self.send(DATA, END_STREAM, stream, body.as_bytes()).await;
    }

    pub(super) async fn reset(&mut self, stream: u32, code: u32) {
        self.send(RESET, 0, stream, &code.to_be_bytes()).await;
    }

    pub(super) async fn go_away(&mut self, last: u32) {
        let payload = [last.to_be_bytes(), 0_u32.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload).await;
    }

    /// The next frame; none at the end.
    pub(super) async fn frame(&mut self) -> Option<Received> {
        let mut head = [0; 9];
        let read = timeout(SOON, self.0.read_exact(&mut head)).await;
        read.expect("a frame").ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Received {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }

    /// The next frame of this kind. PING frames in between are answered if `kind` is another.
    pub(super) async fn next(&mut self, kind: u8) -> Received {
        loop {
            let frame = self.frame().await.expect("the connection is open");
            if frame.kind == kind {
                return frame;
            }
            if frame.kind == PING && frame.flags & ACK == 0 {
                self.send(PING, ACK, 0, &frame.payload).await;
            }
        }
    }

    /// The streams of the next requests.
    pub(super) async fn requests<const N: usize>(&mut self) -> [u32; N] {
        let mut streams = [0; N];
        for stream in &mut streams {
            *stream = self.next(HEADERS).await.stream;
        }
        streams
    }

    /// Reads until the gateway closes the connection.
    pub(super) async fn closed(&mut self) {
        while self.frame().await.is_some() {}
    }

    /// Whether no frame of this kind comes for a moment.
    pub(super) async fn is_without(&mut self, kind: u8) -> bool {
        timeout(MOMENT, self.next(kind)).await.is_err()
    }
}

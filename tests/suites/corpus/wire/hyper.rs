//! The third server: hyper, which records what its parser read from each connection, in process.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::servers::{Record, Seen, latin1};

type Shared = Arc<Mutex<Record>>;

/// A running server; it stops with the runtime.
pub(super) struct Hyper {
    pub(super) address: SocketAddr,
    record: Shared,
}

impl Hyper {
    /// Starts one on a free port.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let record = Shared::default();
        let shared = record.clone();
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let shared = shared.clone();
                tokio::spawn(async move {
                    let service =
                        service_fn(|request| answer(request, shared.clone(), peer.port()));
                    let served = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                    if let Err(error) = served {
                        let mut record = shared.lock().expect("no holder panics");
                        record.errors.push(error.to_string());
                    }
                });
            }
        });
        Self { address, record }
    }

    /// Everything recorded since the last call.
    pub(super) fn take(&self) -> Record {
        std::mem::take(&mut *self.record.lock().expect("no holder panics"))
    }
}

async fn answer(
    request: Request<Incoming>,
    record: Shared,
    connection: u16,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), latin1(value.as_bytes())));
    let seen = Seen {
        connection: connection.into(),
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: headers.collect(),
        body: latin1(&body),
    };
    let mut record = record.lock().expect("no holder panics");
    record.requests.push(seen);
    let body = if body.is_empty() {
        Bytes::from_static(b"{}")
    } else {
        body
    };
    let mut response = Response::new(Full::new(body));
    let json = http::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    Ok(response)
}

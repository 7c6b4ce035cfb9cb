//! The imitation MCP server: fixed answers, so that a proxy in front of it is what gets measured.
use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::{TlsAcceptor, rustls};

#[derive(clap::Args)]
pub struct Args {
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Also serve over TLS here: the limit for one TLS hop without a proxy.
    #[arg(long)]
    tls_listen: Option<SocketAddr>,
    #[arg(long)]
    cert: Option<String>,
    #[arg(long)]
    key: Option<String>,
}

const JSON: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"Weather in Lisbon: 21 C, light wind from the north-west, humidity 58 percent, no rain expected before Thursday evening; sea temperature 18 C and sunset at 20:41 local time."}],"structuredContent":{"tempC":21,"humidity":58},"isError":false}}"#;
const PROGRESS: &str =
    r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1,"total":2}}"#;

static STREAMS: AtomicU64 = AtomicU64::new(0);

type Body = BoxBody<Bytes, Infallible>;

#[allow(clippy::disallowed_methods, reason = "events carry the time at which they are sent")]
pub fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

fn full(code: StatusCode, ctype: &'static str, body: Bytes) -> Response<Body> {
    Response::builder().status(code).header(CONTENT_TYPE, ctype).body(Full::new(body).boxed()).unwrap()
}

fn events(rx: mpsc::Receiver<Bytes>) -> Response<Body> {
    let frames = futures_util::stream::unfold(rx, async |mut rx: mpsc::Receiver<Bytes>| {
        rx.recv().await.map(|b| (Ok::<_, Infallible>(Frame::data(b)), rx))
    });
    Response::builder()
        .header(CONTENT_TYPE, "text/event-stream")
        .header(CACHE_CONTROL, "no-cache, no-transform")
        .body(BodyExt::boxed(StreamBody::new(frames)))
        .unwrap()
}

fn event(id: u64, json: &str) -> Bytes {
    Bytes::from(format!("event: message\nid: {id}\ndata: {json}\n\n"))
}

async fn handle(req: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let (parts, body) = req.into_parts();
    Ok(match (&parts.method, parts.uri.path()) {
        (&Method::POST, "/mcp") => {
            body.collect().await?;
            full(StatusCode::OK, "application/json", Bytes::from_static(JSON.as_bytes()))
        }
        (&Method::POST, "/mcp-sse") => {
            body.collect().await?;
            let (tx, rx) = mpsc::channel(1);
            tokio::task::spawn_local(async move {
                for (i, json) in [PROGRESS, PROGRESS, JSON].into_iter().enumerate() {
                    if tx.send(event(i as u64, json)).await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await; // let each event be written on its own
                }
            });
            events(rx)
        }
        (&Method::GET, "/mcp-stream") => {
            let q = parts.uri.query().unwrap_or("");
            let ms = q.split('&').find_map(|kv| kv.strip_prefix("interval_ms=")?.parse().ok()).unwrap_or(1000u64);
            let (tx, rx) = mpsc::channel(4);
            tokio::task::spawn_local(async move {
                // The first event is at once. Then each stream has a phase of its own, the same spread whatever the speed at which
                // they were opened: else the streams of a fast path would fall due together, and queue behind each other.
                let period = Duration::from_millis(ms.max(1));
                let nth = STREAMS.fetch_add(1, Ordering::Relaxed);
                let phase = period.mul_f64((nth as f64 * 0.618_033_988_75).fract());
                let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + phase, period);
                for id in 0.. {
                    if id > 0 {
                        tick.tick().await;
                    }
                    let json = format!(
                        r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","t":{}}}}}"#,
                        now_ns()
                    );
                    if tx.send(event(id, &json)).await.is_err() {
                        return;
                    }
                }
            });
            events(rx)
        }
        _ => full(StatusCode::NOT_FOUND, "text/plain", Bytes::from_static(b"not found")),
    })
}

#[derive(Clone)]
struct LocalExec;
impl<F: std::future::Future + 'static> hyper::rt::Executor<F> for LocalExec {
    fn execute(&self, f: F) {
        tokio::task::spawn_local(f);
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else { continue };
        let _ = tcp.set_nodelay(true);
        let tls = tls.clone();
        tokio::task::spawn_local(async move {
            match tls {
                Some(t) => {
                    if let Ok(s) = t.accept(tcp).await {
                        serve(s).await
                    }
                }
                None => serve::<TcpStream>(tcp).await,
            }
        });
    }
}

async fn serve<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static>(io: S) {
    let svc = service_fn(handle);
    let _ = auto::Builder::new(LocalExec).serve_connection(TokioIo::new(io), svc).await;
}

pub async fn run(a: Args) {
    let bind = |addr: SocketAddr| {
        let s = if addr.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }.unwrap();
        s.set_reuseaddr(true).unwrap();
        s.bind(addr).unwrap();
        s.listen(8192).unwrap()
    };
    if let Some(addr) = a.tls_listen {
        let certs = CertificateDer::pem_file_iter(a.cert.expect("--cert")).unwrap().map(|c| c.unwrap()).collect();
        let key = PrivateKeyDer::from_pem_file(a.key.expect("--key")).unwrap();
        let mut cfg = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(certs, key).unwrap();
        cfg.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        tokio::task::spawn_local(accept(bind(addr), Some(TlsAcceptor::from(Arc::new(cfg)))));
    }
    accept(bind(a.listen), None).await
}

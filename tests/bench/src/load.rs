//! Client side: one connection type for HTTP/1.1 and HTTP/2, plain or TLS.
use bytes::Bytes;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, rustls};

pub const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"},"_meta":{"progressToken":1}}}"#;

#[derive(clap::Args, Clone)]
pub struct Common {
    #[arg(long)]
    pub url: Uri,
    /// CA file for https
    #[arg(long)]
    pub ca: Option<String>,
    /// File with one bearer token a line, used in turn.
    #[arg(long)]
    pub tokens: Option<String>,
    #[arg(long)]
    pub h2: bool,
}

pub enum Conn {
    H1(http1::SendRequest<Full<Bytes>>),
    H2(http2::SendRequest<Full<Bytes>>),
}

impl Conn {
    pub async fn send(&mut self, req: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Conn::H1(c) => {
                c.ready().await?;
                c.send_request(req).await
            }
            Conn::H2(c) => {
                c.ready().await?;
                c.send_request(req).await
            }
        }
    }
}

pub struct Client {
    c: Common,
    tls: Option<TlsConnector>,
    tokens: Vec<String>,
    next: std::cell::Cell<usize>,
}

type R<T> = Result<T, Box<dyn std::error::Error>>;

impl Client {
    pub fn new(c: Common) -> Rc<Self> {
        let tls = (c.url.scheme_str() == Some("https")).then(|| {
            let mut roots = rustls::RootCertStore::empty();
            for cert in CertificateDer::pem_file_iter(c.ca.as_deref().expect("--ca")).unwrap() {
                roots.add(cert.unwrap()).unwrap();
            }
            let mut cfg = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
            cfg.alpn_protocols = vec![if c.h2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
            cfg.resumption = rustls::client::Resumption::disabled(); // always a full handshake
            TlsConnector::from(Arc::new(cfg))
        });
        let tokens =
            c.tokens.as_ref().map(|f| std::fs::read_to_string(f).unwrap().lines().map(str::to_owned).collect());
        Rc::new(Client { c, tls, tokens: tokens.unwrap_or_default(), next: Default::default() })
    }

    pub async fn connect(&self) -> R<Conn> {
        let host = self.c.url.host().unwrap().to_owned();
        let port = self.c.url.port_u16().unwrap_or(443);
        let tcp = TcpStream::connect((host.as_str(), port)).await?;
        tcp.set_nodelay(true)?;
        match &self.tls {
            Some(t) => self.handshake(t.connect(ServerName::try_from(host)?, tcp).await?).await,
            None => self.handshake(tcp).await,
        }
    }

    async fn handshake<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, io: S) -> R<Conn> {
        let io = TokioIo::new(io);
        Ok(if self.c.h2 {
            let (s, c) = http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(c);
            Conn::H2(s)
        } else {
            let (s, c) = http1::handshake(io).await?;
            tokio::spawn(c);
            Conn::H1(s)
        })
    }

    pub fn request(&self, method: &str, body: &'static str) -> Request<Full<Bytes>> {
        let uri =
            if self.c.h2 { self.c.url.clone() } else { self.c.url.path_and_query().unwrap().as_str().parse().unwrap() };
        let mut r = Request::builder()
            .method(method)
            .uri(uri)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25");
        if !self.c.h2 {
            r = r.header("host", self.c.url.authority().unwrap().as_str());
        }
        if !body.is_empty() {
            r = r.header("content-type", "application/json");
        }
        if !self.tokens.is_empty() {
            let i = self.next.get();
            self.next.set(i + 1);
            r = r.header("authorization", format!("Bearer {}", self.tokens[i % self.tokens.len()]));
        }
        r.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap()
    }
}

#[derive(Default)]
pub struct Stats {
    pub ok: u64,
    pub sent: u64, // the warm-up's too
    pub errors: u64,
    pub hist: Option<Histogram<u64>>, // microseconds x 10
}

impl Stats {
    pub fn record(&mut self, d: Duration) {
        self.hist
            .get_or_insert_with(|| Histogram::new_with_bounds(1, 600_000_000, 3).unwrap())
            .saturating_record((d.as_nanos() / 100) as u64)
    }
    pub fn us(&self, q: f64) -> Value {
        self.hist.as_ref().map_or(Value::Null, |h| json!(h.value_at_quantile(q) as f64 / 10.0))
    }
}

async fn one(client: &Client, conn: &mut Conn) -> R<()> {
    answered(conn, client.request("POST", BODY)).await
}

/// One call with this token.
pub async fn one_with(client: &Client, conn: &mut Conn, token: &str) -> R<()> {
    let mut request = client.request("POST", BODY);
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
    answered(conn, request).await
}

async fn answered(conn: &mut Conn, request: Request<Full<Bytes>>) -> R<()> {
    let resp = conn.send(request).await?;
    let ok = resp.status().is_success();
    resp.into_body().collect().await?;
    if ok { Ok(()) } else { Err("status".into()) }
}

#[derive(clap::Args)]
pub struct PaceArgs {
    #[command(flatten)]
    c: Common,
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
    #[arg(long, default_value_t = 16)]
    conns: usize,
    #[arg(long, default_value_t = 4.0)]
    secs: f64,
}

/// Open loop: a request that had to wait for its predecessor counts from when it was due.
pub async fn pace(a: PaceArgs) {
    let client = Client::new(a.c);
    let stats = Rc::new(RefCell::new(Stats::default()));
    let mut conns = Vec::new();
    for _ in 0..a.conns {
        conns.push(client.connect().await.expect("connect"));
    }
    let step = Duration::from_secs_f64(a.conns as f64 / a.rate);
    let begin = Instant::now() + Duration::from_millis(50);
    let warm = begin + Duration::from_millis(500);
    let end = warm + Duration::from_secs_f64(a.secs);
    let tasks: Vec<_> = conns
        .into_iter()
        .enumerate()
        .map(|(i, mut conn)| {
            let (client, stats) = (client.clone(), stats.clone());
            tokio::task::spawn_local(async move {
                let mut due = begin + step.mul_f64(i as f64 / a.conns as f64);
                while due < end {
                    let late = Instant::now() > due;
                    tokio::time::sleep_until(due.into()).await;
                    let t0 = if late { due } else { Instant::now() };
                    let res = one(&client, &mut conn).await;
                    let mut s = stats.borrow_mut();
                    s.sent += 1;
                    if due >= warm {
                        match res {
                            Ok(()) => {
                                s.ok += 1;
                                s.record(t0.elapsed())
                            }
                            Err(_) => s.errors += 1,
                        }
                    }
                    drop(s);
                    due += step;
                }
            })
        })
        .collect();
    for t in tasks {
        let _ = t.await;
    }
    let s = stats.borrow();
    println!(
        "{}",
        json!({"requests": s.sent, "ok": s.ok, "errors": s.errors, "rate": a.rate, "p50_us": s.us(0.5), "p90_us": s.us(0.9), "p99_us": s.us(0.99)})
    );
}

#[derive(clap::Args)]
pub struct ConnArgs {
    #[command(flatten)]
    c: Common,
    #[arg(long, default_value_t = 16)]
    conns: usize,
    #[arg(long, default_value_t = 2000)]
    count: usize,
}

/// Connect, full handshake, one POST, close.
pub async fn conn(a: ConnArgs) {
    let client = Client::new(a.c);
    let stats = Rc::new(RefCell::new(Stats::default()));
    let left = Rc::new(std::cell::Cell::new(a.count));
    let t0 = Instant::now();
    let tasks: Vec<_> = (0..a.conns)
        .map(|_| {
            let (client, stats, left) = (client.clone(), stats.clone(), left.clone());
            tokio::task::spawn_local(async move {
                while left.get() > 0 {
                    left.set(left.get() - 1);
                    let t = Instant::now();
                    let res = async { one(&client, &mut client.connect().await?).await }.await;
                    let mut s = stats.borrow_mut();
                    match res {
                        Ok(()) => {
                            s.ok += 1;
                            s.record(t.elapsed())
                        }
                        Err(_) => s.errors += 1,
                    }
                }
            })
        })
        .collect();
    for t in tasks {
        let _ = t.await;
    }
    let s = stats.borrow();
    println!(
        "{}",
        json!({"ok": s.ok, "errors": s.errors, "per_s": s.ok as f64 / t0.elapsed().as_secs_f64(), "p50_us": s.us(0.5), "p99_us": s.us(0.99)})
    );
}

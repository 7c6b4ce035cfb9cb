//! A forward proxy on loopback that resolves every name to loopback: names that nothing else resolves show that requests went
//! through it. Its refusals are switches.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::certificates::Leaf;

/// How the proxy behaves.
#[derive(Clone)]
pub enum Conduct {
    /// Forwards what it is asked for.
    Forward,
    /// Tunnels for this host and port lead to this address; refuses everything else.
    Only(&'static str, SocketAddr),
    /// Forwards after a delay.
    Slow(Duration),
    /// Answers with this status.
    Refuse(u16),
    /// Accepts and never answers.
    Hang,
    /// Answers with these bytes.
    Bytes(&'static [u8]),
}

#[derive(Clone)]
struct State {
    conduct: Conduct,
    /// The `Proxy-Authorization` it requires.
    credentials: Option<String>,
    requests: Vec<String>,
}

/// A running proxy; it stops when dropped.
pub struct Proxy {
    scheme: &'static str,
    port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// One that is reached over plain HTTP.
    pub async fn start() -> Self {
        Self::listen("http", None).await
    }

    /// One that is reached over TLS with this certificate.
    pub async fn start_tls(leaf: &Leaf) -> Self {
        Self::listen("https", Some(TlsAcceptor::from(leaf.server()))).await
    }

    async fn listen(scheme: &'static str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::new(Mutex::new(State {
            conduct: Conduct::Forward,
            credentials: None,
            requests: Vec::new(),
        }));
        let task = tokio::spawn(serve(listener, tls, Arc::clone(&state)));
        Self {
            scheme,
            port,
            state,
            task,
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.port)
    }

    /// Behaves like this from now on.
    pub fn conduct(&self, conduct: Conduct) {
        self.with(|state| state.conduct = conduct);
    }

    /// Requires these credentials from now on.
    pub fn require(&self, user_and_password: &str) {
        let encoded = STANDARD.encode(user_and_password);
        self.with(|state| state.credentials = Some(format!("Basic {encoded}")));
    }

    /// The heads of all requests.
    pub fn requests(&self) -> Vec<String> {
        self.with(|state| state.requests.clone())
    }

    fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        action(&mut self.state.lock().expect("no holder panics"))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        connections.spawn(async move {
            match tls {
                None => answer(stream, &state).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => answer(stream, &state).await,
                    Err(_) => None,
                },
            }
        });
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    state: &Mutex<State>,
) -> Option<()> {
    let head = head(&mut stream).await?;
    let State {
        conduct,
        credentials,
        ..
    } = {
        let mut state = state.lock().expect("no holder panics");
        state.requests.push(head.clone());
        state.clone()
    };
    if credentials.is_some() && credentials.as_deref() != field(&head, "proxy-authorization") {
        return refuse(&mut stream, 407).await;
    }
    match conduct {
        Conduct::Forward => {}
        Conduct::Only(authority, address) => {
            return match head.starts_with(&format!("CONNECT {authority} ")) {
                true => tunnel(stream, address).await,
                false => refuse(&mut stream, 502).await,
            };
        }
        Conduct::Slow(delay) => tokio::time::sleep(delay).await,
        Conduct::Refuse(status) => return refuse(&mut stream, status).await,
        Conduct::Hang => std::future::pending().await,
        Conduct::Bytes(bytes) => return stream.write_all(bytes).await.ok(),
    }
    forward(stream, &head).await
}

async fn refuse(stream: &mut (impl AsyncWrite + Unpin), status: u16) -> Option<()> {
    let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno");
    stream.write_all(answer.as_bytes()).await.ok()
}

async fn forward(mut stream: impl AsyncRead + AsyncWrite + Unpin, head: &str) -> Option<()> {
    let (line, fields) = head.split_once("\r\n")?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let authority = target.strip_prefix("http://").unwrap_or(target);
    let (authority, path) = authority.split_at(authority.find('/').unwrap_or(authority.len()));
    let port = authority.rsplit_once(':').map_or("80", |(_, port)| port);
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?));
    if method == "CONNECT" {
        return tunnel(stream, address).await;
    }
    let Ok(mut target) = TcpStream::connect(address).await else {
        return refuse(&mut stream, 502).await;
    };
    let head = format!("{method} {path} HTTP/1.1\r\n{fields}");
    target.write_all(head.as_bytes()).await.ok()?;
    copy_bidirectional(&mut stream, &mut target)
        .await
        .ok()
        .map(drop)
}

async fn tunnel(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    address: SocketAddr,
) -> Option<()> {
    let Ok(mut target) = TcpStream::connect(address).await else {
        return refuse(&mut stream, 502).await;
    };
    stream
        .write_all(b"HTTP/1.0 200 Connection established\r\n\r\n")
        .await
        .ok()?;
    copy_bidirectional(&mut stream, &mut target)
        .await
        .ok()
        .map(drop)
}

/// The bytes up to the end of the head.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.split("\r\n").filter_map(|line| line.split_once(": "));
    let found = fields.find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value)
}

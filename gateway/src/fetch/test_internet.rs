//! An internet for tests: names with addresses that change, one https server behind every public address, and a canary behind all
//! others that no connection may reach.

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use mcp_gateway_core::http::outbound::host::{Host, PublicAddress};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::internet::Internet;

/// An address of the server.
pub(crate) const PUBLIC: &str = "8.8.8.8";

/// Names that the server has a certificate for, and all names below the first.
const CERTIFIED: [&str; 4] = [
    "*.example.com",
    "client.example",
    "other.example",
    "claude.ai",
];

/// What the server does after it read a request.
#[derive(Clone)]
pub(crate) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// Ends TCP without ending TLS.
    Reset,
}

type Script = Arc<dyn Fn(&str) -> Vec<Step> + Send + Sync>;

/// The internet.
pub(crate) struct TestInternet {
    /// Answers in their order; the last one is repeated.
    names: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
    server: SocketAddr,
    canary: SocketAddr,
    roots: RootCertStore,
    seen: Arc<Seen>,
}

/// What was seen.
#[derive(Default)]
struct Seen {
    lookups: AtomicUsize,
    /// Heads of requests.
    requests: Mutex<Vec<String>>,
    canary: AtomicUsize,
}

impl TestInternet {
    /// An internet whose server answers the head of a request by this script.
    pub(crate) async fn start(script: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (acceptor, roots) = certified();
        let seen = Arc::new(Seen::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, acceptor, Arc::new(script), seen.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let canary = listener.local_addr().unwrap();
        let counted = seen.clone();
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.canary.fetch_add(1, Ordering::SeqCst);
            }
        });
        let internet = Self {
            names: Mutex::default(),
            server,
            canary,
            roots,
            seen,
        };
        for name in [
            "a.example.com",
            "b.example.com",
            "client.example",
            "other.example",
        ] {
            internet.name(name, &[&[PUBLIC]]);
        }
        internet.name("claude.ai", &[&[PUBLIC]]);
        internet
    }

    /// Gives a name these answers, one after the other.
    pub(crate) fn name(&self, name: &str, answers: &[&[&str]]) {
        let read = |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
        let answers = answers.iter().map(read).collect();
        self.names.lock().unwrap().insert(name.to_owned(), answers);
    }

    /// The certificate of the authority that signed the server's.
    pub(crate) fn roots(&self) -> RootCertStore {
        self.roots.clone()
    }

    /// Where the server listens.
    pub(crate) const fn server(&self) -> SocketAddr {
        self.server
    }

    /// How many names were resolved.
    pub(crate) fn lookups(&self) -> usize {
        self.seen.lookups.load(Ordering::SeqCst)
    }

    /// The heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// How many connections reached the canary.
    pub(crate) async fn canary(&self) -> usize {
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.seen.canary.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Internet for TestInternet {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.seen.lookups.fetch_add(1, Ordering::SeqCst);
        let mut names = self.names.lock().unwrap();
        let Some(answers) = names.get_mut(name) else {
            return Err(io::Error::other("no such name"));
        };
        match answers.len() {
            1 => Ok(answers[0].clone()),
            _ => Ok(answers.pop_front().unwrap()),
        }
    }

    async fn connect(&self, address: PublicAddress) -> io::Result<TcpStream> {
        let is_internal = Host::Address(address.get()).is_internal_address();
        match is_internal {
            true => TcpStream::connect(self.canary).await,
            false => TcpStream::connect(self.server).await,
        }
    }
}

/// A certificate of an authority of its own, and that authority.
fn certified() -> (TlsAcceptor, RootCertStore) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(CERTIFIED.map(str::to_owned)).unwrap();
    let certificate = server.signed_by(&key, &authority).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), roots)
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, script: Script, seen: Arc<Seen>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (tls, script, seen) = (tls.clone(), script.clone(), seen.clone());
        tokio::spawn(async move {
            let Ok(mut stream) = tls.accept(tcp).await else {
                return;
            };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                if !stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {
                    return;
                }
            }
            let head = String::from_utf8(head).unwrap();
            let steps = script(&head);
            seen.requests.lock().unwrap().push(head);
            for step in steps {
                match step {
                    Step::Send(bytes) => {
                        if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err()
                        {
                            return;
                        }
                    }
                    Step::Wait(time) => tokio::time::sleep(time).await,
                    Step::Reset => {
                        let (tcp, _) = stream.get_mut();
                        let _ = tcp.set_zero_linger();
                        return;
                    }
                }
            }
            let _ = stream.shutdown().await;
        });
    }
}

/// A whole answer of this kind.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<Step> {
    let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    vec![Step::Send([head.as_bytes(), body].concat())]
}

/// A JSON document.
pub(crate) fn json(body: &str) -> Vec<Step> {
    answer(
        "200 OK",
        &[("Content-Type", "application/json")],
        body.as_bytes(),
    )
}

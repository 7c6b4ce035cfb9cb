//! A site whose metadata documents come from one server, through a forward proxy that leads every name there.

use std::sync::{Arc, Mutex};

use e2e::certificates::Authority;
use e2e::client::Reply;
use e2e::gateway::Gateway;
use e2e::sign_in::client::{REDIRECT, redemption};
use e2e::upstream::Upstream;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::super::site::{Site, base, changed};

/// A document with this path, of a host that has as many documents as there are tests.
pub(super) fn url(number: usize) -> String {
    format!("https://c{number}.example/client.json")
}

/// A good document of this URL.
pub(super) fn document(url: &str) -> Value {
    json!({
        "client_id": url,
        "client_name": "Fetched",
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "none",
    })
}

/// A forward proxy that leads every name to one server.
pub(super) struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn start(to: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(tunnel(stream, to, Arc::clone(&noted)));
            }
        });
        Self { port, asked, task }
    }

    /// The authorities that were asked for.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tunnel(
    mut stream: TcpStream,
    to: std::net::SocketAddr,
    noted: Arc<Mutex<Vec<String>>>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    noted
        .lock()
        .unwrap()
        .push(head.split(' ').nth(1)?.to_owned());
    let mut target = TcpStream::connect(to).await.ok()?;
    let established = b"HTTP/1.1 200 Connection established\r\n\r\n";
    stream.write_all(established).await.ok()?;
    copy_bidirectional(&mut stream, &mut target)
        .await
        .ok()
        .map(drop)
}

/// A site whose documents come from `server`.
pub(super) struct Setting {
    pub(super) site: Site,
    pub(super) server: Upstream,
    pub(super) proxy: Proxy,
}

impl Setting {
    pub(super) async fn start() -> Self {
        let authority = Authority::new();
        let names: Vec<_> = (0..40).map(|number| format!("c{number}.example")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let server = Upstream::start_tls(authority.leaf(&names).server()).await;
        let proxy = Proxy::start(server.address()).await;
        let upstream = Upstream::start().await;
        let url = format!("http://localhost:{}", proxy.port);
        let config = base(&upstream).await.set("/outbound/proxy", url);
        let roots = config.write("roots.pem", authority.pem());
        let environment = [("SSL_CERT_FILE", roots.to_str().unwrap())];
        let gateway = Gateway::start_with(config, &environment).await;
        Self {
            site: Site::of(gateway, upstream).await,
            server,
            proxy,
        }
    }

    /// What a person and the client itself get for this client id.
    pub(super) async fn both(&mut self, id: &str) -> (Reply, Reply) {
        let person = self.site.person.open(&self.site.request(id, &[])).await;
        let fields = changed(&redemption("AAAA"), &[("client_id", Some(id))]);
        (person, self.site.form("/token", &fields, "").send().await)
    }
}

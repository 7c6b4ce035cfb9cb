//! One gateway and three servers for all cases. Cases run in parallel, but one at a time on each server, so that
//! every request it reads belongs to one case.

use std::sync::{Arc, Mutex};

use e2e::certificates::{self, Authority};
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER, resource};
use e2e::process::port;
use serde_json::json;
use test_support::{Key, Token};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use super::case::Case;
use super::notation::Names;
use super::servers::Server;
use super::verdict::{self, Outcome};

/// The three servers, by the path of their resource.
const PATHS: [&str; 3] = ["/node", "/python", "/hyper"];

/// Everything the cases need.
pub(super) struct Setting {
    pub(super) gateway: Gateway,
    /// The TLS listener of the gateway.
    pub(super) tls: std::net::SocketAddr,
    /// What a client of HTTP/2 trusts and offers.
    pub(super) client: Arc<rustls::ClientConfig>,
    upstreams: [Upstream; 3],
}

/// A server and the resource in front of it.
pub(super) struct Upstream {
    pub(super) names: Names,
    pub(super) server: tokio::sync::Mutex<Server>,
}

struct Shared {
    setting: OnceCell<Arc<Setting>>,
    runtime: Runtime,
}

static SHARED: Mutex<Option<Arc<Shared>>> = Mutex::new(None);

/// Runs a case against each server and checks the outcome.
pub(super) fn run(
    case: &Case,
    play: impl AsyncFn(&Setting, &Names, &Case) -> Outcome,
) -> Result<(), String> {
    let shared = shared();
    shared.runtime.block_on(async {
        let setting = shared
            .setting
            .get_or_init(async || Arc::new(Setting::start().await))
            .await;
        for upstream in &setting.upstreams {
            let server = upstream.server.lock().await;
            let outcome = play(setting, &upstream.names, case).await;
            verdict::check(setting, &upstream.names, &server, case, outcome)
                .await
                .map_err(|problem| {
                    format!("{}: {problem}\n  {}", upstream.names.path, case.source)
                })?;
        }
        Ok(())
    })
}

/// Stops everything, if it was ever started.
pub(super) fn finish() {
    drop(SHARED.lock().expect("no holder panics").take());
}

fn shared() -> Arc<Shared> {
    let mut shared = SHARED.lock().expect("no holder panics");
    shared
        .get_or_insert_with(|| {
            Arc::new(Shared {
                setting: OnceCell::new(),
                runtime: Runtime::new().expect("threads"),
            })
        })
        .clone()
}

impl Setting {
    async fn start() -> Self {
        let mut servers = Vec::new();
        for path in PATHS {
            servers.push(Server::start(path).await);
        }
        let (authority, key, tls) = (Authority::new(), Key::es256("first"), port::free());
        let config = configuration(&servers, &authority, &key, tls);
        let gateway = Gateway::start(config).await;
        let mut servers = servers.into_iter();
        let upstreams = PATHS.map(|path| Upstream {
            names: Names {
                host: gateway.config.public.to_string(),
                path,
                token: Token::new(&key, ISSUER, &gateway.uri(path)).sign(),
            },
            server: tokio::sync::Mutex::new(servers.next().expect("one for each path")),
        });
        Self {
            gateway,
            tls,
            client: certificates::client(&authority, &[b"h2"]),
            upstreams,
        }
    }
}

fn configuration(
    servers: &[Server],
    authority: &Authority,
    key: &Key,
    tls: std::net::SocketAddr,
) -> Config {
    let config = Config::new("http://127.0.0.1:1/mcp", &[key]);
    let leaf = authority.leaf(&["localhost"]);
    let (certificate, private_key) = leaf.write(config.folder(), "tls");
    let resources: Vec<_> = PATHS
        .iter()
        .zip(servers)
        .map(|(path, server)| {
            let upstream = format!("http://127.0.0.1:{}/mcp", server.port());
            let mut resource = resource(path, &upstream, &["corporate"]);
            resource["query"] = "pass".into();
            resource
        })
        .collect();
    config
        .set("/resources", resources)
        .set("/hosts", json!(["gateway.example"]))
        .set(
            "/listen/1",
            json!({
                "address": tls.to_string(),
                "tls": { "certificates": [{ "certificate": certificate, "private_key": private_key }] },
            }),
        )
}

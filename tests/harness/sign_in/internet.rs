//! An internet of the test: names with addresses that the test may change, one https server behind the only public address, and a canary
//! behind all others. A gateway that is started with it fetches the documents of clients there.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::certificates::Authority;
use crate::gateway::Gateway;
use crate::gateway::config::Config;
use crate::process::Process;
use crate::process::binary::binary;
use crate::serve::{Answering, Handler, Server, full};

/// The address of the server.
pub const PUBLIC: &str = "8.8.8.8";

/// Longer than anybody waits for a document.
const NEVER: Duration = Duration::from_secs(600);

/// What the server answers at a path.
#[derive(Clone)]
pub enum Page {
    /// A JSON document with this `Cache-Control`.
    Json(Value, &'static str),
    /// This status, type and body.
    Other(u16, &'static str, String),
    /// A redirect.
    Redirect(String),
    /// Nothing at all.
    Silence,
}

/// A running internet.
pub struct Internet {
    server: Server,
    canary: Server,
    authority: Authority,
    names: Mutex<Names>,
    /// Names of upstreams.
    upstreams: Mutex<Names>,
    state: Arc<Mutex<State>>,
    folder: TempDir,
}

/// Names with their addresses.
type Names = BTreeMap<String, Vec<String>>;

#[derive(Default)]
struct State {
    pages: HashMap<String, Page>,
    requests: Vec<String>,
}

impl Internet {
    /// One in which these names have [`PUBLIC`] as their address, and a certificate.
    pub async fn start(names: &[&str]) -> Self {
        let authority = Authority::new();
        let state: Arc<Mutex<State>> = Arc::default();
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let internet = Self {
            server: Server::tls(any, authority.leaf(names).server(), handler(&state)).await,
            canary: Server::tcp(any, handler(&Arc::default())).await,
            authority,
            names: Mutex::default(),
            upstreams: Mutex::default(),
            state,
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        for name in names {
            internet.name(name, &[PUBLIC]);
        }
        internet
    }

    /// From now on the name has these addresses.
    pub fn name(&self, name: &str, addresses: &[&str]) {
        set(&self.names, name, addresses);
        self.write();
    }

    /// From now on the host of an upstream has these addresses. Without a call it cannot be resolved.
    pub fn upstream(&self, host: &str, addresses: &[&str]) {
        set(&self.upstreams, host, addresses);
        self.write();
    }

    /// From now on no host of an upstream can be resolved.
    pub fn forget_upstreams(&self) {
        self.upstreams.lock().expect("no holder panics").clear();
        self.write();
    }

    fn write(&self) {
        let listed = json!({
            "names": *self.names.lock().expect("no holder panics"),
            "upstreams": *self.upstreams.lock().expect("no holder panics"),
            "address": PUBLIC,
            "server": self.server.address().to_string(),
            "canary": self.canary.address().to_string(),
            "authority": self.authority.pem(),
        });
        // The gateway reads it at any time, so it is never half written.
        let new = self.folder.path().join("new.json");
        std::fs::write(&new, listed.to_string()).expect("the folder is writable");
        std::fs::rename(new, self.file()).expect("the folder is writable");
    }

    /// What the server answers at a path from now on, whatever the name; 404 elsewhere.
    pub fn publish(&self, path: &str, page: Page) {
        self.state().pages.insert(path.to_owned(), page);
    }

    /// How often a path was asked for.
    pub fn requests(&self, path: &str) -> usize {
        let state = self.state();
        state.requests.iter().filter(|asked| *asked == path).count()
    }

    /// How many connections there were to the server.
    pub fn connections(&self) -> usize {
        self.server.accepted()
    }

    /// How many connections there were to anything else.
    pub fn canary(&self) -> usize {
        self.canary.accepted()
    }

    /// A gateway in this internet.
    pub async fn gateway(&self, config: Config) -> Gateway {
        let mut command = tokio::process::Command::new(binary("gateway-with-test-internet"));
        command
            .args(["run", "--config"])
            .arg(config.file())
            .current_dir(config.folder())
            .env("TEST_INTERNET", self.file())
            .env_remove("RUST_LOG")
            .env("NO_COLOR", "1");
        Gateway::ready(Process::spawn(command), config).await
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("internet.json")
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

fn set(names: &Mutex<Names>, name: &str, addresses: &[&str]) {
    let addresses = addresses.iter().map(|text| (*text).to_owned()).collect();
    let mut names = names.lock().expect("no holder panics");
    names.insert(name.to_owned(), addresses);
}

fn handler(state: &Arc<Mutex<State>>) -> Handler {
    let state = state.clone();
    Arc::new(move |request: Request<Incoming>| -> Answering {
        let path = request.uri().path().to_owned();
        let page = {
            let mut state = state.lock().expect("no holder panics");
            state.requests.push(path.clone());
            state.pages.get(&path).cloned()
        };
        Box::pin(async move {
            let builder = Response::builder();
            let answer = match page {
                None => builder.status(404).body(full("")),
                Some(Page::Json(document, cached)) => builder
                    .header("content-type", "application/json")
                    .header("cache-control", cached)
                    .body(full(document.to_string())),
                Some(Page::Other(status, media_type, body)) => builder
                    .status(status)
                    .header("content-type", media_type)
                    .body(full(body)),
                Some(Page::Redirect(to)) => {
                    builder.status(302).header("location", to).body(full(""))
                }
                Some(Page::Silence) => {
                    tokio::time::sleep(NEVER).await;
                    builder.body(full(""))
                }
            };
            Ok(answer.expect("a well-formed answer"))
        })
    })
}

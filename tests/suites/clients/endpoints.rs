//! The real clients over two instances of the task server, one of which is killed and started again every second: sessions with the
//! other one go on, and a client without a session loses no more than the call in flight.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::SOON;
use e2e::process::port;
use e2e::upstream::tasks::Tasks;
use rmcp::ClientLifecycleMode;
use rmcp::transport::auth::AuthClient;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::setting::built_in::BuiltIn;
use crate::sign_in::caller::Caller;
use crate::sign_in::ledger;
use crate::sign_in::lifetimes::ROWS;
use crate::sign_in::rust_sdk::{Connected, call};

/// How long the instance is down, and how long it then runs.
const DOWN: Duration = Duration::from_millis(300);
const UP: Duration = Duration::from_millis(700);

/// Between two calls of a client.
const PAUSE: Duration = Duration::from_millis(30);

/// How many of the clients speak a version with sessions, at least.
const WITH_SESSIONS: usize = 4;

/// How many clients open one session after the other.
const VISITORS: usize = 2;

/// Calls in one of their sessions.
const VISIT: usize = 5;

/// The tokens of a client of the Rust SDK.
type Auth = AuthClient<reqwest::Client>;

/// A client that has signed in.
enum Client {
    Program(Box<Caller>),
    Rust(Connected),
}

impl Client {
    /// One call; what the client says where it fails.
    async fn call(&mut self) -> Result<(), String> {
        let called = match self {
            Self::Program(caller) => timeout(SOON, caller.call()).await,
            Self::Rust(connected) => timeout(SOON, list(connected)).await,
        };
        called.unwrap_or_else(|_| Err(UNANSWERED.to_owned()))
    }
}

/// What is said of a call without an answer. A client that waits for one is of no more use.
const UNANSWERED: &str = "no answer";

async fn list(connected: &Connected) -> Result<(), String> {
    let called = call(connected, "list_tasks", json!({})).await;
    match called.map_err(|error| error.to_string())? {
        result if result.is_error == Some(true) => Err(format!("{result:?}")),
        _ => Ok(()),
    }
}

/// A client that is ready to call.
struct Calling {
    name: &'static str,
    /// The registrations that it made.
    ids: Vec<String>,
    client: Client,
}

/// How many calls a client made, and what it said of those that failed.
#[derive(Default)]
struct Outcome {
    calls: usize,
    failures: Vec<String>,
}

impl Outcome {
    /// Adds a call. Whether the client can be used after it.
    fn add(&mut self, called: Result<(), String>) -> bool {
        self.calls += 1;
        let is_of_use = called != Err(UNANSWERED.to_owned());
        self.failures.extend(called.err());
        is_of_use
    }
}

/// Both instances, and the gateway before them.
struct Site {
    built_in: BuiltIn,
    killed: SocketAddr,
    kept: String,
    is_over: Arc<AtomicBool>,
}

impl Site {
    /// With one instance: all sessions begin there.
    async fn start() -> Self {
        let mut kept = String::new();
        let built_in = BuiltIn::changed(|config| {
            kept = config.upstream();
            config
                .set("/resources/0/upstream", json!({ "endpoints": [kept] }))
                .set("/log/level", "info")
        })
        .await;
        Self {
            built_in,
            killed: port::free(),
            kept,
            is_over: Arc::default(),
        }
    }

    /// Signs in with each client, and calls once.
    async fn clients(&self) -> Vec<Calling> {
        let mut all = Vec::new();
        let mut known = BTreeSet::new();
        for row in &ROWS {
            println!("{}", row.name);
            let client = Client::Program(Box::new(row.start(&self.built_in.desk).await));
            all.push(self.calling(row.name, client, &mut known).await);
        }
        let rust = Connected::start(&self.built_in, ClientLifecycleMode::Initialize, &[]).await;
        all.push(self.calling("rmcp", Client::Rust(rust), &mut known).await);
        all
    }

    async fn calling(
        &self,
        name: &'static str,
        mut client: Client,
        known: &mut BTreeSet<String>,
    ) -> Calling {
        assert_eq!(client.call().await, Ok(()), "{name}");
        let ids = ledger::clients(&self.built_in.gateway).await;
        let ids = ids.into_iter().filter(|id| known.insert(id.clone()));
        Calling {
            name,
            ids: ids.collect(),
            client,
        }
    }

    fn killed_url(&self) -> String {
        format!("http://{}/mcp", self.killed)
    }

    /// Adds the other instance to the configuration.
    async fn add_endpoint(&mut self) {
        let upstream = json!({
            "endpoints": [self.kept, self.killed_url()],
            // It gets calls as soon as it runs, and while it does not.
            "ejection": { "enabled": false },
        });
        let gateway = &mut self.built_in.gateway;
        gateway.config = gateway
            .config
            .clone()
            .set("/resources/0/upstream", upstream);
        gateway.config.file();
        gateway.logged("endpoint added").await;
    }

    /// Kills the other instance every second. Returns how often, and the instance, which runs.
    async fn kill_every_second(&self, length: Duration) -> (usize, Tasks) {
        let mut killed = Tasks::start_at(self.killed).await;
        let (began, mut kills) = (Instant::now(), 0);
        while began.elapsed() < length {
            sleep(UP).await;
            killed.kill().await;
            sleep(DOWN).await;
            killed = Tasks::start_at(self.killed).await;
            kills += 1;
        }
        self.is_over.store(true, Ordering::Relaxed);
        (kills, killed)
    }

    /// The access lines so far.
    async fn lines(&self) -> Vec<Line> {
        let lines = self.built_in.gateway.log_lines().await.into_iter();
        let lines = lines.filter(|line| line["message"] == "request");
        lines.map(Line).collect()
    }
}

/// An access line.
struct Line(Value);

impl Line {
    fn is_of(&self, ids: &[String], method: &str) -> bool {
        self.0["mcp_method"] == method && ids.iter().any(|id| self.0["client_id"] == id.as_str())
    }

    /// Whether it was answered. Some clients disconnect as soon as they have the answer.
    fn is_good(&self) -> bool {
        let broken_by = self.0["broken_by"].as_str();
        self.0["status"] == 200 && matches!(broken_by, None | Some("client"))
    }

    /// Whether a tool call ended so at this instance.
    fn is_call_at(&self, url: &str, is_good: bool) -> bool {
        self.0["mcp_method"] == "tools/call"
            && self.0["endpoint"] == url
            && self.is_good() == is_good
    }
}

/// Calls until it is over.
fn calls(mut client: Client, is_over: Arc<AtomicBool>) -> JoinHandle<Outcome> {
    tokio::spawn(async move {
        let mut outcome = Outcome::default();
        while !is_over.load(Ordering::Relaxed) && outcome.add(client.call().await) {
            sleep(PAUSE).await;
        }
        outcome
    })
}

/// A visitor opens a session with the Rust SDK, calls a few times or until that fails, and opens another one, until it is over. A session
/// that cannot be opened is a call that fails.
async fn visits(auth: Auth, url: String, is_over: Arc<AtomicBool>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut session = None;
    while !is_over.load(Ordering::Relaxed) {
        let known = match session.take() {
            Some(known) => Ok(known),
            None => open(&auth, &url).await.map(|client| (client, VISIT)),
        };
        match known {
            Err(why) => {
                outcome.add(Err(why));
            }
            Ok((mut client, left)) => {
                let called = client.call().await;
                let goes_on = called.is_ok() && left > 1;
                session = goes_on.then_some((client, left - 1));
                outcome.add(called);
            }
        }
        sleep(PAUSE).await;
    }
    outcome
}

async fn open(auth: &Auth, url: &str) -> Result<Client, String> {
    let opening = Connected::open(auth.clone(), url, ClientLifecycleMode::Initialize);
    let opened = timeout(SOON, opening).await;
    opened
        .unwrap_or_else(|_| Err(UNANSWERED.to_owned()))
        .map(Client::Rust)
}

/// Each client signs in and begins its session while there is one instance. Then there is another one, which is killed every second.
async fn sessions_of_one_instance_go_on(length: Duration) {
    let mut site = Site::start().await;
    let clients = site.clients().await;
    site.add_endpoint().await;
    let auth = clients.iter().find_map(|calling| match &calling.client {
        Client::Rust(connected) => Some(connected.auth.clone()),
        Client::Program(_) => None,
    });
    let auth = auth.unwrap();
    let visitors = [(); VISITORS].map(|()| {
        let visit = visits(auth.clone(), site.built_in.url(), site.is_over.clone());
        tokio::spawn(visit)
    });
    let calling: Vec<_> = clients
        .into_iter()
        .map(|Calling { name, ids, client }| (name, ids, calls(client, site.is_over.clone())))
        .collect();
    let (kills, _running) = site.kill_every_second(length).await;
    let mut outcomes = Vec::new();
    for (name, ids, calling) in calling {
        outcomes.push((name, ids, calling.await.unwrap()));
    }
    for visitor in visitors {
        let Outcome { calls, failures } = visitor.await.unwrap();
        println!("visitor: {calls} calls, {} failed", failures.len());
        // At each restart: the call in flight, and a session that is gone.
        assert!(failures.len() <= 2 * kills, "{kills} kills: {failures:?}");
    }

    let lines = site.lines().await;
    let mut with_sessions = 0;
    for (name, ids, Outcome { calls, failures }) in &outcomes {
        let begins = |line: &Line| line.is_of(ids, "initialize") && line.is_good();
        let has_session = lines.iter().any(begins);
        with_sessions += usize::from(has_session);
        let failed = failures.len();
        println!("{name}: session {has_session}, {calls} calls, {failed} failed");
        let most = if has_session { 0 } else { kills };
        assert!(failed <= most, "{name}, {kills} kills: {failures:?}");
        assert!(*calls > 0, "{name}");
    }
    assert!(with_sessions >= WITH_SESSIONS, "{with_sessions}");
    let failed_at_kept = lines.iter().find(|line| line.is_call_at(&site.kept, false));
    assert!(failed_at_kept.is_none(), "{:?}", failed_at_kept.unwrap().0);
    let killed = site.killed_url();
    let at_killed = |is_good| {
        let calls = lines
            .iter()
            .filter(|line| line.is_call_at(&killed, is_good));
        calls
            .map(|line| line.0["status"].to_string())
            .collect::<Vec<_>>()
    };
    let good = at_killed(true).len();
    let mut others = BTreeMap::<String, usize>::new();
    for status in at_killed(false) {
        *others.entry(status).or_default() += 1;
    }
    println!("{kills} kills: the instance answered {good} calls; the others by status: {others:?}");
    assert!(good > 0, "no call went to the instance that is killed");
}

#[tokio::test]
async fn sessions_of_one_instance_go_on_while_the_other_is_killed_every_second() {
    sessions_of_one_instance_go_on(Duration::from_secs(4)).await;
}

#[tokio::test]
#[ignore = "for make acceptance"]
async fn for_a_minute_sessions_of_one_instance_go_on_while_the_other_is_killed_every_second() {
    sessions_of_one_instance_go_on(Duration::from_secs(60)).await;
}

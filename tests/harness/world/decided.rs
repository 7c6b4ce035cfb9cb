//! The common case with a decision point: a recording upstream stands for it, so a caller's token that arrives there fails the test.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::World;
use crate::gateway::config::Config;
use crate::upstream::{Answer, Recorded, Upstream, with};

/// A gateway whose resource has a decision point.
pub struct Decided {
    /// The gateway, and the MCP server behind it.
    pub world: World,
    /// The decision point.
    pub point: Upstream,
}

impl Decided {
    /// A decision point that says yes, and answers that hold for a minute.
    pub async fn start() -> Self {
        Self::with(json!({})).await
    }

    /// The same with other keys in its section, and `context` for the questions.
    pub async fn with(keys: Value) -> Self {
        Self::with_config(keys, |config| config).await
    }

    /// The same with other changes.
    pub async fn with_config(keys: Value, change: impl FnOnce(Config) -> Config) -> Self {
        let point = Upstream::start().await;
        point.script(|request| decide(request, |_| true));
        let url = format!("http://{}", point.address());
        let world = World::with(|config| change(section(config, &url, keys))).await;
        Self { world, point }
    }

    /// The questions so far: each text, one for each element of a list.
    pub fn questions(&self) -> Vec<Value> {
        self.point.seen().iter().flat_map(questions).collect()
    }
}

/// The same configuration with a decision point `company` at this URL.
pub fn section(config: Config, url: &str, keys: Value) -> Config {
    let mut section = json!({ "url": url, "cache": "1m" });
    for (key, value) in keys.as_object().expect("a mapping") {
        section[key] = value.clone();
    }
    config
        .set("/decision_points", json!({ "company": section }))
        .set("/resources/0/decision_point", "company")
}

/// The questions in a request, each with what all of them share.
pub fn questions(request: &Recorded) -> Vec<Value> {
    let body = request.json();
    let Some(each) = body["evaluations"].as_array() else {
        return vec![body];
    };
    let whole = |one: &Value| {
        let mut one = one.clone();
        for shared in ["subject", "context"] {
            one[shared] = body[shared].clone();
        }
        one
    };
    each.iter().map(whole).collect()
}

/// The answer of a decision point that decides so.
pub fn decide(request: &Recorded, says_yes: impl Fn(&Value) -> bool) -> Answer {
    let asked = questions(request);
    let decisions: Vec<_> = (asked.iter())
        .map(|question| json!({ "decision": says_yes(question) }))
        .collect();
    let answer = match request.json().get("evaluations") {
        Some(_) => json!({ "evaluations": decisions }),
        None => decisions[0].clone(),
    };
    Answer::Full(with(200, "application/json", answer.to_string()))
}

/// A decision point that sends exact bytes and closes.
pub struct Exact {
    address: SocketAddr,
    bytes: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Exact {
    /// One that sends nothing yet.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("a bound socket");
        let bytes: Arc<Mutex<Vec<u8>>> = Arc::default();
        let sent = Arc::clone(&bytes);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sent = sent.lock().expect("no holder panics").clone();
                tokio::spawn(async move { answer(stream, &sent).await });
            }
        });
        Self {
            address,
            bytes,
            task,
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends these bytes from now on.
    pub fn send(&self, bytes: &[u8]) {
        *self.bytes.lock().expect("no holder panics") = bytes.to_vec();
    }
}

impl Drop for Exact {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads a request up to its last brace and answers it.
async fn answer(mut stream: TcpStream, bytes: &[u8]) -> io::Result<()> {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    while !read.ends_with(b"}") {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => read.extend_from_slice(&buffer[..count]),
        }
    }
    stream.write_all(bytes).await?;
    stream.shutdown().await
}

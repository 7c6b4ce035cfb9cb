//! A Redis or Valkey server that gateways share, on a free port. It ends with the test.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::gateway::config::Config;
use crate::process::port;

/// The servers that gateways can share.
pub const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// How long a server may take to start on a busy machine.
const START: Duration = Duration::from_secs(30);

/// A running server.
pub struct StoreServer {
    /// Its port on 127.0.0.1.
    pub port: u16,
    program: &'static str,
    child: Child,
    folder: TempDir,
}

impl StoreServer {
    /// Starts it, keeping each change in a file before it is answered.
    pub async fn start(program: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = port::free().port();
        let child = spawn(program, port, &folder);
        let server = Self {
            port,
            program,
            child,
            folder,
        };
        server.ready().await;
        server
    }

    /// The value of `authorization_server.store`.
    pub fn section(&self) -> Value {
        json!({ "redis": { "url": format!("redis://127.0.0.1:{}", self.port) } })
    }

    /// Sends a command of one line, as an operator would; the first line of the answer.
    pub async fn tell(&self, command: &str) -> String {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await;
        let mut stream = BufReader::new(stream.expect("it runs"));
        let sent = stream.write_all(format!("{command}\r\n").as_bytes()).await;
        sent.expect("it takes commands");
        let mut answer = String::new();
        let read = stream.read_line(&mut answer).await;
        read.expect("it answers");
        assert!(!answer.starts_with('-'), "{command}: {answer}");
        answer
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("it still runs");
    }

    /// Starts it again on the same port, with its files.
    pub async fn restart(&mut self) {
        self.child = spawn(self.program, self.port, &self.folder);
        self.ready().await;
    }

    async fn ready(&self) {
        let begun = tokio::time::Instant::now();
        while !self.answers().await {
            assert!(begun.elapsed() < START, "{} does not answer", self.program);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)).await else {
            return false;
        };
        let mut answer = [0; 5];
        stream.write_all(b"PING\r\n").await.is_ok()
            && stream.read_exact(&mut answer).await.is_ok()
            && &answer == b"+PONG"
    }
}

fn spawn(program: &str, port: u16, folder: &TempDir) -> Child {
    let log = File::create(folder.path().join("log")).expect("the folder is writable");
    Command::new(program)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args([
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ])
        .arg("--dir")
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{program} (scripts/setup.sh test installs it): {error}"))
}

/// The same configuration with this store and the key file that all gateways of the group have.
pub fn with_store(config: Config, store: &StoreServer) -> Config {
    let key = config.folder().join("server.key");
    crate::certificates::write_secret(&key, "a5".repeat(32));
    config
        .set("/authorization_server/store", store.section())
        .set("/authorization_server/key_files", json!([key]))
}

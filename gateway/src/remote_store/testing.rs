//! A Redis or Valkey server of a test, on a free port of this machine. It ends with the test.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use redis::{Client, Commands, Connection};
use tempfile::TempDir;

use crate::config::authorization_server::{SharedStore, StoreServers};

/// The servers that a store is tried with.
pub(crate) const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// How long a server may take to start. A slow machine is slow.
const START: Duration = Duration::from_secs(30);

/// A running server.
pub(crate) struct Served {
    program: String,
    arguments: Vec<String>,
    child: Child,
    pub(crate) port: u16,
    folder: TempDir,
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Served {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let arguments = arguments
            .iter()
            .map(|&one| one.to_owned())
            .collect::<Vec<_>>();
        let child = spawn(program, port, folder.path(), &arguments);
        let served = Self {
            program: program.to_owned(),
            arguments,
            child,
            port,
            folder,
        };
        served.wait();
        served
    }

    fn wait(&self) {
        let begun = Instant::now();
        loop {
            let answer = Client::open(("127.0.0.1", self.port))
                .and_then(|client| client.get_connection_with_timeout(Duration::from_secs(1)))
                .and_then(|mut connection| connection.ping::<String>());
            match answer {
                Ok(_) => return,
                // It asks for a password.
                Err(error) if error.code() == Some("NOAUTH") => return,
                Err(error) => assert!(begun.elapsed() < START, "{}: {error}", self.program),
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// A connection for what the store does not do.
    pub(crate) fn admin(&self) -> Connection {
        let client = Client::open(("127.0.0.1", self.port)).unwrap();
        client.get_connection().unwrap()
    }

    pub(crate) fn settings(&self) -> SharedStore {
        at(self.port)
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port, with its files.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(
            &self.program,
            self.port,
            self.folder.path(),
            &self.arguments,
        );
        self.wait();
    }

    /// Stops its process, or lets it go on.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &str, port: u16, folder: &Path, arguments: &[String]) -> Child {
    let log = fs::File::create(folder.join("log")).unwrap();
    Command::new(program)
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
        ])
        .args(["--dir", folder.to_str().unwrap()])
        .args(arguments)
        .stdout(Stdio::from(log))
        .stdin(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} (scripts/setup.sh test installs it): {error}"))
}

/// A store at this port.
pub(crate) fn at(port: u16) -> SharedStore {
    SharedStore {
        key: "authorization_server.store",
        servers: StoreServers::One {
            host: "127.0.0.1".to_owned(),
            port,
        },
        database: 0,
        tls: false,
        ca_file: None,
        username: None,
        password_file: None,
        prefix: "mcp-gateway:".to_owned(),
        timeout: Duration::from_millis(500),
    }
}

/// The commands that a script runs.
pub(crate) fn commands_in(script: &str) -> impl Iterator<Item = &str> {
    let calls = script.split("call('").skip(1);
    calls.filter_map(|rest| rest.split('\'').next())
}

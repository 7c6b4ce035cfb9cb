//! A child process whose output is stored, and which is killed at the end of the test.

pub mod binary;
pub mod port;
pub mod tool;

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::eventually;

/// A running program.
pub struct Process {
    child: Child,
    output: Output,
}

/// Both output streams of a process, line by line as they came.
#[derive(Clone, Default)]
pub struct Output(Arc<Mutex<String>>);

impl Process {
    /// Starts `command` without input.
    pub fn spawn(command: Command) -> Self {
        Self::spawn_writing_to(command, Stdio::piped())
    }

    /// The same with its standard output written to `output`; it is stored only if that is a pipe made here.
    pub fn spawn_writing_to(mut command: Command, stdout: Stdio) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{:?}: {error}", command.as_std().get_program()));
        let output = Output::default();
        if let Some(stdout) = child.stdout.take() {
            output.follow(stdout);
        }
        output.follow(child.stderr.take().expect("piped"));
        Self { child, output }
    }

    /// Everything printed so far.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// A handle to the output, which can be read after the process has exited.
    pub fn handle(&self) -> Output {
        self.output.clone()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("a child can be waited for")
            .is_none()
    }

    /// Sends a signal by name, as `kill` does.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().expect("it still runs").to_string();
        let status = std::process::Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(status.expect("kill runs").success(), "kill -{name} {id}");
    }

    /// Waits for the exit; panics when it does not come in time.
    pub async fn exit(&mut self, within: Duration) -> ExitStatus {
        match timeout(within, self.child.wait()).await {
            Ok(status) => status.expect("a child can be waited for"),
            Err(_) => panic!("still running after {within:?}:\n{}", self.output()),
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it still runs")
    }
}

impl Output {
    /// Everything printed so far.
    pub fn text(&self) -> String {
        self.0.lock().expect("no holder panics").clone()
    }

    /// The first line that contains `needle`, as soon as it is there.
    pub async fn line(&self, needle: &str) -> String {
        let mut found = None;
        eventually(&format!("a line with {needle:?}"), async || {
            found = self
                .text()
                .lines()
                .find(|line| line.contains(needle))
                .map(str::to_owned);
            found.is_some()
        })
        .await;
        found.expect("it was found")
    }

    fn follow(&self, source: impl AsyncRead + Send + Unpin + 'static) {
        let sink = self.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(source).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                let mut text = sink.0.lock().expect("no holder panics");
                text.push_str(&String::from_utf8_lossy(&line));
                text.push('\n');
            }
        });
    }
}

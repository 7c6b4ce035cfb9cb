//! The gateway under test: the real binary with a configuration of its own, ready when the test receives it.

pub mod config;
pub mod key_file;
pub mod metrics;
pub mod replicas;

use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use tokio::process::Command;

use crate::client::raw::Raw;
use crate::client::{self, Call, Reply};
use crate::gateway::config::Config;
use crate::gateway::metrics::Metrics;
use crate::process::binary::binary;
use crate::process::{Output, Process};
use crate::{SOON, eventually, leaks};

/// Timeout of the start of a debug build.
const START: Duration = Duration::from_secs(20);

/// Longer than a line waits for its batch.
const LOG_BATCH: Duration = Duration::from_millis(30);

/// A running gateway.
pub struct Gateway {
    /// The process.
    pub process: Process,
    /// What it was started with.
    pub config: Config,
    http: reqwest::Client,
}

impl Gateway {
    /// Starts it and waits until it is ready.
    pub async fn start(config: Config) -> Self {
        Self::start_with(config, &[]).await
    }

    /// Starts it with these variables in its environment and waits until it is ready.
    pub async fn start_with(config: Config, environment: &[(&str, &str)]) -> Self {
        let mut command = command(&["run", "--config"], &config);
        command.envs(environment.iter().copied());
        Self::ready(Process::spawn(command), config).await
    }

    /// Starts it with its log written to `log` and waits until it is ready.
    pub async fn start_writing_to(config: Config, log: impl Into<Stdio>) -> Self {
        let command = command(&["run", "--config"], &config);
        Self::ready(Process::spawn_writing_to(command, log.into()), config).await
    }

    /// Waits until the gateway in this process, started by the test in its own way, is ready.
    pub async fn ready(process: Process, config: Config) -> Self {
        let mut gateway = Self {
            process,
            config,
            http: client::http(),
        };
        let started = Instant::now();
        while !gateway.is_ready().await {
            if !gateway.process.runs() {
                // Its last lines can still be in the pipe.
                tokio::time::sleep(Duration::from_millis(100)).await;
                panic!("the gateway exited:\n{}", gateway.process.output());
            }
            assert!(
                started.elapsed() < START,
                "not ready within {START:?}:\n{}",
                gateway.process.output()
            );
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        gateway
    }

    /// Starts it with so many open files at most and waits until it is ready.
    pub async fn start_with_files(config: Config, count: usize) -> Self {
        let mut command = Command::new("prlimit");
        command
            .arg(format!("--nofile={count}:{count}"))
            .arg(binary("mcp-gateway"))
            .args(["run", "--config"])
            .arg(config.file())
            .current_dir(config.folder());
        let gateway = Self {
            process: Process::spawn(command),
            config,
            http: client::http(),
        };
        eventually("it is ready", async || gateway.is_ready().await).await;
        gateway
    }

    /// Starts it without waiting.
    pub fn spawn(config: Config) -> Self {
        let process = Process::spawn(command(&["run", "--config"], &config));
        Self {
            process,
            config,
            http: client::http(),
        }
    }

    /// The URI of the resource at `path`, as clients use it.
    pub fn uri(&self, path: &str) -> String {
        format!("{}{path}", self.config.public_url())
    }

    /// The address requests are sent to for `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.config.public)
    }

    /// A POST of one message to `/mcp`.
    pub fn post(&self, body: impl Into<Bytes>) -> Call {
        self.post_to("/mcp", body)
    }

    /// A POST of one message to `path`.
    pub fn post_to(&self, path: &str, body: impl Into<Bytes>) -> Call {
        self.addressed(Call::post(&self.http, self.url(path), body))
    }

    /// A GET without headers.
    pub fn get(&self, path: &str) -> Call {
        self.request(Method::GET, path)
    }

    /// Any request without headers.
    pub fn request(&self, method: Method, path: &str) -> Call {
        self.addressed(Call::new(&self.http, method, self.url(path)))
    }

    /// One process of several is asked as if through their common address.
    fn addressed(&self, call: Call) -> Call {
        match &self.config.front {
            Some(host) => call.with("host", host),
            None => call,
        }
    }

    /// A raw connection to the public listener.
    pub async fn raw(&self) -> Raw {
        Raw::connect(self.config.public).await
    }

    /// A GET on the admin listener.
    pub async fn admin(&self, path: &str) -> Reply {
        Call::new(
            &self.http,
            Method::GET,
            format!("http://{}{path}", self.config.admin),
        )
        .send()
        .await
    }

    /// A scrape; [`Call::send`] checks that it holds no token.
    pub async fn metrics(&self) -> Metrics {
        Metrics::parse(&self.admin("/metrics").await.text())
    }

    /// How many requests were refused for this reason.
    pub async fn refusals(&self, reason: &str) -> f64 {
        self.metrics()
            .await
            .sum("mcp_gateway_refusals_total", &[("reason", reason)])
    }

    /// How often this reason was counted, once it reached `count` or after a second: an answer can reach the client shortly
    /// before it is counted.
    pub async fn counted(&self, reason: &str, count: f64) -> f64 {
        for _ in 0..100 {
            if self.refusals(reason).await >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.refusals(reason).await
    }

    /// Everything logged so far: lines are written in batches, so it waits for the next one first.
    pub async fn log(&self) -> String {
        tokio::time::sleep(LOG_BATCH).await;
        self.process.output()
    }

    /// The log lines that are JSON objects, parsed.
    pub async fn log_lines(&self) -> Vec<Value> {
        self.log()
            .await
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The output, which can be read after the process has exited.
    pub fn output(&self) -> Output {
        self.process.handle()
    }

    /// Waits until `needle` is in the log.
    pub async fn logged(&self, needle: &str) -> String {
        self.output().line(needle).await
    }

    /// Changes what the JSON pointer names in the configuration, and waits until it is in use.
    pub async fn reload(&mut self, pointer: &str, value: impl Into<Value>) {
        let before = self.reloads().await;
        self.config = self.config.clone().set(pointer, value);
        self.config.file();
        eventually("the reload", async || self.reloads().await > before).await;
    }

    /// How many reloads were accepted.
    async fn reloads(&self) -> f64 {
        let metrics = self.metrics().await;
        metrics.sum(
            "mcp_gateway_config_reloads_total",
            &[("result", "accepted")],
        )
    }

    /// Sends SIGTERM and waits for the exit; returns the exit code.
    pub async fn stop(&mut self) -> Option<i32> {
        self.process.signal("TERM");
        self.process.exit(SOON).await.code()
    }

    async fn is_ready(&self) -> bool {
        let ready = Call::new(
            &self.http,
            Method::GET,
            format!("http://{}/readyz", self.config.admin),
        )
        .attempt()
        .await;
        ready.is_ok_and(|answer| answer.status() == 200)
    }

    /// Waits until the admin listener answers at all.
    pub async fn serves_admin(&self) {
        let up = async || {
            tokio::net::TcpStream::connect(self.config.admin)
                .await
                .is_ok()
        };
        eventually("the admin listener", up).await;
    }

    /// Waits until `/readyz` answers with `status`.
    pub async fn readiness(&self, status: u16) {
        eventually(&format!("/readyz {status}"), async || {
            self.admin("/readyz").await.status == status
        })
        .await;
    }
}

impl Drop for Gateway {
    /// No token is allowed in any log line, at debug level too (`tests/attacks.md` 144).
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the gateway's log:\n{}", self.process.output());
            return;
        }
        let log = self.process.output();
        for line in log.lines().chain(self.config.audit().lines()) {
            assert_eq!(leaks::find(line), None, "a secret was logged: {line}");
        }
    }
}

/// The gateway's binary with these arguments and the configuration's file as the last one.
pub fn command(arguments: &[&str], config: &Config) -> Command {
    let mut command = bare(arguments);
    command.arg(config.file()).current_dir(config.folder());
    command
}

/// The gateway's binary with these arguments.
pub fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("mcp-gateway"));
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .env("NO_COLOR", "1");
    command
}

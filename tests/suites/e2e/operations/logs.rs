//! A log that cannot be written (attack 108): requests are served, lost lines are counted, and the process can still exit.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, pipe};
use std::time::Duration;

use e2e::client::{initialize, request};
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::upstream::Upstream;
use serde_json::{Value, json};
use test_support::{Key, Token};

const DROPPED: &str = "mcp_gateway_log_lines_dropped_total";

/// Timeout on a busy machine.
const A_WHILE: Duration = Duration::from_secs(40);

struct Setting {
    gateway: Gateway,
    _upstream: Upstream,
    token: String,
}

impl Setting {
    async fn writing_to(log: impl Into<std::process::Stdio>) -> Self {
        let (upstream, key) = (Upstream::start().await, Key::es256("first"));
        let config = Config::new(&upstream.url(), &[&key]);
        let gateway = Gateway::start_writing_to(config, log).await;
        let token = Token::new(&key, e2e::gateway::config::ISSUER, &gateway.uri("/mcp")).sign();
        Self {
            gateway,
            _upstream: upstream,
            token,
        }
    }

    async fn call(&self, body: String) {
        let reply = self.gateway.post(body).token(&self.token).send().await;
        assert_eq!(reply.status, 200);
    }

    async fn dropped(&self) -> f64 {
        self.gateway.metrics().await.sum(DROPPED, &[])
    }

    async fn ends(&mut self) {
        self.gateway.process.signal("TERM");
        let status = self.gateway.process.exit(A_WHILE).await;
        assert_eq!(status.code(), Some(0), "{}", self.gateway.process.output());
        assert_eq!(
            self.gateway.process.output(),
            "",
            "standard error is silent"
        );
    }
}

/// A call with the longest possible access line: a name of control characters, each of which is escaped.
fn long() -> String {
    let name = "\u{1f4a5}".repeat(300);
    request(1, "prompts/get", json!({ "name": name }))
}

#[tokio::test]
async fn a_full_disk_loses_log_lines_and_fails_no_request() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut setting = Setting::writing_to(full).await;
    let before = setting.dropped().await;
    assert!(before > 0.0, "the lines of the start are lost too");
    for _ in 0..20 {
        setting.call(initialize()).await;
    }
    e2e::eventually("each line is counted", async || {
        setting.dropped().await >= before + 20.0
    })
    .await;
    setting.ends().await;
}

#[tokio::test]
async fn a_closed_log_reader_loses_lines_and_fails_no_request() {
    let (reader, writer) = pipe().unwrap();
    let mut setting = Setting::writing_to(writer).await;
    drop(reader);
    for _ in 0..20 {
        setting.call(initialize()).await;
    }
    e2e::eventually("each line is counted", async || {
        setting.dropped().await >= 20.0
    })
    .await;
    setting.ends().await;
}

/// Resident memory of the process, in KiB.
fn resident(setting: &Setting) -> u64 {
    let path = format!("/proc/{}/status", setting.gateway.process.id());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let value = line.and_then(|line| line.split_whitespace().nth(1));
    value.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_stalled_log_reader_loses_lines_and_uses_bounded_memory_and_the_loss_is_logged() {
    let (mut reader, writer) = pipe().unwrap();
    let mut setting = Setting::writing_to(writer).await;
    setting.call(long()).await;
    let before = resident(&setting);
    let mut calls = 0;
    while setting.dropped().await == 0.0 {
        for _ in 0..200 {
            setting.call(long()).await;
        }
        calls += 200;
        assert!(calls < 20_000, "no line is lost");
    }
    let grown = resident(&setting).saturating_sub(before);
    assert!(grown < 48 * 1024, "{grown} KiB more");

    let lost = setting.dropped().await;
    let (sender, losses) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(&mut reader).lines().map_while(Result::ok) {
            let line: Value = serde_json::from_str(&line).expect("each line is whole");
            if line["level"] == "WARN" && line["lines"].is_u64() {
                let _ = sender.send(line["lines"].as_f64().unwrap());
            }
        }
    });
    let first = tokio::task::spawn_blocking(move || {
        losses.recv_timeout(A_WHILE).map(|lines| (lines, losses))
    });
    let (lines, losses) = first.await.unwrap().unwrap();
    assert!(
        lines <= setting.dropped().await && lines >= 1.0,
        "{lines} of {lost}"
    );
    setting.call(initialize()).await;
    assert!(losses.try_recv().is_err(), "the loss is logged once");
    setting.ends().await;
}

#[tokio::test]
async fn no_line_is_lost_at_the_end_of_the_process() {
    const CALLS: usize = 200;
    let (reader, writer) = pipe().unwrap();
    let lines = std::thread::spawn(move || {
        let lines = BufReader::new(reader).lines().map_while(Result::ok);
        let lines = lines.map(|line| serde_json::from_str(&line).expect("each line is whole"));
        lines.collect::<Vec<Value>>()
    });
    let mut setting = Setting::writing_to(writer).await;
    for number in 0..CALLS {
        let body = request(1, "prompts/get", json!({ "name": format!("n{number}") }));
        setting.call(body).await;
    }
    // The last lines are still in their batch.
    setting.ends().await;
    let lines = lines.join().unwrap();
    let calls = lines.iter().filter(|line| line["message"] == "request");
    let calls = calls.filter(|line| line["mcp_method"] == "prompts/get");
    let names: Vec<_> = calls
        .map(|line| line["mcp_name"].as_str().unwrap())
        .collect();
    let expected: Vec<_> = (0..CALLS).map(|number| format!("n{number}")).collect();
    assert_eq!(names, expected);
    assert_eq!(lines.last().unwrap()["message"], "shutdown complete");
}

#[tokio::test]
async fn the_exit_does_not_wait_for_a_stalled_log_reader() {
    let (mut reader, writer) = pipe().unwrap();
    let mut setting = Setting::writing_to(writer).await;
    while setting.dropped().await == 0.0 {
        for _ in 0..200 {
            setting.call(long()).await;
        }
    }
    setting.ends().await;
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert!(!rest.is_empty());
}

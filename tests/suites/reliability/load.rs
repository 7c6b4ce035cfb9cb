//! Ordinary clients at work: each calls again as soon as it has its answer, on the same connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::client::{Call, http};
use serde_json::json;
use tokio::task::JoinSet;

use crate::site::{Site, call};

/// Clients at work at the same time.
const CLIENTS: usize = 8;

/// Failures that are printed.
const SHOWN: usize = 5;

/// Clients at work until they are stopped.
pub struct Load {
    going: Arc<AtomicBool>,
    clients: JoinSet<Tally>,
}

/// The results of the clients.
#[derive(Debug, Default)]
pub struct Tally {
    /// How long each call took.
    pub took: Vec<Duration>,
    /// What went wrong, a line each.
    pub failed: Vec<String>,
}

impl Load {
    /// Clients that call `echo` without a pause.
    pub fn start(site: &Site) -> Self {
        Self::pausing(site, Duration::ZERO)
    }

    /// Clients that pause after each answer.
    pub fn pausing(site: &Site, pause: Duration) -> Self {
        let going = Arc::new(AtomicBool::new(true));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(client(
                going.clone(),
                site.gateway.url("/mcp"),
                site.token.clone(),
                pause,
            ));
        }
        Self { going, clients }
    }

    /// Waits for every call in flight, and starts no other.
    pub async fn finish(self) -> Tally {
        self.going.store(false, Ordering::Relaxed);
        let tallies = self.clients.join_all().await;
        tallies.into_iter().fold(Tally::default(), Tally::and)
    }
}

impl Tally {
    /// Fails the scenario if any call failed.
    pub fn expect_success(&self) {
        let shown: Vec<_> = self.failed.iter().take(SHOWN).collect();
        assert!(
            self.failed.is_empty(),
            "{} calls failed: {shown:?}",
            self.failed.len()
        );
        assert!(!self.took.is_empty(), "no call was made");
    }

    /// How many calls were made.
    pub fn calls(&self) -> usize {
        self.took.len() + self.failed.len()
    }

    /// The duration that `share` of the calls did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        sorted
            .get((last as f64 * share) as usize)
            .copied()
            .unwrap_or_default()
    }

    /// The slowest call.
    pub fn slowest(&self) -> Duration {
        self.quantile(1.0)
    }

    fn and(mut self, other: Self) -> Self {
        self.took.extend(other.took);
        self.failed.extend(other.failed);
        self
    }
}

/// One call of `echo`, with a check of its answer.
pub async fn echo(http: &reqwest::Client, url: &str, token: &str) -> Result<(), String> {
    let sent = Call::post(http, url.to_owned(), call("echo", json!({}))).token(token);
    check_answer(sent.attempt().await).await
}

/// Whether an answer is the one a tool gives.
pub async fn check_answer(answer: Result<reqwest::Response, reqwest::Error>) -> Result<(), String> {
    let answer = answer.map_err(|error| format!("no answer: {error:?}"))?;
    let status = answer.status();
    let body = answer
        .text()
        .await
        .map_err(|error| format!("{status}, broken off: {error:?}"))?;
    match body.contains("\"ok\":true") {
        true => Ok(()),
        false => Err(format!("{status}: {body}")),
    }
}

async fn client(going: Arc<AtomicBool>, url: String, token: String, pause: Duration) -> Tally {
    let http = http();
    let mut tally = Tally::default();
    while going.load(Ordering::Relaxed) {
        let began = Instant::now();
        match echo(&http, &url, &token).await {
            Ok(()) => tally.took.push(began.elapsed()),
            Err(problem) => tally.failed.push(problem),
        }
        tokio::time::sleep(pause).await;
    }
    tally
}

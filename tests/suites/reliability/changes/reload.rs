//! The configuration changes under load, with good and broken files.

use std::time::{Duration, Instant};

use e2e::eventually;
use e2e::gateway::config::Config;

use crate::Figures;
use crate::load::Load;
use crate::scale::Scale;
use crate::site::Site;

/// Between two changes.
const EVERY: Duration = Duration::from_millis(100);

/// How long a file is left half-written.
const HALF: Duration = Duration::from_millis(5);

/// Allowed growth of memory over all broken reloads, in MB.
const GROWTH: f64 = 10.0;

const RELOADS: &str = "mcp_gateway_config_reloads_total";
const LAST: &str = "mcp_gateway_config_last_reload_timestamp_seconds";

/// A change every 100 ms, each written in two halves.
pub async fn under_load(scale: Scale) -> Figures {
    let length = scale.seconds(5, 60);
    let site = Site::start(|config| config.set("/reload/settle", "20ms")).await;
    let load = Load::start(&site);
    let began = Instant::now();
    let mut changes = 0;
    while began.elapsed() < length {
        changes += 1;
        rewrite_slowly(&site.gateway.config, changes).await;
        tokio::time::sleep(EVERY - HALF).await;
    }
    // The last change is always applied.
    eventually("the last change", async || accepted(&site).await > 0.0).await;
    let tally = load.finish().await;
    tally.expect_success();
    format!(
        "{} s, {changes} changes, {} reloads accepted, {} calls, 0 failed",
        length.as_secs(),
        accepted(&site).await,
        tally.calls()
    )
}

/// One broken file after the other: the previous configuration stays in use, each is logged, and memory does not grow.
pub async fn broken(scale: Scale) -> Figures {
    let reloads = scale.count(100, 1000);
    let site = Site::start(|config| config.set("/reload/watch", false)).await;
    let load = Load::pausing(&site, Duration::from_millis(5));
    let file = site.gateway.config.file();
    let good = std::fs::read_to_string(&file).unwrap();
    let last = site.gateway.metrics().await.sum(LAST, &[]);
    let mut before = 0.0;
    for round in 1..=reloads {
        std::fs::write(&file, damaged(&good, round)).unwrap();
        site.gateway.process.signal("HUP");
        eventually(&format!("broken reload {round}"), async || {
            reloads_with(&site, "rejected").await >= round as f64
        })
        .await;
        if round == reloads / 10 {
            before = site.resident();
        }
    }
    let growth = site.resident() - before;
    let tally = load.finish().await;
    tally.expect_success();
    assert_eq!(accepted(&site).await, 0.0);
    assert_eq!(site.gateway.metrics().await.sum(LAST, &[]), last);
    assert!(growth < GROWTH, "memory grew by {growth:.1} MB");
    format!(
        "{reloads} broken files, {reloads} rejected and logged, {} calls, 0 failed; memory {growth:+.1} MB",
        tally.calls()
    )
}

/// Writes the configuration with a harmless difference.
pub fn rewrite(config: &Config, number: usize) {
    std::fs::write(
        config.folder().join("gateway.yaml"),
        changed(config, number),
    )
    .unwrap();
}

async fn rewrite_slowly(config: &Config, number: usize) {
    let text = changed(config, number);
    let file = config.folder().join("gateway.yaml");
    let (half, _) = text.split_at(text.len() / 2);
    std::fs::write(&file, half).unwrap();
    tokio::time::sleep(HALF).await;
    std::fs::write(&file, text).unwrap();
}

fn changed(config: &Config, number: usize) -> String {
    let config = config
        .clone()
        .set("/resources/0/name", format!("Tasks {number}"));
    config.text()
}

/// A file that must be rejected, in one of many ways.
fn damaged(good: &str, round: usize) -> String {
    match round % 5 {
        0 => {
            good[..good.len() * (round % 89 + 5) / 100]
                .trim_end()
                .to_owned()
                + "\n  - ["
        }
        1 => format!("{good}\nsurprise{round}: true\n"),
        2 => good.replace("jwks_file:", "jwks_file: missing-"),
        3 => String::new(),
        _ => good.replace("default: allow", "default: perhaps"),
    }
}

async fn accepted(site: &Site) -> f64 {
    reloads_with(site, "accepted").await
}

async fn reloads_with(site: &Site, result: &str) -> f64 {
    site.gateway
        .metrics()
        .await
        .sum(RELOADS, &[("result", result)])
}

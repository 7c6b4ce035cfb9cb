//! A long ordinary day, with reloads, streams that come and go, and bad requests in between: memory does not grow.

use std::time::{Duration, Instant};

use e2e::client::{Call, http};
use serde_json::json;

use crate::Figures;
use crate::changes::reload::rewrite;
use crate::load::Load;
use crate::scale::Scale;
use crate::site::{Site, call};

/// Allowed growth of memory after the first quarter, in percent.
const DRIFT: f64 = 5.0;

/// Between two reloads.
const RELOAD: Duration = Duration::from_secs(2);

/// How often memory is measured.
const LOOKS: u32 = 40;

/// Streams of each generation.
const STREAMS: usize = 20;

pub async fn run(scale: Scale) -> Figures {
    let length = scale.seconds(20, 30 * 60);
    let site = Site::start(|config| config.set("/reload/settle", "50ms")).await;
    let load = Load::pausing(&site, Duration::from_millis(5));
    let began = Instant::now();
    let mut looks = Vec::new();
    let (mut reloads, mut streams) = (0, 0);
    while began.elapsed() < length {
        rewrite(&site.gateway.config, reloads);
        reloads += 1;
        streams += generation(&site, RELOAD.min(length / 10)).await;
        if began.elapsed() >= length / LOOKS * looks.len() as u32 {
            looks.push(site.resident());
        }
    }
    let tally = load.finish().await;
    tally.expect_success();
    let (early, late) = (early(&looks), late(&looks));
    let drift = (late / early - 1.0) * 100.0;
    assert!(
        scale == Scale::Short || drift <= DRIFT,
        "memory went from {early:.1} to {late:.1} MB: {looks:?}"
    );
    format!(
        "{} s, {} calls, {streams} streams, {reloads} reloads, 0 failed; memory {early:.1} → {late:.1} MB ({drift:+.1} %)",
        length.as_secs(),
        tally.calls(),
    )
}

/// Opens streams, sends a few bad requests, and leaves after a while.
async fn generation(site: &Site, length: Duration) -> usize {
    let http = http();
    let url = site.gateway.url("/mcp");
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        let stream = Call::post(&http, url.clone(), call("stream", json!({}))).token(&site.token);
        open.push(stream.open().await);
    }
    for token in ["", "x", "a.b.c"] {
        let bad = Call::post(&http, url.clone(), "{}").token(token);
        assert!(bad.open().await.status().is_client_error());
    }
    tokio::time::sleep(length).await;
    open.len()
}

/// The mean of the second quarter: by then everything has been used once.
fn early(looks: &[f64]) -> f64 {
    mean(&looks[looks.len() / 4..looks.len().div_ceil(2)])
}

/// The mean of the last quarter.
fn late(looks: &[f64]) -> f64 {
    mean(&looks[looks.len() * 3 / 4..])
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

//! Hold N event streams open: proxy memory per stream, and how late events arrive.
use crate::load::{Client, Common, Conn, Stats};
use crate::upstream::now_ns;
use http_body_util::BodyExt;
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::fs;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Semaphore};

#[derive(clap::Args)]
pub struct Args {
    /// URL of the stream, e.g. https://127.0.0.1:8443/mcp-stream?interval_ms=100
    #[command(flatten)]
    c: Common,
    #[arg(long, default_value_t = 2000)]
    streams: usize,
    /// With --h2: streams per connection.
    #[arg(long, default_value_t = 100)]
    per_conn: usize,
    /// Hold this long once all are open.
    #[arg(long, default_value_t = 5.0)]
    secs: f64,
    /// After the report, keep them open until standard input ends.
    #[arg(long)]
    hold: bool,
    /// Processes whose memory to sample (a proxy's master and workers).
    #[arg(long, value_delimiter = ',')]
    pids: Vec<u32>,
}

/// (Rss, Pss) in KiB over all the processes.
fn memory(pids: &[u32]) -> (u64, u64) {
    let mut sum = (0, 0);
    for p in pids {
        let text = fs::read_to_string(format!("/proc/{p}/smaps_rollup")).unwrap_or_default();
        let get = |k| {
            text.lines().find_map(|l| l.strip_prefix(k)?.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        sum.0 += get("Rss:");
        sum.1 += get("Pss:");
    }
    sum
}

pub async fn run(a: Args) {
    let h2 = a.c.h2;
    let per_conn = if h2 { a.per_conn } else { 1 };
    let before = memory(&a.pids);
    let client = Client::new(a.c);
    let stats = Rc::new(RefCell::new(Stats::default()));
    let (open, measuring) = (Rc::new(Cell::new(0usize)), Rc::new(Cell::new(false)));
    let gate = Arc::new(Semaphore::new(64));
    let t0 = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..a.streams.div_ceil(per_conn) {
        let shared: Rc<Mutex<Option<Conn>>> = Rc::new(Mutex::new(None));
        for _ in 0..per_conn {
            let (client, stats, open, measuring) = (client.clone(), stats.clone(), open.clone(), measuring.clone());
            let (gate, shared) = (gate.clone(), shared.clone());
            tasks.push(tokio::task::spawn_local(async move {
                let permit = gate.acquire_owned().await;
                let resp = {
                    let mut c = shared.lock().await;
                    if c.is_none() {
                        *c = client.connect().await.ok();
                    }
                    match c.as_mut() {
                        Some(c) => c.send(client.request("GET", "")).await,
                        None => {
                            stats.borrow_mut().errors += 1;
                            return;
                        }
                    }
                };
                let mut body = match resp {
                    Ok(r) if r.status().is_success() => r.into_body(),
                    _ => {
                        stats.borrow_mut().errors += 1;
                        return;
                    }
                };
                let (mut first, mut buf) = (true, Vec::new());
                let mut permit = Some(permit);
                while let Some(Ok(frame)) = body.frame().await {
                    let arrived = now_ns();
                    if let Some(d) = frame.data_ref() {
                        buf.extend_from_slice(d);
                    }
                    while let Some(end) = buf.windows(2).position(|w| w == b"\n\n") {
                        if first {
                            first = false;
                            open.set(open.get() + 1);
                            permit.take();
                        } else if measuring.get() {
                            let text = String::from_utf8_lossy(&buf[..end]);
                            if let Some(t) =
                                text.split("\"t\":").nth(1).and_then(|s| s.split('}').next()?.parse::<u64>().ok())
                            {
                                let mut s = stats.borrow_mut();
                                s.ok += 1;
                                s.record(Duration::from_nanos(arrived.saturating_sub(t)));
                            }
                        }
                        buf.drain(..end + 2);
                    }
                }
                stats.borrow_mut().errors += 1; // a stream that ended early
            }));
        }
    }
    while open.get() + stats.borrow().errors as usize != a.streams && t0.elapsed() < Duration::from_secs(120) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let opened_s = t0.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_secs(1)).await;
    measuring.set(true);
    tokio::time::sleep(Duration::from_secs_f64(a.secs)).await;
    measuring.set(false);
    let after = memory(&a.pids);
    let n = open.get().max(1) as f64;
    let result = {
        let s = stats.borrow();
        json!({
            "streams": open.get(), "errors": s.errors, "open_s": opened_s, "events": s.ok,
            "p50_us": s.us(0.5), "p99_us": s.us(0.99),
            "rss_before_kib": before.0, "rss_kib": after.0, "pss_kib": after.1,
            "kib_per_stream": (after.0 as f64 - before.0 as f64) / n,
        })
    };
    println!("{result}");
    if a.hold {
        let _ = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin())).await;
    }
    std::process::exit(0); // drop thousands of streams at once
}

//! One principal with a thousand slow calls on ten HTTP/2 connections, and few descriptors: it gets its share of calls, all
//! others are served, on kept and on new connections, and probes answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::certificates::Authority;
use e2e::client::{Call, http};
use e2e::gateway::Gateway;
use e2e::process::port;
use serde_json::json;
use tokio::task::JoinSet;

use crate::Figures;
use crate::load::{Load, echo};
use crate::scale::Scale;
use crate::site::{Site, call};

const DESCRIPTORS: usize = 1024;
const CONNECTIONS: usize = 10;
const CALLS_EACH: usize = 100;

/// Longer than the scenario.
const SECONDS: usize = 3600;

/// Limit for an ordinary call and for a probe.
const SLOWEST: Duration = Duration::from_secs(2);

/// Between two probes, and between two new clients.
const PAUSE: Duration = Duration::from_millis(100);

pub async fn run(scale: Scale) -> Figures {
    let secure = port::free();
    let authority = Authority::new();
    let change = |config: e2e::gateway::config::Config| {
        let (certificate, private_key) =
            authority.leaf(&["localhost"]).write(config.folder(), "tls");
        let tls =
            json!({ "certificates": [{ "certificate": certificate, "private_key": private_key }] });
        config
            .set(
                "/listen/1",
                json!({ "address": secure.to_string(), "tls": tls }),
            )
            .set("/hosts", json!([format!("localhost:{}", secure.port())]))
    };
    let start = async |config| Gateway::start_with_files(config, DESCRIPTORS).await;
    let (site, attacker) = Site::with_another(change, start).await;
    let url = format!("https://localhost:{}/mcp", secure.port());
    let pem = reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    let http2 = || {
        let builder = reqwest::Client::builder().no_proxy();
        let builder = builder.tls_certs_only([pem.clone()]);
        builder.resolve("localhost", secure).build().unwrap()
    };
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| http2()).collect();
    for client in &clients {
        // From now on its calls share one connection.
        echo(client, &url, &attacker).await.unwrap();
    }
    let load = Load::start(&site);
    let refused = Arc::new(AtomicUsize::new(0));
    let mut attack = JoinSet::new();
    for _ in 0..CALLS_EACH {
        for client in &clients {
            let slow = call("slow", json!({ "seconds": SECONDS }));
            let slow = Call::post(client, url.clone(), slow).token(&attacker);
            let refused = refused.clone();
            attack.spawn(async move {
                let status = slow.attempt().await.map(|answer| answer.status().as_u16());
                refused.fetch_add(usize::from(matches!(status, Ok(429))), Ordering::Relaxed);
            });
        }
    }
    let (probes, newcomers) = watch(&site, scale.seconds(3, 30)).await;
    let refused = refused.load(Ordering::Relaxed);
    let running = attack.len() - refused;
    attack.shutdown().await;
    let ordinary = load.finish().await;
    ordinary.expect_success();
    assert!(ordinary.slowest() < SLOWEST, "{:?}", ordinary.slowest());
    assert!(refused >= CONNECTIONS * CALLS_EACH * 9 / 10, "{refused}");
    format!(
        "{DESCRIPTORS} descriptors, {} slow calls of one principal: {running} run, {refused} got 429; {} ordinary calls, 0 failed, \
         slowest {} ms; {newcomers} new clients served; {probes} probes answered",
        CONNECTIONS * CALLS_EACH,
        ordinary.calls(),
        ordinary.slowest().as_millis(),
    )
}

/// Probes, and new clients, while the attack lasts. How many of both were answered.
async fn watch(site: &Site, length: Duration) -> (usize, usize) {
    let (began, url) = (Instant::now(), site.gateway.url("/mcp"));
    let (mut probes, mut newcomers) = (0, 0);
    while began.elapsed() < length {
        for page in ["/livez", "/readyz", "/metrics"] {
            let answer = tokio::time::timeout(SLOWEST, site.gateway.admin(page)).await;
            assert_eq!(answer.expect("a probe in time").status, 200, "{page}");
            probes += 1;
        }
        let served = tokio::time::timeout(SLOWEST, echo(&http(), &url, &site.token)).await;
        served.expect("a new client in time").unwrap();
        newcomers += 1;
        tokio::time::sleep(PAUSE).await;
    }
    (probes, newcomers)
}

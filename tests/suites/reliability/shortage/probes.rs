//! No descriptor is left at all: probes and metrics answer, and clients are served again as soon as there are descriptors.

use std::process::Command;
use std::time::{Duration, Instant};

use e2e::client::http;
use e2e::eventually;
use tokio::net::TcpStream;

use crate::Figures;
use crate::load::echo;
use crate::scale::Scale;
use crate::site::Site;

/// Clients that wait for a descriptor meanwhile.
const CLIENTS: usize = 200;

/// A limit of open files that is enough.
const ENOUGH: usize = 4096;

/// Deadline of a probe, as a kubelet has one.
const PROBE: Duration = Duration::from_secs(1);

pub async fn run(scale: Scale) -> Figures {
    let site = Site::start(|config| config).await;
    let process = site.gateway.process.id();
    limit_files(process, open_files(process));
    let address = site.gateway.config.public;
    let waiting =
        futures_util::future::join_all((0..CLIENTS).map(|_| TcpStream::connect(address))).await;
    site.gateway.logged("cannot accept connections").await;
    let (began, length) = (Instant::now(), scale.seconds(2, 30));
    let (mut probes, mut slowest) = (0, Duration::ZERO);
    while began.elapsed() < length {
        for (page, statuses) in [
            ("/livez", [200, 200]),
            ("/readyz", [200, 503]),
            ("/metrics", [200, 200]),
        ] {
            let asked = Instant::now();
            let answer = tokio::time::timeout(PROBE, site.gateway.admin(page)).await;
            let status = answer.expect("a probe in time").status;
            assert!(statuses.contains(&status), "{page}: {status}");
            slowest = slowest.max(asked.elapsed());
            probes += 1;
        }
    }
    limit_files(process, ENOUGH);
    drop(waiting);
    let back = Instant::now();
    let url = site.gateway.url("/mcp");
    eventually("a new client is served", async || {
        echo(&http(), &url, &site.token).await.is_ok()
    })
    .await;
    format!(
        "no descriptor left, {CLIENTS} clients waiting: {probes} probes answered, slowest {} ms; clients served {} ms after there were \
         descriptors",
        slowest.as_millis(),
        back.elapsed().as_millis()
    )
}

fn open_files(process: u32) -> usize {
    let folder = format!("/proc/{process}/fd");
    std::fs::read_dir(folder).expect("it runs").count()
}

fn limit_files(process: u32, count: usize) {
    let status = Command::new("prlimit")
        .args(["--pid", &process.to_string(), &format!("--nofile={count}:")])
        .status();
    assert!(status.expect("prlimit").success());
}

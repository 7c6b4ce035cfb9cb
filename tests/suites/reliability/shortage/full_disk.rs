//! The disk of the log is full: requests are still served, and lost lines are counted.

use std::time::Duration;

use e2e::gateway::Gateway;

use crate::Figures;
use crate::load::Load;
use crate::scale::Scale;
use crate::site::Site;

const DROPPED: &str = "mcp_gateway_log_lines_dropped_total";

pub async fn run(scale: Scale) -> Figures {
    let (config, token, upstream) = Site::prepare(|config| config.set("/log/level", "info")).await;
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let gateway = Gateway::start_writing_to(config, full.expect("/dev/full")).await;
    let site = Site::around(gateway, token, upstream);
    let load = Load::start(&site);
    tokio::time::sleep(scale.seconds(2, 10)).await;
    let tally = load.finish().await;
    tally.expect_success();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let dropped = site.gateway.metrics().await.sum(DROPPED, &[]);
    assert!(dropped > 0.0, "no lost line was counted");
    format!(
        "{} calls, 0 failed; {dropped} lost log lines counted",
        tally.calls()
    )
}

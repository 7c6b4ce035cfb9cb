//! A new binary takes over under load: no call fails, and the old process exits by itself.

use std::time::{Duration, Instant};

use e2e::client::sse::Item;
use e2e::gateway::{self, Gateway};
use e2e::process::Process;
use serde_json::json;

use super::shutdown::{slow_calls, streams};
use crate::Figures;
use crate::load::Load;
use crate::scale::Scale;
use crate::site::Site;

pub async fn run(scale: Scale) -> Figures {
    let slow = scale.seconds(2, 5);
    let rounds = scale.count(1, 3);
    let mut site = Site::start(|config| {
        let socket = config.folder().join("upgrade.sock");
        config
            .set("/upgrade_socket", json!(socket))
            .set("/limits/listening_streams_per_principal", 100)
    })
    .await;
    let load = Load::start(&site);
    let began = Instant::now();
    for _ in 0..rounds {
        let (streams, slow_calls) = (streams(&site).await, slow_calls(&site, slow));
        tokio::time::sleep(Duration::from_millis(500)).await;
        let config = site.gateway.config.clone();
        let command = gateway::command(&["run", "--upgrade", "--config"], &config);
        let next = Gateway::ready(Process::spawn(command), config).await;
        let mut old = std::mem::replace(&mut site.gateway, next);
        let ended = streams.join_all().await;
        assert!(ended.iter().all(|end| *end == Item::End), "{ended:?}");
        let finished = slow_calls.join_all().await;
        assert!(finished.iter().all(Result::is_ok), "{finished:?}");
        assert_eq!(
            old.process.exit(Duration::from_secs(40)).await.code(),
            Some(0)
        );
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let tally = load.finish().await;
    tally.expect_success();
    format!(
        "{rounds} upgrades in {:.0} s, each with 50 slow calls and 100 streams in flight, {} calls in total: 0 failed",
        began.elapsed().as_secs_f64(),
        tally.calls()
    )
}

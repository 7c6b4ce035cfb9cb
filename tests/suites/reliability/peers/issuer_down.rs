//! The issuer is down: tokens are verified with the cached keys, until these are too old; then the answer is 503, never
//! 401, and it works again as soon as the issuer is back.

use std::time::{Duration, Instant};

use e2e::client::tool;
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::issuer::Issuer;
use e2e::upstream::Upstream;
use test_support::Token;

use crate::Figures;
use crate::scale::Scale;

/// Between two calls.
const PAUSE: Duration = Duration::from_millis(20);

pub async fn run(scale: Scale) -> Figures {
    let stale = scale.seconds(4, 20);
    let upstream = Upstream::start().await;
    let mut issuer = Issuer::start().await;
    let config = Config::discovering(&upstream, &issuer)
        .set("/jwks/refresh", "1s")
        .set("/jwks/stale", format!("{}s", stale.as_secs()));
    let gateway = Gateway::start(config).await;
    let (key, identifier) = (issuer.key.clone(), issuer.identifier());
    // A new token each time, so that none is cached.
    let status = async |number: usize| {
        let token = Token::new(&key, &identifier, &gateway.uri("/mcp"))
            .claim("jti", number)
            .sign();
        let reply = gateway.post(tool(1, "list")).token(&token).send().await;
        let retry = reply.header("retry-after").to_owned();
        (reply.status, retry)
    };
    assert_eq!(status(0).await.0, 200);

    issuer.stop();
    let down = Instant::now();
    // A refresh can have happened just before.
    let (mut served, mut number) = (0, 0);
    while down.elapsed() < stale - Duration::from_secs(1) {
        number += 1;
        assert_eq!(
            status(number).await.0,
            200,
            "{:?} after the issuer went down",
            down.elapsed()
        );
        served += 1;
        tokio::time::sleep(PAUSE).await;
    }
    let mut statuses = Vec::new();
    while down.elapsed() < stale + Duration::from_secs(3) {
        number += 1;
        statuses.push(status(number).await);
        tokio::time::sleep(PAUSE).await;
    }
    let refused: Vec<_> = statuses
        .iter()
        .filter(|(status, _)| *status != 200)
        .collect();
    assert!(!refused.is_empty(), "stale keys were used without end");
    let right = |(status, retry): &&(u16, String)| *status == 503 && !retry.is_empty();
    assert!(refused.iter().all(right), "{refused:?}");

    issuer.resume().await;
    let back = Instant::now();
    eventually("the issuer's keys", async || {
        number += 1;
        status(number).await.0 == 200
    })
    .await;
    format!(
        "{served} calls within a stale window of {stale:?}: 0 refused; {} past it: all 503 with Retry-After, 0 401; \
         served again {:.1} s after the issuer was back",
        refused.len(),
        back.elapsed().as_secs_f64()
    )
}

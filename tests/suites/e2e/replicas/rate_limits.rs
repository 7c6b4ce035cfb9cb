//! Two processes that count rate limits in one store (`rate_limits.store`), behind one address.

use std::time::{Duration, Instant};

use e2e::client::{Call, Reply, http, tool};
use e2e::eventually;
use e2e::gateway::config::{Config, ISSUER};
use e2e::gateway::replicas::Replicas;
use e2e::gateway::replicas::cutting::Cutting;
use e2e::gateway::replicas::store_server::{KINDS, StoreServer, url};
use e2e::upstream::Upstream;
use e2e::world::decided::{decide, section};
use futures_util::future::join_all;
use serde_json::{Value, json};
use test_support::{Key, Token};

const GATEWAYS: u32 = 2;

/// Callers at once.
const CALLERS: u32 = 8;

/// A limit that refills so slowly that no call comes back while a test runs.
fn slow(calls: u32) -> Value {
    json!([{ "per": "principal", "calls": calls, "within": "1d" }])
}

struct Site {
    replicas: Replicas,
    /// Before the store.
    proxy: Cutting,
    store: StoreServer,
    key: Key,
    _config: Config,
    _upstream: Upstream,
}

impl Site {
    async fn start(kind: &str, limits: Value, without_store: &str) -> Self {
        Self::with(kind, limits, without_store, |config| config).await
    }

    /// The same with other changes of the configuration.
    async fn with(
        kind: &str,
        limits: Value,
        without_store: &str,
        change: impl FnOnce(Config) -> Config,
    ) -> Self {
        let (store, upstream) = tokio::join!(StoreServer::start(kind), Upstream::start());
        let proxy = Cutting::start(store.address).await;
        let key = Key::es256("first");
        // A slow machine answers slowly too.
        let shared = json!({
            "wait": "1s",
            "without_store": without_store,
            "store": { "redis": { "url": url(proxy.address), "timeout": "10s" } },
        });
        let config = Config::new(&upstream.url(), &[&key])
            .set("/rate_limits", shared)
            .set("/resources/0/rate_limits", limits);
        let config = change(config);
        Self {
            replicas: Replicas::start(GATEWAYS as usize, config.clone()).await,
            proxy,
            store,
            key,
            _config: config,
            _upstream: upstream,
        }
    }

    fn token(&self, subject: &str) -> String {
        let token = Token::new(&self.key, ISSUER, &self.replicas.url());
        token.subject(subject).sign()
    }

    /// A call through the balancer: each one is a new connection, so the processes have them in turn.
    async fn call(&self, token: &str) -> Reply {
        let call = Call::post(&http(), self.replicas.url(), tool(1, "list_tasks"));
        call.token(token).send().await
    }

    /// A call to each process.
    async fn call_each(&self, token: &str) -> [Reply; 2] {
        let [one, other] = &self.replicas.gateways[..] else {
            panic!("two processes");
        };
        let call = |at: &e2e::gateway::Gateway| at.post(tool(1, "list_tasks")).token(token).send();
        [call(one).await, call(other).await]
    }

    /// How many calls are permitted of those that callers make at once while `goes_on`; the others are refused as they must be.
    async fn permitted(&self, token: &str, goes_on: impl Fn(u32) -> bool) -> u32 {
        let callers = (0..CALLERS).map(async |_| {
            let (mut made, mut permitted) = (0, 0);
            while goes_on(made) {
                permitted += u32::from(is_permitted(&self.call(token).await));
                made += 1;
            }
            permitted
        });
        join_all(callers).await.into_iter().sum()
    }
}

/// Whether it is; if not, it is refused by the limit, with the time after which to come back.
fn is_permitted(reply: &Reply) -> bool {
    if reply.status != 200 {
        assert_eq!(reply.status, 429, "{reply:?}");
        assert!(retry_after(reply) > 0, "{reply:?}");
    }
    reply.status == 200
}

fn retry_after(reply: &Reply) -> u64 {
    reply.header("retry-after").parse().unwrap()
}

#[tokio::test]
async fn a_caller_over_a_shared_limit_causes_no_question_to_a_decision_point() {
    const CALLS: usize = 2;
    let point = Upstream::start().await;
    point.script(|request| decide(request, |_| true));
    let url = format!("http://{}", point.address());
    let with_point = |config| section(config, &url, json!({ "cache": "0s" }));
    let limits = slow(2);
    let site = Site::with(KINDS[0], limits, "closed", with_point).await;
    let ana = site.token("ana");
    let [one, other] = &site.replicas.gateways[..] else {
        panic!("two processes");
    };
    let call = |at: &e2e::gateway::Gateway| at.post(tool(1, "list_tasks")).token(&ana).send();
    for asked in 1..=CALLS {
        assert_eq!(call(one).await.status, 200);
        assert_eq!(point.hits(), asked);
    }
    // The other process has counted none of them: it learns from the store that the limit is used up, after the answer.
    let reply = call(other).await;
    assert_eq!((reply.status, point.hits()), (429, CALLS + 1), "{reply:?}");
    let reply = call(other).await;
    assert_eq!((reply.status, point.hits()), (429, CALLS + 1), "{reply:?}");
    assert!(retry_after(&reply) > 0);
    let line = other.logged("counted by all gateways together").await;
    assert!(line.contains("rate_limits[0]"), "{line}");
    // While the store does not answer, calls are refused without a question too.
    site.proxy.close();
    let bo = site.token("bo");
    let call = |at: &e2e::gateway::Gateway| at.post(tool(1, "list_tasks")).token(&bo).send();
    assert_eq!(call(one).await.status, 503);
    let asked = point.hits();
    assert_eq!((call(one).await.status, point.hits()), (503, asked));
}

/// The calls of one batch: a tenth of the burst, at least one.
fn batch(burst: u32) -> u32 {
    (burst / 10).max(1)
}

#[tokio::test]
async fn two_processes_permit_together_what_the_limit_says() {
    const CALLS: u32 = 40;
    let site = Site::start(KINDS[0], slow(CALLS), "closed").await;
    let ana = site.token("ana");
    let sum = site
        .permitted(&ana, |made| made < 2 * CALLS / CALLERS)
        .await;
    // Calls of a batch that a slow process did not use within a second are lost: never more than half.
    assert!((CALLS / 2..=CALLS).contains(&sum), "{sum} of {CALLS}");
    for gateway in &site.replicas.gateways {
        let limited = gateway.counted("rate_limited", 1.0).await;
        assert!(limited > 0.0, "each process had calls");
    }
    // Another principal has calls of its own, at both.
    for reply in site.call_each(&site.token("bo")).await {
        assert_eq!(reply.status, 200, "{reply:?}");
    }
}

#[tokio::test]
async fn while_a_limit_refills_each_process_permits_one_batch_more_at_most() {
    const CALLS: u32 = 20;
    const TIME: Duration = Duration::from_secs(2);
    let limits = json!([{ "per": "principal", "calls": CALLS, "within": "1s" }]);
    let site = Site::start(KINDS[1], limits, "closed").await;
    let (ana, begun) = (site.token("ana"), Instant::now());
    let sum = site.permitted(&ana, |_| begun.elapsed() < TIME).await;
    let refilled = f64::from(CALLS) * begun.elapsed().as_secs_f64();
    let most = f64::from(CALLS + GATEWAYS * batch(CALLS)) + refilled;
    assert!(f64::from(sum) <= most, "{sum} calls, more than {most}");
    assert!(sum >= CALLS / 2, "{sum} calls");
}

#[tokio::test]
async fn without_the_store_each_process_counts_for_itself_if_it_is_open() {
    const CALLS: u32 = 3;
    let site = Site::start(KINDS[0], slow(CALLS), "open").await;
    assert_eq!(site.call(&site.token("ana")).await.status, 200);
    site.proxy.close();
    let bo = site.token("bo");
    for _ in 0..CALLS {
        for reply in site.call_each(&bo).await {
            assert_eq!(reply.status, 200, "{reply:?}");
        }
    }
    for reply in site.call_each(&bo).await {
        assert!(!is_permitted(&reply), "each process has its own limit");
    }
    site.proxy.restore();
    counts_again(&site, CALLS).await;
}

#[tokio::test]
async fn without_the_store_calls_that_a_limit_counts_are_unavailable_if_it_is_closed() {
    const CALLS: u32 = 3;
    let site = Site::start(KINDS[1], slow(CALLS), "closed").await;
    assert_eq!(site.call(&site.token("ana")).await.status, 200);
    for is_gone in [true, false] {
        match is_gone {
            true => site.proxy.close(),
            false => site.store.stall(),
        }
        for reply in site.call_each(&site.token("bo")).await {
            assert_eq!(reply.status, 503, "{reply:?}");
            assert!(retry_after(&reply) > 0, "{reply:?}");
        }
        // What no limit counts needs no store.
        for gateway in &site.replicas.gateways {
            let ping = e2e::client::request(2, "ping", json!({}));
            let reply = gateway.post(ping).token(&site.token("bo")).send().await;
            assert_eq!(reply.status, 200, "{reply:?}");
        }
        match is_gone {
            true => site.proxy.restore(),
            false => site.store.go_on(),
        }
        // A principal of its own shows that the store is back.
        for probe in 0.. {
            let token = site.token(&format!("probe {is_gone} {probe}"));
            let replies = site.call_each(&token).await;
            if replies.iter().all(|reply| reply.status == 200) {
                break;
            }
            assert!(probe < 300, "{replies:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    counts_again(&site, CALLS).await;
}

/// The store counts for both again: a principal who calls both in turn has its calls once, not twice.
async fn counts_again(site: &Site, calls: u32) {
    let attempt = std::sync::atomic::AtomicU32::new(0);
    eventually("the store counts again", async || {
        let number = attempt.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let token = site.token(&format!("cy {number}"));
        let mut permitted = 0;
        for _ in 0..calls {
            let replies = site.call_each(&token).await;
            permitted += replies.iter().filter(|reply| is_permitted(reply)).count();
        }
        permitted == calls as usize
    })
    .await;
}

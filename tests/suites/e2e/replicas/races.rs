//! Two processes on one store, asked for the same thing at once.

use e2e::gateway::replicas::Replicas;
use e2e::gateway::replicas::store_server::{KINDS, StoreServer};
use e2e::sign_in::client::{Client, Tokens, call, redemption};
use e2e::upstream::Upstream;
use serde_json::Value;

use super::site::config;
use super::walk::{Outcome, Step, Walk};

/// Redemptions and refreshes at once.
const AT_ONCE: usize = 100;

struct Pair {
    replicas: Replicas,
    _store: StoreServer,
    _upstream: Upstream,
}

impl Pair {
    async fn start(kind: &str) -> Self {
        let (store, upstream) = tokio::join!(StoreServer::start(kind), Upstream::start());
        let config = config(&upstream, &store.url()).await;
        Self {
            replicas: Replicas::start(2, config).await,
            _store: store,
            _upstream: upstream,
        }
    }

    /// The answers to as many requests at once, one to each process in turn.
    async fn at_once(&self, client: &Client, fields: &[(&str, &str)]) -> Vec<(u16, Value)> {
        let gateways = self.replicas.gateways.iter().cycle().take(AT_ONCE);
        let asked = gateways.map(|gateway| client.ask(gateway, fields));
        futures_util::future::join_all(asked).await
    }
}

#[tokio::test]
async fn of_a_hundred_redemptions_over_two_processes_one_succeeds() {
    one_succeeds(KINDS[0]).await;
}

#[tokio::test]
#[ignore = "the same with the other server, for make acceptance"]
async fn of_a_hundred_redemptions_over_two_processes_one_succeeds_on_valkey() {
    one_succeeds(KINDS[1]).await;
}

async fn one_succeeds(kind: &str) {
    let pair = Pair::start(kind).await;
    let gateways = &pair.replicas.gateways;
    let walk = Walk::before(&gateways[0], Step::Token).await;
    let client = walk.client.as_ref().unwrap();
    let answers = pair.at_once(client, &redemption(&walk.code)).await;
    let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|(status, _)| *status == 200);
    assert_eq!(good.len(), 1, "{answers:?}");
    for (status, answer) in bad {
        assert_eq!((*status, &answer["error"]), (400, &"invalid_grant".into()));
    }
    // The code was presented again, so that its grant is ended, at both.
    let tokens = Tokens::of(good[0].1.clone());
    for gateway in gateways {
        let (status, answer) = client.refresh(gateway, &tokens.refresh).await;
        assert_eq!(status, 400, "{answer}");
        e2e::eventually("the access token is refused", async || {
            call(gateway, &tokens.access).await.status == 401
        })
        .await;
    }
}

#[tokio::test]
async fn what_one_process_began_the_other_goes_on_with() {
    let mut pair = Pair::start(KINDS[0]).await;
    let mut walk = Walk::before(&pair.replicas.gateways[0], Step::Consent).await;
    assert_eq!(walk.take(Step::Consent).await, Outcome::Done);
    let (client, code) = (walk.client.clone().unwrap(), walk.code.clone());
    drop(walk);
    pair.replicas.kill(0);
    let other = &pair.replicas.gateways[0];
    let tokens = client.redeem(other, &code).await;
    assert_eq!(call(other, &tokens.access).await.status, 200);
    let (status, answer) = client.refresh(other, &tokens.refresh).await;
    assert_eq!(status, 200, "{answer}");
}

//! The store is cut off at each command of each step. How many commands a step has is learned from a run without a cut. Afterwards the
//! store is back: the step went on, or was answered 503 and works when it is taken again; nothing is used twice, and nothing that was
//! acknowledged is lost.

use std::time::{Duration, Instant};

use e2e::gateway::Gateway;
use e2e::gateway::replicas::cutting::{Cut, Cutting, Moment};
use e2e::gateway::replicas::store_server::{KINDS, StoreServer, url};
use e2e::process::port;
use e2e::sign_in::client::{Client, Tokens, call, redemption};
use e2e::upstream::Upstream;
use e2e::world::Table;
use e2e::{SOON, eventually};
use serde_json::{Value, json};

use super::site::config;
use super::walk::{Outcome, RECOVERY, STEPS, Step, Walk};

/// How long the store stays away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Away {
    /// New connections are taken at once.
    Briefly,
    /// Until the step was answered.
    UntilAnswered,
}

/// Gateway, store, and the proxy between them.
struct Setting {
    gateway: Gateway,
    cutting: Cutting,
    _store: StoreServer,
    _upstream: Upstream,
}

impl Setting {
    async fn start(kind: &str) -> Self {
        let (store, upstream) = tokio::join!(StoreServer::start(kind), Upstream::start());
        let cutting = Cutting::start(store.address).await;
        let config = config(&upstream, &url(cutting.address)).await;
        Self {
            gateway: Gateway::start(config).await,
            cutting,
            _store: store,
            _upstream: upstream,
        }
    }

    /// The number of commands of a step.
    async fn commands(&self, step: Step) -> usize {
        let mut walk = Walk::before(&self.gateway, step).await;
        self.cutting.count_anew(None);
        assert_eq!(walk.take(step).await, Outcome::Done, "{step:?}");
        let commands = self.cutting.commands();
        println!("{step:?}: {commands:?}");
        commands.len()
    }

    /// One case; what went wrong.
    async fn case(&self, step: Step, cut: Cut, away: Away) -> Result<(), String> {
        let mut walk = Walk::before(&self.gateway, step).await;
        self.cutting.count_anew(Some(cut));
        let outcome = match away {
            Away::UntilAnswered => walk.take(step).await,
            Away::Briefly => {
                let back = async {
                    while !self.cutting.was_cut() {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    self.cutting.restore();
                    std::future::pending::<()>().await;
                };
                tokio::select! { outcome = walk.take(step) => outcome, () = back => unreachable!() }
            }
        };
        self.cutting.restore();
        let again = match outcome {
            Outcome::Done => Ok(()),
            Outcome::Later => walk.take_until_done(step).await,
            Outcome::Wrong(what) => return Err(format!("answered {what}")),
        };
        again?;
        finish(walk, step).await
    }
}

/// The steps after this one; then nothing can be used twice.
async fn finish(mut walk: Walk<'_>, step: Step) -> Result<(), String> {
    for later in STEPS.into_iter().filter(|later| *later > step) {
        if later == Step::Revoke {
            let tokens = walk.tokens.as_ref().expect("tokens");
            let reply = call(walk.gateway, &tokens.access).await;
            if reply.status != 200 {
                return Err(format!("the access token: {}", reply.text()));
            }
        }
        walk.take_until_done(later).await?;
    }
    let (client, tokens) = (
        walk.client.as_ref().expect("a client"),
        walk.tokens.as_ref().expect("tokens"),
    );
    let (status, answer) = client.ask(walk.gateway, &redemption(&walk.code)).await;
    if (status, answer["error"].as_str()) != (400, Some("invalid_grant")) {
        return Err(format!("the code a second time: {status} {answer}"));
    }
    let (status, answer) = client.refresh(walk.gateway, &tokens.refresh).await;
    if (status, answer["error"].as_str()) != (400, Some("invalid_grant")) {
        return Err(format!("the revoked refresh token: {status} {answer}"));
    }
    let is_refused = eventually("the revoked access token is refused", async || {
        call(walk.gateway, &tokens.access).await.status == 401
    });
    tokio::time::timeout(SOON * 2, is_refused)
        .await
        .map_err(|_| "the revoked access token is accepted".to_owned())
}

/// Cuts at every command of these steps.
async fn cut_everywhere(kind: &str, steps: &[Step], ways: &[Away]) {
    let setting = Setting::start(kind).await;
    let mut table = Table::default();
    let mut cases = 0;
    for step in steps {
        for command in 1..=setting.commands(*step).await {
            for moment in [Moment::Before, Moment::After] {
                for away in ways {
                    let cut = Cut { command, moment };
                    let name = format!("{kind}: {step:?}, command {command}, {moment:?}, {away:?}");
                    let outcome = setting.case(*step, cut, *away).await;
                    table.check(&name, outcome.is_ok(), || outcome.unwrap_err());
                    cases += 1;
                }
            }
        }
    }
    assert!(cases >= 2 * steps.len(), "{cases} cases");
}

#[tokio::test]
async fn a_token_is_given_once_though_the_store_is_cut_off_for_a_moment() {
    cut_everywhere(KINDS[0], &[Step::Token, Step::Refresh], &[Away::Briefly]).await;
}

/// A gateway that reaches the store through the proxy, and has redeemed a code of which it got no answer; another one that reaches it
/// directly.
struct Undecided {
    first: Gateway,
    other: Gateway,
    client: Client,
    code: String,
    cutting: Cutting,
    _store: StoreServer,
    _upstream: Upstream,
}

impl Undecided {
    async fn start(code_lives: &str) -> Self {
        let (store, upstream) = tokio::join!(StoreServer::start(KINDS[0]), Upstream::start());
        let cutting = Cutting::start(store.address).await;
        let config = config(&upstream, &url(cutting.address)).await;
        let config = config.set("/authorization_server/lifetimes/code", json!(code_lives));
        let other = config.replica(port::free(), port::free());
        let directory = other.folder().join("state");
        let other = other
            .set("/authorization_server/directory", json!(directory))
            .set("/authorization_server/store/redis/url", json!(store.url()));
        let (first, other) = tokio::join!(Gateway::start(config), Gateway::start(other));
        let walk = Walk::before(&first, Step::Token).await;
        let (client, code) = (walk.client.clone().unwrap(), walk.code.clone());
        let undecided = Self {
            first,
            other,
            client,
            code,
            cutting,
            _store: store,
            _upstream: upstream,
        };
        let (command, moment) = (1, Moment::After);
        undecided.cutting.count_anew(Some(Cut { command, moment }));
        assert_eq!(undecided.redeem(&undecided.first).await.0, 503);
        assert!(undecided.cutting.was_cut());
        // The store has made the change, and nobody knows that but the gateway that is cut off.
        let (status, answer) = undecided.redeem(&undecided.other).await;
        assert_eq!(status, 503, "{answer}");
        undecided
    }

    async fn redeem(&self, gateway: &Gateway) -> (u16, Value) {
        self.client.ask(gateway, &redemption(&self.code)).await
    }

    /// The answer of the other gateway when it is not 503 any more.
    async fn decided(&self) -> (u16, Value) {
        let began = Instant::now();
        loop {
            let (status, answer) = self.redeem(&self.other).await;
            if status != 503 {
                return (status, answer);
            }
            assert!(began.elapsed() < RECOVERY, "{answer}");
        }
    }
}

#[tokio::test]
async fn a_code_is_redeemed_at_another_gateway_though_the_first_one_lost_the_answer_of_the_store() {
    let undecided = Undecided::start("60s").await;
    undecided.cutting.restore();
    let (status, answer) = undecided.decided().await;
    assert_eq!(status, 200, "{answer}");
    let tokens = Tokens::of(answer);
    assert_eq!(call(&undecided.other, &tokens.access).await.status, 200);
    for gateway in [&undecided.first, &undecided.other] {
        let (status, answer) = undecided.redeem(gateway).await;
        assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
    }
}

/// For `make acceptance`: it waits until a code has expired.
#[tokio::test]
#[ignore = "takes 15 seconds"]
async fn a_code_of_a_gateway_that_was_killed_before_it_was_decided_is_used_when_it_expires() {
    let undecided = Undecided::start("15s").await;
    undecided.first.process.signal("KILL");
    undecided.cutting.restore();
    let (status, answer) = undecided.decided().await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
}

/// For `make acceptance`.
#[tokio::test]
#[ignore = "takes minutes"]
async fn every_step_survives_every_cut_of_the_store() {
    for kind in KINDS {
        cut_everywhere(kind, &STEPS, &[Away::Briefly, Away::UntilAnswered]).await;
    }
}

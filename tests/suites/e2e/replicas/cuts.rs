//! The store is cut off at each command of each step. How many commands a step has is learned from a run without a cut. Afterwards the
//! store is back: the step went on, or was answered 503 and works when it is taken again; nothing is used twice, and nothing that was
//! acknowledged is lost.

use std::time::Duration;

use e2e::gateway::Gateway;
use e2e::gateway::replicas::cutting::{Cut, Cutting, Moment};
use e2e::gateway::replicas::store_server::{KINDS, StoreServer, url};
use e2e::sign_in::client::{call, redemption};
use e2e::upstream::Upstream;
use e2e::world::Table;
use e2e::{SOON, eventually};

use super::site::config;
use super::walk::{Outcome, STEPS, Step, Walk};

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
        match again {
            Ok(()) => finish(walk, step).await,
            // The change was made, and nobody could say so: the code is used, and the client begins anew.
            Err(what) if may_be_used(step, cut, away) && what.contains("invalid_grant") => {
                let mut anew = Walk::before(&self.gateway, step).await;
                anew.take_until_done(step).await?;
                finish(anew, step).await
            }
            Err(what) => Err(what),
        }
    }
}

/// Whether a code may be used though its client got 503: the answer of the store never arrived.
fn may_be_used(step: Step, cut: Cut, away: Away) -> bool {
    step == Step::Token && cut.moment == Moment::After && away == Away::UntilAnswered
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

/// For `make acceptance`.
#[tokio::test]
#[ignore = "takes minutes"]
async fn every_step_survives_every_cut_of_the_store() {
    for kind in KINDS {
        cut_everywhere(kind, &STEPS, &[Away::Briefly, Away::UntilAnswered]).await;
    }
}

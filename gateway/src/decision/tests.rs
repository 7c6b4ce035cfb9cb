//! What a decision point costs a call whose answer is in the cache.

use std::{
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use mcp_gateway_core::{
    cel::{RequestFacts, kept_claims::KeptClaims},
    mcp::operation::Operation,
    policy::{
        Caller, Policy,
        decision_point::{asker::Asker, asking::Permitted},
    },
    principal::Principal,
    scope::ScopeSet,
    time::UnixTime,
};

use super::point::DecisionPoint;
use crate::{
    config::{Config, Environment, parse},
    telemetry::metrics::Metrics,
};

/// What a hit may cost in the build under test, which is not optimized, on a machine that does something else too.
const MOST: Duration = Duration::from_micros(20);

/// Calls of one measurement, and measurements of which the best counts.
const CALLS: u32 = 2_000;
const ROUNDS: usize = 30;

const CONFIG: &str = "\
public_url: https://mcp.example.com
listen: [{ address: 127.0.0.1:8080 }]
issuers: { corporate: { issuer: https://login.example.com/ } }
decision_points: { company: { url: http://127.0.0.1:1, cache: 1h } }
resources:
  - { path: /mcp, upstream: 'http://127.0.0.1:9/mcp', issuers: [corporate], decision_point: company, policy: { default: allow } }
";

fn config() -> Config {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    parse(CONFIG, Path::new("."), &Environment::default()).unwrap()
}

fn point(config: &Config) -> Arc<DecisionPoint> {
    let (metrics, none) = (Metrics::new().unwrap(), Default::default());
    let configured = &config.decision_points["company"];
    DecisionPoint::reuse_or_new(None, configured, &metrics, &none).unwrap()
}

/// The time of one call, at best.
fn best(mut call: impl FnMut()) -> Duration {
    let rounds = (0..ROUNDS).map(|_| {
        let started = Instant::now();
        (0..CALLS).for_each(|_| call());
        started.elapsed() / CALLS
    });
    rounds.min().unwrap()
}

#[test]
fn an_answer_from_the_cache_costs_a_call_no_more_than_a_short_text_and_its_digest() {
    let config = config();
    let point = point(&config);
    let asking: &Policy = &config.resources[0].policy;
    let alone = Policy {
        asked: None,
        ..asking.clone()
    };
    let principal = Arc::new(Principal {
        issuer: "https://login.example.com/".into(),
        subject: "6f1d8f0a-2b0f-4c0e-8a53-2f6f6b1d9c11".into(),
        client: Some("console".into()),
        scopes: ScopeSet::parse("tasks:read tasks:write").unwrap(),
    });
    let (claims, asker) = (KeptClaims::none(), Asker::default());
    let caller = Caller {
        principal: &principal,
        claims: &claims,
        asker: &asker,
        request: RequestFacts {
            http_method: "POST",
            path: "/mcp",
            host: "mcp.example.com",
            client_address: None,
            now: UnixTime::new(0),
        },
    };
    let operation = Operation {
        method: Some("tools/call"),
        name: Some("create_task"),
        ..Operation::default()
    };
    let decide = |policy: &Policy| match policy.authorize(&caller, &operation).decision.unwrap() {
        Permitted::Now(permit) => permit,
        Permitted::If(asking) => {
            let known = point.known(asking.questions());
            assert_eq!(known.together(), Some(true));
            asking.answered(known.answers()).unwrap()
        }
    };
    point.keep_yes(&match asking.authorize(&caller, &operation).decision {
        Ok(Permitted::If(asking)) => asking.questions().clone(),
        other => panic!("{other:?}"),
    });
    let with = best(|| drop(black_box(decide(asking))));
    let without = best(|| drop(black_box(decide(&alone))));
    let cost = with.saturating_sub(without);
    println!("a call: {without:?}, with a cached answer: {with:?}, so the answer costs {cost:?}");
    assert!(cost < MOST, "{cost:?}");
}

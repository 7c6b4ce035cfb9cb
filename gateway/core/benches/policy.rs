//! What a decision costs: conditions.
//!
//! `cargo bench -p mcp-gateway-core --bench policy`

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mcp_gateway_core::{
    auth::{
        condition::{Condition, Facts, RequestFacts},
        kept_claims::KeptClaims,
        principal::Principal,
        scope::ScopeSet,
    },
    json,
    time::UnixTime,
};

const CLAIMS: &str = r#"{"department":"ops","level":3,"groups":["staff","admins","oncall","eu"],
    "address":{"country":"DE","city":"Bremen"}}"#;

const ARGUMENTS: &str = r#"{"title":"disk full on db-3","priority":"high","count":7,"tags":["a","b"],"owner":{"id":"u1"}}"#;

const CONDITIONS: &[(&str, &str)] = &[
    (
        "claim_and_name",
        r#"claims.department == "ops" && mcp.name.startsWith("report_")"#,
    ),
    (
        "client_and_hour",
        r#"client.id == "agent" && request.time.getHours() < 18"#,
    ),
    ("group", r#""admins" in claims.groups"#),
    (
        "nested_claim",
        r#"has(claims.address) && claims.address.country == "DE""#,
    ),
    (
        "argument",
        r#"mcp.arguments.priority in ["high", "urgent"]"#,
    ),
    ("address", r#"client.address.startsWith("192.0.2.")"#),
    (
        "working_hours",
        r#"request.time.getDayOfWeek("Europe/Berlin") in [1, 2, 3, 4, 5]"#,
    ),
];

fn condition(criterion: &mut Criterion) {
    let principal = Principal {
        issuer: "https://issuer.example".into(),
        subject: "alice".into(),
        client: Some("agent".into()),
        scopes: ScopeSet::default(),
    };
    let mut group = criterion.benchmark_group("condition");
    for (name, source) in CONDITIONS {
        let condition = Condition::compile(source).unwrap();
        let claims = json::object(CLAIMS.as_bytes()).unwrap();
        let claims = KeptClaims::of(&claims, condition.claims_read());
        let facts = Facts {
            principal: &principal,
            claims: &claims,
            method: "tools/call",
            name: Some("report_daily"),
            arguments: Some(ARGUMENTS.as_bytes()),
            version: Some("2025-11-25"),
            request: RequestFacts {
                http_method: "POST",
                path: "/mcp",
                host: "mcp.example.com",
                client_address: Some([192, 0, 2, 7].into()),
                now: UnixTime::new(1_795_257_000),
            },
        };
        assert_eq!(
            condition.judge(&facts),
            Ok(*name != "working_hours"),
            "{name}"
        );
        group.bench_function(*name, |bencher| {
            bencher.iter(|| condition.judge(black_box(&facts)));
        });
    }
    group.finish();
}

criterion_group!(benches, condition);
criterion_main!(benches);

//! The cost of a decision: a whole call, many rules, conditions, rate limits, filtering a list, the choice of an endpoint.
//!
//! `cargo bench -p mcp-gateway-core --bench policy`

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark"
)]

use std::{
    hint::black_box,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use criterion::{
    BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use mcp_gateway_core::{
    balance::{
        ejection,
        endpoints::{Endpoints, Settings, Wanted},
        outcome::Outcome,
        waiting,
    },
    cel::{Condition, Facts, RequestFacts, kept_claims::KeptClaims},
    endpoint_id::EndpointId,
    json,
    mcp::{envelope::Envelope, operation::Operation},
    policy::{
        Argument, Caller, DefaultDecision, Hierarchy, Methods, Pattern, Policy, Rule, Rules, Value,
        decision_point::asker::Asker, hide::Hide,
    },
    principal::Principal,
    rate::{Buckets, LimitId, Limiter, Per, RateLimit, token_bucket::Rate},
    rewrite::{edit::Edit, lists::ListFilter},
    scope::ScopeSet,
    seal::{Binding, Sealer, SealingKey},
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

/// A limit that never refuses here, and counts calls of a tool by a pattern.
fn limiter(id: u64, per: Per) -> Limiter {
    Limiter {
        id: LimitId::new(id),
        limit: RateLimit {
            per,
            rate: Rate::new(1_000_000, Duration::from_secs(1), 1_000_000),
            methods: vec!["tools/call".to_owned()],
            names: vec![Pattern::parse("report_*").unwrap()].into(),
        },
    }
}

fn caller(number: u32) -> Principal {
    Principal {
        issuer: "https://issuer.example".into(),
        subject: format!("auth0|64f1c0ffee{number:08}").into(),
        client: Some("console".into()),
        scopes: ScopeSet::default(),
    }
}

/// One call: which limits count it, and what it takes from them.
fn take(buckets: &mut Buckets, limits: &[Limiter], caller: &Principal, now: Duration) -> bool {
    let shares = limits
        .iter()
        .filter_map(|limit| limit.share(caller, "tools/call", Some("report_daily")));
    buckets.take(shares.collect(), 1_000_000, now).is_ok()
}

/// Calls of two threads under one lock, as the gateway holds it: the time for one call of each.
fn two_threads(
    group: &mut BenchmarkGroup<'_, WallTime>,
    limits: &[Limiter],
    callers: &[Principal],
) {
    let buckets = Mutex::new(Buckets::default());
    let started = Instant::now();
    let calls = |callers: &[Principal], count: u64| {
        for (caller, _) in callers.iter().cycle().zip(0..count) {
            let shares = limits
                .iter()
                .filter_map(|limit| limit.share(caller, "tools/call", Some("report_daily")));
            let shares = shares.collect();
            let mut buckets = buckets.lock().unwrap();
            black_box(buckets.take(shares, 1_000_000, started.elapsed())).unwrap();
        }
    };
    let (one, other) = callers.split_at(callers.len() / 2);
    group.bench_function("two_threads", |bencher| {
        bencher.iter_custom(|count| {
            let began = Instant::now();
            thread::scope(|scope| {
                scope.spawn(|| calls(one, count));
                scope.spawn(|| calls(other, count));
            });
            began.elapsed()
        });
    });
}

fn rate(criterion: &mut Criterion) {
    let kinds = [Per::Principal, Per::Client, Per::Resource];
    let limits: Vec<_> = (0..).zip(kinds).map(|(id, per)| limiter(id, per)).collect();
    let callers: Vec<_> = (0..100_000).map(caller).collect();
    let mut group = criterion.benchmark_group("rate");
    for (name, limits, callers) in [
        ("one_limit", &limits[..1], &callers[..1]),
        ("three_limits", &limits[..], &callers[..1]),
        ("one_limit_100000_callers", &limits[..1], &callers[..]),
    ] {
        let mut buckets = Buckets::default();
        let mut now = Duration::ZERO;
        let mut next = callers.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                // 50,000 calls a second: buckets fill again and are removed meanwhile.
                now += Duration::from_micros(20);
                let caller = next.next().unwrap();
                assert!(take(&mut buckets, black_box(limits), caller, now));
            });
        });
    }
    two_threads(&mut group, &limits[..1], &callers);
    // A limit that all callers together have used up: the cost of a refusal.
    let slow = Rate::new(1, Duration::from_secs(86_400), 1);
    let mut used = limiter(9, Per::Principal);
    used.limit.rate = slow;
    let mut buckets = Buckets::default();
    let used = [used];
    assert!(take(&mut buckets, &used, &callers[0], Duration::ZERO));
    group.bench_function("refused", |bencher| {
        bencher.iter(|| {
            assert!(!take(
                &mut buckets,
                black_box(&used),
                &callers[0],
                Duration::ZERO
            ))
        });
    });
    group.finish();
}

/// The answer to `tools/list` of a server with this many tools, some 640 bytes each.
fn tool_list(tools: usize) -> String {
    let tools = (0..tools).map(|number| {
        format!(
            r#"{{"name":"tool_{number}","title":"Tool number {number}","description":"Creates something of importance in the project that is named, and returns what it has made of it; fails where the project is not known, or where the caller may not write to it.","inputSchema":{{"type":"object","properties":{{"project":{{"type":"string","description":"The project's short name"}},"title":{{"type":"string","description":"One line, at most 200 characters"}},"priority":{{"type":"string","enum":["low","normal","high","urgent"]}},"labels":{{"type":"array","items":{{"type":"string"}}}}}},"required":["project","title"]}},"annotations":{{"readOnlyHint":false,"destructiveHint":false}}}}"#
        )
    });
    let tools: Vec<String> = tools.collect();
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{}],"nextCursor":"2"}}}}"#,
        tools.join(",")
    )
}

/// A policy that hides every second one of them.
fn hiding(tools: usize) -> Policy {
    let names = (0..tools).step_by(2);
    let names = names.map(|number| Pattern::parse(&format!("tool_{number}")).unwrap());
    let rule = Rule {
        methods: Methods::Of(vec!["tools/call".to_owned()]),
        names: names.collect(),
        scopes: ScopeSet::parse("tasks:admin").unwrap(),
        ..Rule::default()
    };
    Policy {
        required: ScopeSet::parse("tasks:read").unwrap(),
        supported: ScopeSet::default(),
        implies: Hierarchy::default(),
        default: DefaultDecision::Allow,
        rules: Rules::new(vec![rule]),
        hide: Hide::Unusable,
        asked: None,
    }
}

fn lists(criterion: &mut Criterion) {
    let (list, policy) = (tool_list(200), hiding(200));
    let principal = Arc::new(Principal {
        issuer: "https://issuer.example".into(),
        subject: "alice".into(),
        client: Some("agent".into()),
        scopes: ScopeSet::parse("tasks:read").unwrap(),
    });
    let claims = KeptClaims::none();
    let caller = Caller {
        principal: &principal,
        claims: &claims,
        asker: &Asker::default(),
        request: RequestFacts {
            http_method: "POST",
            path: "/mcp",
            host: "mcp.example.com",
            client_address: None,
            now: UnixTime::new(1_800_000_000),
        },
    };
    let mut group = criterion.benchmark_group("lists");
    group.bench_function("200_tools", |bencher| {
        let shows = |listed, name: &str| policy.shows(&caller, listed, name);
        let mut filter = ListFilter::new(shows, |_, _| {});
        bencher.iter(|| filter.edit(black_box(list.as_bytes())).unwrap());
    });
    group.finish();
}

/// A call of a tool whose body has about 1 KiB.
fn call_body() -> String {
    let text = "x".repeat(850);
    format!(
        r#"{{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{{"name":"create_task","arguments":{{"title":"disk full","priority":"high","note":"{text}"}},"_meta":{{"progressToken":17}}}}}}"#
    )
}

fn scoped(method: &str, name: &str, scopes: &str) -> Rule {
    Rule {
        methods: Methods::Of(vec![method.to_owned()]),
        names: vec![Pattern::parse(name).unwrap()],
        scopes: ScopeSet::parse(scopes).unwrap(),
        ..Rule::default()
    }
}

fn policy(rules: Vec<Rule>) -> Policy {
    Policy {
        required: ScopeSet::parse("tasks:read").unwrap(),
        supported: ScopeSet::default(),
        implies: Hierarchy::default(),
        default: DefaultDecision::Deny,
        rules: Rules::new(rules),
        hide: Hide::Nothing,
        asked: None,
    }
}

/// Many rules of each kind, of which the last one matches.
fn many(name: impl Fn(usize) -> String) -> Policy {
    let mut rules: Vec<_> = (0..999)
        .map(|number| scoped("tools/call", &name(number), "tasks:write"))
        .collect();
    rules.push(scoped("tools/call", "create_*", "tasks:write"));
    policy(rules)
}

fn judged(policy: &Policy, principal: &Arc<Principal>, body: &[u8]) -> bool {
    let envelope = Envelope::read(body, &json::JsonLimits::default()).unwrap();
    let operation = Operation {
        method: envelope.method(),
        name: envelope.name(),
        references: envelope.references(),
        arguments: envelope.arguments(),
        version: None,
        params_without_argument: &[],
    };
    let claims = KeptClaims::none();
    let caller = Caller {
        principal,
        claims: &claims,
        asker: &Asker::default(),
        request: REQUEST,
    };
    policy.authorize(&caller, &operation).decision.is_ok()
}

const REQUEST: RequestFacts<'static> = RequestFacts {
    http_method: "POST",
    path: "/mcp",
    host: "mcp.example.com",
    client_address: None,
    now: UnixTime::new(0),
};

/// The cost of a legacy call of 1 KiB without HTTP and its token: the envelope, the policy, the session.
fn call(criterion: &mut Criterion) {
    let principal = Arc::new(Principal {
        scopes: ScopeSet::parse("tasks:read tasks:write").unwrap(),
        ..caller(1)
    });
    let body = call_body();
    let rules = policy(vec![
        scoped("tools/call", "list_tasks", ""),
        scoped("tools/call", "create_*", "tasks:write"),
    ]);
    let sealer = Sealer::new(vec![SealingKey::from_bytes(&[7; 32]).unwrap()]).unwrap();
    let binding = Binding {
        resource: "https://mcp.example.com/mcp",
        issuer: &principal.issuer,
        subject: &principal.subject,
        client: principal.client.as_deref(),
    };
    let sealed = sealer
        .seal(
            &binding.session(),
            EndpointId::of("http://127.0.0.1:9000/mcp"),
            "0b9a3c1e-6f6c-4c3f-9d0e-1f2a3b4c5d6e",
        )
        .unwrap();
    let mut group = criterion.benchmark_group("call");
    group.bench_function("envelope", |bencher| {
        let limits = json::JsonLimits::default();
        bencher.iter(|| Envelope::read(black_box(body.as_bytes()), &limits).is_ok());
    });
    group.bench_function("envelope_policy_session", |bencher| {
        bencher.iter(|| {
            let allowed = judged(&rules, &principal, black_box(body.as_bytes()));
            allowed && sealer.open(&binding.session(), black_box(&sealed)).is_ok()
        });
    });
    group.finish();
}

/// A thousand rules, of which the last decides: with exact names, with prefixes, with globs that begin with a wildcard.
fn rules(criterion: &mut Criterion) {
    let principal = Arc::new(Principal {
        scopes: ScopeSet::parse("tasks:read tasks:write").unwrap(),
        ..caller(1)
    });
    let claims = KeptClaims::none();
    let asks = Caller {
        principal: &principal,
        claims: &claims,
        asker: &Asker::default(),
        request: REQUEST,
    };
    let operation = Operation {
        method: Some("tools/call"),
        name: Some("create_task"),
        ..Operation::default()
    };
    let mut group = criterion.benchmark_group("1000_rules");
    for (name, policy) in [
        ("exact", many(|number| format!("tool_{number}"))),
        ("beginnings", many(|number| format!("tool_{number}_*"))),
        ("ends", many(|number| format!("*_tool_{number}"))),
        ("middles", many(|number| format!("*_{number}_*"))),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                policy
                    .authorize(black_box(&asks), &operation)
                    .decision
                    .is_ok()
            });
        });
    }
    group.finish();
}

/// The worst that one call can cost in arguments: rules read them until the limit of steps refuses the call.
fn worst(criterion: &mut Criterion) {
    let principal = Arc::new(caller(1));
    let claims = KeptClaims::none();
    let asks = Caller {
        principal: &principal,
        claims: &claims,
        asker: &Asker::default(),
        request: REQUEST,
    };
    let denies = |rule: Rule| Rule {
        deny: Some("no".into()),
        ..rule
    };
    let matching = |pattern: &str| {
        denies(Rule {
            arguments: vec![Argument {
                name: "a".into(),
                values: vec![Value::Text(Pattern::parse(pattern).unwrap())],
            }],
            ..Rule::default()
        })
    };
    let reading = |source: &str| {
        denies(Rule {
            condition: Some(Condition::compile(source).unwrap()),
            ..Rule::default()
        })
    };
    let text = format!(r#"{{"a":"{}"}}"#, "a".repeat(60 << 10));
    let list = format!(r#"{{"a":[{}1]}}"#, "1,".repeat(9_000));
    let nested = format!(
        r#"{{"a":{}{}1{}}}"#,
        "[".repeat(50),
        "1,".repeat(5_000),
        "]".repeat(50)
    );
    let names: String = (0..9_999).map(|n| format!(r#""m{n}":1,"#)).collect();
    let names = format!(r#"{{{names}"a":"a"}}"#);
    let mut group = criterion.benchmark_group("worst_arguments");
    for (name, rule, arguments) in [
        ("texts_between", matching("**a**a**a**b**"), &text),
        ("states", matching(&"*a".repeat(127)), &text),
        ("one_state", matching("*a*b**a"), &text),
        (
            "contains",
            reading(r#"mcp.arguments.a.contains("ab")"#),
            &text,
        ),
        ("in_list", reading("2.5 in mcp.arguments.a"), &list),
        ("nested", reading("mcp.arguments.a == 1"), &nested),
        ("names", reading("mcp.arguments.a == 1"), &names),
    ] {
        let policy = policy(vec![rule; 100]);
        let operation = Operation {
            method: Some("tools/call"),
            name: Some("t"),
            arguments: Some(arguments.as_bytes()),
            ..Operation::default()
        };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                policy
                    .authorize(black_box(&asks), &operation)
                    .decision
                    .is_ok()
            });
        });
    }
    group.finish();
}

/// The choice among 100 endpoints, a part of which is full or ejected.
fn endpoints(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("endpoints");
    let now = Duration::from_secs(1000);
    let settings = Settings {
        ejection: Some(ejection::Settings::default()),
        max_calls: Some(50),
        ..Settings::default()
    };
    let mut set: Endpoints<usize, ()> = Endpoints::new(settings);
    let weighted = (0..100).map(|number| (number, 1 + u32::try_from(number % 3).unwrap()));
    set.replace(settings, weighted.collect(), Duration::ZERO);
    for seed in 0..1000 {
        let chosen = set.choose(Wanted::Any(&[]), now, seed).unwrap();
        if chosen.key.is_multiple_of(10) {
            for _ in 0..5 {
                set.report(
                    chosen.member,
                    Outcome::Unconnected,
                    waiting::Caller(1),
                    (now, now),
                );
            }
        }
    }
    let mut seed = 0;
    group.bench_function("choose_of_100", |bencher| {
        bencher.iter(|| {
            seed += 1;
            let chosen = set.choose(Wanted::Any(&[]), black_box(now), seed).unwrap();
            set.release(chosen.member);
        });
    });
    group.finish();
}

criterion_group!(
    benches, call, rules, condition, rate, lists, worst, endpoints
);
criterion_main!(benches);

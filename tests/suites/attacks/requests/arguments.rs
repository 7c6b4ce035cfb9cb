//! Numbers 175 and 179: arguments that rules and conditions read.

use std::time::{Duration, Instant};

use e2e::client::{self, Call};
use e2e::world::{Table, World};
use serde_json::{Value, json};

/// What reading arguments may take in addition in the build under test, which is not optimized: it takes about ten times as long.
/// The benchmark `worst_arguments` measures an optimized one.
const UNOPTIMIZED: Duration = Duration::from_millis(500);

/// A world whose policy allows what these rules do not decide.
async fn world(rules: Value) -> World {
    World::with(|config| {
        config.set(
            "/resources/0/policy",
            json!({ "default": "allow", "rules": rules }),
        )
    })
    .await
}

/// A legacy tool call with its arguments as written.
fn call(world: &World, name: &str, arguments: &str) -> Call {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}}}}}"#
    );
    world.gateway.post(body).token(&world.reader())
}

#[tokio::test]
async fn attack_175_an_argument_that_a_rule_cannot_judge_refuses_the_call() {
    let drop = json!({ "query": ["**DROP**"] });
    let world = world(json!([
        { "method": "tools/call", "name": "deny", "arguments": drop, "deny": "No." },
        { "method": "tools/call", "name": "allow", "arguments": { "query": "SELECT **" } },
        { "method": "tools/call", "name": "allow", "deny": "Nothing else." },
        { "method": "tools/call", "name": "late", "arguments": { "mode": "x" }, "deny": "No." },
        { "method": "tools/call", "name": "late", "arguments": drop, "deny": "No." },
        { "method": "tools/call", "name": "count", "arguments": { "query": 5 }, "deny": "No." },
        { "method": "tools/call", "name": "condition", "condition": "has(mcp.arguments.query) && mcp.arguments.query.contains(\"DROP\")", "deny": "No." },
        { "method": "tools/call", "name": "reads", "condition": "mcp.arguments.query.startsWith(\"SELECT\")" },
        { "method": "tools/call", "name": "unequal", "condition": "mcp.arguments.query != 7" },
        { "method": "tools/call", "name": "listed", "condition": "mcp.arguments.query in [7, 8]", "deny": "No." },
    ]))
    .await;
    let mut table = Table::default();
    let long = format!(r#""SELECT {}""#, "x".repeat(64 << 10));
    for name in ["deny", "allow", "late", "condition", "reads"] {
        let reason = match name {
            "condition" | "reads" => "condition_failed",
            _ => "argument_unreadable",
        };
        for value in [
            r#""SELECT 1; --\ud800""#,
            r#""DROP TABLE x; --\ud800""#,
            r#""\udc00 SELECT""#,
            r#"["DROP TABLE x"]"#,
            r#"{"sql":"DROP TABLE x"}"#,
            "7",
            "true",
            "null",
            &long,
        ] {
            let sent = call(&world, name, &format!(r#"{{"query":{value}}}"#));
            let row = format!("{name} {}", &value[..value.len().min(40)]);
            table.row(&row, world.refusal(sent, 403, reason).await);
        }
        let good = call(&world, name, r#"{"query":"SELECT 1"}"#);
        table.row(name, world.acceptance(good).await);
    }
    for value in ["\"7\"", "[7]", "null", "true", r#"{"n":7}"#] {
        for name in ["unequal", "listed"] {
            let sent = call(&world, name, &format!(r#"{{"query":{value}}}"#));
            let row = format!("{name} {value}");
            table.row(&row, world.refusal(sent, 403, "condition_failed").await);
        }
    }
    for name in ["unequal", "listed"] {
        let other = call(&world, name, r#"{"query":9}"#);
        table.row(name, world.acceptance(other).await);
    }
    for value in [
        "5.00000000000000000001",
        "9007199254740993",
        "1e400",
        "\"5\"",
        "[5]",
    ] {
        let sent = call(&world, "count", &format!(r#"{{"query":{value}}}"#));
        let refused = world.refusal(sent, 403, "argument_unreadable").await;
        table.row(value, refused);
    }
    for (name, arguments) in [
        ("count", r#"{"query":5.5}"#),
        ("deny", "{}"),
        ("deny", "null"),
    ] {
        let served = world.acceptance(call(&world, name, arguments)).await;
        table.row(&format!("{name} {arguments}"), served);
    }
    world
        .gateway
        .logged("argument `query` cannot be judged: it is not valid Unicode text")
        .await;
}

/// The median of a victim's calls while eight attackers call this tool with these arguments.
async fn median(world: &World, name: &str, arguments: &str) -> Duration {
    const CALLS: usize = 15;
    let attackers: Vec<_> = (0..8)
        .map(|_| {
            let attack = call(world, name, arguments);
            tokio::spawn(async move {
                loop {
                    attack.clone().send().await;
                }
            })
        })
        .collect();
    let token = world.writer();
    let mut took = Vec::new();
    for _ in 0..CALLS {
        let started = Instant::now();
        let sent = world
            .gateway
            .post(client::tool(1, "list_tasks"))
            .token(&token);
        assert_eq!(sent.send().await.status, 200);
        took.push(started.elapsed());
    }
    attackers.iter().for_each(tokio::task::JoinHandle::abort);
    took.sort_unstable();
    took[CALLS / 2]
}

#[tokio::test]
async fn attack_179_what_rules_read_of_arguments_is_bounded() {
    let patterns = ["**a*b**a*b", "**a**a**ab", "**x**", "*a*a*a*b"].map(|pattern| {
        json!({ "method": "tools/call", "name": "judged", "arguments": { "text": pattern }, "deny": "No." })
    });
    let conditions = (0..100).map(|n| {
        let condition = format!(
            "has(mcp.arguments.list) && ({n}.5 in mcp.arguments.list || -{n} in mcp.arguments.list)"
        );
        json!({ "method": "tools/call", "name": "judged", "condition": condition, "deny": "No." })
    });
    // Calls that are refused wait for no upstream: so are those to compare with.
    let unread = json!({ "method": "tools/call", "name": "unread", "deny": "No." });
    let rules = patterns.into_iter().chain(conditions).chain([unread]);
    let world = world(rules.collect()).await;
    let mut table = Table::default();
    let elements = |count: usize| format!(r#"{{"list":[{}1]}}"#, "1,".repeat(count));
    let empty = format!(r#"{{"list":[{}[]]}}"#, "[],".repeat(1_000_000));
    for (name, arguments) in [("elements", elements(1_900_000)), ("empty arrays", empty)] {
        let refused = world
            .refusal(call(&world, "other", &arguments), 400, "json_limit")
            .await;
        table.row(name, refused);
    }
    let texts = |length: usize| format!(r#"{{"text":"{}"}}"#, "a".repeat(length));
    let refused = world
        .refusal(
            call(&world, "judged", &texts(4_000_000)),
            403,
            "argument_unreadable",
        )
        .await;
    table.row("4 MB of text", refused);
    for (name, arguments) in [
        ("a text", texts(60 << 10)),
        ("a list", elements(1_900)),
        ("a long list", elements(9_000)),
        (
            "many",
            format!(
                r#"{{{}"text":"a"}}"#,
                (0..9_000)
                    .map(|n| format!(r#""m{n}":1,"#))
                    .collect::<String>()
            ),
        ),
    ] {
        let unread = median(&world, "unread", &arguments).await;
        let read = median(&world, "judged", &arguments).await;
        let most = unread * 2 + UNOPTIMIZED;
        table.check(name, read <= most, || {
            format!("{read:?} instead of {unread:?}")
        });
    }
}

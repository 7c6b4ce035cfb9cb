//! `config/policy-examples.yaml` with only addresses and issuer changed: what each of its five policies allows, what it
//! refuses, and the message to the caller.

use e2e::client::{Call, Reply, request};
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use e2e::upstream::{Upstream, result};
use serde_json::{Value, json};
use test_support::{Key, Token};

const PASSES: &str = "passes";
const DENIED: &str = "This call is not allowed.";

/// The gateway with the examples, in front of one MCP server that answers everything.
struct Examples {
    gateway: Gateway,
    upstream: Upstream,
    key: Key,
}

impl Examples {
    async fn start() -> Self {
        let key = Key::es256("first");
        let upstream = Upstream::start().await;
        let config = Config::example("policy-examples.yaml", &upstream.url(), &[&key])
            // So that a test can come from any address.
            .set("/trusted_proxies", json!(["127.0.0.1"]));
        let gateway = Gateway::start(config).await;
        Self {
            gateway,
            upstream,
            key,
        }
    }

    fn token(&self, path: &str) -> Token {
        Token::new(&self.key, ISSUER, &self.gateway.uri(path))
    }

    fn call(&self, path: &str, token: &Token, (method, params): (&str, Value)) -> Call {
        let call = self.gateway.post_to(path, request(1, method, params));
        call.token(&token.sign())
    }

    /// The outcome of a call: that it passes, the scopes of the challenge, or the message of the denial.
    async fn outcome(&self, call: Call) -> String {
        let hits = self.upstream.hits();
        let reply = call.send().await;
        let forwarded = self.upstream.hits() - hits;
        match reply.status {
            200 if forwarded == 1 => PASSES.to_owned(),
            403 if forwarded == 0 && reply.challenge().is_empty() => words(&reply),
            403 if forwarded == 0 => {
                assert!(reply.challenge().contains("error=\"insufficient_scope\""));
                scopes(&reply)
            }
            status => panic!("{status}, forwarded {forwarded} times: {}", reply.text()),
        }
    }

    /// Checks each call of this caller.
    async fn check(&self, path: &str, token: &Token, calls: &[((&str, Value), &str)]) {
        for (call, expected) in calls {
            let outcome = self.outcome(self.call(path, token, call.clone())).await;
            assert_eq!(
                outcome,
                *expected,
                "{path} {call:?} {}",
                token.claims_text()
            );
        }
    }
}

/// The sentence of a JSON-RPC error that answers the call.
fn words(reply: &Reply) -> String {
    let body = reply.json();
    assert_eq!(body["id"], 1, "{body}");
    body["error"]["message"].as_str().unwrap().to_owned()
}

/// The scopes that a challenge names.
fn scopes(reply: &Reply) -> String {
    let (_, rest) = reply.challenge().split_once("scope=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

fn tool(name: &str, arguments: Value) -> (&'static str, Value) {
    (
        "tools/call",
        json!({ "name": name, "arguments": arguments }),
    )
}

fn plain(name: &str) -> (&'static str, Value) {
    tool(name, json!({}))
}

fn list(what: &'static str) -> (&'static str, Value) {
    (what, json!({}))
}

fn read(uri: &str) -> (&'static str, Value) {
    ("resources/read", json!({ "uri": uri }))
}

#[tokio::test]
async fn analysts_list_and_operators_create_and_admins_do_everything() {
    let examples = Examples::start().await;
    let with = |scope| examples.token("/tasks").scope(scope);
    let (read_write, admin) = ("tasks:read tasks:write", "tasks:admin tasks:read");
    examples
        .check(
            "/tasks",
            &with("tasks:read"),
            &[
                (list("tools/list"), PASSES),
                (plain("list_tasks"), PASSES),
                (read("tasks://all"), PASSES),
                (plain("create_task"), read_write),
                (plain("purge"), admin),
                (("prompts/get", json!({ "name": "prioritize" })), admin),
            ],
        )
        .await;
    examples
        .check(
            "/tasks",
            &with("tasks:write"),
            &[
                (plain("list_tasks"), PASSES),
                (plain("create_task"), PASSES),
                (plain("complete_task"), PASSES),
                (plain("purge"), admin),
            ],
        )
        .await;
    examples
        .check(
            "/tasks",
            &with("tasks:admin"),
            &[
                (plain("list_tasks"), PASSES),
                (plain("create_task"), PASSES),
                (plain("purge"), PASSES),
                (("prompts/get", json!({ "name": "prioritize" })), PASSES),
            ],
        )
        .await;
    examples
        .check(
            "/tasks",
            &with("other"),
            &[
                (list("tools/list"), "tasks:read"),
                (plain("create_task"), read_write),
            ],
        )
        .await;
}

#[tokio::test]
async fn an_agent_files_invoices_and_sees_nothing_else() {
    let examples = Examples::start().await;
    let token = |client: &str| examples.token("/invoices").claim("client_id", client);
    let agent = token("invoice-agent").subject("invoice-agent");
    examples
        .check(
            "/invoices",
            &agent,
            &[
                (plain("file_invoice"), PASSES),
                (plain("pay_invoice"), DENIED),
                (plain("file_invoices"), DENIED),
                (list("resources/list"), DENIED),
                (read("invoices://1"), DENIED),
            ],
        )
        .await;
    examples
        .check(
            "/invoices",
            &token("console"),
            &[
                (plain("file_invoice"), PASSES),
                (plain("pay_invoice"), PASSES),
                (list("resources/list"), PASSES),
            ],
        )
        .await;
    examples
        .check(
            "/invoices",
            &token("mallory"),
            &[
                (list("tools/list"), DENIED),
                (plain("file_invoice"), DENIED),
                (plain("pay_invoice"), DENIED),
            ],
        )
        .await;

    examples.upstream.script(|request| {
        let tools = ["file_invoice", "pay_invoice", "delete_invoice"];
        let tools = tools.map(|name| json!({ "name": name, "inputSchema": { "type": "object" } }));
        result(&request.json()["id"], json!({ "tools": tools }))
    });
    for (token, expected) in [
        (agent, &["file_invoice"][..]),
        (
            token("console"),
            &["file_invoice", "pay_invoice", "delete_invoice"],
        ),
    ] {
        let call = examples.call("/invoices", &token, list("tools/list"));
        let answer = call.send().await.json();
        let tools = answer["result"]["tools"].as_array().unwrap().iter();
        let names: Vec<_> = tools.map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{answer}");
    }
}

#[tokio::test]
async fn a_reader_gets_a_message_with_the_contact_for_write_access() {
    let examples = Examples::start().await;
    let ask = "The wiki is read-only here. Ask wiki-team@example.com for write access.";
    examples
        .check(
            "/wiki",
            &examples.token("/wiki"),
            &[
                (list("tools/list"), PASSES),
                (read("wiki://home"), PASSES),
                (plain("search_pages"), PASSES),
                (plain("add_comment"), PASSES),
                (plain("delete_page"), ask),
                (plain("Get_page"), ask),
                (plain("publish_page"), DENIED),
                (list("logging/setLevel"), DENIED),
            ],
        )
        .await;
    examples
        .check(
            "/wiki",
            &examples.token("/wiki").subject("release-bot"),
            &[(plain("publish_page"), PASSES), (plain("delete_page"), ask)],
        )
        .await;
}

#[tokio::test]
async fn tickets_are_limited_to_the_department_and_orders_to_the_amount() {
    let examples = Examples::start().await;
    let with = |scope| {
        examples
            .token("/desk")
            .scope(scope)
            .claim("department", "ops")
    };
    let open = |arguments| tool("open_ticket", arguments);
    let order = |amount: Value| tool("place_order", json!({ "amount": amount }));
    let over = "Orders over 1000 are placed by approvers. Ask purchasing@example.com.";
    let user = with("desk:use");
    examples
        .check(
            "/desk",
            &user,
            &[
                (open(json!({ "department": "ops" })), PASSES),
                (
                    open(json!({ "department": "ops", "priority": "low" })),
                    PASSES,
                ),
                (open(json!({ "department": "hr" })), DENIED),
                (open(json!({ "department": ["ops"] })), DENIED),
                (plain("open_ticket"), DENIED),
                (
                    open(json!({ "department": "ops", "priority": "urgent" })),
                    "desk:urgent desk:use",
                ),
                (
                    open(json!({ "department": "hr", "priority": "urgent" })),
                    DENIED,
                ),
                (tool("close_ticket", json!({ "department": "ops" })), PASSES),
                (order(json!(10)), "desk:order desk:use"),
                (order(json!(5000)), over),
                (plain("delete_ticket"), DENIED),
            ],
        )
        .await;
    examples
        .check(
            "/desk",
            &with("desk:use desk:urgent desk:order"),
            &[
                (
                    open(json!({ "department": "ops", "priority": "high" })),
                    PASSES,
                ),
                (
                    open(json!({ "department": "hr", "priority": "high" })),
                    DENIED,
                ),
                (order(json!(1000)), PASSES),
                (order(json!(1000.5)), over),
                (order(json!("10")), DENIED),
                (plain("place_order"), DENIED),
            ],
        )
        .await;
    let approver = with("desk:use desk:order").claim("groups", json!(["ops", "approvers"]));
    examples
        .check("/desk", &approver, &[(order(json!(5000)), PASSES)])
        .await;
    let nowhere = user.without("department");
    let ticket = open(json!({ "department": "ops" }));
    examples.check("/desk", &nowhere, &[(ticket, DENIED)]).await;
}

#[tokio::test]
async fn personnel_files_are_readable_only_from_the_office() {
    let examples = Examples::start().await;
    let (office, elsewhere) = ("10.20.3.4", "10.21.3.4");
    let reader = examples.token("/documents").scope("documents:read");
    let both = "documents:personnel documents:read";
    let personnel = examples.token("/documents").scope(both);
    let file = "docs://personnel/2026/1.md";
    let listen = |uris: &[&str]| {
        let wanted = json!({ "resourceSubscriptions": uris });
        ("subscriptions/listen", json!({ "notifications": wanted }))
    };
    let complete = |uri| {
        let reference = json!({ "type": "ref/resource", "uri": uri });
        let argument = json!({ "name": "id", "value": "1" });
        let params = json!({ "ref": reference, "argument": argument });
        ("completion/complete", params)
    };
    let subscribe = |uri| ("resources/subscribe", json!({ "uri": uri }));
    let template = "docs://personnel/{id}";
    let handbook = "docs://handbook/travel.md";
    for (token, from, call, expected) in [
        (&personnel, office, read(file), PASSES),
        (&personnel, office, subscribe(file), PASSES),
        (&personnel, office, listen(&[handbook, file]), PASSES),
        (&personnel, office, complete(template), PASSES),
        (&personnel, elsewhere, read(file), DENIED),
        (&personnel, elsewhere, subscribe(file), DENIED),
        (&personnel, elsewhere, listen(&[handbook, file]), DENIED),
        (&personnel, elsewhere, complete(template), DENIED),
        (&reader, office, read(file), both),
        (&reader, office, subscribe(file), both),
        (&reader, office, listen(&[handbook, file]), both),
        (&reader, office, complete(template), both),
        (&reader, elsewhere, read(file), DENIED),
        (&reader, elsewhere, read(handbook), PASSES),
        (&reader, elsewhere, listen(&[handbook]), PASSES),
        (&reader, elsewhere, list("resources/list"), PASSES),
        (&reader, elsewhere, read("docs://board/minutes.md"), DENIED),
        (&personnel, office, plain("delete_document"), DENIED),
    ] {
        let request = examples.call("/documents", token, call.clone());
        let outcome = examples
            .outcome(request.with("x-forwarded-for", from))
            .await;
        assert_eq!(outcome, expected, "{call:?} from {from}");
    }
}

#[tokio::test]
async fn personnel_files_and_searches_are_rate_limited() {
    let examples = Examples::start().await;
    let token = |name: &str| {
        let token = examples.token("/documents").subject(name);
        token.scope("documents:personnel documents:read")
    };
    let file = || read("docs://personnel/1.md");
    let refused = |reply: &Reply| {
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        reply.status == 429 && wait > 0 && words(reply) == "Too many calls. Try again later."
    };
    let call = |name: &str, call| {
        let call = examples.call("/documents", &token(name), call);
        call.with("x-forwarded-for", "10.20.3.4")
    };
    let passed = until_refused(30, refused, || call("alice", file())).await;
    assert!((5..30).contains(&passed), "{passed} at once");
    assert_eq!(
        call("bob", file()).send().await.status,
        200,
        "the calls of another caller"
    );
    let handbook = call("alice", read("docs://handbook/travel.md"));
    assert_eq!(handbook.send().await.status, 200, "another resource");

    let search = || plain("search_documents");
    let passed = until_refused(1000, refused, || call("alice", search())).await;
    assert!((100..1000).contains(&passed), "{passed} at once");
    assert!(
        refused(&call("bob", search()).send().await),
        "limit of all callers"
    );
}

/// How many calls passed before the first that was refused; `most` when none was.
async fn until_refused(
    most: usize,
    refused: impl Fn(&Reply) -> bool,
    call: impl Fn() -> Call,
) -> usize {
    for passed in 0..most {
        let reply = call().send().await;
        if reply.status != 200 {
            assert!(refused(&reply), "{} {}", reply.status, reply.text());
            return passed;
        }
    }
    most
}

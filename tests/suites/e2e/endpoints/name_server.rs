//! The addresses of a name, from a real name server by the system's resolver: it changes, fails, is silent, and comes back.

use std::net::{Ipv4Addr, SocketAddr};

use e2e::client::tool;
use e2e::eventually;
use e2e::gateway::config::{Config, ISSUER};
use e2e::gateway::{Gateway, command};
use e2e::process::{Process, port};
use e2e::upstream::Upstream;
use e2e::upstream::name_server::{NameServer, Names};
use serde_json::json;
use test_support::{Key, Token};

/// Where the name server listens: an address of this machine that no other test uses.
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(127, 53, 16, 1);

const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

fn instance(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}

/// How often a name could not be resolved, and was resolved again.
async fn lines(gateway: &Gateway) -> (usize, usize) {
    let log = gateway.log().await;
    let count = |message| log.matches(message).count();
    (
        count("name cannot be resolved"),
        count("name resolved again"),
    )
}

#[tokio::test]
async fn a_name_server_is_followed_and_its_faults_are_survived() {
    let port = port::free().port();
    let mut upstreams = Vec::new();
    for last in 1..=2 {
        upstreams.push(Upstream::start_at(SocketAddr::from((instance(last), port))).await);
    }
    let names = NameServer::start(NAME_SERVER, Names::Have(vec![instance(1)])).await;
    let key = Key::es256("first");
    let upstream = json!({
        "url": format!("http://tasks.internal:{port}/mcp"),
        "resolve": true,
        "resolve_interval": "1s",
    });
    let config =
        Config::new("http://127.0.0.1:9/mcp", &[&key]).set("/resources/0/upstream", upstream);
    let run = names.using(&command(&["run", "--config"], &config));
    let gateway = Gateway::ready(Process::spawn(run), config).await;
    let token = Token::new(&key, ISSUER, &gateway.uri("/mcp"));
    let token = token.scope("tasks:read tasks:write").sign();
    let create = async || {
        let call = gateway.post(tool(1, "create_task")).token(&token);
        call.send().await.status
    };
    assert_eq!(create().await, 200);
    assert_eq!((upstreams[0].hits(), upstreams[1].hits()), (1, 0));

    names.answer(Names::Have(vec![instance(2)]));
    gateway.logged("endpoint removed").await;
    assert_eq!(create().await, 200);
    assert_eq!((upstreams[0].hits(), upstreams[1].hits()), (1, 1));

    // Whatever is wrong with the name server, its last answer is used.
    for fault in [Names::Fail(SERVFAIL), Names::Fail(NXDOMAIN), Names::Silent] {
        let before = lines(&gateway).await;
        names.answer(fault.clone());
        eventually("it is logged", async || lines(&gateway).await.0 > before.0).await;
        assert_eq!(create().await, 200, "{fault:?}");
        names.answer(Names::Have(vec![instance(2)]));
        eventually("that too", async || lines(&gateway).await.1 > before.1).await;
        assert_eq!(create().await, 200, "{fault:?}");
    }

    names.answer(Names::Have(vec![instance(1), instance(2)]));
    let before = upstreams[0].hits();
    eventually("the first one gets calls again", async || {
        assert_eq!(create().await, 200);
        upstreams[0].hits() > before
    })
    .await;
}

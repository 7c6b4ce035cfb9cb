//! Documents from a server that answers, falls silent, changes its mind, or has an answer for every URL.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use mcp_gateway_oauth::client::model::{ClientOrigin, DocumentSource};
use serde_json::json;

use super::{budget::Share, cache::Room, fault::RETRY_AFTER, *};
use crate::fetch::{
    foreign::ForeignLimits,
    internet::Outside,
    test_internet::{PUBLIC, Step, TestInternet, answer, json as document},
};

const CLIENT: &str = "https://client.example/c.json";

/// What the server answers, by path; other paths have a valid document of their own.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Answers>>);

type Answers = Vec<(String, Vec<Step>)>;

impl Server {
    fn set(&self, path: &str, steps: Vec<Step>) {
        let mut set = self.0.lock().unwrap();
        set.retain(|(own, _)| own != path);
        set.push((path.to_owned(), steps));
    }

    fn answer(&self, head: &str) -> Vec<Step> {
        let path = head.split(' ').nth(1).unwrap();
        let host = head.lines().find_map(|line| line.strip_prefix("host: "));
        let set = self.0.lock().unwrap();
        let own = set.iter().find(|(own, _)| own == path);
        own.map_or_else(
            || document(&valid(&format!("https://{}{path}", host.unwrap()))),
            |(_, steps)| steps.clone(),
        )
    }
}

struct World {
    server: Server,
    internet: Arc<TestInternet>,
    documents: Arc<Documents>,
}

fn valid(url: &str) -> String {
    let redirect_uris = ["https://client.example/callback"];
    json!({ "client_id": url, "redirect_uris": redirect_uris }).to_string()
}

fn rules() -> DocumentRules {
    DocumentRules {
        redirects: RedirectRules::default(),
        shipped: true,
    }
}

/// Everything is stale at once, and nothing rests.
fn impatient() -> DocumentLimits {
    let bounds = Bounds {
        fresh: Freshness {
            least: Duration::ZERO,
            most: Duration::ZERO,
            unsaid: Duration::ZERO,
        },
        stale: MINUTE,
    };
    DocumentLimits {
        client_bounds: bounds,
        key_bounds: bounds,
        rest: Duration::ZERO,
        ..DocumentLimits::default()
    }
}

async fn world(limits: DocumentLimits) -> World {
    let server = Server::default();
    let answers = server.clone();
    let internet = TestInternet::start(move |head| answers.answer(head)).await;
    let internet = Arc::new(internet);
    let fetch = ForeignLimits {
        deadline: Duration::from_secs(3),
        ..ForeignLimits::default()
    };
    let source = ForeignClient::new(
        &Outside::new(internet.clone(), internet.roots()),
        None,
        fetch,
    )
    .unwrap();
    World {
        server,
        internet,
        documents: Arc::new(Documents::new(rules(), Some(source), limits)),
    }
}

impl World {
    async fn client(&self, url: &str) -> Result<Arc<Client>, DocumentFault> {
        client(&self.documents, url).await
    }
}

async fn client(documents: &Documents, url: &str) -> Result<Arc<Client>, DocumentFault> {
    documents.client(&DocumentUrl::parse(url).unwrap()).await
}

fn source(client: &Client) -> &DocumentSource {
    match &client.origin {
        ClientOrigin::Document { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_document_is_fetched_once_however_many_ask() {
    let world = world(DocumentLimits::default()).await;
    let asked = (0..30).map(|_| {
        let documents = world.documents.clone();
        tokio::spawn(async move { client(&documents, CLIENT).await.unwrap().id.clone() })
    });
    for asked in asked.collect::<Vec<_>>() {
        assert_eq!(asked.await.unwrap(), CLIENT);
    }
    assert_eq!(world.internet.requests().len(), 1);
}

#[tokio::test]
async fn attack_120_a_wrong_document_is_refused_and_not_kept() {
    let world = world(DocumentLimits::default()).await;
    for wrong in [
        document(&valid("https://client.example/other.json")),
        document("{"),
        document(""),
        answer("200 OK", &[("Content-Type", "text/html")], b"<html>"),
    ] {
        let path = "/wrong.json";
        world.server.set(path, wrong);
        let url = format!("https://client.example{path}");
        let fault = world.client(&url).await.unwrap_err();
        assert!(!fault.is_temporary(), "{fault}");
    }
    world.server.set("/c.json", document("{}"));
    assert!(world.client(CLIENT).await.is_err());
    world.server.set("/c.json", document(&valid(CLIENT)));
    assert!(world.client(CLIENT).await.is_ok());
}

#[tokio::test]
async fn a_client_learns_one_of_two_things_whatever_there_is() {
    let world = world(impatient()).await;
    world.internet.name("inside.example.com", &[&["10.0.0.1"]]);
    world
        .internet
        .name("mixed.example.com", &[&[PUBLIC, "127.0.0.1"]]);
    world.internet.name("uncertified.example", &[&[PUBLIC]]);
    for (path, steps) in [
        ("/500", answer("500 X", &[], b"secret")),
        ("/404", answer("404 X", &[], b"secret")),
        (
            "/302",
            answer("302 X", &[("Location", "http://127.0.0.1/")], b""),
        ),
        ("/reset", vec![Step::Reset]),
        (
            "/html",
            answer("200 OK", &[("Content-Type", "text/html")], b"secret"),
        ),
        ("/wrong", document(r#"{"client_id":"secret"}"#)),
    ] {
        world.server.set(path, steps);
    }
    let mut shown = std::collections::BTreeSet::new();
    for (url, is_temporary) in [
        ("https://inside.example.com/a", true),
        ("https://mixed.example.com/a", true),
        ("https://unknown.example.com/a", true),
        ("https://uncertified.example/a", true),
        ("https://client.example/500", true),
        ("https://client.example/404", true),
        ("https://client.example/302", true),
        ("https://client.example/reset", true),
        ("https://client.example/html", false),
        ("https://client.example/wrong", false),
    ] {
        let fault = world.client(url).await.unwrap_err();
        assert_eq!(fault.is_temporary(), is_temporary, "{url} {fault}");
        assert!(!fault.shown().contains("secret") && !fault.shown().contains("example"));
        shown.insert(fault.shown());
    }
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(RETRY_AFTER > Duration::ZERO);
    assert_eq!(world.internet.canary().await, 0);
}

#[tokio::test]
async fn a_document_serves_while_its_server_is_silent_but_not_when_it_says_something_else() {
    let world = world(impatient()).await;
    assert!(world.client(CLIENT).await.is_ok());
    world.server.set("/c.json", answer("503 X", &[], b""));
    assert!(world.client(CLIENT).await.is_ok());
    world.server.set("/c.json", document("{}"));
    assert!(world.client(CLIENT).await.is_err());
    world.server.set("/c.json", answer("503 X", &[], b""));
    let fault = world.client(CLIENT).await.unwrap_err();
    assert!(fault.is_temporary());
}

#[tokio::test]
async fn a_shipped_copy_serves_where_nothing_can_be_fetched() {
    let world = world(impatient()).await;
    let url = "https://claude.ai/oauth/mcp-oauth-client-metadata";
    for silence in [
        answer("403 Forbidden", &[], b""),
        answer(
            "200 OK",
            &[("Content-Type", "text/html")],
            b"are you a robot?",
        ),
        vec![Step::Reset],
    ] {
        world
            .server
            .set("/oauth/mcp-oauth-client-metadata", silence);
        let found = world.client(url).await.unwrap();
        assert!(matches!(source(&found), DocumentSource::Shipped(_)));
    }
    world
        .server
        .set("/oauth/mcp-oauth-client-metadata", document("{}"));
    assert!(world.client(url).await.is_err());
    world
        .server
        .set("/oauth/mcp-oauth-client-metadata", document(&valid(url)));
    let found = world.client(url).await.unwrap();
    assert_eq!(source(&found), &DocumentSource::Fetched);

    let off = Documents::new(rules(), None, DocumentLimits::default());
    assert!(client(&off, url).await.is_ok());
    let fault = client(&off, CLIENT).await.unwrap_err();
    assert_eq!((fault.label(), fault.is_temporary()), ("off", true));
    let without = DocumentRules {
        shipped: false,
        ..rules()
    };
    let without = Documents::new(without, None, DocumentLimits::default());
    assert_eq!(client(&without, url).await.unwrap_err().label(), "off");
}

#[tokio::test]
async fn ids_of_a_template_endpoint_push_no_others_out_and_are_not_fetched_without_end() {
    let limits = DocumentLimits {
        clients: CacheShares {
            site: Room {
                entries: 5,
                bytes: 1 << 20,
            },
            total: Room {
                entries: 8,
                bytes: 1 << 20,
            },
        },
        ..DocumentLimits::default()
    };
    let world = world(limits).await;
    assert!(world.client(CLIENT).await.is_ok());
    let mut spent = 0;
    for id in 0..200 {
        let url = format!("https://a.example.com/oauth/{id}/client.json");
        match world.client(&url).await {
            Ok(client) => assert_eq!(client.id, url),
            Err(fault) => {
                assert_eq!((fault.label(), fault.is_temporary()), ("limit", true));
                spent += 1;
            }
        }
    }
    assert!(spent > 150, "{spent}");
    let before = world.internet.requests().len();
    assert!(world.client(CLIENT).await.is_ok());
    assert_eq!(world.internet.requests().len(), before, "it is still kept");
    // Another site still has its share.
    assert!(world.client("https://other.example/c.json").await.is_ok());
}

#[tokio::test]
async fn a_server_that_keeps_the_gateway_waiting_holds_its_own_share_only() {
    let one = Share {
        per_minute: 6000,
        burst: 100,
        in_flight: 1,
    };
    let limits = DocumentLimits {
        fetches: FetchShares {
            site: one,
            total: Share {
                in_flight: 10,
                ..one
            },
        },
        ..DocumentLimits::default()
    };
    let world = world(limits).await;
    world
        .server
        .set("/slow", vec![Step::Wait(Duration::from_secs(60))]);
    let documents = world.documents.clone();
    let slow = tokio::spawn(async move { client(&documents, "https://a.example.com/slow").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let fault = world.client("https://b.example.com/a").await.unwrap_err();
    assert_eq!(fault.label(), "limit");
    assert!(world.client(CLIENT).await.is_ok());
    assert_eq!(slow.await.unwrap().unwrap_err().label(), "timeout");
    assert!(world.client("https://b.example.com/a").await.is_ok());
}

#[tokio::test]
async fn a_url_that_failed_is_not_asked_again_at_once() {
    let world = world(DocumentLimits::default()).await;
    world.server.set("/c.json", answer("500 X", &[], b""));
    for _ in 0..20 {
        assert!(world.client(CLIENT).await.unwrap_err().is_temporary());
    }
    assert_eq!(world.internet.requests().len(), 1);
}

const KEYS: &str = "https://client.example/jwks.json";

/// A key set with RSA keys of these ids.
fn key_set(ids: &[&str]) -> Vec<Step> {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let keys = ids.iter().map(|id| {
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": id, "e": "AQAB",
            "n": format!("w{number:04}{}Q", "w".repeat(336))})
    });
    document(&json!({"keys": keys.collect::<Vec<_>>()}).to_string())
}

#[tokio::test]
async fn keys_are_fetched_again_for_an_unknown_one_but_not_often() {
    let limits = DocumentLimits {
        unknown_key: Duration::from_millis(400),
        ..DocumentLimits::default()
    };
    let world = world(limits).await;
    let ids = async |newer| {
        let documents = &world.documents;
        let keys = match newer {
            true => documents.newer_keys(KEYS).await.unwrap(),
            false => documents.keys(KEYS).await.unwrap(),
        };
        let ids: Vec<_> = keys.ids().map(Option::unwrap).collect();
        (ids.join(" "), world.internet.requests().len())
    };
    let later = async || tokio::time::sleep(Duration::from_millis(500)).await;
    let is = |ids: &str, requests| (ids.to_owned(), requests);
    world.server.set("/jwks.json", key_set(&["one"]));
    assert_eq!(ids(false).await, is("one", 1));
    world.server.set("/jwks.json", key_set(&["two"]));
    assert_eq!(ids(true).await, is("one", 1), "it was fetched just now");
    later().await;
    assert_eq!(ids(false).await, is("one", 1));
    assert_eq!(ids(true).await, is("two", 2));
    for _ in 0..20 {
        assert_eq!(ids(true).await, is("two", 2));
    }
    later().await;
    world.server.set("/jwks.json", vec![Step::Reset]);
    for _ in 0..20 {
        assert_eq!(ids(true).await, is("two", 3), "a failure rests");
    }
}

#[tokio::test]
async fn a_key_set_without_a_usable_key_is_no_key_set() {
    let world = world(DocumentLimits::default()).await;
    for (body, is_temporary) in [
        (document("{}"), false),
        (document(r#"{"keys":[]}"#), false),
        (
            document(r#"{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"a"}]}"#),
            false,
        ),
        (answer("404 X", &[], b""), true),
    ] {
        world.server.set("/jwks.json", body);
        let fault = world.documents.keys(KEYS).await.unwrap_err();
        assert_eq!(fault.is_temporary(), is_temporary, "{fault}");
    }
    let fault = world.documents.keys("https://169.254.169.254/jwks").await;
    assert_eq!(fault.unwrap_err().label(), "url");
}

//! Servers that answer in hostile ways, and names that lead into the gateway's own network.

use std::time::Instant;

use mcp_gateway_core::http::{
    authority::{Authority, Scheme},
    outbound::no_proxy::NoProxy,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::fetch::test_internet::{PUBLIC, Step, TestInternet, answer, json};

const LIMITS: ForeignLimits = ForeignLimits {
    deadline: Duration::from_secs(2),
    bytes: 64 * 1024,
};

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn client(internet: &Arc<TestInternet>) -> ForeignClient {
    ForeignClient::new(
        &Outside::new(internet.clone(), internet.roots()),
        None,
        LIMITS,
    )
    .unwrap()
}

fn url(text: &str) -> ForeignUrl {
    ForeignUrl::parse(text).unwrap()
}

/// What fetching from a server that answers with these steps returns.
async fn get(steps: Vec<Step>) -> Result<Document, ForeignError> {
    let internet = Arc::new(TestInternet::start(move |_| steps.clone()).await);
    let fetched = client(&internet)
        .get(&url("https://client.example/c?d=e"))
        .await;
    assert_eq!(internet.canary().await, 0);
    assert_eq!(
        internet.requests().len(),
        1,
        "one request, no redirect followed"
    );
    fetched
}

fn send(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec())
}

#[tokio::test]
async fn a_document_is_fetched_and_the_request_has_nothing_that_identifies_anybody() {
    let internet = Arc::new(TestInternet::start(|_| json(r#"{"a":1}"#)).await);
    let document = client(&internet)
        .get(&url("https://Client.Example/c?d=e"))
        .await;
    assert_eq!(document.unwrap().body, r#"{"a":1}"#.as_bytes());
    let agent = format!("user-agent: {AGENT}");
    let expected = [
        "GET /c?d=e HTTP/1.1",
        "host: client.example",
        agent.as_str(),
        "accept: application/json",
        "accept-encoding: identity",
        "connection: close",
        "\r\n",
    ];
    assert_eq!(internet.requests(), [expected.join("\r\n")]);
}

#[tokio::test]
async fn json_media_types_are_accepted_and_no_others() {
    for (content_type, accepted) in [
        ("application/json", true),
        ("Application/JSON; charset=utf-8", true),
        ("application/cimd+json", true),
        ("application/jwk-set+json", true),
        ("application/+json", false),
        ("application/json, text/html", false),
        ("application/jsonp", false),
        ("text/json", false),
        ("text/html; a=application/json", false),
        ("", false),
    ] {
        assert_eq!(is_json(content_type), accepted, "{content_type}");
    }
    for headers in [&[][..], &[("Content-Type", "text/html")], &[JSON, JSON]] {
        let error = get(answer("200 OK", headers, b"{}")).await.unwrap_err();
        assert_eq!(error.label(), "content_type", "{headers:?}");
    }
}

#[tokio::test]
async fn attack_119_redirects_are_not_followed() {
    for (status, location) in [
        ("301 Moved Permanently", "http://127.0.0.1/"),
        ("302 Found", "https://169.254.169.254/latest/meta-data/"),
        ("303 See Other", "https://client.example/other"),
        ("307 Temporary Redirect", "//localhost/"),
        ("308 Permanent Redirect", "file:///etc/passwd"),
        ("300 Multiple Choices", "https://b.example.com/"),
    ] {
        let steps = answer(status, &[("Location", location), JSON], b"{}");
        let error = get(steps).await.unwrap_err();
        assert!(
            matches!(error, ForeignError::Redirect(_)),
            "{status} {error}"
        );
    }
}

#[tokio::test]
async fn attack_120_a_document_has_64_kib_and_no_byte_more() {
    let fits = format!("\"{}\"", "x".repeat(64 * 1024 - 2));
    assert_eq!(get(json(&fits)).await.unwrap().body.len(), 64 * 1024);
    let large = get(json(&format!("{fits} "))).await;
    assert_eq!(large.unwrap_err(), ForeignError::TooLarge(64 * 1024));
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let mut chunked = vec![send(&format!("{head}Transfer-Encoding: chunked\r\n\r\n"))];
    chunked.extend((0..17).map(|_| send(&chunk)));
    assert_eq!(
        get(chunked).await.unwrap_err(),
        ForeignError::TooLarge(64 * 1024)
    );
    let until_close = vec![
        send(&format!("{head}\r\n")),
        Step::Send(vec![b'x'; 65 * 1024]),
    ];
    assert_eq!(
        get(until_close).await.unwrap_err(),
        ForeignError::TooLarge(64 * 1024)
    );
    // Announced only: nothing is read.
    let announced = vec![
        send(&format!("{head}Content-Length: 99999999999\r\n\r\n")),
        Step::Wait(LIMITS.deadline * 2),
    ];
    assert_eq!(
        get(announced).await.unwrap_err(),
        ForeignError::TooLarge(64 * 1024)
    );
}

#[tokio::test]
async fn attack_120_a_server_that_drips_ends_at_the_deadline() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let drip = |begin: String| {
        let mut steps = vec![Step::Send(begin.into_bytes())];
        steps.extend((0..100).flat_map(|_| [send(" "), Step::Wait(Duration::from_millis(100))]));
        steps
    };
    let begin = Instant::now();
    let fetches = [
        drip(format!("{head}Content-Length: 1000\r\n\r\n")),
        drip(head.to_owned()),
        drip("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX: ".to_owned()),
        vec![Step::Wait(LIMITS.deadline * 5)],
    ]
    .map(|steps| tokio::spawn(get(steps)));
    for fetch in fetches {
        let error = fetch.await.unwrap().unwrap_err();
        assert_eq!(error, ForeignError::Deadline(LIMITS.deadline));
    }
    assert!(begin.elapsed() < LIMITS.deadline * 3);
}

#[tokio::test]
async fn attack_120_compressed_documents_are_refused_and_not_decompressed() {
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    for coding in ["gzip", "br", "identity, gzip", "x"] {
        let steps = answer("200 OK", &[JSON, ("Content-Encoding", coding)], &gzip);
        let error = get(steps).await.unwrap_err();
        assert_eq!(error, ForeignError::ContentCoding(coding.to_owned()));
        assert!(error.is_wrong_document());
    }
    let identity = answer("200 OK", &[JSON, ("Content-Encoding", "Identity")], b"{}");
    assert!(get(identity).await.is_ok());
    let unnamed = get(answer("200 OK", &[JSON], &gzip)).await.unwrap();
    assert_eq!(unnamed.body, gzip.as_slice());
}

#[tokio::test]
async fn broken_answers_are_failures() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    for steps in [
        vec![Step::Reset],
        vec![],
        vec![send("SSH-2.0-OpenSSH_9.9\r\n")],
        vec![send("\r\n\r\n\r\n")],
        vec![send(&format!("{chunked}zz\r\n{{}}\r\n0\r\n\r\n"))],
        vec![send(&format!("{chunked}2\r\n{{}}"))],
        vec![send(&format!("{chunked}ffffffffffffffffff\r\n{{}}"))],
        vec![send(&format!("{chunked}2\r\n{{}}\r\n")), Step::Reset],
        vec![send(&format!("{head}Content-Length: 5\r\n\r\n{{}}"))],
        vec![send(&format!("{head}Content-Length: x\r\n\r\n{{}}"))],
        vec![send(&format!(
            "{head}Content-Length: 1\r\nContent-Length: 2\r\n\r\n{{}}"
        ))],
        vec![send(&format!(
            "{head}X: {}\r\n\r\n{{}}",
            "x".repeat(128 * 1024)
        ))],
    ] {
        let shown = match steps.first() {
            Some(Step::Send(bytes)) => {
                String::from_utf8_lossy(&bytes[..bytes.len().min(150)]).into_owned()
            }
            _ => String::new(),
        };
        let error = get(steps).await.unwrap_err();
        assert_eq!(error.label(), "connection", "{shown} {error}");
        assert!(!error.is_wrong_document());
    }
    for status in [
        "404 Not Found",
        "403 Forbidden",
        "500 X",
        "201 Created",
        "204 No Content",
        "206 X",
    ] {
        let error = get(answer(status, &[JSON], b"")).await.unwrap_err();
        assert_eq!(error.label(), "status", "{status}");
    }
}

#[tokio::test]
async fn attack_117_names_that_lead_inside_are_not_connected_to() {
    let internet = Arc::new(TestInternet::start(|_| json("{}")).await);
    for addresses in [
        &["127.0.0.1"][..],
        &["10.0.0.1"],
        &["169.254.169.254"],
        &["0.0.0.0"],
        &["100.100.100.200"],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["::127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["64:ff9b:1::7f00:1"],
        &["2002:7f00:1::1"],
        &["2001::1"],
        &["fd00:ec2::254"],
        &["fe80::1"],
        &["fec0::1"],
        &["ff02::1"],
        // Mixed: whatever the order.
        &[PUBLIC, "127.0.0.1"],
        &["127.0.0.1", PUBLIC],
        &[PUBLIC, "8.8.4.4", "1.1.1.1", "9.9.9.9", "::ffff:10.0.0.1"],
    ] {
        internet.name("inside.example.com", &[addresses]);
        let fetched = client(&internet)
            .get(&url("https://inside.example.com/c"))
            .await;
        let error = fetched.unwrap_err();
        assert!(
            matches!(error, ForeignError::Internal(_)),
            "{addresses:?} {error}"
        );
    }
    internet.name("nowhere.example.com", &[&[]]);
    for (name, label) in [("nowhere", "connection"), ("unknown", "name")] {
        let url = url(&format!("https://{name}.example.com/c"));
        assert_eq!(
            client(&internet).get(&url).await.unwrap_err().label(),
            label
        );
    }
    assert_eq!(internet.canary().await, 0);
    assert!(internet.requests().is_empty());
}

#[tokio::test]
async fn attack_118_the_address_that_was_judged_is_the_one_that_is_connected_to() {
    let internet = Arc::new(TestInternet::start(|_| json("{}")).await);
    let inside: &[&str] = &["127.0.0.1"];
    internet.name(
        "rebind.example.com",
        &[&[PUBLIC], inside, &[PUBLIC], inside],
    );
    let url = url("https://rebind.example.com/c");
    for (fetch, is_fetched) in [(1, true), (2, false), (3, true), (4, false)] {
        let fetched = client(&internet).get(&url).await;
        assert_eq!(fetched.is_ok(), is_fetched, "{fetch}");
        assert_eq!(internet.lookups(), fetch, "resolved once for each fetch");
    }
    assert_eq!(internet.canary().await, 0);
}

#[tokio::test]
async fn a_server_without_a_certificate_for_the_name_is_not_believed() {
    let internet = Arc::new(TestInternet::start(|_| json("{}")).await);
    internet.name("uncertified.example", &[&[PUBLIC]]);
    let error = client(&internet)
        .get(&url("https://uncertified.example/c"))
        .await;
    assert_eq!(error.unwrap_err().label(), "connection");
    let untrusting = ForeignClient::new(
        &Outside::new(internet.clone(), rustls::RootCertStore::empty()),
        None,
        LIMITS,
    );
    let error = untrusting
        .unwrap()
        .get(&url("https://client.example/c"))
        .await;
    assert_eq!(error.unwrap_err().label(), "connection");
    assert!(internet.requests().is_empty());
}

/// A proxy that connects every tunnel to `server` and reports the first lines.
async fn proxy(
    server: std::net::SocketAddr,
) -> (ForwardProxy, tokio::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = Authority::parse(&listener.local_addr().unwrap().to_string()).unwrap();
    let (sender, lines) = tokio::sync::mpsc::channel(10);
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                tcp.read_buf(&mut head).await.unwrap();
            }
            let line = String::from_utf8(head)
                .unwrap()
                .lines()
                .next()
                .unwrap()
                .to_owned();
            sender.send(line).await.unwrap();
            tcp.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut server = TcpStream::connect(server).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut tcp, &mut server).await });
        }
    });
    let proxy = ForwardProxy {
        scheme: Scheme::Http,
        authority,
        credentials_file: None,
        no_proxy: NoProxy::default(),
        ca_file: None,
    };
    (proxy, lines)
}

#[tokio::test]
async fn through_a_proxy_the_proxy_resolves_and_tls_is_verified_with_the_server() {
    let internet = Arc::new(TestInternet::start(|_| json("{}")).await);
    let (proxy, mut lines) = proxy(internet.server()).await;
    let client = ForeignClient::new(
        &Outside::new(internet.clone(), internet.roots()),
        Some(&proxy),
        LIMITS,
    );
    let client = client.unwrap();
    assert!(client.get(&url("https://client.example/c")).await.is_ok());
    assert_eq!(
        lines.recv().await.unwrap(),
        "CONNECT client.example:443 HTTP/1.1"
    );
    let error = client
        .get(&url("https://uncertified.example/c"))
        .await
        .unwrap_err();
    assert_eq!(error.label(), "connection");
    assert_eq!(internet.lookups(), 0);
}

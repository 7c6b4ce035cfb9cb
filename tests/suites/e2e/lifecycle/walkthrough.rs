//! The first steps of a new user, with curl, against the real task server: challenge, metadata, initialize, list.

use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use e2e::upstream::tasks::Tasks;
use serde_json::Value;
use test_support::{Key, Token};
use tokio::process::Command;

const INITIALIZE: &str = r#"{
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
      "protocolVersion": "2025-11-25",
      "capabilities": {},
      "clientInfo": {"name": "curl-test", "version": "1.0.0"}
    }
  }"#;

/// Runs curl and returns head and body.
async fn curl(arguments: &[&str]) -> (String, String) {
    let output = Command::new("curl")
        .args(["-q", "--noproxy", "*", "-s", "-D", "-", "--max-time", "20"])
        .args(arguments)
        .output()
        .await;
    let output = output.expect("curl runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {text:?} {:?}", output.status));
    (head.to_owned(), body.to_owned())
}

async fn post(url: &str, body: &str, headers: &[&str]) -> (String, String) {
    let mut arguments = vec!["-X", "POST", url, "-H", "Content-Type: application/json"];
    arguments.extend([
        "-H",
        "Accept: application/json, text/event-stream",
        "-d",
        body,
    ]);
    arguments.extend(headers.iter().flat_map(|header| ["-H", header]));
    curl(&arguments).await
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map_or("", |(_, value)| value.trim())
}

/// The message in a JSON answer or in the last event that carries one.
fn message(body: &str) -> Value {
    let text = body
        .lines()
        .rev()
        .filter_map(|line| line.strip_prefix("data:"))
        .find(|data| data.contains('{'))
        .unwrap_or(body);
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {body}"))
}

#[tokio::test]
async fn curl_gets_from_the_challenge_to_a_tool_call() {
    let tasks = Tasks::start().await;
    let key = Key::rsa("rsa-1");
    let gateway = Gateway::start(Config::new(&tasks.url(), &[&key])).await;
    let url = gateway.uri("/mcp");

    // 2. Without a token: a challenge that names the metadata.
    let (head, _) = post(&url, INITIALIZE, &[]).await;
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    let challenge = header(&head, "www-authenticate");
    let (_, rest) = challenge
        .split_once("resource_metadata=\"")
        .expect("a hint");
    let metadata = rest.split('"').next().unwrap();

    // 3. The metadata names the issuer.
    let (head, body) = curl(&[metadata]).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (
            document["resource"].as_str(),
            document["authorization_servers"][0].as_str()
        ),
        (Some(url.as_str()), Some(ISSUER))
    );

    // 4. With its token: a session.
    let bearer = format!(
        "Authorization: Bearer {}",
        Token::new(&key, ISSUER, &url).sign()
    );
    let (head, body) = post(&url, INITIALIZE, &[&bearer]).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head} {body}");
    assert_eq!(message(&body)["result"]["protocolVersion"], "2025-11-25");
    let session = format!("Mcp-Session-Id: {}", header(&head, "mcp-session-id"));
    let initialized = r#"{"jsonrpc": "2.0", "method": "notifications/initialized"}"#;
    let (head, _) = post(&url, initialized, &[&bearer, &session]).await;
    assert!(head.starts_with("HTTP/1.1 202"), "{head}");

    // 5. The tools, with the session.
    let (head, body) = post(
        &url,
        r#"{"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}}"#,
        &[&bearer, &session],
    )
    .await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head} {body}");
    let answer = message(&body);
    let names: Vec<_> = answer["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    for name in ["create_task", "list_tasks", "complete_task", "secure_echo"] {
        assert!(names.contains(&name), "{names:?}");
    }

    // The caller's subject reaches the tool; the token does not.
    let echo = r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"secure_echo","arguments":{"message":"hello"}}}"#;
    let (_, body) = post(&url, echo, &[&bearer, &session]).await;
    assert!(body.contains("alice") && body.contains("hello"), "{body}");
    assert!(e2e::leaks::find(&tasks.output()).is_none());
}

//! Compares the outcome with the expected one: at the client, in the gateway's log, at the server, and after the case: the
//! next request must still get its own answer.

use std::sync::atomic::{AtomicUsize, Ordering};

use e2e::client::raw::{self, RawReply};
use serde_json::Value;

use super::case::{Case, Expected};
use super::notation::{Names, PING};
use super::servers::{Record, Seen, Server, latin1};
use super::setting::Setting;

/// The only header fields that are allowed to reach a server, except for `mcp-` ones.
const PASSING: [&str; 14] = [
    "host",
    "content-length",
    "content-type",
    "accept",
    "accept-encoding",
    "accept-language",
    "user-agent",
    "traceparent",
    "tracestate",
    "baggage",
    "x-mcp-subject",
    "x-mcp-issuer",
    "x-mcp-client",
    "x-mcp-scope",
];

/// What a client saw.
#[derive(Debug)]
pub(super) enum Outcome {
    /// An answer.
    Answered(Answer),
    /// The connection ended without an answer.
    Closed,
    /// The stream was reset with this code, and the connection stayed open.
    StreamError(u32),
    /// The connection ended with this code, or without one.
    ConnectionError(Option<u32>),
    /// Something that no case expects.
    Wrong(String),
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status, where the client can read it.
    pub(super) status: Option<u16>,
    pub(super) body: Vec<u8>,
}

/// Checks the outcome of a case.
pub(super) async fn check(
    setting: &Setting,
    names: &Names,
    server: &Server,
    case: &Case,
    outcome: Outcome,
) -> Result<(), String> {
    let seen_by_client = at_client(setting, case, &outcome).await;
    let (canary, reply) = canary(setting, names).await;
    let record = server.take().await;
    let with_record = |problem: String| format!("{problem}; the server received {record:?}");
    seen_by_client.map_err(with_record)?;
    let answered = reply.filter(|reply| reply.status == 200 && reply.text() == canary);
    if answered.is_none() {
        return Err(with_record(
            "the next request got another answer".to_owned(),
        ));
    }
    at_server(case, names, &record, &canary).map_err(with_record)
}

async fn at_client(setting: &Setting, case: &Case, outcome: &Outcome) -> Result<(), String> {
    let fits = match (&case.expected, outcome) {
        (Expected::Refused(status, reason), Outcome::Answered(answer)) => {
            let logged = logged(setting, answer).await?;
            if logged != (*status, reason.clone()) {
                return Err(format!(
                    "refused as {logged:?} instead of {status} {reason}"
                ));
            }
            answer.status.is_none_or(|seen| seen == *status)
        }
        (Expected::Answered(status), Outcome::Answered(answer)) => answer.status == Some(*status),
        (Expected::OneRequest, Outcome::Answered(answer)) => {
            answer.status.is_none_or(|status| status == 200)
        }
        (Expected::Closed, Outcome::Closed) => true,
        (Expected::StreamError(code), Outcome::StreamError(seen)) => {
            code.is_none_or(|code| code == *seen)
        }
        (Expected::ConnectionError(code), Outcome::ConnectionError(seen)) => {
            code.is_none() || code == seen
        }
        _ => false,
    };
    let described = || match outcome {
        Outcome::Answered(answer) => format!(
            "answered {:?} {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        ),
        Outcome::Wrong(problem) => problem.clone(),
        other => format!("{other:?}"),
    };
    match fits {
        true => Ok(()),
        false => Err(format!("{} instead of {:?}", described(), case.expected)),
    }
}

/// Status and reason of a refusal, from the line of its request in the access log.
async fn logged(setting: &Setting, answer: &Answer) -> Result<(u16, String), String> {
    let text = String::from_utf8_lossy(&answer.body);
    let body: Value = serde_json::from_str(&text).map_err(|_| format!("answered {text:?}"))?;
    let id = body["request_id"]
        .as_str()
        .or(body["error"]["data"]["request_id"].as_str())
        .ok_or_else(|| format!("not refused but answered {text}"))?;
    let line = setting
        .gateway
        .logged(&format!(r#""message":"request","request_id":"{id}""#))
        .await;
    let line: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
    let status = line["status"]
        .as_u64()
        .and_then(|status| status.try_into().ok());
    let reason = line["reason"].as_str().unwrap_or_default();
    Ok((status.unwrap_or_default(), reason.to_owned()))
}

/// An ordinary request on a new connection, with a unique body.
async fn canary(setting: &Setting, names: &Names) -> (String, Option<RawReply>) {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let body = format!(r#"{{"jsonrpc":"2.0","id":"canary-{number}","method":"ping"}}"#);
    let mut bytes = names.bytes(r"POST {path} HTTP/1.1\r\n{head}Connection: close\r\n");
    bytes.extend(format!("Content-Length: {}\r\n\r\n{body}", body.len()).bytes());
    let reply = raw::once(setting.gateway.config.public, bytes).await;
    (body, reply)
}

fn at_server(case: &Case, names: &Names, record: &Record, canary: &str) -> Result<(), String> {
    if !record.errors.is_empty() {
        return Err("the server could not read what it was sent".to_owned());
    }
    let (last, mine) = record.requests.split_last().ok_or("no canary arrived")?;
    is_sound(last)?;
    if last.body != canary {
        return Err("the canary was not the last".to_owned());
    }
    match (mine, &case.expected) {
        ([], Expected::OneRequest) => Err("no request arrived".to_owned()),
        ([], _) => Ok(()),
        ([request], Expected::OneRequest) => is_the_one(case, names, request),
        _ => Err("requests arrived that should not".to_owned()),
    }
}

fn is_the_one(case: &Case, names: &Names, request: &Seen) -> Result<(), String> {
    is_sound(request)?;
    let method = case.method.as_deref().unwrap_or("POST");
    let body = case.body.as_deref().unwrap_or(PING);
    if request.method != method || request.body != latin1(&names.bytes(body)) {
        return Err("it is another request".to_owned());
    }
    let Some((name, value)) = case.has.as_deref().and_then(|field| field.split_once(": ")) else {
        return Ok(());
    };
    let value = latin1(&names.bytes(value));
    match request.values(name).eq([value.as_str()]) {
        true => Ok(()),
        false => Err(format!("{name} is not {value:?}")),
    }
}

/// One host, one correct length, the subject of the token once, the configured path, and no field that must not pass.
fn is_sound(request: &Seen) -> Result<(), String> {
    let length = request.body.chars().count().to_string();
    let lengths: Vec<_> = request.values("content-length").collect();
    let checks = [
        (request.values("host").count() == 1, "host"),
        (
            lengths == [length.as_str()] || (lengths.is_empty() && request.body.is_empty()),
            "content-length",
        ),
        (request.values("x-mcp-subject").eq(["alice"]), "subject"),
        (
            request.target == "/mcp" || request.target.starts_with("/mcp?"),
            "target",
        ),
        (request.headers.iter().all(passes), "fields"),
    ];
    match checks.iter().find(|(holds, _)| !holds) {
        None => Ok(()),
        Some((_, what)) => Err(format!("a request arrived with a wrong {what}")),
    }
}

fn passes((name, _): &(String, String)) -> bool {
    PASSING.contains(&name.as_str()) || name.starts_with("mcp-")
}

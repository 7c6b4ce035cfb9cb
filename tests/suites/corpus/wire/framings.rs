//! HTTP/1 cases: bytes, in one write or several.
//!
//! A line of `send` is bytes, or one of these by itself: `<flush>`, what follows is sent in another write; `<end>`, the
//! client sends nothing more; `<await 100>`, it waits for an interim answer.

use std::time::Duration;

use e2e::SOON;
use e2e::client::raw::{Raw, RawReply};

use super::case::{Case, Expected};
use super::notation::Names;
use super::setting::Setting;
use super::verdict::{Answer, Outcome};

/// Between two writes, so that they usually arrive apart. The outcome must not depend on it.
const APART: Duration = Duration::from_millis(5);

/// Sends a case on a new connection and reads to the connection's end.
pub(super) async fn play(setting: &Setting, names: &Names, case: &Case) -> Outcome {
    let mut connection = setting.gateway.raw().await;
    let mut bytes = Vec::new();
    for line in case.send.lines() {
        match line {
            "<flush>" => {
                connection.send(std::mem::take(&mut bytes)).await;
                tokio::time::sleep(APART).await;
            }
            "<end>" => {
                connection.send(std::mem::take(&mut bytes)).await;
                connection.end().await;
            }
            "<await 100>" => {
                connection.send(std::mem::take(&mut bytes)).await;
                match connection.reply().await {
                    Some(reply) if reply.status == 100 => {}
                    other => return outcome(&mut connection, other, &case.expected).await,
                }
            }
            line => bytes.extend(names.bytes(line)),
        }
    }
    connection.send(bytes).await;
    let reply = loop {
        match connection.reply().await {
            Some(reply) if reply.status < 200 => {}
            other => break other,
        }
    };
    outcome(&mut connection, reply, &case.expected).await
}

async fn outcome(connection: &mut Raw, reply: Option<RawReply>, expected: &Expected) -> Outcome {
    let Some(reply) = reply else {
        return Outcome::Closed;
    };
    let in_doubt = matches!(expected, Expected::Refused(400 | 431, reason)
        if ["bad_framing", "ambiguous_path", "headers_too_large"].contains(&reason.as_str()));
    if !in_doubt {
        connection.end().await;
    }
    // Where the end of the request is not certain, the gateway closes the connection itself.
    match connection.rest(SOON).await {
        None => Outcome::Wrong("the connection stays open".to_owned()),
        Some(rest) if !rest.is_empty() => Outcome::Wrong(format!(
            "after the answer came {:?}",
            String::from_utf8_lossy(&rest)
        )),
        Some(_) => Outcome::Answered(Answer {
            status: Some(reply.status),
            body: reply.body,
        }),
    }
}

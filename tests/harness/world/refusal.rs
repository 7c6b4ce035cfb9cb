//! What every refusal must have: the status; exactly one more refusal counted, under this reason; the
//! fixed text of the reason and nothing of the request; the challenge that belongs to it; one access line with the
//! reason, the request id of the answer and a detail for the operator; no request at the upstream. That no token is in an answer, a metric or a log
//! line is checked where those are read.

use mcp_gateway_core::refusal::reason::Reason;
use serde_json::Value;

use crate::client::Reply;
use crate::eventually;
use crate::gateway::Gateway;
use crate::leaks;
use crate::upstream::Upstream;

const REFUSALS: &str = "mcp_gateway_refusals_total";

/// The state before the request; [`Watch::check`] compares it with the state after it.
pub struct Watch<'a> {
    gateway: &'a Gateway,
    upstream: &'a Upstream,
    reason: &'a str,
    hits: usize,
    counted: f64,
    all: f64,
}

impl<'a> Watch<'a> {
    /// Records the state before a refusal of this reason.
    pub async fn begin(gateway: &'a Gateway, upstream: &'a Upstream, reason: &'a str) -> Self {
        let metrics = gateway.metrics().await;
        Self {
            gateway,
            upstream,
            reason,
            hits: upstream.hits(),
            counted: metrics.sum(REFUSALS, &[("reason", reason)]),
            all: metrics.sum(REFUSALS, &[]),
        }
    }

    /// Checks the answer to the one request sent since.
    pub async fn check(self, reply: &Reply, status: u16) -> Result<(), String> {
        let reason = self.reason;
        if reply.status != status {
            return Err(format!(
                "{} instead of {status} {reason}: {}",
                reply.status,
                reply.text()
            ));
        }
        self.counters().await?;
        if self.upstream.hits() != self.hits {
            return Err(format!("the upstream received {:?}", self.upstream.last()));
        }
        headers(reply, status, reason)?;
        let request_id = text(reply, reason)?;
        self.access_line(&request_id, status).await?;
        match leaks::find(&format!("{:?} {}", reply.headers, reply.text())) {
            Some(leak) => Err(format!("the answer holds {leak}")),
            None => Ok(()),
        }
    }

    async fn counters(&self) -> Result<(), String> {
        self.gateway.counted(self.reason, self.counted + 1.0).await;
        let metrics = self.gateway.metrics().await;
        let counted = metrics.sum(REFUSALS, &[("reason", self.reason)]) - self.counted;
        let all = metrics.sum(REFUSALS, &[]) - self.all;
        match (counted, all) {
            (1.0, 1.0) => Ok(()),
            _ => Err(format!(
                "counted {counted} times as {}, {all} times in total",
                self.reason
            )),
        }
    }

    async fn access_line(&self, request_id: &str, status: u16) -> Result<(), String> {
        let lines = async || -> Vec<Value> {
            let log = self.gateway.log().await;
            let lines = log.lines().filter(|line| line.contains(request_id));
            lines
                .filter_map(|line| serde_json::from_str(line).ok())
                .filter(|line: &Value| line["message"] == "request")
                .collect()
        };
        eventually("the access line", async || !lines().await.is_empty()).await;
        let lines = lines().await;
        let fits = |line: &Value| line["reason"] == self.reason && line["status"] == status;
        match lines.as_slice() {
            [line] if fits(line) => explained(line),
            _ => Err(format!(
                "not one access line of {}: {lines:#?}",
                self.reason
            )),
        }
    }
}

/// The line says what was found: some text, of limited length, without a character that could end a line or change others.
fn explained(line: &Value) -> Result<(), String> {
    const MOST: usize = 1024;
    let detail = line["detail"].as_str().unwrap_or_default();
    let is_safe = !detail.chars().any(char::is_control);
    match !detail.is_empty() && detail.chars().count() <= MOST && is_safe {
        true => Ok(()),
        false => Err(format!("the access line explains nothing: {line:#}")),
    }
}

/// The challenge by status and reason (RFC 6750 §3, RFC 9728 §5.1), and `Retry-After` (RFC 9110 §10.2.3).
fn headers(reply: &Reply, status: u16, reason: &str) -> Result<(), String> {
    let challenges = reply.challenges();
    let error = match (status, reason) {
        (401, "no_credentials" | "unsupported_scheme") => Some(None),
        (401, "dpop_nonce_required") => Some(Some("use_dpop_nonce")),
        (401, reason) if reason.contains("dpop_proof") => Some(Some("invalid_dpop_proof")),
        (401, _) => Some(Some("invalid_token")),
        (400, "multiple_credentials" | "token_in_query" | "malformed_credentials") => {
            Some(Some("invalid_request"))
        }
        (403, "insufficient_scope") => Some(Some("insufficient_scope")),
        _ => None,
    };
    let right = match error {
        None => challenges.is_empty(),
        Some(error) => {
            let is_whole = |challenge: &&str| {
                (challenge.starts_with("Bearer ") || challenge.starts_with("DPoP "))
                    && challenge.contains("resource_metadata=\"")
                    && (status == 400 || challenge.contains("scope=\""))
            };
            let errors = challenges.join(" ");
            let has_error = match error {
                None => !errors.contains("error="),
                Some(error) => {
                    errors.contains(&format!("error=\"{error}\""))
                        && errors.matches("error=").count() == 1
                }
            };
            !challenges.is_empty() && challenges.iter().all(is_whole) && has_error
        }
    };
    if !right {
        return Err(format!("the challenges are {challenges:?}"));
    }
    if matches!(status, 429 | 503) && reply.header("retry-after").parse::<u32>().is_err() {
        return Err(format!("no Retry-After: {:?}", reply.headers));
    }
    if matches!(status, 401 | 403) && reply.header("cache-control") != "no-store" {
        return Err(format!("not `no-store`: {:?}", reply.headers));
    }
    Ok(())
}

/// The body is the fixed text of the reason; returns its request id.
fn text(reply: &Reply, label: &str) -> Result<String, String> {
    let row = Reason::ALL
        .iter()
        .map(|reason| reason.row())
        .find(|row| row.label == label)
        .ok_or_else(|| format!("there is no reason {label}"))?;
    let body: Value = serde_json::from_slice(&reply.body).map_err(|error| error.to_string())?;
    let (id, is_fixed) = match row.rpc_code {
        None => (
            &body["request_id"],
            body["error"] == row.error && body["error_description"] == row.description,
        ),
        Some(code) => (
            &body["error"]["data"]["request_id"],
            body["jsonrpc"] == "2.0"
                && body["error"]["code"] == code
                && body["error"]["message"] == row.description,
        ),
    };
    let members = body.as_object().map(serde_json::Map::len);
    match id.as_str() {
        Some(id) if is_fixed && members == Some(3) && !id.is_empty() => Ok(id.to_owned()),
        _ => Err(format!("not the text of {label}: {}", reply.text())),
    }
}

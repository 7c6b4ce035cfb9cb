//! Phase 8: what is told of a request, gathered on its way and written once, when it is over.
//!
//! The account closes even when its connection is torn down in the middle: dropped unclosed, it says that the
//! gateway broke it off.

mod audit;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Method, StatusCode};
use mcp_gateway_core::mcp::change::Change;
use mcp_gateway_core::{
    cel::ConditionFault,
    policy::By,
    principal::Principal,
    refusal::{
        Refusal,
        reason::{Reason, Severity},
    },
};
use pingora::http::RequestHeader;
use prometheus::IntGauge;

use super::read::Message;
use crate::request::client::Client;
use crate::{
    gateway::Gateway,
    snapshot::Protected,
    telemetry::{
        access_log::{AccessLine, cut, cut_name, cut_unknown_path, cut_word, milliseconds},
        metrics::{Metrics, NO_RESOURCE, method_label, status_label},
        pace::Pace,
    },
};

/// Faults are also told in the access log, each with its request; here, whoever looks needs one a second.
static FAULTS: Pace = Pace::every(Duration::from_secs(1));

/// nginx's status for a client that closed before it was answered; it appears in logs and metrics only.
const CLIENT_CLOSED: u16 = 499;

/// One request's account.
pub(crate) struct Account {
    gateway: Arc<Gateway>,
    started: Instant,
    request_id: String,
    client: Client,
    http_method: Option<Method>,
    path: String,
    resource: Option<Arc<Protected>>,
    principal: Option<Arc<Principal>>,
    mcp_method: Option<String>,
    mcp_name: Option<String>,
    mcp_version: Option<String>,
    /// What it may change, until the decision on that is told.
    change: Option<Change>,
    /// What the policy decided by.
    judged_by: Option<By>,
    listens: bool,
    status: u16,
    reason: Option<Reason>,
    upstream: Option<Duration>,
    /// What was wrong, in words no client is told.
    detail: Option<String>,
    /// Who ended the request before its answer was whole.
    broken_by: Option<&'static str>,
    closed: bool,
}

impl Account {
    /// Opens the account of a request whose head has just been read, or could not be.
    pub(crate) fn open(
        gateway: &Arc<Gateway>,
        client: Client,
        head: Option<&RequestHeader>,
    ) -> Self {
        Self {
            started: Instant::now(),
            request_id: gateway.request_id(),
            gateway: gateway.clone(),
            client,
            http_method: head.map(|head| head.method.clone()),
            path: String::new(),
            resource: None,
            principal: None,
            mcp_method: None,
            mcp_name: None,
            mcp_version: None,
            change: None,
            judged_by: None,
            listens: false,
            status: CLIENT_CLOSED,
            reason: None,
            upstream: None,
            detail: None,
            broken_by: None,
            closed: false,
        }
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        self.gateway.metrics()
    }

    /// How long the client must wait before its credentials are looked at again.
    pub(crate) fn refusal_wait(&self) -> Option<Duration> {
        self.gateway.refusal_wait(self.client.ip())
    }

    /// Where the client is, as far as is known.
    pub(crate) fn client_ip(&self) -> IpAddr {
        self.client.ip()
    }

    /// Notes that a condition of the policy could not be judged, and counts it.
    pub(crate) fn condition_failed(&mut self, by: By, fault: ConditionFault) {
        self.detail(format!("policy.{by}: {fault}"));
        self.metrics()
            .condition_failures
            .with_label_values(&[self.resource_label(), fault.cause()])
            .inc();
    }

    /// Notes what of the policy refused, and the scopes that are missing.
    pub(crate) fn denied(&mut self, by: By, refusal: &Refusal) {
        let by = match (by, refusal.reason) {
            (_, Reason::AmbiguousUri) => return,
            (By::Required, _) => "scopes.required".to_owned(),
            (by, _) => format!("policy.{by}"),
        };
        match self.missing_scopes(refusal) {
            Some(missing) => self.detail(format!("{by}: the token lacks {missing}")),
            None => self.detail(by),
        }
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The open streams of this request's resource.
    pub(crate) fn stream_gauge(&self) -> IntGauge {
        self.metrics()
            .streams_active
            .with_label_values(&[self.resource_label()])
    }

    pub(crate) fn path(&mut self, path: &str) {
        path.clone_into(&mut self.path);
    }

    pub(crate) fn resource(&mut self, resource: &Arc<Protected>) {
        self.resource = Some(resource.clone());
    }

    pub(crate) fn principal(&mut self, principal: &Arc<Principal>) {
        self.principal = Some(principal.clone());
    }

    pub(crate) fn message(&mut self, message: &Message) {
        self.mcp_method.clone_from(&message.method);
        self.mcp_name.clone_from(&message.name);
        self.listens = message.listens;
        if self.gateway.audit_log().is_on() {
            self.expect_decision(message);
        }
    }

    /// Notes what was wrong, for the operator.
    pub(crate) fn detail(&mut self, detail: impl Into<String>) {
        self.detail = Some(detail.into());
    }

    /// Notes who went away in the middle; whoever was first.
    pub(crate) fn broken_by(&mut self, whom: &'static str) {
        self.broken_by.get_or_insert(whom);
    }

    pub(crate) fn upstream_answered(&mut self, after: Duration) {
        self.upstream = Some(after);
    }

    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
    }

    /// Notes a refusal: its metric, and a log line of its own where somebody should look.
    pub(crate) fn refused(&mut self, reason: Reason) {
        self.status = reason.status();
        self.reason = Some(reason);
        if reason.counts_against_address() {
            self.gateway.count_refusal(self.client.ip());
        }
        let resource = self.resource_label();
        self.metrics().refused(resource, reason);
        let detail = cut(self.detail.as_deref().unwrap_or_default());
        let (request_id, label) = (self.request_id.as_str(), reason.label());
        match reason.row().severity {
            Severity::Fault if FAULTS.is_due() => {
                let what = reason.row().description;
                tracing::error!(request_id, resource, reason = label, detail, "{what}");
            }
            Severity::Suspicious => {
                tracing::debug!(request_id, resource, reason = label, detail, "refused");
            }
            Severity::Fault | Severity::Expected => {}
        }
        if let Some(kind) = upstream_kind(reason) {
            self.upstream_error(kind);
        }
    }

    /// Notes that an answer is cut short in the middle, for a reason that would have refused it before.
    pub(crate) fn cut(&mut self, reason: Reason, detail: impl Into<String>) {
        self.detail(detail);
        self.broken_by("gateway");
        if let Some(kind) = upstream_kind(reason) {
            self.upstream_error(kind);
        }
    }

    /// Counts a failure of the upstream.
    pub(crate) fn upstream_error(&self, kind: &str) {
        self.metrics()
            .upstream_errors
            .with_label_values(&[self.resource_label(), kind])
            .inc();
    }

    /// Closes the account: the request is over.
    pub(crate) fn close(mut self: Box<Self>, bytes_sent: usize) {
        self.write(bytes_sent);
    }

    fn write(&mut self, bytes_sent: usize) {
        self.closed = true;
        let duration = self.started.elapsed();
        self.count(duration);
        if self.gateway.access_log().is_on() {
            self.log(duration, bytes_sent);
        }
    }

    fn count(&self, duration: Duration) {
        let metrics = self.metrics();
        let resource = self.resource_label();
        let method = method_label(self.mcp_method.as_deref());
        let status = status_label(self.status);
        metrics
            .requests
            .with_label_values(&[resource, method, status])
            .inc();
        if !self.listens {
            metrics
                .request_duration
                .with_label_values(&[resource, method])
                .observe(duration.as_secs_f64());
        }
        if let (Some("tools/call"), Some(protected)) = (self.mcp_method.as_deref(), &self.resource)
        {
            let tool = protected
                .policy
                .tool_label(self.mcp_name.as_deref().unwrap_or_default());
            metrics
                .tool_calls
                .with_label_values(&[resource, tool, status])
                .inc();
        }
    }

    fn log(&self, duration: Duration, bytes_sent: usize) {
        let client = self.client.to_string();
        let principal = self.principal.as_deref();
        self.gateway.access_log().write(&AccessLine {
            request_id: &self.request_id,
            client: &client,
            http_method: self
                .http_method
                .as_ref()
                .map_or("-", |method| cut(cut_word(method.as_str()))),
            path: if self.resource.is_some() {
                cut(&self.path)
            } else {
                cut_unknown_path(&self.path)
            },
            resource: self
                .resource
                .as_deref()
                .map(|resource| resource.label.as_str()),
            mcp_method: self.mcp_method.as_deref().map(cut),
            mcp_name: self.mcp_name.as_deref().map(cut_name),
            issuer: principal.map(|principal| cut(&principal.issuer)),
            subject: principal.map(|principal| cut(&principal.subject)),
            client_id: principal
                .and_then(|principal| principal.client.as_deref())
                .map(cut),
            status: self.status,
            reason: self.reason.map(Reason::label),
            duration_ms: milliseconds(duration),
            upstream_ms: self.upstream.map(milliseconds),
            bytes_sent: bytes_sent as u64,
            detail: self.detail.as_deref().map(cut),
            broken_by: self.broken_by,
        });
    }

    fn resource_label(&self) -> &str {
        self.resource
            .as_deref()
            .map_or(NO_RESOURCE, |resource| resource.label.as_str())
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if !self.closed {
            self.broken_by.get_or_insert("gateway");
            self.write(0);
        }
    }
}

fn upstream_kind(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::UpstreamUnreachable => Some("unreachable"),
        Reason::UpstreamTimeout => Some("timeout"),
        Reason::UpstreamBroken => Some("broken"),
        Reason::UpstreamAuth => Some("auth"),
        Reason::UpstreamSession => Some("session"),
        Reason::AnswerTooLarge => Some("too_large"),
        Reason::AnswerUnreadable => Some("unreadable"),
        _ => None,
    }
}

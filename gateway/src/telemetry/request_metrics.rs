//! The metrics of one request: while it runs, when it is refused, and when it is finished.

use mcp_gateway_core::{cel::ConditionFault, refusal::reason::Reason};
use prometheus::IntGauge;

use super::{
    authorization_event::{AuthorizationEvent, EventKind},
    metrics::{Metrics, NO_RESOURCE, method_label, status_label},
    request_view::FinishedRequest,
};

impl Metrics {
    /// Counts a finished request.
    pub(crate) fn count_request(&self, finished: &FinishedRequest<'_>) {
        let resource = finished.request.resource.unwrap_or(NO_RESOURCE);
        let method = method_label(finished.request.method);
        let status = status_label(finished.status);
        self.requests
            .with_label_values(&[resource, method, status])
            .inc();
        if !finished.listens {
            self.request_duration
                .with_label_values(&[resource, method])
                .observe(finished.duration.as_secs_f64());
        }
        if let Some(tool) = finished.tool {
            self.tool_calls
                .with_label_values(&[resource, tool, status])
                .inc();
        }
    }

    /// Counts a refusal, and an upstream failure if that is the reason.
    pub(crate) fn count_refusal(&self, resource: &str, reason: Reason) {
        self.refusals
            .with_label_values(&[resource, reason.label()])
            .inc();
        self.count_upstream_failure(resource, reason);
    }

    /// Counts an upstream failure, if that is the reason why an answer is refused or ended early.
    pub(crate) fn count_upstream_failure(&self, resource: &str, reason: Reason) {
        if let Some(kind) = upstream_error_kind(reason) {
            self.count_upstream_error(resource, kind);
        }
    }

    /// Counts an answer that the upstream broke off.
    pub(crate) fn count_upstream_reset(&self, resource: &str) {
        self.count_upstream_error(resource, "reset");
    }

    /// Counts a request that was sent to the upstream again.
    pub(crate) fn count_upstream_retry(&self, resource: &str) {
        self.upstream_retries.with_label_values(&[resource]).inc();
    }

    /// Counts a condition of the policy that could not be evaluated.
    pub(crate) fn count_condition_failure(&self, resource: &str, fault: ConditionFault) {
        self.condition_failures
            .with_label_values(&[resource, fault.cause()])
            .inc();
    }

    /// Counts an event at the authorization server.
    pub(crate) fn count_authorization(&self, event: &AuthorizationEvent) {
        let outcome = event.outcome;
        match event.kind {
            EventKind::SignIn => self.oauth_sign_ins.with_label_values(&[outcome]).inc(),
            EventKind::Consent => self.oauth_consents.with_label_values(&[outcome]).inc(),
            EventKind::Registration => self.oauth_registrations.with_label_values(&[outcome]).inc(),
            EventKind::Revocation => self.oauth_revocations.with_label_values(&[outcome]).inc(),
            EventKind::Token(grant) => {
                let labels = [grant.label(), outcome];
                self.oauth_tokens.with_label_values(&labels).inc();
            }
            EventKind::Authorization | EventKind::Introspection => {
                let labels = [event.kind.label(), outcome];
                self.oauth_refused_requests.with_label_values(&labels).inc();
            }
            EventKind::SignOut => {}
        }
    }

    /// The open streams of a resource.
    pub(crate) fn open_streams(&self, resource: &str) -> IntGauge {
        self.streams_active.with_label_values(&[resource])
    }

    fn count_upstream_error(&self, resource: &str, kind: &str) {
        self.upstream_errors
            .with_label_values(&[resource, kind])
            .inc();
    }
}

/// The kind of the upstream's failure; none where the upstream is not at fault.
fn upstream_error_kind(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::UpstreamUnreachable => Some("unreachable"),
        Reason::UpstreamTimeout => Some("timeout"),
        Reason::UpstreamBroken => Some("broken"),
        Reason::UpstreamAuth => Some("auth"),
        Reason::UpstreamRedirect => Some("redirect"),
        Reason::UpstreamEncoding => Some("encoding"),
        Reason::UpstreamSession => Some("session"),
        Reason::UpstreamStream => Some("stream"),
        Reason::UpstreamEndpoint | Reason::EndpointOrigin => Some("endpoint"),
        Reason::AnswerTooLarge => Some("too_large"),
        Reason::AnswerUnreadable => Some("unreadable"),
        Reason::UpstreamCredentialUnavailable => Some("credential"),
        _ => None,
    }
}

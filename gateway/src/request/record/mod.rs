//! The record of one request: values collected for metrics and logs. It writes nothing itself: the [`guard`] writes metrics
//! and the access line at the request's end, [`audit`] the audit line of a decision.

pub(crate) mod audit;
pub(crate) mod client;
pub(crate) mod guard;
pub(crate) mod why;

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Method, StatusCode};
use mcp_gateway_core::{
    cel::ConditionFault,
    http::client_address::ClientAddress,
    mcp::{
        change::Change,
        message::{Message, MethodName},
    },
    policy::{ArgumentFault, DecisionSource, Identity, Unmet},
    principal::Principal,
    refusal::{Refusal, found::Listed, reason::Reason},
};
use pingora::http::RequestHeader;

use client::Client;

use crate::{
    shared::RequestId,
    snapshot::ProtectedResource,
    telemetry::{
        metrics::NO_RESOURCE,
        request_log::redaction::redact_name,
        request_view::{BrokenBy, Decision, FinishedRequest, PointAnswer, RequestView},
    },
    upstream::Endpoint,
};

/// nginx's status for a client that disconnected before it was answered; in logs and metrics only.
const CLIENT_CLOSED: u16 = 499;

/// The record of one request.
pub(crate) struct Record {
    started: Instant,
    request_id: RequestId,
    client: Client,
    http_method: Option<Method>,
    path: String,
    resource: Option<Arc<ProtectedResource>>,
    /// Where the message is sent, if the resource has several endpoints.
    endpoint: Option<Arc<Endpoint>>,
    principal: Option<Arc<Principal>>,
    mcp_method: Option<MethodName>,
    mcp_name: Option<Arc<str>>,
    mcp_version: Option<Cow<'static, str>>,
    /// The kind of change, until the decision is taken.
    change: Option<Change>,
    decision_source: Option<DecisionSource>,
    point_answer: Option<PointAnswer>,
    listens: bool,
    status: u16,
    reason: Option<Reason>,
    upstream: Option<Duration>,
    detail: Option<String>,
    broken_by: Option<BrokenBy>,
}

impl Record {
    /// The record of a request whose head has just been read, or could not be.
    pub(crate) fn new(request_id: RequestId, client: Client, head: Option<&RequestHeader>) -> Self {
        Self {
            started: Instant::now(),
            request_id,
            client,
            http_method: head.map(|head| head.method.clone()),
            path: String::new(),
            resource: None,
            endpoint: None,
            principal: None,
            mcp_method: None,
            mcp_name: None,
            mcp_version: None,
            change: None,
            decision_source: None,
            point_answer: None,
            listens: false,
            status: CLIENT_CLOSED,
            reason: None,
            upstream: None,
            detail: None,
            broken_by: None,
        }
    }

    /// The request id in logs and in refusals.
    pub(crate) fn request_id(&self) -> &str {
        self.request_id.as_str()
    }

    /// The client's address: the peer's, or the one that a trusted proxy forwarded, or unknown.
    pub(crate) const fn client_address(&self) -> ClientAddress {
        self.client.address()
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The metric label of the resource; [`NO_RESOURCE`] before the request is routed.
    pub(crate) fn resource_label(&self) -> &str {
        self.routed_label().unwrap_or(NO_RESOURCE)
    }

    /// The details of an error, for the operator only.
    pub(crate) fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    pub(crate) fn set_path(&mut self, path: &str) {
        path.clone_into(&mut self.path);
    }

    pub(crate) fn set_resource(&mut self, resource: &Arc<ProtectedResource>) {
        self.resource = Some(resource.clone());
    }

    /// Sets the endpoint that the message is sent to, if its resource has several. The last call wins.
    pub(crate) fn set_endpoint(&mut self, endpoint: &Arc<Endpoint>) {
        let resource = self.resource.as_deref();
        if resource.is_some_and(|resource| resource.upstream.has_several()) {
            self.endpoint = Some(endpoint.clone());
        }
    }

    pub(crate) fn set_principal(&mut self, principal: &Arc<Principal>) {
        self.principal = Some(principal.clone());
    }

    /// Sets the called method and target.
    pub(crate) fn set_message(&mut self, message: &Message) {
        self.mcp_method.clone_from(&message.method);
        self.mcp_name.clone_from(&message.name);
        self.listens = message.listens;
    }

    /// Sets the kind of change that the message may make: a decision is then expected.
    pub(crate) fn set_change(&mut self, message: &Message) {
        let method = message.method_name();
        let http_method = self.http_method.as_ref();
        self.change = http_method.and_then(|http_method| Change::of(http_method, method));
        if self.change.is_some() {
            self.mcp_version.clone_from(&message.version);
        }
    }

    /// Sets the source of the policy's decision: a rule, the default or the required scopes.
    pub(crate) const fn set_decision_source(&mut self, source: DecisionSource) {
        self.decision_source = Some(source);
    }

    /// Sets what the decision point of the resource answered.
    pub(crate) const fn set_point_answer(&mut self, answer: PointAnswer) {
        self.point_answer = Some(answer);
    }

    /// Sets the detail: what in the policy denied the call, the missing scopes or what else the caller does not meet, and the
    /// reading of a name that is denied, if the name as it was sent is not.
    pub(crate) fn set_denial(
        &mut self,
        by: DecisionSource,
        refusal: &Refusal,
        read_as: Option<&str>,
        unmet: Option<Unmet>,
    ) {
        let mut source = match by {
            DecisionSource::Required => "scopes.required".to_owned(),
            DecisionSource::Default if refusal.reason == Reason::PolicyDenied => {
                "policy.default: no rule matches".to_owned()
            }
            DecisionSource::Default => "scopes.required".to_owned(),
            by => format!("policy.{by}"),
        };
        if let (DecisionSource::Rule(at), Some(unmet)) = (by, unmet) {
            source.push_str(&self.unmet_text(at, unmet));
        }
        if let Some(read_as) = read_as {
            source = format!("{source}: the name can be read as {}", redact_name(read_as));
        }
        match self.missing_scopes(refusal) {
            Some(missing) => {
                let scopes = self.principal.as_deref().map(|own| own.scopes.to_string());
                let has = scopes.filter(|scopes| !scopes.is_empty());
                let has = has.as_deref().unwrap_or("none (issuers.*.scope_claim)");
                self.set_detail(format!(
                    "{source}: the token lacks {missing}; its scopes: {has}"
                ));
            }
            None => self.set_detail(source),
        }
    }

    /// Sets the detail: why a condition of the policy could not be evaluated.
    pub(crate) fn set_condition_failure(&mut self, source: DecisionSource, fault: ConditionFault) {
        self.set_detail(format!("policy.{source}: {fault}"));
    }

    /// Sets the detail: why the arguments could not be judged.
    pub(crate) fn set_unreadable_argument(
        &mut self,
        source: DecisionSource,
        fault: &ArgumentFault,
    ) {
        self.set_detail(format!("policy.{source}: {fault}"));
    }

    /// Sets the time until the head of the upstream's answer.
    pub(crate) const fn set_upstream_duration(&mut self, duration: Duration) {
        self.upstream = Some(duration);
    }

    pub(crate) fn set_status(&mut self, status: StatusCode) {
        self.status = status.as_u16();
    }

    /// Sets the reason of the refusal, and its status.
    pub(crate) fn set_refusal(&mut self, reason: Reason) {
        self.status = reason.status();
        self.reason = Some(reason);
    }

    /// Sets the details of an error, for the operator only.
    pub(crate) fn set_detail(&mut self, detail: impl Into<String>) {
        self.detail = Some(detail.into());
    }

    /// Sets the details of an error, if there are any.
    pub(crate) fn set_detail_if(&mut self, detail: Option<String>) {
        if detail.is_some() {
            self.detail = detail;
        }
    }

    /// Sets who ended the request before its answer was complete. The first call wins.
    pub(crate) fn set_broken_by(&mut self, party: BrokenBy) {
        self.broken_by.get_or_insert(party);
    }

    /// The decision on a request that may change something, returned once: allowed where there is no refusal.
    pub(crate) fn take_decision(&mut self, refusal: Option<&Refusal>) -> Option<Decision<'_>> {
        let change = self.change.take()?;
        Some(Decision {
            request: self.view(),
            change,
            mcp_version: self.mcp_version.as_deref(),
            source: self.decision_source,
            point: self.point(),
            refused: refusal.map(|refusal| refusal.reason),
            missing_scopes: refusal.and_then(|refusal| self.missing_scopes(refusal)),
        })
    }

    /// The whole record, at the end of the request.
    pub(crate) fn finished(&self, bytes_sent: usize) -> FinishedRequest<'_> {
        FinishedRequest {
            request: self.view(),
            http_method: self.http_method.as_ref().map(Method::as_str),
            path: &self.path,
            tool: self.tool_label(),
            listens: self.listens,
            status: self.status,
            reason: self.reason,
            duration: self.started.elapsed(),
            upstream: self.upstream,
            bytes_sent,
            detail: self.detail(),
            broken_by: self.broken_by,
        }
    }

    fn view(&self) -> RequestView<'_> {
        RequestView {
            request_id: self.request_id.as_str(),
            client: self.client.shown(),
            resource: self.routed_label(),
            endpoint: self.endpoint.as_deref().map(Endpoint::name),
            principal: self.principal.as_deref(),
            method: self.mcp_method.as_ref().map(MethodName::method),
            mcp_method: self.mcp_method.as_ref().map(MethodName::as_str),
            mcp_name: self.mcp_name.as_deref(),
        }
    }

    fn routed_label(&self) -> Option<&str> {
        let resource = self.resource.as_deref();
        resource.map(|resource| resource.label.as_str())
    }

    /// The metric label of the tool, where one is called.
    fn tool_label(&self) -> Option<&str> {
        let resource = self.resource.as_deref()?;
        let called = self.mcp_method.as_ref()?.method();
        let name = self.mcp_name.as_deref().unwrap_or_default();
        called
            .calls_a_tool()
            .then(|| resource.policy.tool_label(name))
    }

    /// The decision point that was asked, and its answer.
    fn point(&self) -> Option<(&str, PointAnswer)> {
        let point = self.resource.as_deref()?.decision_point.as_deref()?;
        Some((point.name(), self.point_answer?))
    }

    /// The part of a rule that the caller does not meet, with the callers that the rule allows.
    fn unmet_text(&self, at: usize, unmet: Unmet) -> String {
        let resource = self.resource.as_deref();
        let rule = resource.and_then(|resource| resource.policy.rules.all().get(at));
        let (key, listed) = match (unmet, rule) {
            (Unmet::Principal, Some(rule)) => ("principals", &rule.callers.principals),
            (Unmet::Client, Some(rule)) => ("clients", &rule.callers.clients),
            (Unmet::Condition, _) => {
                return " allows only callers for whom its condition is true".to_owned();
            }
            _ => return String::new(),
        };
        let ids = listed.iter().map(|identity: &Identity| &*identity.id);
        format!(" allows only other {key}: {}", Listed(ids))
    }

    /// The scopes that the call requires and the caller lacks, separated by spaces.
    fn missing_scopes(&self, refusal: &Refusal) -> Option<String> {
        let (resource, principal) = (self.resource.as_deref()?, self.principal.as_deref()?);
        let hierarchy = &resource.policy.implies;
        let missing = hierarchy.missing(&principal.scopes, refusal.scopes.as_ref()?);
        Some(missing.to_string())
    }
}

#[cfg(test)]
mod tests;

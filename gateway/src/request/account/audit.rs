//! The decision on a request that may change something, told once.
//!
//! It is allowed when it is about to be sent to the upstream: after the policy, the rate limits and the session, and before
//! anything can have happened. Whatever refuses it between its reading and that moment is the decision on it. What becomes of
//! it then stands in the access log, under the same request id.

use mcp_gateway_core::{mcp::change::Change, policy::By, refusal::Refusal};

use super::{super::read::Message, Account};
use crate::telemetry::{
    access_log::{cut, cut_name},
    audit_log::AuditLine,
};

impl Account {
    /// Notes what policy, rule or default, a decision comes by.
    pub(crate) const fn judged(&mut self, by: By) {
        self.judged_by = Some(by);
    }

    /// Tells that the request is allowed, where it may change something.
    pub(crate) fn tell_allowed(&mut self) {
        self.tell(None);
    }

    /// Tells that the request is refused, where it may change something and was not allowed before.
    pub(crate) fn tell_refused(&mut self, refusal: &Refusal) {
        self.tell(Some(refusal));
    }

    pub(crate) fn expect_decision(&mut self, message: &Message) {
        let method = message.method.as_deref();
        let http_method = self.http_method.as_ref();
        self.change = http_method.and_then(|http_method| Change::of(http_method, method));
        if self.change.is_some() {
            self.mcp_version.clone_from(&message.version);
        }
    }

    fn tell(&mut self, refusal: Option<&Refusal>) {
        let Some(change) = self.change.take() else {
            return;
        };
        let client = self.client.to_string();
        let principal = self.principal.as_deref();
        self.gateway.audit_log().write(&AuditLine {
            request_id: &self.request_id,
            client: &client,
            resource: self.resource_label(),
            issuer: principal.map(|principal| cut(&principal.issuer)),
            subject: principal.map(|principal| cut(&principal.subject)),
            client_id: principal
                .and_then(|principal| principal.client.as_deref())
                .map(cut),
            change: change.label(),
            mcp_method: self.mcp_method.as_deref().map(cut),
            mcp_name: self.mcp_name.as_deref().map(cut_name),
            mcp_version: self.mcp_version.as_deref().map(cut),
            decision: if refusal.is_none() {
                "allowed"
            } else {
                "refused"
            },
            rule: self.judged_by.map(|by| by.to_string()),
            reason: refusal.map(|refusal| refusal.reason.label()),
            missing_scopes: refusal.and_then(|refusal| self.missing_scopes(refusal)),
        });
    }

    /// Those that the call takes and the caller lacks, with spaces between them.
    pub(crate) fn missing_scopes(&self, refusal: &Refusal) -> Option<String> {
        let (resource, principal) = (self.resource.as_deref()?, self.principal.as_deref()?);
        let hierarchy = &resource.policy.implies;
        let missing = hierarchy.missing(&principal.scopes, refusal.scopes.as_ref()?);
        Some(missing.to_string())
    }
}

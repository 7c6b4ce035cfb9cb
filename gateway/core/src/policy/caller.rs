//! Who calls, and the one thing that rules are compared with.

use std::sync::Arc;

use crate::cel::RequestFacts;
use crate::cel::kept_claims::KeptClaims;
use crate::mcp::method::McpMethod;
use crate::mcp::operation::Reference;
use crate::policy::decision_point::asker::Asker;
use crate::policy::uri::Reading;
use crate::principal::Principal;

/// Who calls, and with which request.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The principal of the token.
    pub principal: &'a Arc<Principal>,
    /// The claims that conditions read.
    pub claims: &'a KeptClaims,
    /// What questions to a decision point begin with, kept from one call to the next.
    pub asker: &'a Asker,
    /// The HTTP request.
    pub request: RequestFacts<'a>,
}

/// One thing that a call touches, as rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuleTarget<'a> {
    pub(crate) method: &'a str,
    pub(crate) name: Option<&'a str>,
    /// Which reader sees this name.
    pub(crate) reading: Reading,
}

impl RuleTarget<'_> {
    /// Whether its name is a URI.
    pub(crate) fn is_resource(&self) -> bool {
        self.name.is_some() && McpMethod::of(self.method).is_about_resources()
    }
}

impl<'a> From<&'a Reference> for RuleTarget<'a> {
    fn from(reference: &'a Reference) -> Self {
        let (method, name) = match reference {
            Reference::Resource(uri) => (McpMethod::ReadResource, uri),
            Reference::Prompt(name) => (McpMethod::GetPrompt, name),
        };
        Self {
            method: method.name(),
            name: Some(name),
            reading: Reading::Sent,
        }
    }
}

//! A request as metrics and logs see it: plain values, borrowed from its record. Whichever log prints a value redacts it.

use std::{fmt, time::Duration};

use mcp_gateway_core::{
    mcp::{change::Change, method::McpMethod},
    policy::DecisionSource,
    principal::Principal,
    refusal::reason::Reason,
};

/// Who called what.
pub(crate) struct RequestView<'a> {
    pub(crate) request_id: &'a str,
    /// The client's address, as far as it is known.
    pub(crate) client: &'a dyn fmt::Display,
    /// The label of the resource, once the request is routed.
    pub(crate) resource: Option<&'a str>,
    pub(crate) principal: Option<&'a Principal>,
    /// The row of the message's method.
    pub(crate) method: Option<McpMethod>,
    /// The method as the message has it.
    pub(crate) mcp_method: Option<&'a str>,
    pub(crate) mcp_name: Option<&'a str>,
}

/// A request that is over.
pub(crate) struct FinishedRequest<'a> {
    pub(crate) request: RequestView<'a>,
    pub(crate) http_method: Option<&'a str>,
    pub(crate) path: &'a str,
    /// The metric label of the tool that was called.
    pub(crate) tool: Option<&'a str>,
    /// The answer was a stream that only listens: its duration says nothing.
    pub(crate) listens: bool,
    pub(crate) status: u16,
    /// Why the gateway refused it.
    pub(crate) reason: Option<Reason>,
    /// From the request's head to the end of its answer.
    pub(crate) duration: Duration,
    /// How long the head of the upstream's answer took.
    pub(crate) upstream: Option<Duration>,
    pub(crate) bytes_sent: usize,
    /// What was wrong, for the operator alone.
    pub(crate) detail: Option<&'a str>,
    pub(crate) broken_by: Option<BrokenBy>,
}

/// The decision on a request that may change something.
pub(crate) struct Decision<'a> {
    pub(crate) request: RequestView<'a>,
    pub(crate) change: Change,
    pub(crate) mcp_version: Option<&'a str>,
    /// What the policy decided by.
    pub(crate) source: Option<DecisionSource>,
    /// Why it is refused; none where it is allowed.
    pub(crate) refused: Option<Reason>,
    /// The scopes that the call takes and the caller lacks, with spaces between them.
    pub(crate) missing_scopes: Option<String>,
}

/// Who ended a request before its answer was whole.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BrokenBy {
    Client,
    Upstream,
    Gateway,
}

impl BrokenBy {
    /// The value in the access log.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Gateway => "gateway",
        }
    }
}

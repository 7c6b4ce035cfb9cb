//! A request as metrics and logs see it: plain values, borrowed from its record. A log redacts every value that it prints.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use mcp_gateway_core::{
    mcp::{change::Change, method::McpMethod},
    policy::DecisionSource,
    principal::Principal,
    refusal::reason::Reason,
};

/// Who called what.
pub(crate) struct RequestView<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) client: ShownClient,
    /// The label of the resource, after routing.
    pub(crate) resource: Option<&'a str>,
    /// The endpoint that the message is sent to, where the resource has several.
    pub(crate) endpoint: Option<&'a str>,
    pub(crate) principal: Option<&'a Principal>,
    /// The row of the method in the method table.
    pub(crate) method: Option<McpMethod>,
    /// The method as the client sent it.
    pub(crate) mcp_method: Option<&'a str>,
    pub(crate) mcp_name: Option<&'a str>,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ShownClient {
    /// The peer of the connection.
    Socket(SocketAddr),
    /// An address that a trusted proxy forwarded.
    Address(IpAddr),
    /// A trusted proxy forwarded no address that can be read.
    Unknown,
    /// What happened was not caused by a request.
    Nobody,
}

impl RequestView<'_> {
    /// For what no request causes.
    pub(crate) const NONE: Self = Self {
        request_id: "",
        client: ShownClient::Nobody,
        resource: None,
        endpoint: None,
        principal: None,
        method: None,
        mcp_method: None,
        mcp_name: None,
    };
}

impl fmt::Display for ShownClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Address(address) => address.fmt(f),
            Self::Unknown => f.write_str("unknown"),
            Self::Nobody => f.write_str("none"),
        }
    }
}

/// A finished request.
pub(crate) struct FinishedRequest<'a> {
    pub(crate) request: RequestView<'a>,
    pub(crate) http_method: Option<&'a str>,
    pub(crate) path: &'a str,
    /// The metric label of the tool that was called.
    pub(crate) tool: Option<&'a str>,
    /// The answer was a listening stream, so its duration has no meaning.
    pub(crate) listens: bool,
    pub(crate) status: u16,
    /// The reason of a refusal.
    pub(crate) reason: Option<Reason>,
    /// From the request's head to the end of its answer.
    pub(crate) duration: Duration,
    /// The time until the head of the upstream's answer.
    pub(crate) upstream: Option<Duration>,
    pub(crate) bytes_sent: usize,
    /// The details of an error, for the operator only.
    pub(crate) detail: Option<&'a str>,
    pub(crate) broken_by: Option<BrokenBy>,
}

/// The decision on a request that may change something.
pub(crate) struct Decision<'a> {
    pub(crate) request: RequestView<'a>,
    pub(crate) change: Change,
    pub(crate) mcp_version: Option<&'a str>,
    /// The source of the policy's decision.
    pub(crate) source: Option<DecisionSource>,
    /// The decision point that was asked, and its answer.
    pub(crate) point: Option<(&'a str, PointAnswer)>,
    /// The reason of the refusal; none if it is allowed.
    pub(crate) refused: Option<Reason>,
    /// The scopes that the call requires and the caller lacks, separated by spaces.
    pub(crate) missing_scopes: Option<String>,
}

/// What a decision point answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PointAnswer {
    /// It was asked, and said yes or no.
    Asked(bool),
    /// It had said yes or no to the same question.
    Cached(bool),
    /// It gave no answer, so the call was refused.
    None,
    /// It gave no answer, and the call is allowed as the configuration says.
    AllowedWithout,
}

impl PointAnswer {
    /// The value in the audit log.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Asked(true) => "yes",
            Self::Asked(false) => "no",
            Self::Cached(true) => "cached_yes",
            Self::Cached(false) => "cached_no",
            Self::None => "no_answer",
            Self::AllowedWithout => "allowed_without_answer",
        }
    }
}

/// Who ended a request before its answer was complete.
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

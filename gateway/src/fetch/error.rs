//! Why a document could not be fetched.

use std::{fmt, time::Duration};

use mcp_gateway_core::token::introspection::breaker::Cause;
use thiserror::Error;

/// Why a document could not be fetched.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum FetchError {
    #[error("the CA file cannot be used: {0}")]
    Authority(String),
    #[error("{0}")]
    Credentials(String),
    #[error("no response within {0:?} (jwks.fetch){1}")]
    Deadline(Duration, Via),
    /// No connection could be made: the request was not sent.
    #[error("{url}: {problem}{via}")]
    Connection {
        url: String,
        problem: String,
        via: Via,
    },
    /// The connection was made and the request sent, and then it broke off, or what came back is not HTTP.
    #[error("{url}: {problem}{via}")]
    Broken {
        url: String,
        problem: String,
        via: Via,
    },
    #[error("proxy {proxy}: {problem}")]
    Proxy { proxy: String, problem: String },
    #[error(
        "proxy {proxy} answered {target} with status {status}{}",
        proxy_advice(*status, *has_credentials)
    )]
    ProxyStatus {
        proxy: String,
        /// What was asked of it.
        target: String,
        status: u16,
        /// Whether user name and password were sent.
        has_credentials: bool,
    },
    #[error("{url} answered with status {status}, expected 200{note}")]
    Status {
        url: String,
        status: u16,
        /// What else an operator should know.
        note: String,
    },
    #[error("{0} answered with a redirect, which is not followed")]
    Redirect(String),
    #[error("{url} is larger than {limit} bytes (jwks.bytes)")]
    TooLarge { url: String, limit: usize },
    #[error("{0}")]
    Document(String),
    #[error("{0} is plain HTTP to another machine; use https, or set allow_http on the issuer")]
    Insecure(String),
    #[error(
        "{0} was found by discovery and is an internal address, which no proxy is asked for; set jwks_uri on the issuer"
    )]
    Internal(String),
}

/// The proxy through which a request went, for a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Via(pub(super) Option<String>);

impl fmt::Display for Via {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(proxy) => write!(formatter, ", through proxy {proxy}"),
            None => Ok(()),
        }
    }
}

fn proxy_advice(status: u16, has_credentials: bool) -> &'static str {
    match status {
        407 if has_credentials => {
            "; it refuses the user name and password that were sent (proxy.credentials_file)"
        }
        407 => "; it requires a user name and a password (proxy.credentials_file)",
        403 => "; it does not allow this destination",
        _ => "",
    }
}

impl FetchError {
    /// The metric label.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Authority(_) => "ca",
            Self::Credentials(_) => "credentials",
            Self::Deadline(..) => "timeout",
            Self::Connection { .. } | Self::Broken { .. } => "connection",
            Self::Proxy { .. } | Self::ProxyStatus { .. } => "proxy",
            Self::Status { .. } => "status",
            Self::Redirect(_) => "redirect",
            Self::TooLarge { .. } => "too_large",
            Self::Document(_) => "document",
            Self::Insecure(_) => "insecure",
            Self::Internal(_) => "internal",
        }
    }

    /// What it can come from, where the request had a token: a server can break on one, and answer nothing.
    pub(crate) const fn cause(&self) -> Cause {
        match self {
            Self::Redirect(_) | Self::TooLarge { .. } => Cause::Token,
            Self::Broken { .. } | Self::Deadline(..) => Cause::Either,
            Self::Authority(_)
            | Self::Credentials(_)
            | Self::Connection { .. }
            | Self::Proxy { .. }
            | Self::ProxyStatus { .. }
            | Self::Status { .. }
            | Self::Document(_)
            | Self::Insecure(_)
            | Self::Internal(_) => Cause::Endpoint(None),
        }
    }

    /// Whether the destination may be reachable by another route: nothing answered.
    pub(super) const fn is_unanswered(&self) -> bool {
        matches!(
            self,
            Self::Deadline(..) | Self::Connection { .. } | Self::Broken { .. }
        )
    }
}

//! The owner of a sealed value: principal and resource, and the kind of value.

use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

use super::call::CallDigest;
use super::digest::{finish, hash_part};
use super::form::{HEAD, TAG, TIME};
use crate::endpoint_id::EndpointId;
use crate::refusal::reason::Reason;

/// The longest session id of an upstream that is sealed, in bytes.
pub const MAX_SESSION_ID: usize = 1024;
/// The longest task id of an upstream that is sealed, in bytes.
pub const MAX_TASK_ID: usize = 1024;
/// The longest request state of an upstream that is sealed, in bytes. Servers store whole conversations in it.
pub const MAX_REQUEST_STATE: usize = 16 * 1024;
/// The longest session of HTTP+SSE that is sealed, in bytes: the URI of the upstream and three numbers.
pub const MAX_MESSAGE_ENDPOINT: usize = 2048 + 3 * 16;

/// The owner of a sealed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding<'a> {
    /// URI of the protected resource.
    pub resource: &'a str,
    /// Issuer of the principal.
    pub issuer: &'a str,
    /// Subject of the principal.
    pub subject: &'a str,
    /// Client of the principal, if its token names one.
    pub client: Option<&'a str>,
}

/// A [`Binding`] for one kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    pub(crate) purpose: Purpose,
    pub(crate) digest: [u8; SHA256_OUTPUT_LEN],
}

/// What is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Session,
    Task,
    RequestState,
    MessageEndpoint,
}

impl Binding<'_> {
    /// For the id of a legacy session.
    pub fn session(&self) -> Bound {
        self.bound(Purpose::Session, None)
    }

    /// For the id of a task.
    pub fn task(&self) -> Bound {
        self.bound(Purpose::Task, None)
    }

    /// For where a client of HTTP+SSE sends its messages.
    pub fn message_endpoint(&self) -> Bound {
        self.bound(Purpose::MessageEndpoint, None)
    }

    /// For the request state of one call.
    pub fn request_state(&self, call: &CallDigest) -> Bound {
        self.bound(Purpose::RequestState, Some(call))
    }

    /// Hashes every part with its length first, so that different bindings have different digests.
    fn bound(&self, purpose: Purpose, call: Option<&CallDigest>) -> Bound {
        let mut context = Context::new(&SHA256);
        context.update(purpose.domain());
        for part in [self.resource, self.issuer, self.subject] {
            hash_part(&mut context, part.as_bytes());
        }
        if let Some(call) = call {
            hash_part(&mut context, call.as_bytes());
        }
        // An absent client differs from an empty one.
        if let Some(client) = self.client {
            hash_part(&mut context, client.as_bytes());
        }
        Bound {
            purpose,
            digest: finish(context),
        }
    }
}

impl Purpose {
    /// The prefix that separates the bindings of one kind from those of the others.
    const fn domain(self) -> &'static [u8] {
        match self {
            Self::Session => b"mcp-gateway session binding 2",
            Self::Task => b"mcp-gateway task binding 2",
            Self::RequestState => b"mcp-gateway request state binding 3",
            Self::MessageEndpoint => b"mcp-gateway message endpoint binding 1",
        }
    }

    /// The longest value, in bytes.
    const fn longest(self) -> usize {
        match self {
            Self::Session => MAX_SESSION_ID,
            Self::Task => MAX_TASK_ID,
            Self::RequestState => TIME + MAX_REQUEST_STATE,
            Self::MessageEndpoint => MAX_MESSAGE_ENDPOINT,
        }
    }

    /// The longest sealed value, in characters.
    pub(crate) const fn longest_sealed(self) -> usize {
        let bytes =
            HEAD + NONCE_LEN + SHA256_OUTPUT_LEN + EndpointId::LENGTH + self.longest() + TAG;
        (bytes * 4).div_ceil(3)
    }

    /// Whether a value can be sealed. Session ids are visible ASCII (MCP transports, *Session Management*), others any text.
    pub(crate) fn takes(self, value: &str) -> bool {
        let is_session_id =
            || !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
        value.len() <= self.longest() && (self != Self::Session || is_session_id())
    }

    /// The reason for a value that was not sealed with a known key, or was changed.
    pub(crate) const fn unknown(self) -> Reason {
        match self {
            Self::Session | Self::MessageEndpoint => Reason::SessionUnknown,
            Self::Task => Reason::TaskUnknown,
            Self::RequestState => Reason::RequestState,
        }
    }

    /// The reason for a genuine value of another owner.
    pub(crate) const fn mismatch(self) -> Reason {
        match self {
            Self::Session | Self::MessageEndpoint => Reason::SessionMismatch,
            Self::Task => Reason::TaskMismatch,
            Self::RequestState => Reason::RequestState,
        }
    }
}

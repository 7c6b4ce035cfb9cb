//! One request on its way, and the ways in which it may go no further.

use std::sync::Arc;

use http::HeaderValue;
use mcp_gateway_core::{
    mcp::envelope::RequestId,
    refusal::{Refusal, reason::Reason},
    time::UnixTime,
};
use pingora::protocols::http::ServerSession;

use super::{record::Record, response::editing::Editing};
use crate::{
    shared::Gateway,
    snapshot::{ProtectedResource, Snapshot},
};

/// One request on its way, with what has been learned of it.
pub(crate) struct Exchange<'a> {
    pub(crate) session: &'a mut ServerSession,
    /// The host the client named in its TLS handshake.
    pub(crate) server_name: Option<&'a str>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) gateway: &'a Gateway,
    pub(crate) record: &'a mut Record,
    /// Known once routed: whose challenge a refusal carries.
    pub(crate) resource: Option<Arc<ProtectedResource>>,
    /// An `Origin` that is allowed: every answer names it.
    pub(crate) origin: Option<HeaderValue>,
    /// The message's id, once read: errors about the message carry it.
    pub(crate) rpc_id: Option<RequestId>,
    /// The version asked for, where that is why the request is refused: the error names it.
    pub(crate) refused_version: Option<String>,
    /// What its answer is edited by, where it must not pass as it is.
    pub(crate) edit: Option<Editing>,
    /// When the caller's token has expired, clock skew included; streams that only listen end then.
    pub(crate) token_ends: UnixTime,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(
        session: &'a mut ServerSession,
        server_name: Option<&'a str>,
        snapshot: Arc<Snapshot>,
        gateway: &'a Gateway,
        record: &'a mut Record,
    ) -> Self {
        Self {
            session,
            server_name,
            snapshot,
            gateway,
            record,
            resource: None,
            origin: None,
            rpc_id: None,
            refused_version: None,
            edit: None,
            token_ends: UnixTime::new(0),
        }
    }
}

/// The client or the upstream went away in the middle: nothing more can be said, the connection ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broken;

/// Why a request goes no further.
pub(crate) enum Stop {
    /// It is refused, and the client is told.
    Refused(Refusal),
    /// There is nobody to tell.
    Broken,
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason.into())
    }
}

impl From<Broken> for Stop {
    fn from(_: Broken) -> Self {
        Self::Broken
    }
}

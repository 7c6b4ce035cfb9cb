//! A request in progress, and the reasons why it may stop.

use std::sync::Arc;

use http::HeaderValue;
use mcp_gateway_core::{
    http::{client_address::CountedAddress, forwarding::identity::Identity},
    mcp::envelope::RequestId,
    refusal::{Refusal, reason::Reason},
    time::UnixTime,
};

use super::{
    possession::client_certificate::ClientCertificate, record::Record, response::editing::Editing,
    tls_info::TlsInfo,
};
use crate::{
    client_session::ClientSession,
    limits::{accounts::SubjectAccount, body_budget::BodyReservation},
    local::service::LocalEndpoint,
    shared::Gateway,
    snapshot::{ProtectedResource, Snapshot},
    verify::TokenDigest,
};

/// A request in progress, with what the phases have found so far.
pub(crate) struct Exchange<'a> {
    pub(crate) session: &'a mut ClientSession,
    pub(crate) tls: &'a TlsInfo,
    /// Where the client's certificate is.
    pub(crate) certificate: ClientCertificate,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) gateway: &'a Gateway,
    pub(crate) record: &'a mut Record,
    /// Known after routing: the challenge of a refusal is this resource's.
    pub(crate) resource: Option<Arc<ProtectedResource>>,
    /// The endpoint of a service of the gateway's own, if the request is for one.
    pub(crate) endpoint: Option<LocalEndpoint>,
    /// An allowed `Origin`: every answer has it in its CORS headers.
    pub(crate) origin: Option<HeaderValue>,
    /// The message's id, once read: error responses about the message have it.
    pub(crate) rpc_id: Option<RequestId>,
    /// The requested version, when it is the reason of the refusal: the error has it.
    pub(crate) refused_version: Option<String>,
    /// The edit of its answer, when the answer must not be forwarded unchanged.
    pub(crate) edit: Option<Editing>,
    /// The account of the caller's subject, once it is known.
    pub(crate) account: Option<Arc<SubjectAccount>>,
    /// The caller's identity as headers for the upstream, once the caller is known.
    pub(crate) identity: Option<Arc<Identity>>,
    /// When the caller's token expires, without clock skew.
    pub(crate) token_expires: UnixTime,
    /// When the caller's token expires, clock skew included; listening streams end then.
    pub(crate) token_ends: UnixTime,
    /// The digest of the caller's token, once it is verified.
    pub(crate) token_digest: TokenDigest,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(
        session: &'a mut ClientSession,
        (tls, certificate): (&'a TlsInfo, ClientCertificate),
        snapshot: Arc<Snapshot>,
        gateway: &'a Gateway,
        record: &'a mut Record,
    ) -> Self {
        Self {
            session,
            tls,
            certificate,
            snapshot,
            gateway,
            record,
            resource: None,
            endpoint: None,
            origin: None,
            rpc_id: None,
            refused_version: None,
            edit: None,
            account: None,
            identity: None,
            token_expires: UnixTime::new(0),
            token_ends: UnixTime::new(0),
            token_digest: TokenDigest::default(),
        }
    }

    /// What limits count the client's address under, unless it is exempt.
    pub(crate) fn counted_address(&self) -> Option<CountedAddress> {
        let addresses = &self.snapshot.addresses;
        addresses.counted(self.record.client_address())
    }

    /// An empty reservation for one body or answer of this caller.
    pub(crate) fn body_reservation(&self) -> BodyReservation {
        self.gateway.body_budget().reservation(self.account.clone())
    }
}

/// The client or the upstream disconnected in the middle: no answer can be written any more, the connection closes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broken;

/// Why a request stops.
pub(crate) enum Stop {
    /// It is refused, and the client gets an answer.
    Refused(Refusal),
    /// No answer can be written.
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

//! Who gets an answer, and for which request: stored until the answer ends, for decisions of the policy after its head.

use std::{net::IpAddr, sync::Arc};

use http::Method;
use mcp_gateway_core::{
    cel::{RequestFacts, kept_claims::KeptClaims},
    policy::{Caller, decision_point::asker::Asker},
    principal::Principal,
};

use super::{admit::Admitted, exchange::Exchange};
use crate::{clock, verify::Verdict};

/// The caller of a request that is being answered.
pub(crate) struct Viewer {
    pub(super) principal: Arc<Principal>,
    pub(super) claims: Arc<KeptClaims>,
    asker: Arc<Asker>,
    http_method: Method,
    pub(super) path: Box<str>,
    host: Box<str>,
    /// None where it is unknown.
    client_address: Option<IpAddr>,
}

impl Viewer {
    /// The caller of this verdict.
    pub(crate) fn of(exchange: &Exchange<'_>, verdict: &Verdict, admitted: &Admitted) -> Self {
        Self {
            principal: verdict.evidence.principal.clone(),
            claims: verdict.evidence.claims.clone(),
            asker: verdict.asker.clone(),
            http_method: exchange.session.req_header().method.clone(),
            path: admitted.path.as_str().into(),
            host: admitted.host.host().into(),
            client_address: exchange.record.client_address().known(),
        }
    }

    /// The caller as the policy sees it at this moment.
    pub(crate) fn caller(&self) -> Caller<'_> {
        Caller {
            principal: &self.principal,
            claims: &self.claims,
            asker: &self.asker,
            request: RequestFacts {
                http_method: self.http_method.as_str(),
                path: &self.path,
                host: &self.host,
                client_address: self.client_address,
                now: clock::now(),
            },
        }
    }
}

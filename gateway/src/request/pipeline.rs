//! The request's journey, in its order. Everything a request goes through is called from [`travel`].

use std::{slice, sync::Arc};

use http::{HeaderValue, Method};
use mcp_gateway_core::{
    cel::RequestFacts,
    http::cors,
    mcp::envelope::RequestId,
    policy::{Caller, permit::Permit},
    rate::Limiter,
    refusal::{Refusal, reason::Reason},
    time::UnixTime,
};
use pingora::protocols::http::ServerSession;

use super::{
    account::Account,
    admit::{self, Admitted, Destination},
    authenticate, forward,
    read::{self, Message},
    sealing, session,
};
use crate::request::response::{list_filter, relay::Relay, respond, rewrite::Editing};
use crate::{
    clock,
    limits::listening_streams::Listening,
    snapshot::{Protected, Snapshot, Verdict},
};

/// The client or the upstream went away in the middle: nothing more can be said, the connection ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broken;

/// What is left to do once a request is decided.
pub(crate) enum Next {
    /// Nothing: the answer is written.
    Answered,
    /// The head is written, the upstream's body follows.
    Relay(Relay),
}

/// Why a request goes no further.
pub(crate) enum Stop {
    /// It is refused, and the client is told.
    Refused(Refusal),
    /// There is nobody to tell.
    Broken,
}

/// One request on its way, with what has been learned of it.
pub(crate) struct Exchange<'a> {
    pub(crate) session: &'a mut ServerSession,
    /// The host the client named in its TLS handshake.
    pub(crate) server_name: Option<&'a str>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) account: &'a mut Account,
    /// Known once routed: whose challenge a refusal carries.
    pub(crate) resource: Option<Arc<Protected>>,
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
        account: &'a mut Account,
    ) -> Self {
        Self {
            session,
            server_name,
            snapshot,
            account,
            resource: None,
            origin: None,
            rpc_id: None,
            refused_version: None,
            edit: None,
            token_ends: UnixTime::new(0),
        }
    }
}

/// Takes a request to its decision and, unless a body is left to relay, to its answer.
pub(crate) async fn decide(exchange: &mut Exchange<'_>) -> Result<Next, Broken> {
    match travel(exchange).await {
        Ok(next) => Ok(next),
        Err(Stop::Refused(refusal)) => respond::refuse(exchange, &refusal).await,
        Err(Stop::Broken) => Err(Broken),
    }
}

async fn travel(exchange: &mut Exchange<'_>) -> Result<Next, Stop> {
    // 1 admit, 2 route
    exchange
        .account
        .path(exchange.session.req_header().uri.path());
    let admitted = admit::admit(exchange.session, exchange.server_name, &exchange.snapshot)?;
    let resource = match admit::route(&admitted, &exchange.snapshot)? {
        Destination::Document => return respond::document(exchange, &admitted).await,
        Destination::Resource(resource) => resource,
    };
    exchange.account.resource(&resource);
    exchange.resource = Some(resource.clone());
    let headers = &exchange.session.req_header().headers;
    exchange.origin = exchange.snapshot.origins.judge(headers)?.cloned();
    if cors::is_preflight(&exchange.session.req_header().method, headers) {
        return respond::preflight(exchange).await;
    }

    // 3 authenticate
    let query = admitted.query.as_deref();
    let verdict = authenticate::authenticate(exchange, &resource, query).await?;
    exchange.account.principal(&verdict.verified.principal);
    exchange.token_ends = verdict.ends(&resource);

    // 4 read
    if !is_mcp(&exchange.session.req_header().method) {
        return Err(Reason::MethodNotAllowed.into());
    }
    let mut message = read::message(exchange).await?;
    exchange.account.message(&message);

    // 5 authorize
    let permit = authorize(exchange, &resource, &verdict, &message, &admitted)?;
    if let Err(refusal) = count(exchange, &resource, &permit, &message) {
        let counted_by = counted_by(&resource, &permit, &message);
        exchange.account.detail(counted_by);
        return Err(refusal.into());
    }
    exchange.edit = list_filter::edit(exchange, &resource, &verdict, &message, &admitted);

    // 6 session
    let session = session::open(exchange, &resource, &permit, &message)?;
    sealing::open(exchange, &resource, &permit, &mut message)?;

    // 7 forward
    let listening = match message.listens {
        true => Some(open_stream(exchange, &permit)?),
        false => None,
    };
    forward::forward(
        exchange, &resource, &permit, message, session, listening, query,
    )
    .await
}

/// Counts a call that is permitted, as far as rate limits do.
fn count(
    exchange: &Exchange<'_>,
    resource: &Protected,
    permit: &Permit,
    message: &Message,
) -> Result<(), Refusal> {
    let snapshot = &exchange.snapshot;
    // Of whatever revision it says it is: an upstream may open a session all the same.
    let limiters = match message.method.as_deref() == Some("initialize") {
        true => slice::from_ref(&snapshot.initializations),
        false => resource.rate_limits.as_slice(),
    };
    let Some(method) = message.method.as_deref().filter(|_| !limiters.is_empty()) else {
        return Ok(());
    };
    exchange.account.gateway().rates().take(
        limiters,
        permit.principal(),
        (method, message.name.as_deref()),
        snapshot.limits.rate_limited_callers,
    )
}

/// The limits that count a call, in words for the operator: one of them refused it.
fn counted_by(resource: &Protected, permit: &Permit, message: &Message) -> String {
    if message.initializes() {
        return "limits.initializations_per_principal".to_owned();
    }
    let method = message.method.as_deref().unwrap_or_default();
    let counts = |limiter: &Limiter| {
        let share = limiter.share(permit.principal(), method, message.name.as_deref());
        share.is_some()
    };
    let limits = resource.rate_limits.iter().enumerate();
    let limits = limits.filter(|(_, limiter)| counts(limiter));
    let limits: Vec<_> = limits.map(|(at, _)| format!("rate_limits[{at}]")).collect();
    limits.join(" or ")
}

/// Asks the resource's policy.
fn authorize(
    exchange: &mut Exchange<'_>,
    resource: &Protected,
    verdict: &Verdict,
    message: &Message,
    admitted: &Admitted,
) -> Result<Permit, Refusal> {
    let caller = Caller {
        principal: &verdict.verified.principal,
        claims: &verdict.verified.claims,
        request: RequestFacts {
            http_method: exchange.session.req_header().method.as_str(),
            path: &admitted.path,
            host: admitted.host.host(),
            client_address: Some(exchange.account.client_ip()),
            now: clock::now(),
        },
    };
    let judged = resource.policy.authorize(&caller, &message.operation());
    exchange.account.judged(judged.by);
    if let Some(fault) = judged.fault {
        exchange.account.condition_failed(judged.by, fault);
    } else if let Err(refusal) = &judged.decision {
        exchange.account.denied(judged.by, refusal);
    }
    judged.decision
}

/// A place among the streams that only listen.
fn open_stream(exchange: &Exchange<'_>, permit: &Permit) -> Result<Listening, Reason> {
    let streams = exchange.account.gateway().listening();
    streams.open(permit.principal(), &exchange.snapshot.limits)
}

/// The methods of the Streamable HTTP transport.
fn is_mcp(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::GET | Method::DELETE)
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

//! The gateway's own credential for the upstream: known already, or asked for before the request is sent. Where tokens of callers are exchanged, the
//! caller's token leaves the gateway here, for that token endpoint alone.

use mcp_gateway_core::{policy::permit::Permit, token::api_key::presented::credential};

use super::waiting::{Wait, awaited};
use crate::{
    clock,
    request::{
        exchange::{Exchange, Stop},
        response::stream_end::StreamEnd,
    },
    snapshot::ProtectedResource,
    upstream_credentials::{Caller, Given, UpstreamCredentials},
};

/// The credential for this request; none where the resource has none.
pub(super) async fn obtain(
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
    permit: &Permit,
    wait: Wait,
    stream_end: &mut StreamEnd,
) -> Result<Option<Given>, Stop> {
    let Some(credentials) = &resource.upstream_credentials else {
        return Ok(None);
    };
    if let Some(given) = credentials.known(&exchange.token_digest)? {
        return Ok(Some(given));
    }
    let asked = asked(credentials, exchange, resource, permit, (wait, stream_end));
    // Boxed: most calls find it, and are not to carry this.
    Box::pin(asked).await.map(Some)
}

async fn asked(
    credentials: &UpstreamCredentials,
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
    permit: &Permit,
    (wait, stream_end): (Wait, &mut StreamEnd),
) -> Result<Given, Stop> {
    let headers = exchange.session.req_header().headers.clone();
    let limit = exchange.snapshot.limits.token_bytes;
    // It was found there before, and a token in the query was refused.
    let presented = credential(&headers, None, &resource.accepts(), limit)?;
    let caller = Caller {
        token: presented.token.expose(),
        digest: exchange.token_digest,
        left: exchange.token_ends.since(clock::now()),
        subject: permit.principal().subject(),
    };
    let ask = || credentials.ask(caller);
    let given = awaited(exchange, ask, wait, None, stream_end).await?;
    Ok(given?)
}

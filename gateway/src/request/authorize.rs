//! Phase 5: may this caller make this call, within the rate limits?
//!
//! The policy returns a [`Permit`], without which nothing is forwarded; where the resource has a decision point, only after that said
//! yes. Rate limits count only permitted calls; a call that they would refuse is no question to the decision point.

mod decision_point;

use std::slice;

use mcp_gateway_core::{
    cel::RequestFacts,
    mcp::{message::Message, method::McpMethod},
    policy::{Caller, decision_point::asking::Permitted, permit::Permit},
    principal::Principal,
    rate::Limiter,
    refusal::{Refusal, reason::Reason},
};

use super::{admit::Admitted, exchange::Exchange};
use crate::{
    clock,
    limits::shared_rates::{SharedRates, SharedShare, Terms},
    snapshot::{ProtectedResource, Snapshot},
    verify::Verdict,
};

/// Checks the resource's policy, asks its decision point, then checks its rate limits.
///
/// # Errors
/// The refusal of one of them; its cause is in the record.
pub(crate) async fn authorize(
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
    verdict: &Verdict,
    message: &Message,
    admitted: &Admitted,
) -> Result<Permit, Refusal> {
    let permit = match ask_policy(exchange, resource, verdict, message, admitted)? {
        Permitted::Now(permit) => permit,
        Permitted::If(asking) => {
            let point = resource.decision_point.as_ref().ok_or(Reason::Internal)?;
            let known = point.known(asking.questions());
            if known.together().is_none() {
                // A caller who may not call now causes no question.
                look_at_limits(exchange, resource, &verdict.evidence.principal, message)?;
            }
            decision_point::decide(exchange, point, asking, known).await?
        }
    };
    if let Err(refusal) = count_call(exchange, resource, &permit, message) {
        let limits = reached(exchange, resource, permit.principal(), message, &refusal);
        exchange.record.set_detail(limits);
        return Err(refusal);
    }
    Ok(permit)
}

/// Evaluates the resource's policy.
fn ask_policy(
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
    verdict: &Verdict,
    message: &Message,
    admitted: &Admitted,
) -> Result<Permitted, Refusal> {
    let caller = Caller {
        principal: &verdict.evidence.principal,
        claims: &verdict.evidence.claims,
        asker: &verdict.asker,
        request: RequestFacts {
            http_method: exchange.session.req_header().method.as_str(),
            path: &admitted.path,
            host: admitted.host.host(),
            client_address: exchange.record.client_address().known(),
            now: clock::now(),
        },
    };
    let outcome = resource.policy.authorize(&caller, &message.operation());
    exchange.record.set_decision_source(outcome.by);
    if let Some(fault) = outcome.fault {
        exchange.record.set_condition_failure(outcome.by, fault);
        let resource = exchange.record.resource_label();
        exchange
            .gateway
            .metrics()
            .count_condition_failure(resource, fault);
    } else if let Some(fault) = outcome.uri_fault {
        exchange.record.set_detail(fault.to_string());
    } else if let Some(fault) = &outcome.unreadable {
        exchange.record.set_unreadable_argument(outcome.by, fault);
    } else if let Some(fault) = &outcome.question {
        exchange.record.set_detail(fault.to_string());
    } else if let Err(refusal) = &outcome.decision {
        let read_as = outcome.read_as.as_deref();
        (exchange.record).set_denial(outcome.by, refusal, read_as, outcome.unmet);
    }
    outcome.decision
}

/// Counts a permitted call in the rate limits that apply.
fn count_call(
    exchange: &Exchange<'_>,
    resource: &ProtectedResource,
    permit: &Permit,
    message: &Message,
) -> Result<(), Refusal> {
    let snapshot = &exchange.snapshot;
    let limiters = limiters(snapshot, resource, message);
    let Some(method) = message.method_name().filter(|_| !limiters.is_empty()) else {
        return Ok(());
    };
    exchange.gateway.rate_limiter().take(
        limiters,
        permit.principal(),
        (method, message.name.as_deref()),
        snapshot.limits.rate_limited_callers,
    )
}

/// Whether the rate limits would let a call through, which is not permitted yet and not counted.
///
/// # Errors
/// The refusal; its cause is in the record.
fn look_at_limits(
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
    caller: &Principal,
    message: &Message,
) -> Result<(), Refusal> {
    let limiters = limiters(&exchange.snapshot, resource, message);
    let Some(method) = message.method_name() else {
        return Ok(());
    };
    let call = (method, message.name.as_deref());
    let looked = (exchange.gateway.rate_limiter()).look(limiters, caller, call);
    looked.inspect_err(|refusal| {
        let limits = reached(exchange, resource, caller, message, refusal);
        exchange.record.set_detail(limits);
    })?;
    look_at_shared_limits(exchange, resource, caller, message)
}

/// The same for the limits that several gateways count together, by what this one knows of them without a question to their store: that
/// would cost as much as the one to the decision point, and what it took in advance would be lost where the decision point says no.
fn look_at_shared_limits(
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
    caller: &Principal,
    message: &Message,
) -> Result<(), Refusal> {
    let Some(rates) = exchange.gateway.shared_rates() else {
        return Ok(());
    };
    let Some((shares, terms)) = shared_shares(&exchange.snapshot, resource, caller, message) else {
        return Ok(());
    };
    let looked = rates.look(&shares, &terms);
    looked.inspect_err(|refusal| {
        let found = refused_together(exchange, resource, caller, message, (refusal, &terms));
        exchange.record.set_detail(found);
    })
}

/// The limits that count a message, whatever revision it names: an upstream may open a session in any case.
fn limiters<'a>(
    snapshot: &'a Snapshot,
    resource: &'a ProtectedResource,
    message: &Message,
) -> &'a [Limiter] {
    match message.called().is_some_and(McpMethod::opens_session) {
        true => slice::from_ref(&snapshot.initializations),
        false => resource.rate_limits.as_slice(),
    }
}

/// Counts a permitted call in the rate limits that several gateways count together.
///
/// # Errors
/// The refusal; its cause is in the record.
pub(crate) async fn count_together(
    exchange: &mut Exchange<'_>,
    rates: &SharedRates,
    resource: &ProtectedResource,
    permit: &Permit,
    message: &Message,
) -> Result<(), Refusal> {
    let caller = permit.principal();
    let Some((shares, terms)) = shared_shares(&exchange.snapshot, resource, caller, message) else {
        return Ok(());
    };
    let taken = rates.take(&shares, &terms).await;
    taken.inspect_err(|refusal| {
        let found = refused_together(exchange, resource, caller, message, (refusal, &terms));
        exchange.record.set_detail(found);
    })
}

/// What a message takes from the limits that several gateways count together; none where they count none.
fn shared_shares(
    snapshot: &Snapshot,
    resource: &ProtectedResource,
    caller: &Principal,
    message: &Message,
) -> Option<(Vec<SharedShare>, Terms)> {
    let opens_session = message.called().is_some_and(McpMethod::opens_session);
    let method = message.method_name().filter(|_| !opens_session)?;
    let terms = Terms {
        settings: snapshot.shared_rates?,
        most_leases: snapshot.limits.rate_limited_callers,
    };
    let limits = resource.rate_limits.iter().zip(&resource.shared_limits);
    let shares = limits.filter_map(|(limiter, limit)| {
        let share = limiter.share(caller, method, message.name.as_deref())?;
        Some((limit.bucket(&share), share.rate()))
    });
    Some((shares.collect(), terms))
}

/// Why a call is refused that several gateways count together, for the operator.
fn refused_together(
    exchange: &Exchange<'_>,
    resource: &ProtectedResource,
    caller: &Principal,
    message: &Message,
    (refusal, terms): (&Refusal, &Terms),
) -> String {
    match refusal.reason {
        Reason::RateLimited => {
            let limits = reached(exchange, resource, caller, message, refusal);
            format!("{limits}, counted by all gateways together")
        }
        _ => format!(
            "there was no answer within {:?} (rate_limits.wait)",
            terms.settings.wait
        ),
    }
}

/// The rate limits that count a call, for the operator: one of them refused it.
fn reached(
    exchange: &Exchange<'_>,
    resource: &ProtectedResource,
    caller: &Principal,
    message: &Message,
    refusal: &Refusal,
) -> String {
    let limits = &exchange.snapshot.limits;
    let callers = limits.rate_limited_callers;
    match (refusal.reason, refusal.retry_after) {
        (Reason::RateLimitsExhausted, _) => {
            return format!("{callers} callers are counted (limits.rate_limited_callers)");
        }
        (_, None) => {
            return format!(
                "the caller's subject has a hundredth of {callers} counted callers (limits.rate_limited_callers)"
            );
        }
        (_, Some(_)) => {}
    }
    if message.called().is_some_and(McpMethod::opens_session) {
        let most = limits.initializations_per_principal;
        return format!("more than {most} in a minute (limits.initializations_per_principal)");
    }
    let method = message.method_name().unwrap_or_default();
    let counts = |limiter: &Limiter| {
        let share = limiter.share(caller, method, message.name.as_deref());
        share.is_some()
    };
    let limits = resource.rate_limits.iter().enumerate();
    let limits = limits.filter(|(_, limiter)| counts(limiter));
    let limits: Vec<_> = limits.map(|(at, _)| format!("rate_limits[{at}]")).collect();
    limits.join(" or ")
}

//! What the decision point of a resource says of a call that the policy permits.

use std::sync::Arc;

use mcp_gateway_core::{
    policy::{
        decision_point::asking::{Asking, WithoutAnswer},
        permit::Permit,
    },
    refusal::{Refusal, reason::Reason},
};

use crate::{
    decision::{
        failure::Failure,
        point::{DecisionPoint, Known, RETRY_AFTER},
    },
    request::exchange::Exchange,
    telemetry::request_view::PointAnswer,
};

/// The permit, where the decision point says yes. `known` has the answers of its cache.
///
/// # Errors
/// It says no, or gives no answer; the cause is in the record.
pub(super) async fn decide(
    exchange: &mut Exchange<'_>,
    point: &Arc<DecisionPoint>,
    asking: Asking,
    known: Known,
) -> Result<Permit, Refusal> {
    if let Some(yes) = known.together() {
        let answer = PointAnswer::Cached(yes);
        return decided(exchange, point, asking, (&known, answer));
    }
    // Boxed: the calls of resources without a decision point are not to carry this.
    Box::pin(ask(exchange, point, asking, known)).await
}

async fn ask(
    exchange: &mut Exchange<'_>,
    point: &Arc<DecisionPoint>,
    asking: Asking,
    mut known: Known,
) -> Result<Permit, Refusal> {
    let Some(subject) = exchange.account.clone() else {
        return Err(Reason::Internal.into());
    };
    let asked = point.complete(asking.questions(), &mut known, &subject);
    match asked.await {
        Ok(()) => {
            let answer = PointAnswer::Asked(known.together() == Some(true));
            decided(exchange, point, asking, (&known, answer))
        }
        Err(failure) => undecided(exchange, point, asking, &failure),
    }
}

fn decided(
    exchange: &mut Exchange<'_>,
    point: &DecisionPoint,
    asking: Asking,
    (known, answer): (&Known, PointAnswer),
) -> Result<Permit, Refusal> {
    exchange.record.set_point_answer(answer);
    let answered = asking.answered(known.answers());
    if answered.is_err() {
        let how = match answer {
            PointAnswer::Cached(_) => " (its cached answer)",
            _ => "",
        };
        let name = point.name();
        (exchange.record).set_detail(format!("the decision point {name} says no{how}"));
    }
    answered
}

/// Without an answer, the configuration says what holds. What is wrong, or was never asked, is refused in any case.
fn undecided(
    exchange: &mut Exchange<'_>,
    point: &DecisionPoint,
    asking: Asking,
    failure: &Failure,
) -> Result<Permit, Refusal> {
    let rule = match failure {
        Failure::NoAnswer(_) => point.settings().without_answer,
        Failure::TooMany(_) | Failure::Full(_) | Failure::TooLong(_) | Failure::Wrong(_) => {
            WithoutAnswer::Refuse
        }
    };
    let permit = match failure {
        Failure::TooMany(_) => Err(Refusal {
            retry_after: Some(RETRY_AFTER),
            ..Reason::TooManyQuestions.into()
        }),
        _ => asking.unanswered(rule, RETRY_AFTER),
    };
    let answer = match permit {
        Ok(_) => PointAnswer::AllowedWithout,
        Err(_) => PointAnswer::None,
    };
    exchange.record.set_point_answer(answer);
    let name = point.name();
    (exchange.record).set_detail(format!("the decision point {name}: {failure}"));
    permit
}

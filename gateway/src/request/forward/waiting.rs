//! The wait for the head of an answer, or for a credential, while the client may disconnect, the deadline pass, or the caller's right end;
//! and what is known where there is no answer.

use std::future::pending;

use http::Response;
use mcp_gateway_core::{balance::outcome::Outcome, refusal::reason::Reason};
use tokio::time::Instant;

use super::turn::{Turn, over};
use crate::{
    request::{
        exchange::{Exchange, Stop},
        response::stream_end::StreamEnd,
    },
    upstream::{SendError, UpstreamBody},
};

/// Why there is no answer.
pub(super) enum Unanswered {
    /// The upstream did not answer.
    Failed(SendError),
    /// The gateway or the client stopped waiting.
    Stop(Stop),
}

/// How long the head of an answer is waited for.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    /// For a listening stream: until that ends.
    pub(super) listens: bool,
    pub(super) deadline: Option<Instant>,
}

/// The head of the upstream's answer, which was [`awaited`]. Not an `async fn` around it: that would store the request once more.
pub(super) fn head(
    awaited: Result<Result<Response<UpstreamBody>, SendError>, Stop>,
) -> Result<Response<UpstreamBody>, Unanswered> {
    awaited
        .map_err(Unanswered::Stop)?
        .map_err(Unanswered::Failed)
}

/// Waits for what `begin` begins and for the client to disconnect; also for the deadline, and with a turn only as long as no other endpoint
/// is to be asked. A listening stream of Streamable HTTP has
/// none: that wait ends with the stream's end.
///
/// It is begun in here: a future that is passed in would be moved, and have its place twice.
pub(super) async fn awaited<T, F: Future<Output = T>>(
    exchange: &mut Exchange<'_>,
    begin: impl FnOnce() -> F,
    wait: Wait,
    mut turn: Option<Turn<'_>>,
    stream_end: &mut StreamEnd,
) -> Result<T, Stop> {
    let late = async {
        let deadline = match wait.deadline {
            Some(deadline) if !wait.listens => deadline,
            // Boxed: calls are not to carry this.
            deadline => {
                return Box::pin(stream_ended(stream_end, deadline, turn.as_mut())).await;
            }
        };
        let expires = stream_end.expires();
        tokio::select! {
            () = over(turn.as_mut(), deadline.min(expires)) => Stop::from(match deadline <= expires {
                true => Reason::UpstreamTimeout,
                false => Reason::Expired,
            }),
            reason = stream_end.refused() => Stop::from(reason),
        }
    };
    tokio::select! {
        biased;
        outcome = begin() => Ok(outcome),
        // Dropping a request closes its connection, so the upstream notices at once.
        () = exchange.session.gone() => Err(Stop::Broken),
        stop = late => Err(stop),
    }
}

/// The end of a listening stream, or its deadline.
async fn stream_ended(
    stream_end: &mut StreamEnd,
    deadline: Option<Instant>,
    turn: Option<&mut Turn<'_>>,
) -> Stop {
    let late = async {
        match deadline {
            Some(deadline) => over(turn, deadline).await,
            None => pending().await,
        }
    };
    tokio::select! {
        () = stream_end.reached() => Stop::Broken,
        () = late => Reason::UpstreamTimeout.into(),
    }
}

/// What an answer, or that there is none, says about its endpoint.
pub(super) fn outcome(response: &Result<Response<UpstreamBody>, Unanswered>) -> Outcome {
    match response {
        Ok(response) => Outcome::Answered(response.status()),
        Err(Unanswered::Failed(SendError::Unreachable(_))) => Outcome::Unconnected,
        Err(Unanswered::Failed(SendError::Broken(_))) => Outcome::Broken,
        Err(Unanswered::Failed(SendError::Closed { .. }) | Unanswered::Stop(_)) => Outcome::Unknown,
    }
}

//! The attempts to get an answer. A request is sent once more over a new connection, to another endpoint, or with another credential of the
//! gateway, but only where the upstream certainly did not process it, or where the method only reads. What only reads leaves the first
//! endpoint where that does not answer in its turn.

use bytes::Bytes;
use http::Response;
use mcp_gateway_core::{balance::outcome::Outcome, refusal::reason::Reason};
use tokio::time::Instant;

use super::{
    credential,
    outgoing::Outgoing,
    turn::{self, Elsewhere, Turn},
    waiting::{Unanswered, Wait, awaited, head, outcome},
};
use crate::{
    request::{
        exchange::{Exchange, Stop},
        record::audit,
        response::stream_end::StreamEnd,
        session::endpoint::Issuer,
    },
    upstream::{Call, SendError, Tried, UpstreamBody},
};

/// The detail where the endpoint of a session cannot be reached, and others can.
const SESSION_LOST: &str = "the endpoint that has the session cannot be reached, so the client opens a session with another one";

/// The head of an answer, or why there is none.
pub(super) type Answered = Result<Response<UpstreamBody>, Unanswered>;

/// A request, and what decides whether it is sent once more.
pub(super) struct Attempts<'o, 'a> {
    pub(super) outgoing: &'o mut Outgoing<'a>,
    /// The endpoint that it is sent to first; in the end, the one that answered.
    pub(super) call: &'o mut Call,
    /// What it must be sent to.
    pub(super) issuer: Issuer,
    pub(super) wait: Wait,
}

impl Attempts<'_, '_> {
    /// The answer to a request with this body, of the last attempt.
    ///
    /// # Errors
    /// A request cannot be made, or the endpoint of its session is lost.
    pub(super) async fn answer(
        mut self,
        exchange: &mut Exchange<'_>,
        body: Bytes,
        stream_end: &mut StreamEnd,
    ) -> Result<Answered, Stop> {
        let reads = self.outgoing.message.may_be_repeated();
        // What may be sent again is kept, as it is counted already.
        let kept = (reads || self.issuer.is_any()).then(|| body.clone());
        let request = self.outgoing.request(exchange, body)?;
        exchange.record.set_endpoint(&self.outgoing.endpoint);
        audit::write_allowed(exchange.record, exchange.gateway);
        // Without a wait for a credential it is sent as soon as the call begins.
        let sent = self.outgoing.credential.is_some().then(Instant::now);
        let mut elsewhere = None;
        let turn = self.turn(reads, sent);
        let turn = turn.map(|ends| Turn::new(ends, self.call, &mut elsewhere));
        let send = || self.outgoing.endpoint.send(request);
        let mut answered = head(awaited(exchange, send, self.wait, turn, stream_end).await);
        if let (Err(Unanswered::Failed(SendError::Closed { before, .. })), Some(body), true) =
            (&answered, &kept, reads)
        {
            let turn = self.turn(reads, sent);
            let turn = turn.map(|ends| (ends, &mut elsewhere));
            let again = self.over_a_new_connection(exchange, body, *before, turn, stream_end);
            answered = Box::pin(again).await?;
        }
        self.report(&answered, sent);
        match kept.filter(|_| answered_badly(&answered)) {
            // Boxed: few requests are sent again.
            Some(body) => {
                let last = (answered, elsewhere);
                answered = Box::pin(self.once_more(exchange, &body, last, stream_end)).await?;
            }
            // A credential that was refused is forgotten all the same: the next request has another one.
            None => {
                self.outgoing.is_refused(&answered, exchange);
            }
        }
        self.require_session(exchange, &answered)?;
        Ok(answered)
    }

    /// A kept connection closed, perhaps just when it was used again.
    async fn over_a_new_connection(
        &mut self,
        exchange: &mut Exchange<'_>,
        body: &Bytes,
        before: u64,
        turn: Option<(Instant, &mut Elsewhere)>,
        stream_end: &mut StreamEnd,
    ) -> Result<Answered, Stop> {
        let label = exchange.record.resource_label();
        exchange.gateway.metrics().count_upstream_retry(label);
        let request = self.outgoing.request(exchange, body.clone())?;
        let turn = turn.map(|(ends, elsewhere)| Turn::new(ends, self.call, elsewhere));
        let send = || self.outgoing.endpoint.send_again(request, before);
        Ok(head(
            awaited(exchange, send, self.wait, turn, stream_end).await,
        ))
    }

    async fn once_more(
        &mut self,
        exchange: &mut Exchange<'_>,
        body: &Bytes,
        (mut answered, elsewhere): (Answered, Elsewhere),
        stream_end: &mut StreamEnd,
    ) -> Result<Answered, Stop> {
        let reads = self.outgoing.message.may_be_repeated();
        let mut tried = Tried::default();
        if let Some(elsewhere) = elsewhere {
            let (other, seen) = *elsewhere;
            tried = seen;
            answered = self.attempt_at(other, exchange, body, stream_end).await?;
        }
        while self.issuer.is_any()
            && outcome(&answered).goes_elsewhere(reads, tried.len())
            && let Some(other) = self.call.elsewhere(&mut tried)
        {
            answered = self.attempt_at(other, exchange, body, stream_end).await?;
        }
        if self.outgoing.is_refused(&answered, exchange) && reads {
            let (resource, permit) = (self.outgoing.resource, self.outgoing.permit);
            self.outgoing.credential =
                credential::obtain(exchange, resource, permit, self.wait, stream_end).await?;
            answered = self.attempt(exchange, body, stream_end).await?;
        }
        Ok(answered)
    }

    async fn attempt_at(
        &mut self,
        other: Call,
        exchange: &mut Exchange<'_>,
        body: &Bytes,
        stream_end: &mut StreamEnd,
    ) -> Result<Answered, Stop> {
        self.outgoing.endpoint = other.endpoint().clone();
        *self.call = other;
        self.attempt(exchange, body, stream_end).await
    }

    async fn attempt(
        &mut self,
        exchange: &mut Exchange<'_>,
        body: &Bytes,
        stream_end: &mut StreamEnd,
    ) -> Result<Answered, Stop> {
        let request = self.outgoing.request(exchange, body.clone())?;
        exchange.record.set_endpoint(&self.outgoing.endpoint);
        let sent = Some(Instant::now());
        let send = || self.outgoing.endpoint.send(request);
        let answered = head(awaited(exchange, send, self.wait, None, stream_end).await);
        self.report(&answered, sent);
        Ok(answered)
    }

    /// Until when the first endpoint has its turn, where the call may go to another one.
    fn turn(&self, reads: bool, sent: Option<Instant>) -> Option<Instant> {
        match reads && self.issuer.is_any() {
            true => self.turn_end(sent),
            false => None,
        }
    }

    fn turn_end(&self, sent: Option<Instant>) -> Option<Instant> {
        turn::end(
            self.outgoing.resource.response_head,
            self.wait.deadline,
            sent,
        )
    }

    /// Reports what an attempt says about its endpoint.
    fn report(&self, answered: &Answered, sent: Option<Instant>) {
        let had_its_turn = || {
            let end = self.turn_end(sent);
            end.is_some_and(|end| Instant::now() >= end)
        };
        self.call.report(match answered {
            Err(Unanswered::Stop(_)) if had_its_turn() => Outcome::Late,
            answered => outcome(answered),
        });
    }

    /// Where only the endpoint of a session cannot be reached, its client opens another session.
    fn require_session(
        &self,
        exchange: &mut Exchange<'_>,
        answered: &Answered,
    ) -> Result<(), Reason> {
        match answered {
            Err(Unanswered::Failed(SendError::Unreachable(why)))
                if self.issuer.is_of_session() && self.call.has_others() =>
            {
                exchange.record.set_detail(format!("{SESSION_LOST}: {why}"));
                Err(Reason::SessionUnknown)
            }
            _ => Ok(()),
        }
    }
}

/// Whether another attempt may give a better answer.
fn answered_badly(answered: &Answered) -> bool {
    answered
        .as_ref()
        .map_or(true, |response| !response.status().is_success())
}

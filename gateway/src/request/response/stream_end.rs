//! When the gateway ends an answer: when the caller's token expires; a listening stream also when the gateway drains, or when
//! the caller may not listen any more.

use std::{future::pending, time::Duration};

use mcp_gateway_core::refusal::reason::Reason;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    request::{
        record::Record,
        standing::{Standing, messages::MessageStanding},
    },
    shared::Gateway,
    verify::introspection::Recheck,
};

/// When the gateway ends an answer, even if the upstream continues.
pub(crate) struct StreamEnd {
    /// A listening stream ends when the gateway drains: its client connects again.
    draining: Option<watch::Receiver<bool>>,
    /// A listening stream ends when its caller may not listen any more.
    standing: Option<Box<Standing>>,
    expires: Instant,
    /// How long the answer to a call may continue after that of the token.
    max_after_expiry: Option<Duration>,
    /// The questions about the token of a call, where its issuer is asked; those of a listening stream are with its standing.
    recheck: Option<Box<Recheck>>,
    /// What the issuer said.
    refused: Option<Reason>,
}

impl StreamEnd {
    /// For a listening stream: when the caller's token expires, or the gateway drains.
    pub(crate) fn of_listening(gateway: &Gateway, token_left: Duration) -> Self {
        Self {
            draining: Some(gateway.process_state().draining()),
            standing: None,
            expires: Instant::now() + token_left,
            max_after_expiry: None,
            recheck: None,
            refused: None,
        }
    }

    /// For an answer to a call: `max_after_expiry` after the caller's token expired.
    pub(crate) fn of_call(token_left: Duration, max_after_expiry: Duration) -> Self {
        Self {
            draining: None,
            standing: None,
            expires: Instant::now() + token_left + max_after_expiry,
            max_after_expiry: Some(max_after_expiry),
            recheck: None,
            refused: None,
        }
    }

    /// The same, and only while the issuer accepts the token.
    pub(crate) fn only_while_accepted(self, recheck: Option<Box<Recheck>>) -> Self {
        Self { recheck, ..self }
    }

    /// The same, and only while the caller may listen.
    pub(crate) fn only_while(self, standing: Box<Standing>) -> Self {
        Self {
            standing: Some(standing),
            ..self
        }
    }

    /// The same, and only while the messages of the stream have where to go.
    pub(crate) fn needs_messages(&mut self, messages: MessageStanding) {
        if let Some(standing) = &mut self.standing {
            standing.needs_messages(messages);
        }
    }

    /// Records why the caller may not listen any more, if the answer ends for that.
    pub(crate) fn note(&self, record: &mut Record) {
        if let Some(lost) = self.standing.as_ref().and_then(|standing| standing.why()) {
            record.set_detail(format!("the stream was ended: {lost}"));
        }
    }

    /// Records why the answer was ended before its upstream ended it: the caller may not listen any more, or its token expired.
    pub(crate) fn note_end(&self, record: &mut Record) {
        match self.max_after_expiry {
            _ if let Some(reason) = self.refused => record.set_detail(refused_detail(reason)),
            Some(most) => record.set_detail(format!(
                "the answer was ended {most:?} after the caller's token expired (timeouts.max_after_expiry)"
            )),
            None if Instant::now() >= self.expires => {
                record.set_detail("the stream was ended: the caller's token expired");
            }
            None => self.note(record),
        }
    }

    /// When the caller's token does not allow the answer any more.
    pub(crate) const fn expires(&self) -> Instant {
        self.expires
    }

    /// Waits until the issuer of a call's token does not accept it any more.
    pub(crate) async fn refused(&mut self) -> Reason {
        let reason = match &mut self.recheck {
            Some(recheck) => not_accepted(recheck).await,
            None => pending().await,
        };
        self.refused = Some(reason);
        reason
    }

    /// Waits until the answer must end.
    pub(crate) async fn reached(&mut self) {
        let drained = async {
            match &mut self.draining {
                // The sender lives as long as the gateway.
                Some(draining) => drop(draining.wait_for(|draining| *draining).await),
                None => pending().await,
            }
        };
        let lost = async {
            match &mut self.standing {
                Some(standing) => standing.lost().await,
                None => pending().await,
            }
        };
        let refused = async {
            match &mut self.recheck {
                // Boxed: most tokens need no questions, and their streams are not to carry this.
                Some(recheck) => Box::pin(not_accepted(recheck)).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = drained => {}
            () = lost => {}
            reason = refused => self.refused = Some(reason),
            () = sleep_until(self.expires) => {}
        }
    }

    /// Whether the end is reached; for streams that never pause, which would not wait for it.
    pub(crate) fn is_reached(&mut self) -> bool {
        if let Some(recheck) = &mut self.recheck {
            self.refused = self.refused.or_else(|| recheck.check().err());
        }
        let drains = self.draining.as_ref();
        drains.is_some_and(|draining| *draining.borrow())
            || Instant::now() >= self.expires
            || self.refused.is_some()
            || self
                .standing
                .as_mut()
                .is_some_and(|standing| standing.is_lost())
    }
}

/// Asks the issuer until it says no.
async fn not_accepted(recheck: &mut Recheck) -> Reason {
    loop {
        recheck.ready().await;
        if let Err(reason) = recheck.check() {
            return reason;
        }
    }
}

/// Said of an answer that ended because its caller's token was not accepted any more.
pub(crate) fn refused_detail(reason: Reason) -> String {
    let label = reason.label();
    format!(
        "the answer was ended: the issuer was asked again, and the token would be refused now: {label}"
    )
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;
    use crate::shared::test_gateway::gateway;

    const MINUTE: Duration = Duration::from_secs(60);
    const MOMENT: Duration = Duration::from_millis(5);

    /// How long until the end is reached.
    async fn waited(end: &mut StreamEnd) -> Duration {
        let begun = Instant::now();
        end.reached().await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_to_a_call_may_outlive_the_token_by_the_configured_time() {
        let mut end = StreamEnd::of_call(MINUTE, 2 * MINUTE);
        assert_eq!(end.expires() - Instant::now(), 3 * MINUTE);
        assert!(!end.is_reached());
        let waited = waited(&mut end).await;
        assert!(
            waited >= 3 * MINUTE && waited < 3 * MINUTE + MOMENT,
            "{waited:?}"
        );
        assert!(end.is_reached());
    }

    #[tokio::test(start_paused = true)]
    async fn a_listening_stream_ends_with_the_token() {
        let gateway = gateway("");
        let mut end = StreamEnd::of_listening(&gateway, MINUTE);
        assert!(timeout(MINUTE - MOMENT, end.reached()).await.is_err());
        assert!(!end.is_reached());
        end.reached().await;
        assert!(end.is_reached());
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_has_expired_ends_its_answer_at_once() {
        let mut end = StreamEnd::of_call(Duration::ZERO, Duration::ZERO);
        assert!(end.is_reached());
        assert!(waited(&mut end).await < MOMENT);
    }

    #[tokio::test(start_paused = true)]
    async fn draining_ends_listening_streams_and_not_calls() {
        let gateway = gateway("");
        let mut listening = StreamEnd::of_listening(&gateway, MINUTE);
        let mut call = StreamEnd::of_call(MINUTE, MINUTE);
        gateway.process_state().drain();
        assert!(listening.is_reached() && !call.is_reached());
        assert_eq!(waited(&mut listening).await, Duration::ZERO);
        assert!(timeout(MINUTE, call.reached()).await.is_err());
        let mut later = StreamEnd::of_listening(&gateway, MINUTE);
        assert_eq!(waited(&mut later).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn draining_wakes_a_wait_for_the_end() {
        let gateway = gateway("");
        let mut end = StreamEnd::of_listening(&gateway, 10 * MINUTE);
        let waiting = tokio::spawn(async move { waited(&mut end).await });
        advance(MINUTE).await;
        assert!(!waiting.is_finished());
        gateway.process_state().drain();
        assert!(waiting.await.unwrap() < 2 * MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_wait_can_be_started_again() {
        let mut end = StreamEnd::of_call(MINUTE, Duration::ZERO);
        for _ in 0..59 {
            let second = Duration::from_secs(1);
            assert!(timeout(second - MOMENT, end.reached()).await.is_err());
        }
        assert!(timeout(2 * MOMENT, end.reached()).await.is_err());
        assert!(timeout(MINUTE, end.reached()).await.is_ok());
    }
}

//! The turn of the endpoint that a call is sent to first: a call that only reads, and that gets no answer in it, goes to another
//! endpoint while there is time left for that.

use std::time::Duration;

use mcp_gateway_core::balance::outcome;
use tokio::time::{Instant, sleep_until};

use crate::upstream::{Call, Tried};

/// The same call at another endpoint, and those that it was sent to before.
pub(super) type Elsewhere = Option<Box<(Call, Tried)>>;

/// An endpoint's turn.
pub(super) struct Turn<'c> {
    ends: Instant,
    call: &'c Call,
    elsewhere: &'c mut Elsewhere,
}

impl<'c> Turn<'c> {
    /// The turn of the endpoint of `call`, until `ends`. Where it is over, and another endpoint has room, `elsewhere` is the call there.
    pub(super) const fn new(ends: Instant, call: &'c Call, elsewhere: &'c mut Elsewhere) -> Self {
        Self {
            ends,
            call,
            elsewhere,
        }
    }

    /// Whether another endpoint has room. The call has a place there from then on.
    fn passes(&mut self) -> bool {
        let mut tried = Tried::default();
        let other = self.call.elsewhere(&mut tried);
        *self.elsewhere = other.map(|other| Box::new((other, tried)));
        self.elsewhere.is_some()
    }
}

/// When the turn of an endpoint ends to which a request is sent, where all attempts together have the time `whole` until `deadline`. Without
/// an instant it is sent as soon as that time begins. None where the call may wait without a deadline.
pub(super) fn end(
    whole: Duration,
    deadline: Option<Instant>,
    sent: Option<Instant>,
) -> Option<Instant> {
    let deadline = deadline?;
    let sent = sent.or_else(|| deadline.checked_sub(whole))?;
    Some(sent + outcome::turn(whole))
}

/// Waits until `end`, or until the turn of the endpoint is over, if another one has room then.
pub(super) async fn over(turn: Option<&mut Turn<'_>>, end: Instant) {
    if let Some(turn) = turn.filter(|turn| turn.ends < end) {
        sleep_until(turn.ends).await;
        if turn.passes() {
            return;
        }
    }
    sleep_until(end).await;
}

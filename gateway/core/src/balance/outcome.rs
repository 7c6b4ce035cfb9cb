//! How a call to an endpoint ended, and what that says about the endpoint.

use std::time::Duration;

use http::StatusCode;

/// How a call ended, as far as the head of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No connection could be opened.
    Unconnected,
    /// The connection broke off before the head of an answer, or what came is not HTTP.
    Broken,
    /// The endpoint answered.
    Answered(StatusCode),
    /// The head of an answer did not come in the endpoint's turn ([`turn`]); then the caller or the gateway stopped waiting.
    Late,
    /// The caller or the gateway stopped waiting before, or a kept connection was closed as it was used again.
    Unknown,
}

/// What an outcome says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The endpoint fails.
    Fails,
    /// It fails, if it answered no other call meanwhile: else this one is only slow.
    FailsIfSilent,
    /// It works.
    Works,
    /// Nothing.
    Nothing,
}

impl Outcome {
    /// What it says about the endpoint. A proxy or a platform before a server that is gone answers 502, 503 or 504; other errors are
    /// those of a server at work. A slow call alone does not count as a failure: tools may be slow.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Unconnected | Self::Broken => Verdict::Fails,
            Self::Answered(status) => match status.as_u16() {
                502..=504 => Verdict::Fails,
                _ => Verdict::Works,
            },
            Self::Late => Verdict::FailsIfSilent,
            Self::Unknown => Verdict::Nothing,
        }
    }
}

/// To how many further endpoints a call goes of which nothing was sent.
const UNSENT: usize = 2;

/// To how many further endpoints a call goes that only reads, where an endpoint may have processed it.
const READING: usize = 1;

/// How long an endpoint has for the head of an answer, before its silence counts, and before a call that only reads goes to
/// another one.
const TURN: Duration = Duration::from_secs(10);

/// The same where all attempts of a call have this deadline: half of it at most, so the other endpoint has at least as long.
pub fn turn(deadline: Duration) -> Duration {
    TURN.min(deadline / 2)
}

impl Outcome {
    /// Whether a call goes to another endpoint after this outcome; `reads`: it changes nothing. It was sent to `before` others before.
    /// After a turn in vain it went there already, if there was one with room.
    pub const fn goes_elsewhere(self, reads: bool, before: usize) -> bool {
        match (self, self.verdict()) {
            (Self::Unconnected, _) => before < UNSENT,
            (_, Verdict::Fails) => reads && before < READING,
            (_, Verdict::Works | Verdict::FailsIfSilent | Verdict::Nothing) => false,
        }
    }
}

/// Whether an endpoint that answers a check with this status is alive: 401, 404 and 405 come from a server that is at work.
pub const fn is_alive(status: StatusCode) -> bool {
    status.as_u16() < 500
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_goes_elsewhere_only_if_nothing_was_sent_or_it_only_reads() {
        let status = |status| Outcome::Answered(StatusCode::from_u16(status).unwrap());
        for (outcome, changing, reading) in [
            (Outcome::Unconnected, 2, 2),
            (Outcome::Broken, 0, 1),
            (status(503), 0, 1),
            (status(500), 0, 0),
            (status(200), 0, 0),
            (Outcome::Late, 0, 0),
            (Outcome::Unknown, 0, 0),
        ] {
            for (reads, expected) in [(false, changing), (true, reading)] {
                let times = (0..9).take_while(|before| outcome.goes_elsewhere(reads, *before));
                assert_eq!(times.count(), expected, "{outcome:?} {reads}");
            }
        }
    }

    #[test]
    fn three_statuses_and_missing_answers_are_failures() {
        for status in 200..600 {
            let status = StatusCode::from_u16(status).unwrap();
            let expected = match (502..=504).contains(&status.as_u16()) {
                true => Verdict::Fails,
                false => Verdict::Works,
            };
            assert_eq!(Outcome::Answered(status).verdict(), expected, "{status}");
            assert_eq!(is_alive(status), status.as_u16() < 500);
        }
        assert_eq!(Outcome::Unconnected.verdict(), Verdict::Fails);
        assert_eq!(Outcome::Broken.verdict(), Verdict::Fails);
        assert_eq!(Outcome::Late.verdict(), Verdict::FailsIfSilent);
        assert_eq!(Outcome::Unknown.verdict(), Verdict::Nothing);
    }

    #[test]
    fn a_turn_takes_ten_seconds_and_leaves_another_endpoint_as_long() {
        for (deadline, expected) in [(300_000, 10_000), (20_000, 10_000), (3_000, 1_500), (10, 5)] {
            let turn = turn(Duration::from_millis(deadline));
            assert_eq!(turn, Duration::from_millis(expected), "{deadline}");
        }
    }
}

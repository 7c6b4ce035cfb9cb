//! How a call to an endpoint ended, and what that says about the endpoint.

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
    /// The caller or the gateway stopped waiting, or a kept connection was closed as it was used again.
    Unknown,
}

/// What an outcome says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The endpoint fails.
    Fails,
    /// It works.
    Works,
    /// Nothing.
    Nothing,
}

impl Outcome {
    /// What it says about the endpoint. A proxy or a platform before a server that is gone answers 502, 503 or 504; other errors are
    /// those of a server at work. How long a call takes is no fault of the endpoint: tools may be slow.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Unconnected | Self::Broken => Verdict::Fails,
            Self::Answered(status) => match status.as_u16() {
                502..=504 => Verdict::Fails,
                _ => Verdict::Works,
            },
            Self::Unknown => Verdict::Nothing,
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
    fn three_statuses_and_missing_answers_are_failures() {
        for status in 200..600 {
            let status = StatusCode::from_u16(status).unwrap();
            let expected = match matches!(status.as_u16(), 502 | 503 | 504) {
                true => Verdict::Fails,
                false => Verdict::Works,
            };
            assert_eq!(Outcome::Answered(status).verdict(), expected, "{status}");
            assert_eq!(is_alive(status), status.as_u16() < 500);
        }
        assert_eq!(Outcome::Unconnected.verdict(), Verdict::Fails);
        assert_eq!(Outcome::Broken.verdict(), Verdict::Fails);
        assert_eq!(Outcome::Unknown.verdict(), Verdict::Nothing);
    }
}

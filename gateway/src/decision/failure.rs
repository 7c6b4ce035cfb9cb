//! Why a decision point gives no answer.

use std::{sync::Arc, time::Duration};

use mcp_gateway_core::policy::decision_point::answer::AnswerFault;
use thiserror::Error;

use crate::{config::DecisionPointSettings, fetch::error::FetchError};

/// The largest answer that is read, in bytes: for ten thousand decisions with a context each.
pub(super) const MAX_ANSWER: usize = 4 << 20;

/// Statuses of somebody between the gateway and the decision point, or of one that is overloaded (RFC 9110 §15.6, RFC 6585 §4): it
/// gave no answer. Any other status is an answer to the question, which a client may have caused.
const NO_ANSWER: [u16; 4] = [429, 502, 503, 504];

/// Why there is no answer that can be used.
#[derive(Clone, Debug, Error)]
pub(crate) enum Failure {
    /// The subject has too many questions in flight.
    #[error(
        "{0} questions about the subject are in flight (decision_points.*.questions_per_principal)"
    )]
    TooMany(usize),
    /// No place for a question became free in time.
    #[error("{0} questions are in flight (decision_points.*.questions)")]
    Full(usize),
    /// The answers together took too long, though each question was answered in its own time.
    #[error("not all answers within {0:?} (decision_points.*.total_timeout)")]
    TooLong(Duration),
    /// It did not answer.
    #[error("{0}")]
    NoAnswer(Arc<str>),
    /// It answered something that is no decision.
    #[error("{0}")]
    Wrong(Arc<str>),
}

impl Failure {
    /// From an answer with another status than 200.
    pub(super) fn of_status(status: u16, url: &str) -> Self {
        let advice = match status {
            401 | 403 => {
                "; it may refuse the gateway's credentials (decision_points.*.bearer_file, decision_points.*.credentials_file)"
            }
            _ => "",
        };
        let found = format!("{url} answered with status {status}, expected 200{advice}").into();
        match NO_ANSWER.contains(&status) {
            true => Self::NoAnswer(found),
            false => Self::Wrong(found),
        }
    }

    /// From a request that failed.
    pub(super) fn of_fetch(error: &FetchError, settings: &DecisionPointSettings) -> Self {
        let found = match error {
            FetchError::Deadline(_, via) => format!(
                "no answer within {:?} (decision_points.*.timeout){via}",
                settings.timeout
            ),
            FetchError::TooLarge { url, limit } => {
                format!("the answer of {url} is larger than {limit} bytes")
            }
            other => other.to_string(),
        };
        // A connection that breaks off after the question was sent can be the question's doing.
        match error {
            FetchError::Deadline(..)
            | FetchError::Connection { .. }
            | FetchError::Proxy { .. }
            | FetchError::ProxyStatus { .. } => Self::NoAnswer(found.into()),
            _ => Self::Wrong(found.into()),
        }
    }

    /// From an answer that decides nothing.
    pub(super) fn of_answer(fault: AnswerFault, url: &str) -> Self {
        Self::Wrong(format!("{url}: {fault}").into())
    }

    /// The metric label.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::TooMany(_) | Self::Full(_) => "full",
            Self::NoAnswer(_) | Self::TooLong(_) => "no_answer",
            Self::Wrong(_) => "wrong_answer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_question_can_cause_is_no_answer() {
        for (status, label) in [
            (400, "wrong_answer"),
            (401, "wrong_answer"),
            (403, "wrong_answer"),
            (404, "wrong_answer"),
            (204, "wrong_answer"),
            (500, "wrong_answer"),
            (429, "no_answer"),
            (502, "no_answer"),
            (503, "no_answer"),
            (504, "no_answer"),
        ] {
            assert_eq!(Failure::of_status(status, "u").label(), label, "{status}");
        }
    }
}

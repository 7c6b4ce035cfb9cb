//! What a decision point answered. Only `decision: true` permits and only `decision: false` denies; any other value is a
//! wrong answer.

use crate::json::names::look_alike::ambiguous_names;
use crate::json::{FIXED, JsonError, JsonLimits, OutlineValue, outline};

/// Limits for reading one answer.
const LIMITS: JsonLimits = JsonLimits {
    depth: 32,
    members: 100_000,
};

/// Depth of what is read: the answer, its list, the element.
const DEPTH: usize = 3;

const DECISION: &str = "decision";
const EVALUATIONS: &str = "evaluations";

/// Why an answer decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// Not JSON that every reader understands alike.
    #[error("its answer is not JSON that can be read: {}", LIMITS.explain(*.0, FIXED))]
    Json(#[from] JsonError),
    /// Not an object.
    #[error("its answer is not an object")]
    NotAnObject,
    /// A member name that some readers take for one that is read.
    #[error("its answer has look-alike member names")]
    LookAlike,
    /// No `decision`.
    #[error("its answer has no decision")]
    NoDecision,
    /// `decision` is neither `true` nor `false`.
    #[error("the decision in its answer is neither true nor false")]
    NotBoolean,
    /// No array `evaluations`.
    #[error("its answer has no array of evaluations")]
    NoEvaluations,
    /// Another number of decisions than of questions.
    #[error("its answer has {found} evaluations, and {asked} were asked for")]
    Count {
        /// How many there are.
        found: usize,
        /// How many questions were asked.
        asked: usize,
    },
}

/// Whether the answer to one question is a yes (Authorization API 1.0, *Access Evaluation API*).
///
/// # Errors
/// [`AnswerFault`].
pub fn one(body: &[u8]) -> Result<bool, AnswerFault> {
    let outline = outline(body, &LIMITS, DEPTH)?;
    decision(outline.root())
}

/// Whether each answer to so many questions is a yes (*Access Evaluations API*).
///
/// # Errors
/// [`AnswerFault`].
pub fn several(body: &[u8], asked: usize) -> Result<Vec<bool>, AnswerFault> {
    let outline = outline(body, &LIMITS, DEPTH)?;
    let root = outline.root();
    readable(root, EVALUATIONS)?;
    let list = root
        .get(EVALUATIONS)
        .filter(|list| list.is_array())
        .ok_or(AnswerFault::NoEvaluations)?;
    let found = list.elements().count();
    if found != asked {
        return Err(AnswerFault::Count { found, asked });
    }
    list.elements().map(decision).collect()
}

fn decision(value: OutlineValue<'_, '_>) -> Result<bool, AnswerFault> {
    readable(value, DECISION)?;
    match value.get(DECISION).map(|decision| decision.raw()) {
        None => Err(AnswerFault::NoDecision),
        Some(b"true") => Ok(true),
        Some(b"false") => Ok(false),
        Some(_) => Err(AnswerFault::NotBoolean),
    }
}

/// Refuses what is not an object, or an object in which some reader finds another member of this name.
fn readable(value: OutlineValue<'_, '_>, name: &str) -> Result<(), AnswerFault> {
    if !value.is_object() {
        return Err(AnswerFault::NotAnObject);
    }
    match ambiguous_names(value.members().map(|(own, _)| own), &[name]) {
        true => Err(AnswerFault::LookAlike),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_true_is_a_yes_and_only_false_is_a_no() {
        for (body, expected) in [
            (r#"{"decision":true}"#, true),
            (
                r#" { "context" : {"reason_admin":{"en":"because"}} , "decision" : true } "#,
                true,
            ),
            (r#"{"decision":false}"#, false),
            (r#"{"decision":false,"context":{"decision":true}}"#, false),
        ] {
            assert_eq!(one(body.as_bytes()), Ok(expected), "{body}");
        }
    }

    #[test]
    fn what_is_neither_decides_nothing() {
        for (body, fault) in [
            ("{}", AnswerFault::NoDecision),
            (r#"{"context":{"decision":true}}"#, AnswerFault::NoDecision),
            (r#"{"decision":"true"}"#, AnswerFault::NotBoolean),
            (r#"{"decision":1}"#, AnswerFault::NotBoolean),
            (r#"{"decision":null}"#, AnswerFault::NotBoolean),
            (r#"{"decision":[true]}"#, AnswerFault::NotBoolean),
            (r#"{"decision":{"decision":true}}"#, AnswerFault::NotBoolean),
            (r#"{"Decision":true}"#, AnswerFault::LookAlike),
            (
                r#"{"decision":true,"DECISION":false}"#,
                AnswerFault::LookAlike,
            ),
            ("true", AnswerFault::NotAnObject),
            (r#"[{"decision":true}]"#, AnswerFault::NotAnObject),
            ("", AnswerFault::Json(JsonError::Syntax)),
            ("{\"decision\":true", AnswerFault::Json(JsonError::Syntax)),
            (
                "{\"decision\":true}{\"decision\":false}",
                AnswerFault::Json(JsonError::Syntax),
            ),
            (
                r#"{"decision":false,"decision":true}"#,
                AnswerFault::Json(JsonError::Duplicate),
            ),
        ] {
            assert_eq!(one(body.as_bytes()), Err(fault), "{body}");
            assert!(!fault.to_string().is_empty());
        }
    }

    #[test]
    fn no_beginning_of_a_yes_is_a_yes() {
        let whole = br#"{"context":{"id":"0"},"decision":true}"#;
        assert_eq!(one(whole), Ok(true));
        for end in 0..whole.len() {
            assert!(one(&whole[..end]).is_err(), "{end}");
        }
        let whole = br#"{"evaluations":[{"decision":true},{"decision":true}]}"#;
        assert_eq!(several(whole, 2), Ok(vec![true, true]));
        for end in 0..whole.len() {
            assert!(several(&whole[..end], 2).is_err(), "{end}");
        }
    }

    #[test]
    fn each_question_of_several_has_its_own_answer() {
        let body = br#"{"evaluations":[{"decision":true},{"decision":false,"context":{}}]}"#;
        assert_eq!(several(body, 2), Ok(vec![true, false]));
        for (asked, found) in [(1, 2), (3, 2)] {
            assert_eq!(
                several(body, asked),
                Err(AnswerFault::Count { found, asked })
            );
        }
        for (body, fault) in [
            (r#"{"decision":true}"#, AnswerFault::NoEvaluations),
            (r#"{"evaluations":true}"#, AnswerFault::NoEvaluations),
            (r#"{"evaluations":[true]}"#, AnswerFault::NotAnObject),
            (r#"{"evaluations":[{}]}"#, AnswerFault::NoDecision),
            (
                r#"{"evaluations":[{"decision":1}]}"#,
                AnswerFault::NotBoolean,
            ),
            (r#"[{"decision":true}]"#, AnswerFault::NotAnObject),
            (
                r#"{"evaluations":[],"Evaluations":[{"decision":true}]}"#,
                AnswerFault::LookAlike,
            ),
        ] {
            assert_eq!(several(body.as_bytes(), 1), Err(fault), "{body}");
        }
    }
}

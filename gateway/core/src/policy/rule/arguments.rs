//! What a rule requires of the arguments of a call.
//!
//! An argument that a rule names and that the rule cannot judge refuses the call, whether the rule allows or denies: the MCP
//! server might read in it what the rule does not see.

use std::fmt;

use super::pattern::Pattern;
use crate::cel::call_arguments::{CallArguments, Found, MAX_ARGUMENT, MAX_NAME_STEPS, MAX_STEPS};
use crate::json::number::{self, MAX_NUMBER_BYTES};
use crate::refusal::reason::Reason;

/// The steps of comparing a number, for each byte of it.
const STEPS_OF_NUMBER: usize = 16;

/// The largest whole number that JSON readers agree on (RFC 8259 §6).
pub const MAX_NUMBER: i64 = (1 << 53) - 1;

/// What a rule requires of one top-level argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// The argument's name.
    pub name: Box<str>,
    /// The allowed values.
    pub values: Vec<Value>,
}

/// A value that an argument is allowed to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text that matches this pattern.
    Text(Pattern),
    /// A number of this value, however it is written; at most [`MAX_NUMBER`] either way.
    Number(i64),
    /// `true` or `false`.
    Flag(bool),
}

/// Why a call's arguments cannot be judged. It names the argument, never its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentFault {
    /// The argument that the rule names; none where the fault is in all of them.
    pub name: Option<Box<str>>,
    /// What is wrong with it.
    pub cause: ArgumentCause,
}

/// What is wrong with an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentCause {
    /// All arguments together are no object.
    #[error("the arguments are not an object")]
    NotObject,
    /// A member name that some readers take for another one.
    #[error("the arguments have look-alike member names")]
    LookAlike,
    /// A value of another type than those of the rule.
    #[error("it is {0}, and the rule compares it with another type")]
    Type(&'static str),
    /// The names of the call, with the patterns of all rules: one over [`MAX_STEPS`], or all over [`MAX_NAME_STEPS`].
    #[error(
        "the names of the call are too long for so many patterns of rules (more than {MAX_STEPS} steps for one, or {MAX_NAME_STEPS} for all)"
    )]
    NameTooLong,
    /// A header mirrors it, and the message has no such argument.
    #[error("only its Mcp-Param header has a value")]
    HeaderOnly,
    /// A text with half of a surrogate pair.
    #[error("it is not valid Unicode text")]
    NotText,
    /// A number that readers round differently, or beyond [`MAX_NUMBER`].
    #[error("it is a number that is too large, or that readers round differently")]
    Number,
    /// Over [`MAX_ARGUMENT`].
    #[error("it is longer than {MAX_ARGUMENT} bytes")]
    TooLong,
    /// Over [`MAX_STEPS`], together with what other rules read.
    #[error("it is too long for so many rules (more than {MAX_STEPS} steps)")]
    TooMuch,
}

impl ArgumentFault {
    /// The reason for the client.
    pub const fn reason(&self) -> Reason {
        match self.cause {
            ArgumentCause::NotObject => Reason::InvalidRequest,
            ArgumentCause::LookAlike => Reason::AmbiguousJson,
            ArgumentCause::HeaderOnly => Reason::HeaderMismatch,
            _ => Reason::ArgumentUnreadable,
        }
    }
}

impl From<Reason> for ArgumentFault {
    /// From the reasons of [`CallArguments`].
    fn from(reason: Reason) -> Self {
        let cause = match reason {
            Reason::AmbiguousJson => ArgumentCause::LookAlike,
            _ => ArgumentCause::NotObject,
        };
        Self { name: None, cause }
    }
}

impl fmt::Display for ArgumentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "argument `{name}` cannot be judged: {}", self.cause),
            None => self.cause.fmt(f),
        }
    }
}

/// Whether the call's arguments meet a rule's requirements. An argument that is missing does not.
///
/// # Errors
/// [`ArgumentFault`] where they cannot be judged, also where another argument does not meet the rule.
pub(crate) fn are(
    arguments: &CallArguments<'_>,
    asked: &[Argument],
) -> Result<bool, ArgumentFault> {
    let known: Vec<&str> = asked.iter().map(|argument| &*argument.name).collect();
    arguments.refuse_look_alikes(&known)?;
    let mut all = true;
    for argument in asked {
        all &= match arguments.find(&argument.name)? {
            None => false,
            Some(found) => argument
                .is_met(arguments, found)
                .map_err(|cause| ArgumentFault {
                    name: Some(argument.name.clone()),
                    cause,
                })?,
        };
    }
    Ok(all)
}

impl Argument {
    /// Whether a value is one of those that are allowed.
    fn is_met<'a>(
        &self,
        arguments: &CallArguments<'a>,
        found: Found<'a>,
    ) -> Result<bool, ArgumentCause> {
        match found.raw {
            [b'"', ..] if self.has(|value| matches!(value, Value::Text(_))) => {
                self.has_text(arguments, found)
            }
            raw @ [b'-' | b'0'..=b'9', ..]
                if self.has(|value| matches!(value, Value::Number(_))) =>
            {
                if !arguments.spend(STEPS_OF_NUMBER * raw.len().min(MAX_NUMBER_BYTES)) {
                    return Err(ArgumentCause::TooMuch);
                }
                let number = number::exact(raw).filter(|number| number.abs() <= MAX_NUMBER as f64);
                let number = number.ok_or(ArgumentCause::Number)?;
                Ok(self.has(|value| matches!(value, Value::Number(own) if *own as f64 == number)))
            }
            raw @ (b"true" | b"false") if self.has(|value| matches!(value, Value::Flag(_))) => {
                Ok(self.has(|value| *value == Value::Flag(raw == b"true")))
            }
            raw => Err(ArgumentCause::Type(kind(raw))),
        }
    }

    fn has_text<'a>(
        &self,
        arguments: &CallArguments<'a>,
        found: Found<'a>,
    ) -> Result<bool, ArgumentCause> {
        if found.raw.len() > MAX_ARGUMENT {
            return Err(ArgumentCause::TooLong);
        }
        let text = arguments.text(found).ok_or(ArgumentCause::NotText)?;
        for value in &self.values {
            let Value::Text(pattern) = value else {
                continue;
            };
            if !arguments.spend(pattern.steps(text.len())) {
                return Err(ArgumentCause::TooMuch);
            }
            if pattern.matches(&text) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn has(&self, is: impl Fn(&Value) -> bool) -> bool {
        self.values.iter().any(is)
    }
}

/// The type of a raw value, for operators.
const fn kind(raw: &[u8]) -> &'static str {
    match raw {
        [b'"', ..] => "text",
        [b'{', ..] => "an object",
        [b'[', ..] => "an array",
        [b't' | b'f', ..] => "true or false",
        [b'n', ..] => "null",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pattern: &str) -> Value {
        Value::Text(Pattern::parse(pattern).unwrap())
    }

    fn asked(name: &str, values: Vec<Value>) -> Argument {
        Argument {
            name: name.into(),
            values,
        }
    }

    fn call(raw: Option<&str>) -> CallArguments<'_> {
        CallArguments::of_call(raw.map(str::as_bytes), false)
    }

    fn are(raw: &str, asked: &[Argument]) -> Result<bool, Reason> {
        super::are(&call(Some(raw)), asked).map_err(|fault| fault.reason())
    }

    /// The fault of an argument `a` with this raw value, where a rule requires these values.
    fn cause(raw: &str, values: Vec<Value>) -> Option<ArgumentCause> {
        let raw = format!(r#"{{"a":{raw}}}"#);
        let judged = super::are(&call(Some(&raw)), &[asked("a", values)]);
        judged.err().map(|fault| {
            assert_eq!(fault.name.as_deref(), Some("a"));
            fault.cause
        })
    }

    #[test]
    fn every_argument_asked_for_has_one_of_its_values() {
        let asked = [
            asked("priority", vec![text("high"), text("urg*")]),
            asked("count", vec![Value::Number(5)]),
        ];
        for (arguments, expected) in [
            (r#"{"priority":"high","count":5}"#, true),
            (r#"{"count":5.0,"x":1,"priority":"urgent"}"#, true),
            (r#"{"priority":"\u0068igh","count":5e0}"#, true),
            (r#"{"priority":"High","count":5}"#, false),
            (r#"{"priority":"high"}"#, false),
            (r#"{"priority":"high","count":5.5}"#, false),
            ("{}", false),
            ("null", false),
        ] {
            assert_eq!(are(arguments, &asked), Ok(expected), "{arguments}");
        }
        assert_eq!(super::are(&call(None), &asked), Ok(false));
        assert_eq!(super::are(&call(None), &[]), Ok(true));
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let flag = [asked("force", vec![Value::Flag(true)])];
        for (raw, expected) in [
            ("true", Ok(true)),
            ("false", Ok(false)),
            ("null", Err(Reason::ArgumentUnreadable)),
            ("\"true\"", Err(Reason::ArgumentUnreadable)),
            ("1", Err(Reason::ArgumentUnreadable)),
            ("[true]", Err(Reason::ArgumentUnreadable)),
        ] {
            assert_eq!(
                are(&format!(r#"{{"force":{raw}}}"#), &flag),
                expected,
                "{raw}"
            );
        }
        let either = [asked("n", vec![Value::Number(-3), text("low")])];
        for (raw, expected) in [
            ("-3", Ok(true)),
            ("-30e-1", Ok(true)),
            ("3", Ok(false)),
            ("\"low\"", Ok(true)),
            ("\"-3\"", Ok(false)),
            ("true", Err(Reason::ArgumentUnreadable)),
            ("{}", Err(Reason::ArgumentUnreadable)),
        ] {
            assert_eq!(
                are(&format!(r#"{{"n":{raw}}}"#), &either),
                expected,
                "{raw}"
            );
        }
    }

    #[test]
    fn an_argument_that_a_rule_cannot_judge_has_a_fault() {
        let any = || vec![text("**DROP**")];
        let long = format!("\"{}\"", "x".repeat(MAX_ARGUMENT - 1));
        for (raw, expected) in [
            ("\"DROP\"", None),
            ("\"x\"", None),
            (r#""DROP TABLE x; --\ud800""#, Some(ArgumentCause::NotText)),
            (r#""\udc00""#, Some(ArgumentCause::NotText)),
            ("[\"DROP\"]", Some(ArgumentCause::Type("an array"))),
            ("[]", Some(ArgumentCause::Type("an array"))),
            (r#"{"a":"DROP"}"#, Some(ArgumentCause::Type("an object"))),
            ("1", Some(ArgumentCause::Type("a number"))),
            ("true", Some(ArgumentCause::Type("true or false"))),
            ("null", Some(ArgumentCause::Type("null"))),
            (&long, Some(ArgumentCause::TooLong)),
        ] {
            assert_eq!(cause(raw, any()), expected, "{raw}");
        }
        for (raw, expected) in [
            ("9007199254740991", None),
            ("-9007199254740991", None),
            ("4.5", None),
            ("9007199254740993", Some(ArgumentCause::Number)),
            ("4.99999999999999999999", Some(ArgumentCause::Number)),
            ("1e400", Some(ArgumentCause::Number)),
            ("1e-400", Some(ArgumentCause::Number)),
            ("\"5\"", Some(ArgumentCause::Type("text"))),
        ] {
            assert_eq!(cause(raw, vec![Value::Number(5)]), expected, "{raw}");
        }
    }

    #[test]
    fn an_argument_that_cannot_be_judged_is_refused_where_another_one_does_not_meet_the_rule() {
        let asked = [
            asked("mode", vec![text("raw")]),
            asked("query", vec![text("**DROP**")]),
        ];
        for arguments in [
            r#"{"mode":"safe","query":["DROP"]}"#,
            r#"{"query":"DROP \ud800"}"#,
            r#"{"mode":1,"query":"x"}"#,
        ] {
            let refused = Err(Reason::ArgumentUnreadable);
            assert_eq!(are(arguments, &asked), refused, "{arguments}");
        }
    }

    #[test]
    fn all_rules_together_take_a_bounded_number_of_steps() {
        let raw = format!(r#"{{"a":"{}"}}"#, "a".repeat(8 * 1024));
        for (pattern, most) in [("a", usize::MAX), ("**b**", 128), ("**a*b**a*b", 64)] {
            let rule = [asked("a", vec![text(pattern)])];
            let call = call(Some(&raw));
            let judged = (0..1000).take_while(|_| super::are(&call, &rule).is_ok());
            let judged = judged.count();
            assert!(
                judged <= most && judged >= most.min(1000) / 2,
                "{pattern} {judged}"
            );
            let spent = super::are(&call, &rule).err().map(|fault| fault.cause);
            let expected = (most < 1000).then_some(ArgumentCause::TooMuch);
            assert_eq!(spent, expected, "{pattern}");
        }
    }

    #[test]
    fn what_a_lenient_reader_could_take_for_the_argument_is_refused() {
        let asked = [asked("path", vec![text("**")])];
        for raw in [
            r#"{"PATH":"x"}"#,
            r#"{"path":"x","Path":"y"}"#,
            r#"{"path\u0000":"x"}"#,
            r#"{"a":1,"A":2,"path":"x"}"#,
        ] {
            assert_eq!(are(raw, &asked), Err(Reason::AmbiguousJson), "{raw}");
        }
        for raw in ["[]", "\"path\"", "1"] {
            assert_eq!(are(raw, &asked), Err(Reason::InvalidRequest), "{raw}");
        }
    }

    #[test]
    fn look_alikes_are_found_at_every_depth() {
        for (raw, expected) in [
            (r#"{"a":{"b":[{"owner":1}]}}"#, Ok(())),
            (r#"{"a":{"b":[{"Owner":1}]}}"#, Err(Reason::AmbiguousJson)),
            (r#"{"a":[[{"x":1,"X":2}]]}"#, Err(Reason::AmbiguousJson)),
            ("7", Err(Reason::InvalidRequest)),
        ] {
            let arguments = call(Some(raw));
            assert_eq!(
                arguments.refuse_look_alikes_within(&["owner"]),
                expected,
                "{raw}"
            );
        }
        assert_eq!(call(None).refuse_look_alikes_within(&["owner"]), Ok(()));
    }
}

//! What a rule requires of the arguments of a call.

use super::pattern::Pattern;
use crate::cel::call_arguments::CallArguments;
use crate::json;
use crate::refusal::reason::Reason;

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

impl Value {
    fn is(&self, raw: &[u8]) -> bool {
        match self {
            Self::Text(pattern) => json::string(raw).is_some_and(|text| pattern.matches(&text)),
            Self::Number(number) => number_of(raw) == Some(*number as f64),
            Self::Flag(flag) => raw == if *flag { &b"true"[..] } else { b"false" },
        }
    }
}

/// Whether a raw value is of the type of one of these.
fn is_of_their_type(raw: &[u8], values: &[Value]) -> bool {
    values.iter().any(|value| match value {
        Value::Text(_) => raw.starts_with(b"\""),
        Value::Number(_) => matches!(raw.first(), Some(b'-' | b'0'..=b'9')),
        Value::Flag(_) => matches!(raw, b"true" | b"false"),
    })
}

/// `5`, `5.0` and `5e0` are the same number to the server that runs the call.
fn number_of(raw: &[u8]) -> Option<f64> {
    let is_number = matches!(raw.first(), Some(b'-' | b'0'..=b'9'));
    let text = std::str::from_utf8(raw).ok().filter(|_| is_number)?;
    text.parse().ok()
}

/// Whether the call's arguments meet a rule's requirements.
///
/// # Errors
/// [`Reason::InvalidRequest`] where they are not an object, [`Reason::AmbiguousJson`] where a name looks like a required one,
/// or like another. [`Reason::PolicyDenied`] where a value has another type than the required ones: a server that accepts
/// `"true"` for `true` would do what the rule did not see. An argument that is missing or null does not meet the rule.
pub(crate) fn are(arguments: &CallArguments<'_>, asked: &[Argument]) -> Result<bool, Reason> {
    let known: Vec<&str> = asked.iter().map(|argument| &*argument.name).collect();
    arguments.refuse_look_alikes(&known)?;
    let arguments = arguments.object()?;
    let mut all = true;
    for Argument { name, values } in asked {
        match arguments.get(name).filter(|raw| *raw != b"null") {
            None => all = false,
            Some(raw) if !is_of_their_type(raw, values) => return Err(Reason::PolicyDenied),
            Some(raw) => all &= values.iter().any(|value| value.is(raw)),
        }
    }
    Ok(all)
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
        super::are(&call(Some(raw)), asked)
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
            (r#"{"priority":null,"count":5}"#, false),
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
            ("null", Ok(false)),
            ("\"true\"", Err(Reason::PolicyDenied)),
            ("1", Err(Reason::PolicyDenied)),
            ("[true]", Err(Reason::PolicyDenied)),
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
            ("true", Err(Reason::PolicyDenied)),
            ("{}", Err(Reason::PolicyDenied)),
        ] {
            assert_eq!(
                are(&format!(r#"{{"n":{raw}}}"#), &either),
                expected,
                "{raw}"
            );
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

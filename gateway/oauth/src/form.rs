//! The parameters of a request: a query, or a body of `application/x-www-form-urlencoded` (WHATWG URL, *application/x-www-form-urlencoded*).
//!
//! It is read strictly: UTF-8, whole escapes, no control characters, each parameter once (RFC 6749 §3.1, §3.2). A parameter without
//! a value counts as not sent (RFC 6749 §3.1). `+` is a space, and blanks around a value stay: the reader of a scope trims it.

use std::fmt;

use url::form_urlencoded::{Serializer, byte_serialize};

/// The most bytes of a query or a body.
pub const MOST_BYTES: usize = 64 * 1024;
/// The most parameters.
pub const MOST_PARAMETERS: usize = 64;
/// The most bytes of the name of a parameter, decoded.
pub const MOST_NAME_BYTES: usize = 128;
/// The most bytes of a value, decoded. An authorization request travels through sign-in and consent as one value.
pub const MOST_VALUE_BYTES: usize = 48 * 1024;

/// The parameter that may be sent more than once (RFC 8707 §2).
const REPEATABLE: &str = "resource";

/// Why bytes are not a form. The names of parameters are shown, values are not: they may be secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// More than [`MOST_BYTES`].
    #[error("the parameters are longer than {MOST_BYTES} bytes")]
    TooLong,
    /// More than [`MOST_PARAMETERS`].
    #[error("there are more than {MOST_PARAMETERS} parameters")]
    TooMany,
    /// A name of more than [`MOST_NAME_BYTES`].
    #[error("the name of a parameter is longer than {MOST_NAME_BYTES} bytes")]
    NameTooLong,
    /// A value of more than [`MOST_VALUE_BYTES`].
    #[error("the parameter {0:?} is longer than {MOST_VALUE_BYTES} bytes")]
    ValueTooLong(String),
    /// A `%` without two hexadecimal digits, in the parameter of this position, from 1.
    #[error("parameter {0} has a percent sign without two hexadecimal digits")]
    Escape(usize),
    /// Bytes that are not UTF-8, in the parameter of this position, from 1.
    #[error("parameter {0} is not UTF-8")]
    NotUtf8(usize),
    /// A control character, in the parameter of this position, from 1.
    #[error("parameter {0} has a control character")]
    Control(usize),
    /// A parameter was sent twice.
    #[error("the parameter {0:?} was sent more than once")]
    Repeated(String),
}

/// The parameters of a request, each with a value that is not empty. `Debug` shows their names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Form {
    parameters: Vec<(String, String)>,
    repeated: Vec<String>,
}

impl Form {
    /// Reads a query without its `?`, or a body.
    ///
    /// # Errors
    /// [`FormError`]; [`FormError::Repeated`] for a parameter that was sent twice, `resource` excepted.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormError> {
        let form = Self::parse_ambiguous(bytes)?;
        match form.repeated.into_iter().next() {
            Some(name) => Err(FormError::Repeated(name)),
            None => Ok(Self {
                repeated: Vec::new(),
                ..form
            }),
        }
    }

    /// Reads the query of an authorization request. A parameter that was sent twice has no value and is among [`Self::repeated`], so
    /// that the error can go to the redirect URI of the client.
    ///
    /// # Errors
    /// [`FormError`], but never [`FormError::Repeated`].
    pub fn parse_ambiguous(bytes: &[u8]) -> Result<Self, FormError> {
        if bytes.len() > MOST_BYTES {
            return Err(FormError::TooLong);
        }
        let pairs = bytes.split(|byte| *byte == b'&');
        let mut sent = Vec::new();
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let position = sent.len() + 1;
            if position > MOST_PARAMETERS {
                return Err(FormError::TooMany);
            }
            sent.push(parameter(pair, position)?);
        }
        Ok(Self::once_each(sent))
    }

    /// The value of a parameter; none if it was not sent, sent without a value, or is among [`Self::repeated`]. Of several resources
    /// it is the first: use [`Self::all`].
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a parameter. Only `resource` has more than one.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.iter().filter(move |(own, _)| *own == name);
        named.map(|(_, value)| value)
    }

    /// Names and values in the order in which they were sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let parameters = self.parameters.iter();
        parameters.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The names of the parameters that were sent more than once.
    pub fn repeated(&self) -> impl Iterator<Item = &str> {
        self.repeated.iter().map(String::as_str)
    }

    /// The parameters as a query, without those of these names.
    pub fn to_query(&self, without: &[&str]) -> String {
        let kept = self.iter().filter(|(name, _)| !without.contains(name));
        Serializer::new(String::new()).extend_pairs(kept).finish()
    }

    fn once_each(sent: Vec<(String, String)>) -> Self {
        let mut form = Self::default();
        for (position, (name, _)) in sent.iter().enumerate() {
            let before = sent.iter().take(position);
            let is_again = name != REPEATABLE && before.into_iter().any(|(own, _)| own == name);
            if is_again && !form.repeated.contains(name) {
                form.repeated.push(name.clone());
            }
        }
        let repeated = &form.repeated;
        let is_kept =
            |(name, value): &(String, String)| !value.is_empty() && !repeated.contains(name);
        form.parameters = sent.into_iter().filter(is_kept).collect();
        form
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.iter().map(|(name, _)| name);
        formatter.debug_list().entries(names).finish()
    }
}

/// A value as it stands in a query. A space is `%20`, which every client reads; not all of them read `+`.
pub fn encoded(value: &str) -> String {
    byte_serialize(value.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

fn parameter(pair: &[u8], position: usize) -> Result<(String, String), FormError> {
    let equals = pair.iter().position(|byte| *byte == b'=');
    let (name, value) = match equals.and_then(|at| pair.split_at_checked(at)) {
        Some((name, value)) => (name, value.get(1..).unwrap_or_default()),
        None => (pair, &[][..]),
    };
    let (name, value) = (text(name, position)?, text(value, position)?);
    if name.len() > MOST_NAME_BYTES {
        return Err(FormError::NameTooLong);
    }
    if value.len() > MOST_VALUE_BYTES {
        return Err(FormError::ValueTooLong(name));
    }
    Ok((name, value))
}

/// A name or a value, decoded.
fn text(encoded: &[u8], position: usize) -> Result<String, FormError> {
    let bytes = decoded(encoded).ok_or(FormError::Escape(position))?;
    let text = String::from_utf8(bytes).map_err(|_| FormError::NotUtf8(position))?;
    if text.chars().any(char::is_control) {
        return Err(FormError::Control(position));
    }
    Ok(text)
}

/// Escapes as the bytes that they stand for, a plus as a space; none where an escape is not whole.
fn decoded(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'%' => {
                let (digits, behind) = after.split_first_chunk::<2>()?;
                bytes.push(hexadecimal(*digits)?);
                rest = behind;
            }
            b'+' => bytes.push(b' '),
            byte => bytes.push(*byte),
        }
    }
    Some(bytes)
}

fn hexadecimal(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let form = Form::parse(text.as_bytes()).unwrap();
        let pairs = form.iter();
        pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    #[test]
    fn parameters_are_decoded() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("a=1&b=2", &[("a", "1"), ("b", "2")]),
            ("a=b=c&d", &[("a", "b=c")]),
            ("&&a=1&", &[("a", "1")]),
            ("a+b=c+d%2B", &[("a b", "c d+")]),
            ("%61=%C3%a4", &[("a", "ä")]),
            ("a=ä;b=1", &[("a", "ä;b=1")]),
            ("scope=+tasks%3Aread%20+x+", &[("scope", " tasks:read  x ")]),
        ];
        for (text, expected) in cases {
            let expected: Vec<_> = expected
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect();
            assert_eq!(pairs(text), expected, "{text}");
        }
    }

    #[test]
    fn a_parameter_without_a_value_counts_as_not_sent() {
        let form = Form::parse(b"scope=&state&client_id=a").unwrap();
        assert_eq!(form.get("scope"), None);
        assert_eq!(form.get("state"), None);
        assert_eq!(form.get("client_id"), Some("a"));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let repeated = |name: &str| FormError::Repeated(name.to_owned());
        let cases = [
            ("a=%", FormError::Escape(1)),
            ("b=1&a=%4", FormError::Escape(2)),
            ("a=%zz", FormError::Escape(1)),
            ("a=%+1", FormError::Escape(1)),
            ("%=1", FormError::Escape(1)),
            ("a=%ff", FormError::NotUtf8(1)),
            ("a=%c0%ae", FormError::NotUtf8(1)),
            ("a=%ed%a0%80", FormError::NotUtf8(1)),
            ("a=%00", FormError::Control(1)),
            ("a=1%0d%0a", FormError::Control(1)),
            ("a=1%7f", FormError::Control(1)),
            ("a=%c2%85", FormError::Control(1)),
            ("a%09=1", FormError::Control(1)),
            ("a=1&a=1", repeated("a")),
            ("a=1&a=2", repeated("a")),
            ("a=&a=2", repeated("a")),
            ("a=1&%61=1", repeated("a")),
            ("a&a", repeated("a")),
            ("resource=a&x=1&x=2", repeated("x")),
        ];
        for (text, expected) in cases {
            assert_eq!(Form::parse(text.as_bytes()), Err(expected), "{text}");
        }
    }

    #[test]
    fn only_resource_has_several_values() {
        let form = Form::parse(b"resource=a&client_id=x&resource=b").unwrap();
        assert_eq!(form.all("resource").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(form.all("client_id").collect::<Vec<_>>(), ["x"]);
        assert_eq!(form.all("nothing").count(), 0);
    }

    #[test]
    fn a_repeated_parameter_of_an_authorization_request_has_no_value() {
        let form = Form::parse_ambiguous(b"state=1&client_id=x&state=2&state=1").unwrap();
        assert_eq!(form.get("state"), None);
        assert_eq!(form.get("client_id"), Some("x"));
        assert_eq!(form.repeated().collect::<Vec<_>>(), ["state"]);
        assert_eq!(Form::parse_ambiguous(b"a=%0a"), Err(FormError::Control(1)));
    }

    #[test]
    fn the_limits_hold() {
        let many = |count: usize| {
            let names = (0..count).map(|number| format!("{number}=1"));
            names.collect::<Vec<_>>().join("&")
        };
        let long = |count: usize| format!("a={}", "x".repeat(count));
        let named = |count: usize| format!("{}=1", "x".repeat(count));
        let fills = |count: usize| {
            format!(
                "a={}&b={}",
                "%41".repeat(count / 6),
                "x".repeat(count / 2 - 6)
            )
        };
        for text in [
            many(MOST_PARAMETERS),
            long(MOST_VALUE_BYTES),
            named(MOST_NAME_BYTES),
            fills(MOST_BYTES),
        ] {
            assert!(Form::parse(text.as_bytes()).is_ok(), "{}", text.len());
        }
        let cases = [
            (many(MOST_PARAMETERS + 1), FormError::TooMany),
            (
                long(MOST_VALUE_BYTES + 1),
                FormError::ValueTooLong("a".to_owned()),
            ),
            (named(MOST_NAME_BYTES + 1), FormError::NameTooLong),
            ("&".repeat(MOST_BYTES + 1), FormError::TooLong),
        ];
        for (text, expected) in cases {
            assert_eq!(Form::parse(text.as_bytes()), Err(expected));
        }
    }

    #[test]
    fn a_query_is_written_as_it_was_read() {
        let text = "client_id=a&state=%C3%A4+b%26&prompt=login&resource=x&resource=y";
        let form = Form::parse(text.as_bytes()).unwrap();
        assert_eq!(form.to_query(&[]), text);
        assert_eq!(
            form.to_query(&["prompt", "resource"]),
            "client_id=a&state=%C3%A4+b%26"
        );
    }

    #[test]
    fn a_form_shows_no_values() {
        let form = Form::parse(b"username=alice&password=hunter2").unwrap();
        assert_eq!(format!("{form:?}"), r#"["username", "password"]"#);
        let error = Form::parse(b"password=hunter2%0a").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn a_value_in_a_query_has_no_plus() {
        assert_eq!(encoded("a b+c&ä"), "a%20b%2Bc%26%C3%A4");
    }
}

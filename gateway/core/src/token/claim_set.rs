//! Claims about an account: those of a verified ID token, of a userinfo answer, or of a document that stands for one. They are read by
//! name when a rule asks for them.

use crate::cel::kept_claims::KeptClaims;
use crate::cel::{Condition, ConditionFault};
use crate::json::{self, JsonLimits, Object};
use crate::token::claim_path::ClaimPath;
use crate::token::claims::texts;

/// Claims of which the first is a value and the others say something about it (OpenID Connect Core §5.1; `xms_edov` is Entra's). They
/// are true of the value beside them, and of no other.
const TOGETHER: [&[&str]; 2] = [
    &["email", "email_verified", "xms_edov"],
    &["phone_number", "phone_number_verified"],
];

/// A JSON object of claims that was read strictly. `Debug` shows no value: they are personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimSet {
    document: Vec<u8>,
}

/// A document is not a set of claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not one JSON object with each member once")]
pub struct NotClaims;

impl std::fmt::Debug for ClaimSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClaimSet({} bytes)", self.document.len())
    }
}

impl ClaimSet {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// [`NotClaims`].
    pub fn parse(document: impl Into<Vec<u8>>) -> Result<Self, NotClaims> {
        let document = document.into();
        json::check(&document, &JsonLimits::default()).map_err(|_| NotClaims)?;
        json::object(&document).map_err(|_| NotClaims)?;
        Ok(Self { document })
    }

    /// The text at a path; none where there is none, or it is empty.
    pub fn text(&self, path: &ClaimPath) -> Option<String> {
        let text = json::string(self.raw(path)?)?;
        (!text.is_empty()).then(|| text.into_owned())
    }

    /// The texts at a path: one, or a list; none where there is something else or nothing.
    pub fn texts(&self, path: &ClaimPath) -> Option<Vec<String>> {
        let found = texts(self.raw(path)?)?;
        Some(
            found
                .into_iter()
                .map(std::borrow::Cow::into_owned)
                .collect(),
        )
    }

    /// Whether the value at a path is `true`. Texts are not: some providers write `"true"` where nobody has verified anything.
    pub fn is_true(&self, path: &ClaimPath) -> bool {
        self.raw(path) == Some(b"true")
    }

    /// Whether there is a value at a path; null is none.
    pub fn has(&self, path: &ClaimPath) -> bool {
        self.raw(path).is_some()
    }

    /// Whether a condition holds that reads nothing but claims: [`Condition::reads_only_claims`].
    ///
    /// # Errors
    /// It could not be evaluated, such as where a claim is missing.
    pub fn meets(&self, condition: &Condition) -> Result<bool, ConditionFault> {
        let claims = KeptClaims::of(&self.object(), condition.claims_read());
        condition.judge_claims(&claims)
    }

    /// These claims, and those of `other` that are missing here. What one of them says about an address counts with that address
    /// alone.
    #[must_use]
    pub fn with_missing_of(&self, other: &Self) -> Self {
        let (own, more) = (self.object(), other.object());
        let source = |name: &str| Source::of(name, &own, &more);
        let own_given = own
            .iter()
            .filter(|(name, raw)| *raw != b"null" && source(name) != Source::Second);
        let missing = more.iter().filter(|(name, _)| match source(name) {
            Source::Both => own.given(name).is_none(),
            Source::First => false,
            Source::Second => true,
        });
        let mut document = vec![b'{'];
        for (name, raw) in own_given.chain(missing) {
            if document.len() > 1 {
                document.push(b',');
            }
            document.extend(serde_json::Value::from(name).to_string().bytes());
            document.push(b':');
            document.extend(raw);
        }
        document.push(b'}');
        Self { document }
    }

    fn raw(&self, path: &ClaimPath) -> Option<&[u8]> {
        path.find(&self.object()).ok().flatten()
    }

    /// It was an object when it was read.
    fn object(&self) -> Object<'_> {
        json::object(&self.document).unwrap_or_default()
    }
}

/// Which of two documents a claim is read from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// From the first that has it.
    Both,
    First,
    Second,
}

impl Source {
    fn of(name: &str, first: &Object<'_>, second: &Object<'_>) -> Self {
        let group = TOGETHER.iter().find(|group| group.contains(&name));
        let Some(value) = group.and_then(|group| group.first()) else {
            return Self::Both;
        };
        match (first.given(value), second.given(value)) {
            (None, None) => Self::Both,
            (None, Some(_)) => Self::Second,
            (Some(one), Some(other)) if json::string(one) == json::string(other) => Self::Both,
            (Some(_), _) => Self::First,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> ClaimSet {
        ClaimSet::parse(text).unwrap()
    }

    fn path(text: &str) -> ClaimPath {
        ClaimPath::parse(text).unwrap()
    }

    #[test]
    fn claims_are_read_by_name_and_type() {
        let claims = set(
            r#"{"a":"x","list":["y","z"],"mixed":["y",1],"yes":true,"text":"true","null":null,"in":{"b":"w"},"empty":""}"#,
        );
        let texts = |name| claims.texts(&path(name));
        assert_eq!(claims.text(&path("a")).as_deref(), Some("x"));
        assert_eq!(claims.text(&path("in.b")).as_deref(), Some("w"));
        assert_eq!(texts("list"), Some(vec!["y".to_owned(), "z".to_owned()]));
        assert_eq!(texts("a"), Some(vec!["x".to_owned()]));
        for name in ["mixed", "yes", "null", "missing", "a.b"] {
            assert_eq!(texts(name), None, "{name}");
        }
        for name in ["list", "yes", "null", "missing", "empty", "a.b"] {
            assert_eq!(claims.text(&path(name)), None, "{name}");
        }
        assert!(claims.is_true(&path("yes")) && !claims.is_true(&path("text")));
        assert!(claims.has(&path("empty")) && !claims.has(&path("null")));
        assert!(!format!("{claims:?}").contains('x'));
    }

    #[test]
    fn only_one_object_with_each_member_once_is_a_set_of_claims() {
        for text in ["", "[]", "1", "{}{}", r#"{"a":1,"a":2}"#, "{\"a\":", "null"] {
            assert_eq!(ClaimSet::parse(text), Err(NotClaims), "{text}");
        }
        assert!(ClaimSet::parse("{}").is_ok());
    }

    #[test]
    fn missing_claims_are_added_and_own_ones_stay() {
        let id_token = set(r#"{"sub":"1","email":null,"groups":["a"]}"#);
        let userinfo = set(r#"{"sub":"2","email":"a@b","groups":["b"],"na\"me":"x"}"#);
        let both = id_token.with_missing_of(&userinfo);
        assert_eq!(both.text(&path("sub")).as_deref(), Some("1"));
        assert_eq!(both.text(&path("email")).as_deref(), Some("a@b"));
        assert_eq!(both.texts(&path("groups")), Some(vec!["a".to_owned()]));
        assert_eq!(both.text(&path("na\"me")).as_deref(), Some("x"));
        assert!(ClaimSet::parse(both.document).is_ok());
        let empty = set("{}").with_missing_of(&set("{}"));
        assert_eq!(empty, set("{}"));
    }

    #[test]
    fn what_is_said_of_an_address_counts_with_that_address_alone() {
        let verified = |own: &str, more: &str| {
            let both = set(own).with_missing_of(&set(more));
            assert!(ClaimSet::parse(both.document.clone()).is_ok());
            let email = both.text(&path("email")).unwrap_or_default();
            let is_owned = both.is_true(&path("xms_edov"));
            (email, both.is_true(&path("email_verified")) || is_owned)
        };
        for (own, more, expected) in [
            // The same address: one document says it, the other what it is worth.
            (
                r#"{"email":"a@x"}"#,
                r#"{"email":"a@x","email_verified":true}"#,
                ("a@x", true),
            ),
            (
                r#"{"email":"a@x","email_verified":true}"#,
                "{}",
                ("a@x", true),
            ),
            (
                "{}",
                r#"{"email":"a@x","email_verified":true}"#,
                ("a@x", true),
            ),
            (
                r#"{"email":"a@x","email_verified":false}"#,
                r#"{"email":"a@x","email_verified":true}"#,
                ("a@x", false),
            ),
            // Another address, or none.
            (
                r#"{"email":"a@x"}"#,
                r#"{"email":"b@y","email_verified":true}"#,
                ("a@x", false),
            ),
            (
                r#"{"email":"a@x"}"#,
                r#"{"email":"b@y","xms_edov":true}"#,
                ("a@x", false),
            ),
            (
                r#"{"email":"a@x"}"#,
                r#"{"email_verified":true}"#,
                ("a@x", false),
            ),
            (
                r#"{"email_verified":true}"#,
                r#"{"email":"a@x"}"#,
                ("a@x", false),
            ),
            (
                r#"{"email":null,"email_verified":true}"#,
                r#"{"email":"a@x","email_verified":false}"#,
                ("a@x", false),
            ),
            (
                r#"{"email":1,"email_verified":true}"#,
                r#"{"email":"a@x"}"#,
                ("", true),
            ),
        ] {
            let (email, is_verified) = expected;
            assert_eq!(
                verified(own, more),
                (email.to_owned(), is_verified),
                "{own} {more}"
            );
        }
    }

    #[test]
    fn a_condition_reads_the_claims() {
        let condition = Condition::compile("claims.level == 'high'").unwrap();
        assert_eq!(set(r#"{"level":"high"}"#).meets(&condition), Ok(true));
        assert_eq!(set(r#"{"level":"low"}"#).meets(&condition), Ok(false));
        assert!(set("{}").meets(&condition).is_err());
    }
}

//! The call that a request state belongs to.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

use super::digest::{finish, hash_part};
use crate::json::{self, JsonError};

/// A digest of a call: its method, what the method acts on, and the arguments, independent of white space and of the order of
/// members. The client repeats exactly these when it calls again (MCP 2026-07-28, multi round-trip requests).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CallDigest([u8; SHA256_OUTPUT_LEN]);

impl CallDigest {
    /// From a call whose body [`json::check`] accepted; `arguments` are raw bytes of the body.
    ///
    /// # Errors
    /// [`JsonError`] if the arguments are not JSON.
    ///
    /// [`json::check`]: crate::json::check()
    pub fn of(
        method: &str,
        name: Option<&str>,
        arguments: Option<&[u8]>,
    ) -> Result<Self, JsonError> {
        let mut context = Context::new(&SHA256);
        context.update(b"mcp-gateway call 1");
        hash_part(&mut context, method.as_bytes());
        let arguments = arguments.map(json::canonical).transpose()?;
        for part in [name.map(str::as_bytes), arguments.as_deref()] {
            // An absent part differs from an empty one.
            context.update(&[u8::from(part.is_some())]);
            hash_part(&mut context, part.unwrap_or_default());
        }
        Ok(Self(finish(context)))
    }

    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for CallDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CallDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, name: Option<&str>, arguments: Option<&str>) -> CallDigest {
        CallDigest::of(method, name, arguments.map(str::as_bytes)).unwrap()
    }

    #[test]
    fn every_spelling_of_a_call_has_the_same_digest() {
        let call = |arguments| of("tools/call", Some("pay"), Some(arguments));
        let first = call(r#"{"to":"bob","amount":{"value":5,"of":["a",{"b":1,"c":2}]}}"#);
        for spelling in [
            r#" { "amount" : { "of" : [ "a" , {"c":2,"b":1} ] , "value" : 5 } , "to" : "bob" } "#,
            r#"{"to":"b\u006fb","amount":{"value":5,"\u006ff":["a",{"b":1,"c":2}]}}"#,
        ] {
            assert_eq!(call(spelling), first, "{spelling}");
        }
    }

    #[test]
    fn another_call_has_another_digest() {
        let first = of(
            "tools/call",
            Some("pay"),
            Some(r#"{"to":"bob","of":[1,2]}"#),
        );
        let others = [
            of(
                "prompts/get",
                Some("pay"),
                Some(r#"{"to":"bob","of":[1,2]}"#),
            ),
            of(
                "tools/call",
                Some("Pay"),
                Some(r#"{"to":"bob","of":[1,2]}"#),
            ),
            of("tools/call", None, Some(r#"{"to":"bob","of":[1,2]}"#)),
            of("tools/call", Some("pay"), None),
            of("tools/call", Some("pay"), Some("{}")),
            of(
                "tools/call",
                Some("pay"),
                Some(r#"{"to":"bob","of":[2,1]}"#),
            ),
            of(
                "tools/call",
                Some("pay"),
                Some(r#"{"to":"bob","of":[[1,2]]}"#),
            ),
            of("tools/call", Some("pay"), Some(r#"{"to":"bob","of":[12]}"#)),
            of(
                "tools/call",
                Some("pay"),
                Some(r#"{"to":"eve","of":[1,2]}"#),
            ),
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(*other, first, "{at}");
            assert!(!others[..at].contains(other), "{at}");
        }
    }

    #[test]
    fn an_absent_name_differs_from_an_empty_one() {
        assert_ne!(of("m", None, None), of("m", Some(""), None));
        assert_ne!(of("m", Some("a"), None), of("ma", None, None));
    }
}

//! The JSON object of client metadata, and its members by type.

use mcp_gateway_core::json::{self, Object};
use serde_json::Value;

use super::{
    fault::MetadataFault,
    limits::{JSON_LIMITS, MAX_METADATA_BYTES},
};

/// Client metadata that is strict JSON and an object.
#[derive(Debug)]
pub struct Metadata<'a>(Object<'a>);

impl<'a> Metadata<'a> {
    /// Reads an object of at most [`MAX_METADATA_BYTES`].
    ///
    /// # Errors
    /// [`MetadataFault`] if it is larger, not strict JSON, or not an object.
    pub fn read(bytes: &'a [u8]) -> Result<Self, MetadataFault> {
        if bytes.len() > MAX_METADATA_BYTES {
            return Err(MetadataFault::TooLarge(bytes.len()));
        }
        json::check(bytes, &JSON_LIMITS).map_err(MetadataFault::Json)?;
        let object = json::object(bytes).map_err(|_| MetadataFault::NotAnObject)?;
        Ok(Self(object))
    }

    /// Whether a member is present and not null.
    pub fn has(&self, member: &str) -> bool {
        self.0.given(member).is_some()
    }

    /// A member that is a text of at most `most` bytes.
    ///
    /// # Errors
    /// [`MetadataFault`] if it is something else.
    pub fn text(&self, member: &'static str, most: usize) -> Result<Option<String>, MetadataFault> {
        let Some(raw) = self.0.given(member) else {
            return Ok(None);
        };
        text(raw, member, "a string", most).map(Some)
    }

    /// A member that is true or false; false where it is left out.
    ///
    /// # Errors
    /// [`MetadataFault`] if it is something else.
    pub fn flag(&self, member: &'static str) -> Result<bool, MetadataFault> {
        match self.0.given(member) {
            None | Some(b"false") => Ok(false),
            Some(b"true") => Ok(true),
            Some(_) => Err(MetadataFault::Type {
                member,
                expected: "true or false",
            }),
        }
    }

    /// A member that is an array of at most `most` texts of at most `bytes` bytes each.
    ///
    /// # Errors
    /// [`MetadataFault`] if it is something else.
    pub fn texts(
        &self,
        member: &'static str,
        most: usize,
        bytes: usize,
    ) -> Result<Option<Vec<String>>, MetadataFault> {
        const EXPECTED: &str = "an array of strings";
        let Some(raw) = self.0.given(member) else {
            return Ok(None);
        };
        let elements = json::array(raw).map_err(|_| MetadataFault::Type {
            member,
            expected: EXPECTED,
        })?;
        if elements.len() > most {
            return Err(MetadataFault::TooMany {
                member,
                found: elements.len(),
                most,
            });
        }
        let texts = elements.iter();
        let texts = texts.map(|raw| text(raw, member, EXPECTED, bytes));
        texts.collect::<Result<_, _>>().map(Some)
    }

    /// The bytes of a member.
    pub(super) fn raw(&self, member: &str) -> Option<&'a [u8]> {
        self.0.given(member)
    }

    /// A member that is an object.
    pub(super) fn object(&self, member: &'static str) -> Result<Option<Value>, MetadataFault> {
        let Some(raw) = self.0.given(member) else {
            return Ok(None);
        };
        let value = serde_json::from_slice(raw)
            .ok()
            .filter(|value: &Value| value.is_object());
        value.map(Some).ok_or(MetadataFault::Type {
            member,
            expected: "an object",
        })
    }
}

fn text(
    raw: &[u8],
    member: &'static str,
    expected: &'static str,
    most: usize,
) -> Result<String, MetadataFault> {
    let text = json::string(raw).ok_or(MetadataFault::Type { member, expected })?;
    if text.len() > most {
        return Err(MetadataFault::TooLong {
            member,
            bytes: text.len(),
            most,
        });
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_its_type_or_is_absent() {
        let json = br#"{"a":"x","b":null,"c":["y","z"],"d":1,"e":["y",1],"f":"\ud800"}"#;
        let metadata = Metadata::read(json).unwrap();
        assert_eq!(metadata.text("a", 1), Ok(Some("x".to_owned())));
        assert_eq!(metadata.text("b", 1), Ok(None));
        assert_eq!(metadata.text("g", 1), Ok(None));
        assert_eq!(metadata.texts("c", 2, 1).unwrap().unwrap(), ["y", "z"]);
        assert!(metadata.has("a") && !metadata.has("b") && !metadata.has("g"));
        for member in ["c", "d", "f"] {
            let fault = metadata.text(member, 9).unwrap_err();
            assert_eq!(fault.to_string(), format!("{member} must be a string"));
        }
        for member in ["a", "d", "e"] {
            let fault = metadata.texts(member, 9, 9).unwrap_err();
            assert_eq!(
                fault.to_string(),
                format!("{member} must be an array of strings")
            );
        }
        assert!(metadata.texts("c", 1, 9).is_err() && metadata.text("a", 0).is_err());
    }

    #[test]
    fn what_is_not_one_strict_json_object_is_refused() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(16), "]".repeat(16));
        for (json, expected) in [
            ("", "the metadata is not valid JSON: not one JSON document"),
            ("[]", "the metadata must be a JSON object"),
            ("\"a\"", "the metadata must be a JSON object"),
            (
                r#"{"a":1,"a":1}"#,
                "the metadata is not valid JSON: an object repeats a member name",
            ),
            (
                &deep,
                "the metadata is not valid JSON: more than 16 objects and arrays in one another (a fixed limit)",
            ),
        ] {
            let fault = Metadata::read(json.as_bytes()).unwrap_err();
            assert_eq!(fault.to_string(), expected, "{json}");
            assert_eq!(fault.code(), "invalid_client_metadata");
        }
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_METADATA_BYTES));
        assert!(matches!(
            Metadata::read(large.as_bytes()),
            Err(MetadataFault::TooLarge(_))
        ));
    }
}

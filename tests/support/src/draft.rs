//! The header and the claims of a token or proof that is being built.

use serde_json::{Map, Value};

use crate::encoding::base64url;

/// A header and claims, each a JSON object.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
}

impl Draft {
    /// These objects.
    pub(crate) fn new(header: Value, claims: Value) -> Self {
        Self {
            header: object(header),
            claims: object(claims),
        }
    }

    /// The header as JSON text.
    pub(crate) fn header_text(&self) -> String {
        Value::Object(self.header.clone()).to_string()
    }

    /// The claims as JSON text.
    pub(crate) fn claims_text(&self) -> String {
        Value::Object(self.claims.clone()).to_string()
    }
}

/// The changes that a test makes to what has a field `draft`.
macro_rules! changes_of_a_draft {
    ($built:ty) => {
        impl $built {
            /// Sets a claim.
            pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
                self.draft.claims.insert(name.to_owned(), value.into());
                self
            }

            /// Leaves a claim out.
            pub fn without(mut self, name: &str) -> Self {
                self.draft.claims.remove(name);
                self
            }

            /// Sets a header parameter.
            pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
                self.draft.header.insert(name.to_owned(), value.into());
                self
            }
        }
    };
}
pub(crate) use changes_of_a_draft;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// An identifier that no other token has.
pub(crate) fn unique() -> String {
    let mut bytes = [0; 12];
    aws_lc_rs::rand::fill(&mut bytes).expect("random bytes");
    base64url(bytes)
}

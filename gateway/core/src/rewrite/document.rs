//! A JSON body of an upstream: one message, or a batch of them.
//!
//! Up to 2025-03-26 a server may answer with an array of messages (JSON-RPC 2.0 §6). Each is edited on its own, and their
//! order stays.

use crate::json::{OutlineValue, outline};
use crate::{
    json::Splices,
    rewrite::edit::{Edit, EditError, MESSAGE_LIMITS},
};

/// Edits every message of a document; `None` where nothing changes.
///
/// # Errors
/// A message that must not be forwarded, or an array that cannot be read.
pub fn edit(document: &[u8], edit: &mut impl Edit) -> Result<Option<Vec<u8>>, EditError> {
    let first = document.iter().find(|byte| byte.is_ascii_graphic());
    if first != Some(&b'[') {
        return edit.edit(document);
    }
    let batch = outline(document, &MESSAGE_LIMITS, 1)?;
    // A batch holds messages and no batches (JSON-RPC 2.0 §6). A reader that flattens them would find messages in it.
    if batch.root().elements().any(|message| message.is_array()) {
        return Err(EditError::Unfit("a batch is in a batch"));
    }
    let mut changes = Splices::default();
    for message in batch.root().elements().filter(OutlineValue::is_object) {
        if let Some(edited) = edit.edit(message.raw())? {
            changes.put(message.span(), edited);
        }
    }
    Ok(changes.apply(document))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{self, JsonError, JsonLimits};

    /// Replaces the message `{"a":1}` with `2`, and refuses what is not JSON.
    struct Two;

    impl Edit for Two {
        fn edit(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
            json::check(message, &JsonLimits::default())?;
            Ok((message.trim_ascii() == br#"{"a":1}"#).then(|| b"2".to_vec()))
        }
    }

    fn edited(document: &str) -> Result<Option<String>, EditError> {
        let edited = edit(document.as_bytes(), &mut Two)?;
        Ok(edited.map(|bytes| String::from_utf8(bytes).unwrap()))
    }

    #[test]
    fn one_message_is_edited_whole() {
        assert_eq!(edited(r#" {"a":1} "#).unwrap().as_deref(), Some("2"));
        assert_eq!(edited(r#"{"a":2}"#).unwrap(), None);
        assert_eq!(edited("1").unwrap(), None);
    }

    #[test]
    fn a_batch_is_edited_element_by_element_and_stays_in_order() {
        let batch = r#" [ {"a":1} , {"a": 1.0e2},{"a":1}, 7 ,null ] "#;
        let expected = r#" [ 2 , {"a": 1.0e2},2, 7 ,null ] "#;
        assert_eq!(edited(batch).unwrap().as_deref(), Some(expected));
        assert_eq!(edited("[ ]").unwrap(), None);
        assert_eq!(edited(r#"[{"a": 1}]"#).unwrap(), None);
    }

    #[test]
    fn a_batch_in_a_batch_is_refused() {
        for batch in [r#"[[{"a":1}]]"#, r#"[{"a":1},[]]"#, "[[[]]]"] {
            let refused = Some(EditError::Unfit("a batch is in a batch"));
            assert_eq!(edited(batch).err(), refused, "{batch}");
        }
    }

    #[test]
    fn a_document_that_cannot_be_read_is_refused() {
        for document in [
            "",
            "{",
            r#"{"a":1}x"#,
            r#"[{"a":1}"#,
            r#"[{"a":1}]]"#,
            "\u{feff}[]",
        ] {
            let refused = edited(document).err();
            assert_eq!(
                refused,
                Some(EditError::Json(JsonError::Syntax)),
                "{document}"
            );
        }
        let repeated = r#"[{"a":1,"a":2}]"#;
        assert_eq!(
            edited(repeated).err(),
            Some(EditError::Json(JsonError::Duplicate))
        );
    }
}

//! The values of a document, for the second pass.

use serde_yaml::Value;

use super::finding::Finding;

/// Reads the values of a document.
///
/// # Errors
/// The finding where the text is not YAML.
pub(crate) fn values(text: &str) -> Result<Value, Finding> {
    serde_yaml::from_str(text).map_err(|error| {
        let at = error.location();
        Finding {
            path: String::new(),
            line: at.as_ref().map_or(1, serde_yaml::Location::line),
            column: at.as_ref().map_or(1, serde_yaml::Location::column),
            problem: format!("invalid YAML: {error}"),
            fix: "Fix the syntax near this line. The rest of the file was not checked".to_owned(),
        }
    })
}

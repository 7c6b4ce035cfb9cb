//! Schemas that every client understands.

use rmcp::schemars::Schema;
use serde_json::Value;

/// Removes the names of Rust's integer types from the properties of a schema: `uint32` is not a format of JSON Schema,
/// and strict validators warn about it. The bounds stay.
pub(crate) fn plain_integers(schema: &mut Schema) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties
        .into_iter()
        .flat_map(|properties| properties.values_mut())
    {
        let integer = property.get("type").is_some_and(|kind| kind == "integer");
        if let (true, Some(property)) = (integer, property.as_object_mut()) {
            property.remove("format");
        }
    }
}

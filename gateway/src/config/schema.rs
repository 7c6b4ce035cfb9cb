//! The keys of the configuration as a JSON Schema (2020-12) for editors: completion, help on hover, and marks at errors. It is
//! generated from the [declarations](super::declaration).

use serde_json::{Map, Value, json};

use super::declaration::{
    document::document,
    parts::key::{Fallback, Key, Kind, Table},
};

/// A duration with its unit, or a text with a variable in it.
const DURATION: &str = r"^([0-9]+(ms|s|m|h|d)|.*\$\{.+\}.*)$";

/// A size with its unit, or a text with a variable in it.
const SIZE: &str = r"^([0-9]+(B|KiB|MiB|GiB)|.*\$\{.+\}.*)$";

/// The JSON Schema of the configuration.
pub fn json_schema() -> Value {
    let mut definitions = Map::new();
    let mut schema = object(document(), &mut definitions);
    let about = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mcp-gateway",
        "description": "Configuration of mcp-gateway. ${NAME} and ${NAME:-default} are replaced by environment variables. Write $$ for a dollar sign.",
        "$defs": definitions,
    });
    extend(&mut schema, about);
    schema
}

/// A mapping with only these keys.
fn object(table: Table, definitions: &mut Map<String, Value>) -> Value {
    let is_required = |key: &&Key| matches!(key.fallback, Fallback::Required);
    let required: Vec<_> = table
        .keys
        .iter()
        .filter(is_required)
        .map(|key| key.name)
        .collect();
    let mut schema = json!({ "type": "object", "additionalProperties": false });
    if !required.is_empty() {
        extend(&mut schema, json!({ "required": required }));
    }
    let properties: Map<_, _> = table
        .keys
        .into_iter()
        .map(|key| (key.name.to_owned(), property(key, definitions)))
        .collect();
    extend(&mut schema, json!({ "properties": properties }));
    schema
}

fn property(key: Key, definitions: &mut Map<String, Value>) -> Value {
    let description = description(&key);
    let is_required = matches!(key.fallback, Fallback::Required);
    let is_list = matches!(key.kind, Kind::List(_));
    let mut schema = value(key.kind, definitions);
    if is_required && is_list {
        extend(&mut schema, json!({ "minItems": 1 }));
    }
    if !is_required {
        // A key without a value counts as missing.
        schema = any_of([schema, json!({ "type": "null" })]);
    }
    extend(&mut schema, json!({ "description": description }));
    schema
}

/// The sentence, the range and the default.
fn description(key: &Key) -> String {
    let mut description = key.sentence.clone();
    if let Some(default) = key.fallback.words() {
        description.push_str(&format!(" Default: {default}."));
    }
    if let Some((least, most)) = key.kind.range() {
        description.push_str(&format!(" Range: {least} to {most}."));
    }
    description
}

fn value(kind: Kind, definitions: &mut Map<String, Value>) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Flag => any_of([json!({ "type": "boolean" }), variable()]),
        Kind::Count(range) => any_of([
            json!({ "type": "integer", "minimum": range.start(), "maximum": range.end() }),
            variable(),
        ]),
        Kind::Size(_) => json!({ "type": "string", "pattern": SIZE }),
        Kind::Time(_) => json!({ "type": "string", "pattern": DURATION }),
        Kind::Word(name, words) => {
            let words = any_of([json!({ "enum": words }), variable()]);
            defined(name, words, definitions)
        }
        Kind::Scalar => json!({ "type": ["string", "integer", "boolean"] }),
        Kind::Table(table) => mapping(table, definitions),
        Kind::TextOr(table) => any_of([json!({ "type": "string" }), mapping(table, definitions)]),
        Kind::List(element) => list(value(*element, definitions)),
        Kind::OneOrMany(element) => {
            let element = value(*element, definitions);
            any_of([element.clone(), list(element)])
        }
        Kind::Map(entry) => {
            let entry = value(*entry, definitions);
            json!({ "type": "object", "additionalProperties": entry })
        }
    }
}

fn mapping(table: Table, definitions: &mut Map<String, Value>) -> Value {
    let name = table.name;
    let schema = object(table, definitions);
    defined(name, schema, definitions)
}

/// A reference to `schema`, which is defined once for all references.
fn defined(name: &str, schema: Value, definitions: &mut Map<String, Value>) -> Value {
    definitions.insert(name.to_owned(), schema);
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn list(element: Value) -> Value {
    json!({ "type": "array", "items": element })
}

fn any_of<const N: usize>(schemas: [Value; N]) -> Value {
    json!({ "anyOf": Vec::from(schemas) })
}

/// A text with a variable instead of the value.
fn variable() -> Value {
    json!({ "type": "string", "pattern": r"\$\{.+\}" })
}

fn extend(schema: &mut Value, more: Value) {
    if let (Value::Object(schema), Value::Object(more)) = (schema, more) {
        schema.extend(more);
    }
}

//! The values of the configuration that no type of YAML says enough about: durations, sizes, words of a set.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::super::methods::{METHODS, MethodKind};

/// A duration: a whole number with ms, s, m, h or d.
pub(super) struct Time;

/// A size: a whole number with B, KiB, MiB or GiB.
pub(super) struct Size;

/// A whole number, or a variable that holds one.
pub(super) struct Count;

/// true or false, or a variable that holds one.
pub(super) struct Flag;

/// A method that a rule can speak of.
pub(super) struct Method;

/// What happens to a call that no rule matches.
pub(super) struct Decision;

/// What has calls of its own.
pub(super) struct Per;

/// What of lists is hidden.
pub(super) struct Hide;

/// What happens to the ids of tasks.
pub(super) struct Tasks;

/// What happens to request states.
pub(super) struct RequestState;

/// The header in which proxies name the client.
pub(super) struct ForwardedHeader;

/// The shape of a log line.
pub(super) struct LogFormat;

/// How severe an event is.
pub(super) struct Level;

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^([0-9]+(ms|s|m|h|d)|.*\$\{.+\}.*)$" })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^([0-9]+(B|KiB|MiB|GiB)|.*\$\{.+\}.*)$" })
    }
}

impl JsonSchema for Count {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 0 }, variable()] })
    }
}

impl JsonSchema for Flag {
    fn schema_name() -> Cow<'static, str> {
        "Flag".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "boolean" }, variable()] })
    }
}

impl JsonSchema for Method {
    fn schema_name() -> Cow<'static, str> {
        "Method".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let ruled = METHODS
            .iter()
            .filter(|(_, kind)| matches!(kind, MethodKind::Named | MethodKind::Nameless));
        let ruled = ruled.map(|(name, _)| *name);
        words(&ruled.chain(["*"]).collect::<Vec<_>>())
    }
}

impl JsonSchema for Decision {
    fn schema_name() -> Cow<'static, str> {
        "Decision".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        words(&["allow", "deny"])
    }
}

impl JsonSchema for Per {
    fn schema_name() -> Cow<'static, str> {
        "Per".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        words(&["principal", "client", "tool", "resource"])
    }
}

impl JsonSchema for Hide {
    fn schema_name() -> Cow<'static, str> {
        "Hide".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        words(&["nothing", "denied", "unusable"])
    }
}

impl JsonSchema for Tasks {
    fn schema_name() -> Cow<'static, str> {
        "Tasks".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        words(&["refuse", "seal", "upstream"])
    }
}

impl JsonSchema for RequestState {
    fn schema_name() -> Cow<'static, str> {
        "RequestState".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        words(&["upstream", "seal"])
    }
}

impl JsonSchema for ForwardedHeader {
    fn schema_name() -> Cow<'static, str> {
        "ForwardedHeader".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        words(&["x-forwarded-for", "forwarded"])
    }
}

impl JsonSchema for LogFormat {
    fn schema_name() -> Cow<'static, str> {
        "LogFormat".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        words(&["json", "text"])
    }
}

impl JsonSchema for Level {
    fn schema_name() -> Cow<'static, str> {
        "Level".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        words(&["error", "warn", "info", "debug"])
    }
}

fn words(words: &[&str]) -> Schema {
    json_schema!({ "anyOf": [{ "enum": words }, variable()] })
}

fn variable() -> Schema {
    json_schema!({ "type": "string", "pattern": r"\$\{.+\}" })
}

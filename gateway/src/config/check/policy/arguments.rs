//! The arguments that a rule matches.

use mcp_gateway_core::{
    mcp::method::McpMethod,
    policy::{Argument, MAX_NUMBER, Methods, Value},
};

use super::pattern::pattern;
use crate::config::reading::reader::{EMPTY, Item, Section};

/// Reads `arguments` of a rule.
pub(super) fn arguments(section: &Section<'_>, methods: Option<&Methods>) -> Vec<Argument> {
    let Some(item) = section.get("arguments") else {
        return Vec::new();
    };
    if methods.is_some_and(|methods| !take_arguments(methods)) {
        item.report(
            "cannot be combined with a method without arguments",
            "Remove it, or use only the methods tools/call and prompts/get",
        );
    }
    let entries = item.section().entries().into_iter();
    entries
        .map(|(name, item)| {
            if item.is_vacant() && !item.is_null() {
                item.report(EMPTY, "Write a value, or remove the key");
            }
            Argument {
                name: name.into(),
                values: item.one_or_many().iter().filter_map(value).collect(),
            }
        })
        .collect()
}

fn take_arguments(methods: &Methods) -> bool {
    match methods {
        Methods::Any => false,
        Methods::Of(methods) => methods
            .iter()
            .all(|method| McpMethod::of(method).takes_arguments()),
    }
}

fn value(item: &Item<'_>) -> Option<Value> {
    if item.is_flag() {
        return item.flag().map(Value::Flag);
    }
    if item.is_number() {
        let number = item.whole_number(&(-MAX_NUMBER..=MAX_NUMBER));
        return number.map(Value::Number);
    }
    pattern(item).map(Value::Text)
}

//! Only the table `mcp::method` of the core contains the names of MCP's methods. No other file depends on a name.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use mcp_gateway_core::mcp::method::McpMethod;

/// The prefixes of families of names.
const BEGINNINGS: &[&str] = &[
    "tools/",
    "prompts/",
    "resources/",
    "tasks/",
    "notifications/",
    "completion/",
    "logging/",
    "subscriptions/",
    "sampling/",
    "elicitation/",
    "roots/",
    "server/",
];

/// The table itself, below `gateway`.
const TABLE: &str = "core/src/mcp/method/mod.rs";

#[test]
fn only_the_table_contains_names_of_methods() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = McpMethod::ALL.iter().map(|method| method.name());
    let literals: Vec<String> = names
        .chain(BEGINNINGS.iter().copied())
        .map(|name| format!("\"{name}\""))
        .collect();
    let mut found_in_table = 0;
    for path in ["src", "core/src"]
        .iter()
        .flat_map(|folder| sources(&root.join(folder)))
    {
        let text = fs::read_to_string(&path).unwrap();
        let mut found = literals
            .iter()
            .filter(|literal| production(&text).contains(literal.as_str()));
        if path == root.join(TABLE) {
            found_in_table = found.count();
            continue;
        }
        if let Some(literal) = found.next() {
            panic!("{} contains {literal}: use {TABLE} instead", path.display());
        }
    }
    assert!(found_in_table >= McpMethod::ALL.len());
}

/// The part of a file that is compiled into the gateway.
fn production(text: &str) -> &str {
    text.split("\nmod tests {").next().unwrap()
}

/// The sources below a folder, without files that contain only tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if name == "tests" {
            continue;
        }
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

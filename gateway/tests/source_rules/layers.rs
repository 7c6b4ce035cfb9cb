//! The order of modules, as one list for a crate.

use std::collections::BTreeSet;

use crate::tree::{Module, Tree};

/// The top modules of a crate, lowest first. Modules in one entry may use one another.
pub(crate) type Layers = &'static [&'static [&'static str]];

/// Every line of production code that uses a module above its own.
///
/// The root of the crate is above all modules: it may use everything, and no module uses its items.
pub(crate) fn upward(tree: &Tree, layers: Layers) -> Vec<String> {
    let place = |module: &Module| {
        let top = module.first().map(String::as_str);
        let known = layers
            .iter()
            .position(|place| top.is_some_and(|top| place.contains(&top)));
        known.unwrap_or(layers.len())
    };
    let mut found = Vec::new();
    for (module, _) in tree.files().filter(|(module, _)| !is_root(module)) {
        for (other, line) in tree.uses(module) {
            if module.first() != other.first() && place(&other) > place(module) {
                found.push(format!("{line}, which is above it"));
            }
        }
    }
    found
}

/// Every line of production code in which one of two separate modules uses the other.
pub(crate) fn separate(tree: &Tree, pairs: &[(&str, &str)]) -> Vec<String> {
    let is_pair = |one: Option<&String>, other: Option<&String>| {
        pairs.iter().any(|(a, b)| {
            let [one, other] = [one, other].map(|name| name.map(String::as_str));
            (one == Some(a) && other == Some(b)) || (one == Some(b) && other == Some(a))
        })
    };
    let mut found = Vec::new();
    for (module, _) in tree.files().filter(|(module, _)| !is_root(module)) {
        for (other, line) in tree.uses(module) {
            if is_pair(module.first(), other.first()) {
                found.push(format!("{line}: these modules must not use one another"));
            }
        }
    }
    found
}

/// The modules that are listed not once, and the listed names that are not a module.
pub(crate) fn misplaced(tree: &Tree, layers: Layers) -> Vec<String> {
    let modules = tree.files().map(|(module, _)| module);
    let modules: BTreeSet<_> = modules
        .filter(|module| !is_root(module))
        .map(|module| module[0].as_str())
        .collect();
    let listed: Vec<_> = layers.iter().flat_map(|place| *place).copied().collect();
    let once = |module: &str| listed.iter().filter(|other| **other == module).count() == 1;
    let without = modules.iter().filter(|module| !once(module));
    let unknown = listed.iter().filter(|module| !modules.contains(*module));
    without
        .map(|module| format!("`{module}` must be listed once among the layers"))
        .chain(
            unknown.map(|module| {
                format!("`{module}` is listed as a layer, but there is no such module")
            }),
        )
        .collect()
}

/// `lib.rs` and `main.rs`.
fn is_root(module: &[String]) -> bool {
    module.is_empty() || module == ["main"]
}

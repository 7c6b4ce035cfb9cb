//! Which module stands below which, as one ordered list for a crate.

use std::collections::BTreeSet;

use crate::tree::{Module, Tree};

/// The modules at the top of a crate, lowest first. Those of one place may name one another.
pub(crate) type Layers = &'static [&'static [&'static str]];

/// Every line of production code that names a module which does not stand below its own.
///
/// The crate's root stands above all: it may name everything, and nothing names its items.
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
                found.push(format!("{line}, which stands above it"));
            }
        }
    }
    found
}

/// Every line of production code by which one of two modules names the other, though neither may.
pub(crate) fn strangers(tree: &Tree, pairs: &[(&str, &str)]) -> Vec<String> {
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
                found.push(format!("{line}: neither may name the other"));
            }
        }
    }
    found
}

/// The modules that have no place or two, and the places that no module has.
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
        .map(|module| format!("`{module}` must have one place among the layers"))
        .chain(unknown.map(|module| format!("`{module}` is a layer and not a module")))
        .collect()
}

/// `lib.rs` and `main.rs`.
fn is_root(module: &[String]) -> bool {
    module.is_empty() || module == ["main"]
}

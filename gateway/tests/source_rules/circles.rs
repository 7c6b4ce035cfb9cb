//! Finds files that use one another in a circle.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{Module, Tree};

/// Files of which each reaches every other one, and the lines by which they do.
#[derive(Debug)]
pub(crate) struct Circle {
    pub(crate) files: BTreeSet<String>,
    /// One line for each file that uses another one of the circle.
    pub(crate) lines: Vec<String>,
}

/// The circles of a crate's production code. Declaring a child module does not count as using it.
pub(crate) fn circles(tree: &Tree) -> Vec<Circle> {
    let modules = tree.files().map(|(module, _)| module);
    let edges: BTreeMap<_, _> = modules
        .map(|module| (module.clone(), tree.uses(module)))
        .collect();
    let reached: BTreeMap<_, _> = edges
        .keys()
        .map(|module| (module, reach(&edges, module)))
        .collect();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for (module, all) in &reached {
        if !all.contains(*module) || seen.contains(*module) {
            continue;
        }
        let members = all.iter().filter(|other| reached[other].contains(*module));
        let members: BTreeSet<_> = members.cloned().collect();
        found.push(circle(tree, &edges, &members));
        seen.extend(members);
    }
    found
}

/// The files that a file uses, each with a line that does so.
type Named = BTreeMap<Module, String>;

fn reach(edges: &BTreeMap<Module, Named>, from: &Module) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for other in edges[module].keys() {
            if found.insert(other.clone()) {
                open.push(other);
            }
        }
    }
    found
}

fn circle(tree: &Tree, edges: &BTreeMap<Module, Named>, members: &BTreeSet<Module>) -> Circle {
    let within = members.iter().flat_map(|module| {
        let named = edges[module].iter();
        named.filter(|(other, _)| members.contains(*other))
    });
    Circle {
        lines: within.map(|(_, line)| line.clone()).collect(),
        files: members
            .iter()
            .map(|module| tree.shown(module).to_owned())
            .collect(),
    }
}

/// Every circle that is not part of a known one, and every known one that is gone.
pub(crate) fn unknown_circles(tree: &Tree, known: &[&[&str]]) -> Vec<String> {
    let found = circles(tree);
    let is_part = |circle: &Circle, known: &[&str]| {
        let mut files = circle.files.iter();
        files.all(|file| known.contains(&file.as_str()))
    };
    let unknown = found
        .iter()
        .filter(|circle| !known.iter().any(|known| is_part(circle, known)));
    let gone = known
        .iter()
        .filter(|known| !found.iter().any(|circle| is_part(circle, known)));
    unknown
        .map(|circle| {
            let files: Vec<_> = circle.files.iter().map(String::as_str).collect();
            let lines = circle.lines.join("\n    ");
            format!("a circle of {}:\n    {lines}", files.join(", "))
        })
        .chain(gone.map(|known| format!("a known circle is gone: {}", known.join(", "))))
        .collect()
}

//! Which modules may use which crates, and what no module may use.

use crate::tree::{Target, Tree};

/// A crate and the modules that may use it.
pub(crate) type NamedBy = &'static [(&'static str, &'static [&'static str])];

/// Every line, tests included, that uses a crate outside its modules, and every permission that is not used.
pub(crate) fn misnamed(tree: &Tree, named_by: NamedBy) -> Vec<String> {
    let mut found = Vec::new();
    for (name, allowed) in named_by {
        let mut unused = allowed.to_vec();
        for (module, line) in naming(tree, &[name]) {
            unused.retain(|other| *other != module);
            if !allowed.contains(&module.as_str()) {
                found.push(format!("{line}, which only {allowed:?} may use"));
            }
        }
        let unused = unused.iter();
        found.extend(
            unused.map(|module| format!("`{module}` is allowed to use {name} and does not")),
        );
    }
    found
}

/// Every line, tests included, that has one of these sequences of segments in a path of another crate.
pub(crate) fn forbidden(tree: &Tree, runs: &[&[&str]]) -> Vec<String> {
    let lines = runs.iter().flat_map(|run| {
        let files = tree.files().map(|(module, _)| module);
        files.flat_map(move |module| {
            let names = tree
                .names(module)
                .filter(|(_, target)| matches!(target, Target::Crate(path) if has_run(path, run)));
            names.map(|(name, _)| format!("{}:{} names {name}", tree.shown(module), name.line))
        })
    });
    lines.collect()
}

/// The module at the top and the line of every path that begins with these segments.
fn naming<'a>(tree: &'a Tree, start: &'a [&str]) -> impl Iterator<Item = (String, String)> + 'a {
    tree.files().flat_map(move |(module, file)| {
        let top = module.first().cloned().unwrap_or_default();
        let names = tree.names(module).filter(move |(_, target)| {
            matches!(target, Target::Crate(path) if path.iter().zip(start).all(|(a, b)| a == b))
        });
        names.map(move |(name, _)| {
            let line = format!("{}:{} names {name}", file.shown, name.line);
            (top.clone(), line)
        })
    })
}

fn has_run(path: &[String], run: &[&str]) -> bool {
    path.windows(run.len()).any(|part| part == run)
}

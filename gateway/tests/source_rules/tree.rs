//! The files of one crate, and the file that each path refers to.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::reader::{Name, Source};

/// How many renames of renames are followed.
const MAX_RENAMES: usize = 8;

/// The path of a module below the crate, empty for the crate itself.
pub(crate) type Module = Vec<String>;

/// A crate's sources. Module paths are unique, so `a.rs` and `a/mod.rs` are one.
pub(crate) struct Tree {
    /// The name of the crate in its binary.
    name: &'static str,
    files: BTreeMap<Module, File>,
}

pub(crate) struct File {
    /// Its path, for messages.
    pub(crate) shown: String,
    pub(crate) source: Source,
    /// Compiled only for tests.
    pub(crate) test: bool,
}

/// What a path refers to.
#[derive(Debug, PartialEq)]
pub(crate) enum Target {
    /// This file of the crate.
    File(Module),
    /// Another crate: the whole path, with the name of that crate first.
    Crate(Vec<String>),
}

impl Tree {
    /// Reads every source below a folder.
    pub(crate) fn read(name: &'static str, folder: &Path) -> Self {
        let texts = sources(folder).into_iter().map(|(path, text)| {
            let below = path.strip_prefix(folder).unwrap();
            (below.to_str().unwrap().to_owned(), text)
        });
        Self::of(name, texts)
    }

    /// A crate of these files, each with its path below `src`.
    pub(crate) fn of(
        name: &'static str,
        texts: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let files = texts.into_iter().map(|(shown, text)| {
            let source = Source::parse(&text).unwrap_or_else(|error| panic!("{shown}: {error}"));
            let test = false;
            let file = File {
                shown,
                source,
                test,
            };
            (module(&file.shown), file)
        });
        let mut files: BTreeMap<_, _> = files.collect();
        let tests: Vec<Module> = files
            .iter()
            .flat_map(|(module, file)| {
                let below = file.source.test_modules.iter();
                below.map(|path| [module.as_slice(), path].concat())
            })
            .collect();
        for (module, file) in &mut files {
            file.test = tests.iter().any(|test| module.starts_with(test));
        }
        Self { name, files }
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = (&Module, &File)> {
        self.files.iter()
    }

    pub(crate) fn shown(&self, module: &[String]) -> &str {
        &self.files[module].shown
    }

    /// Every name in a file, with what it refers to.
    pub(crate) fn names(&self, module: &Module) -> impl Iterator<Item = (&Name, Target)> {
        let names = self.files[module].source.names.iter();
        names.map(move |name| {
            let target = self.resolve(module, &name.inside, &name.path, MAX_RENAMES);
            (name, target)
        })
    }

    /// The other files that the production code of a file uses, each with the first line that does so.
    pub(crate) fn uses(&self, module: &Module) -> BTreeMap<Module, String> {
        let mut found = BTreeMap::new();
        let test = self.files[module].test;
        for (name, target) in self.names(module).filter(|(name, _)| !test && !name.test) {
            let Target::File(other) = target else {
                continue;
            };
            if other != *module {
                let (shown, named) = (self.shown(module), self.shown(&other));
                let line = || format!("{shown}:{} names {named}: {name}", name.line);
                found.entry(other.clone()).or_insert_with(line);
            }
        }
        found
    }

    fn resolve(
        &self,
        module: &Module,
        inside: &[String],
        path: &[String],
        renames: usize,
    ) -> Target {
        let mut here = [module, inside].concat();
        let (first, rest) = path.split_first().unwrap();
        match first.as_str() {
            "" => Target::Crate(rest.to_vec()),
            "crate" => self.file(rest),
            "self" | "super" => {
                let steps = path
                    .iter()
                    .take_while(|step| ["self", "super"].contains(&step.as_str()));
                let (steps, rest) = path.split_at(steps.count());
                let ups = steps.iter().filter(|step| *step == "super").count();
                here.truncate(here.len().saturating_sub(ups));
                self.file(&[here.as_slice(), rest].concat())
            }
            _ if self.files.contains_key(&[&here, &path[..1]].concat()) => {
                self.file(&[here.as_slice(), path].concat())
            }
            other if other == self.name => self.file(rest),
            other => self
                .by_import(module, inside, other, rest, renames)
                .unwrap_or_else(|| Target::Crate(path.to_vec())),
        }
    }

    /// A path that begins with a name that a `use` of the same file imports.
    fn by_import(
        &self,
        module: &Module,
        inside: &[String],
        first: &str,
        rest: &[String],
        renames: usize,
    ) -> Option<Target> {
        let renames = renames.checked_sub(1)?;
        let imports = &self.files[module].source.names;
        let named = imports
            .iter()
            .find(|import| import.bound.as_deref() == Some(first) && import.inside == inside);
        if let Some(import) = named {
            let path = [import.path.as_slice(), rest].concat();
            let of_itself = import.path[0] == first;
            return (!of_itself).then(|| self.resolve(module, inside, &path, renames));
        }
        let globs = imports
            .iter()
            .filter(|import| import.bound.as_deref() == Some("*") && import.inside == inside);
        globs
            .filter(|import| import.path.first().is_some_and(|name| name != first))
            .find_map(
                |import| match self.resolve(module, inside, &import.path, renames) {
                    Target::File(file) => {
                        let child = [file.as_slice(), &[first.to_owned()]].concat();
                        self.files
                            .contains_key(&child)
                            .then(|| self.file(&[child.as_slice(), rest].concat()))
                    }
                    Target::Crate(_) => None,
                },
            )
    }

    /// The file of the item in a path of the crate: the longest part of the path that is a module with a file.
    fn file(&self, path: &[String]) -> Target {
        let lengths = (0..=path.len()).rev();
        let mut parts = lengths.map(|length| &path[..length]);
        let found = parts.find(|part| self.files.contains_key(*part));
        Target::File(found.unwrap_or_default().to_vec())
    }
}

/// The module of a file, by its path below `src`.
fn module(shown: &str) -> Module {
    let parts = shown.trim_end_matches(".rs").split('/');
    let mut module: Module = parts.map(str::to_owned).collect();
    if module == ["lib"] || module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

/// Every Rust source below a folder, in the order of their paths.
pub(crate) fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

//! Where a configuration comes from, and reading it whole: the text, the environment and every file it names.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{inputs::Inputs, parse::load};
use crate::config::{
    model::Config,
    reading::{environment::Environment, finding::Finding},
};

/// How often a reading is begun again because a file changed under it; then what was read is taken for what it is.
const READINGS: usize = 3;

/// A configuration file, and the environment file behind it.
#[derive(Clone, Debug)]
pub struct Source {
    file: PathBuf,
    env_file: Option<PathBuf>,
}

/// What came of reading a [`Source`].
#[derive(Debug)]
pub struct Reading {
    /// The configuration, or everything that is wrong with it.
    pub outcome: Result<Config, Vec<Finding>>,
    /// What was read. Where files changed meanwhile, their state before: whoever looks again finds another.
    pub inputs: Inputs,
}

/// A configuration that was found good.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Where it comes from.
    pub source: Source,
    /// What it was read from.
    pub inputs: Inputs,
}

impl Source {
    /// The configuration at `file`; variables that the environment lacks are taken from `env_file`.
    pub fn new(file: &Path, env_file: Option<&Path>) -> Self {
        Self {
            file: file.to_owned(),
            env_file: env_file.map(Path::to_owned),
        }
    }

    /// The configuration file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Reads a configuration that must be good.
    ///
    /// # Errors
    /// Everything that is wrong with it; never empty.
    pub fn load(self) -> Result<Loaded, Vec<Finding>> {
        let Reading { outcome, inputs } = self.read();
        Ok(Loaded {
            config: outcome?,
            source: self,
            inputs,
        })
    }

    /// Reads and checks everything.
    pub fn read(&self) -> Reading {
        let mut files = self.files();
        let mut before = Inputs::of(&files);
        for _ in 1..READINGS {
            let outcome = self.check(&mut files);
            let after = Inputs::of(&files);
            if after == before {
                return Reading {
                    outcome,
                    inputs: after,
                };
            }
            before = after;
        }
        Reading {
            outcome: self.check(&mut files),
            inputs: before,
        }
    }

    fn files(&self) -> BTreeSet<PathBuf> {
        let files = [Some(&self.file), self.env_file.as_ref()];
        files.into_iter().flatten().cloned().collect()
    }

    /// Reads and checks everything once; `files` are those it looked at.
    fn check(&self, files: &mut BTreeSet<PathBuf>) -> Result<Config, Vec<Finding>> {
        *files = self.files();
        let environment = match &self.env_file {
            Some(path) => Environment::process()
                .with_file(path)
                .map_err(|error| vec![Finding::of_env_file(path, &error)])?,
            None => Environment::process(),
        };
        load(&self.file, &environment, files)
    }
}

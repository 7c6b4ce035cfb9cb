//! The source of a configuration, and reading all of it: the text, the environment and every file that it names.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{inputs::Inputs, parse::load};
use crate::config::{
    model::Config,
    reading::{environment::Environment, finding::Finding},
};

/// Most readings in a row while files change during each of them. The last result is used in any case.
const READINGS: usize = 3;

/// A configuration file, and its environment file.
#[derive(Clone, Debug)]
pub struct Source {
    file: PathBuf,
    env_file: Option<PathBuf>,
}

/// The result of reading a [`Source`].
#[derive(Debug)]
pub struct Reading {
    /// The configuration, or all findings.
    pub outcome: Result<Config, Vec<Finding>>,
    /// The inputs. For files that changed during the reading, their state before, so that the next comparison finds a change.
    pub inputs: Inputs,
}

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Its source.
    pub source: Source,
    /// Its inputs.
    pub inputs: Inputs,
}

impl Source {
    /// The configuration at `file`. Variables that the environment does not have come from `env_file`.
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

    /// Reads a configuration that must be valid.
    ///
    /// # Errors
    /// All findings; never empty.
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

    /// Reads and checks everything once. `files` are the files that it read.
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

//! `mcp-gateway key new`: makes a key, adds its digest to the file, and prints the key.

use std::{
    io::{self, Write},
    time::Duration,
};

use aws_lc_rs::rand;
use clap::Args;
use mcp_gateway_core::{
    scope::{ScopeError, ScopeSet},
    time::UnixTime,
    token::api_key::{
        entry::{self, KeyEntry, NEVER, Opens},
        text::{self, ApiKey},
    },
};

use super::key_file::KeyFile;
use crate::{
    cli::exit::{CANNOT_RUN, OK, WRONG},
    config::{
        api_keys::{
            edit::{self, EditError},
            line::{self, LineError},
        },
        unit,
    },
};

/// Random bytes for a key: twice as many as it has characters, because some cannot be used.
const RANDOM_BYTES: usize = 2 * text::RANDOM;

/// The shortest and the longest life of a key that expires.
const LIFETIMES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(3660 * 24 * 60 * 60);

/// A key to make.
#[derive(Args, Debug)]
pub(in crate::cli) struct NewKey {
    #[command(flatten)]
    file: KeyFile,
    /// Name of the key: of the machine or program that has it. Logs and rules have it as the client.
    #[arg(long)]
    name: String,
    /// Who calls with it, as rules, logs and the MCP server name the caller. Several keys can have the same subject.
    #[arg(long)]
    subject: String,
    /// Scope of the calls. Can be repeated. Without it the key has none.
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// Path or URI of a resource that accepts the key. Can be repeated.
    #[arg(long, value_name = "PATH", required_unless_present = "all_resources")]
    resource: Vec<String>,
    /// Every resource that accepts API keys accepts it, also those that are added later.
    #[arg(long, conflicts_with = "resource")]
    all_resources: bool,
    /// When it expires: after a time such as 90d or 12h, or never.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = lifetime)]
    expires: Lifetime,
}

/// How long a key can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifetime {
    Never,
    For(Duration),
}

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
enum NewKeyError {
    #[error("--scope: {0}")]
    Scope(#[from] ScopeError),
    #[error("--{} {}", .0.member.unwrap_or_default().trim_end_matches('s'), .0.problem)]
    Option(LineError),
    #[error("the random source of the system fails")]
    Random,
    #[error("{0}")]
    File(#[from] EditError),
}

impl NewKey {
    /// Makes the key. Returns the exit code.
    ///
    /// # Errors
    /// `out` or `errors` cannot be written.
    pub(super) fn execute(
        &self,
        now: UnixTime,
        out: &mut dyn Write,
        errors: &mut dyn Write,
    ) -> io::Result<u8> {
        match self.make(now) {
            Ok(key) => {
                let printed = writeln!(out, "{key}").and_then(|()| out.flush());
                if let Err(error) = printed {
                    return self.take_back(&error, errors);
                }
                writeln!(
                    errors,
                    "This is the only time that the key is shown. {} has its digest as {}.",
                    self.file.file.display(),
                    self.name
                )?;
                Ok(OK)
            }
            Err(error) => {
                writeln!(errors, "mcp-gateway: {error}")?;
                let is_option = matches!(error, NewKeyError::Scope(_) | NewKeyError::Option(_));
                Ok(if is_option { WRONG } else { CANNOT_RUN })
            }
        }
    }

    /// Removes the key that could not be printed: nobody has it.
    fn take_back(&self, error: &io::Error, errors: &mut dyn Write) -> io::Result<u8> {
        let (file, name) = (self.file.file.display(), &self.name);
        match edit::remove(&self.file.file, name) {
            Ok(()) => writeln!(
                errors,
                "mcp-gateway: the key cannot be printed: {error}. It was removed from {file} again"
            ),
            Err(left) => writeln!(
                errors,
                "mcp-gateway: the key cannot be printed: {error}. Remove {name} from {file}: {left}"
            ),
        }?;
        Ok(CANNOT_RUN)
    }

    fn make(&self, now: UnixTime) -> Result<String, NewKeyError> {
        let key = random_key()?;
        let parsed = ApiKey::parse(&key).map_err(|_| NewKeyError::Random)?;
        let entry = KeyEntry {
            name: self.name.clone(),
            digest: parsed.digest(),
            principal: entry::principal(
                &self.name,
                &self.subject,
                ScopeSet::from_tokens(&self.scope)?,
            ),
            resources: match self.all_resources {
                true => Opens::Every,
                false => Opens::These(self.resource.clone()),
            },
            expires: match self.expires {
                Lifetime::Never => NEVER,
                Lifetime::For(time) => now.plus(time),
            },
            created: Some(now),
        };
        // What cannot be read back would make the whole file unusable.
        let entry = line::read(&line::write(&entry)).map_err(NewKeyError::Option)?;
        edit::add(&self.file.file, &entry)?;
        Ok(key)
    }
}

fn random_key() -> Result<String, NewKeyError> {
    let mut random = [0; RANDOM_BYTES];
    // Half of the bytes suffice, and each can be used with a chance of 248 in 256.
    rand::fill(&mut random).map_err(|_| NewKeyError::Random)?;
    text::new_key(&random).ok_or(NewKeyError::Random)
}

fn lifetime(text: &str) -> Result<Lifetime, String> {
    if text == "never" {
        return Ok(Lifetime::Never);
    }
    let time = unit::duration(text);
    let time = time.filter(|time| LIFETIMES.contains(time));
    time.map(Lifetime::For).ok_or_else(|| {
        let [least, most] =
            [LIFETIMES.start(), LIFETIMES.end()].map(|end| unit::show_duration(*end));
        format!(
            "must be never, or {} from {least} to {most}",
            unit::DURATION_FORM
        )
    })
}

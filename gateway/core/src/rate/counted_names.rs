//! The names of a rate limit.
//!
//! A call is counted if any reading of its name is: another spelling of a URI takes from the same bucket.

use crate::mcp::method::McpMethod;
use crate::policy::Pattern;
use crate::policy::trimmed;
use crate::policy::uri::spellings::UriSpellings;
use crate::policy::uri::{self, Reading};

/// The names that a limit counts (tool, prompt, resource URI, task).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountedNames {
    texts: Vec<Pattern>,
    uris: UriSpellings,
}

impl From<Vec<Pattern>> for CountedNames {
    fn from(texts: Vec<Pattern>) -> Self {
        Self {
            uris: UriSpellings::of(&texts),
            texts,
        }
    }
}

impl CountedNames {
    /// The names as they are configured; none means any.
    pub fn as_slice(&self) -> &[Pattern] {
        &self.texts
    }

    /// The place of the name that counts this call; the first where there are no names, `None` where none counts it.
    pub(super) fn position(&self, method: &str, name: Option<&str>) -> Option<usize> {
        if self.texts.is_empty() {
            return Some(0);
        }
        let name = name?;
        match McpMethod::of(method).is_about_resources() {
            true => self.counts_uri(name).then_some(0),
            false => self.text(name).or_else(|| self.text(trimmed(name))),
        }
    }

    fn text(&self, name: &str) -> Option<usize> {
        self.texts.iter().position(|own| own.matches(name))
    }

    /// A URI that readers would read in unknown ways is counted.
    fn counts_uri(&self, uri: &str) -> bool {
        let Ok(readings) = uri::readings(uri, self.uris.has_decoded()) else {
            return true;
        };
        let counts =
            |text: &str, reading| self.text(text).is_some() || self.uris.matches(text, reading);
        let mut others = readings.others.iter();
        counts(uri, Reading::Sent) || others.any(|(reading, text)| counts(text, *reading))
    }
}

//! One thing that a call touches, as each server could read its name.
//!
//! A URI has the readings of [`uri`]. Any other name is read as it was sent, and without whitespace at its ends, which a server
//! could remove.

use super::caller::RuleTarget;
use super::rule::index::Rules;
use super::uri::{self, Reading, Readings, UriFault};

/// A target, and the readings of its name that differ from it.
pub(crate) struct TargetReadings<'a> {
    sent: RuleTarget<'a>,
    others: Vec<(Reading, Box<str>)>,
}

impl<'a> TargetReadings<'a> {
    /// The readings that these rules distinguish.
    ///
    /// # Errors
    /// [`UriFault`] for a URI that readers would read in ways that cannot be known.
    pub(crate) fn of(rules: &Rules, target: &RuleTarget<'a>) -> Result<Self, UriFault> {
        let others = match target.name {
            Some(uri) if target.is_resource() => match rules.name_resources() {
                true => of_uri(rules, uri)?,
                false => Vec::new(),
            },
            Some(name) => of_name(name).into_iter().collect(),
            None => Vec::new(),
        };
        Ok(Self {
            sent: *target,
            others,
        })
    }

    /// Every reading there is: for somebody who may distinguish all of them.
    ///
    /// # Errors
    /// [`UriFault`] for a URI that readers would read in ways that cannot be known.
    pub(crate) fn all(target: &RuleTarget<'a>) -> Result<Self, UriFault> {
        let others = match target.name {
            Some(uri) if target.is_resource() => uri::readings(uri, false)?.others,
            Some(name) => of_name(name).into_iter().collect(),
            None => Vec::new(),
        };
        Ok(Self {
            sent: *target,
            others,
        })
    }

    /// The target in each reading, first as it was sent.
    pub(crate) fn targets(&self) -> impl Iterator<Item = RuleTarget<'_>> {
        let others = self.others.iter().map(|(reading, name)| RuleTarget {
            name: Some(name),
            reading: *reading,
            ..self.sent
        });
        std::iter::once(self.sent).chain(others)
    }
}

fn of_uri(rules: &Rules, uri: &str) -> Result<Vec<(Reading, Box<str>)>, UriFault> {
    let Readings { others, unparsable } = uri::readings(uri, rules.decode_uris())?;
    match unparsable.filter(|_| rules.name_schemes()) {
        Some(error) => Err(UriFault::Unparsable(error)),
        None => Ok(others),
    }
}

fn of_name(name: &str) -> Option<(Reading, Box<str>)> {
    let trimmed = trimmed(name);
    (trimmed.len() < name.len()).then(|| (Reading::Trimmed, trimmed.into()))
}

/// A name without whitespace at its ends, in the sense of Unicode and of JavaScript.
pub(crate) fn trimmed(name: &str) -> &str {
    name.trim_matches(|character: char| character.is_whitespace() || character == '\u{feff}')
}

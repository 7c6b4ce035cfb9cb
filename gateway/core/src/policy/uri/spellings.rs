//! The names of a rule or a rate limit where they are URIs, in every reading.
//!
//! A rule for `https://host` is meant for what a parser makes of it too, `https://host/`; a rule for `note:///my secret` for
//! `note:///my%20secret`. So the URIs and patterns of rules are read like those of calls. The decoded reading of a name is
//! compared with decoded readings alone: it stands for several URIs, of which the rule may allow only one.

use url::Url;

use super::decoded::{Stars, decoded};
use super::reader::{Reading, scheme};
use crate::policy::rule::pattern::Pattern;

/// What names match as URIs, in addition to what they match as texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UriSpellings {
    parsed: Vec<Pattern>,
    decoded: Vec<Pattern>,
}

impl UriSpellings {
    pub(crate) fn of(names: &[Pattern]) -> Self {
        let mut spellings = Self::default();
        for name in names {
            spellings.add(name);
        }
        spellings
    }

    /// Whether one of them matches this reading of a URI.
    pub(crate) fn matches(&self, uri: &str, reading: Reading) -> bool {
        let matches = |own: &Vec<Pattern>| own.iter().any(|own| own.matches(uri));
        matches(&self.parsed) || (reading == Reading::Decoded && matches(&self.decoded))
    }

    /// Whether its names match nothing more as URIs than as texts.
    pub(crate) const fn is_empty(&self) -> bool {
        self.parsed.is_empty() && self.decoded.is_empty()
    }

    /// The most steps that comparing them takes for one byte of a URI.
    pub(crate) fn steps(&self) -> usize {
        let all = self.parsed.iter().chain(&self.decoded);
        all.filter(|one| !one.is_exact())
            .map(|one| one.steps(1))
            .sum()
    }

    /// Whether decoded readings match more than others.
    pub(crate) const fn has_decoded(&self) -> bool {
        !self.decoded.is_empty()
    }

    /// The texts of exact names.
    pub(crate) fn exact(&self) -> impl Iterator<Item = &str> {
        let all = self.parsed.iter().chain(&self.decoded);
        all.filter(|one| one.is_exact()).map(Pattern::as_str)
    }

    fn add(&mut self, name: &Pattern) {
        let parsed = Url::parse(name.as_str()).ok().map(String::from);
        let parsed = parsed.and_then(|parsed| name.spelled(&parsed));
        let texts = [Some(name), parsed.as_ref()].map(|one| one.map(Pattern::as_str));
        let decoded: Vec<_> = texts
            .into_iter()
            .flatten()
            .filter_map(|text| decoded(text, Stars::Keep).ok())
            .filter_map(|text| name.spelled(&text))
            .collect();
        for one in decoded {
            let is_known = one == *name || parsed.as_ref() == Some(&one);
            if !is_known && !self.decoded.contains(&one) {
                self.decoded.push(one);
            }
        }
        self.parsed.extend(parsed.filter(|one| one != name));
    }
}

/// Whether a name of a rule can be meant for URIs that begin with a scheme. `*` and `**` alone are for every name.
pub(crate) fn has_scheme(name: &Pattern) -> bool {
    match name.as_str() {
        "*" | "**" => false,
        name => scheme(name).is_some() || name.contains("://") || name.starts_with('*'),
    }
}

//! The claims that conditions read, stored with a verified token as CEL values.
//!
//! A claim that no condition of the resource reads is dropped, so nearly every token stores none.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::common::types::CelMap;

use crate::cel::value::{Values, key};
use crate::json::Object;

/// Names of claims: those that conditions read, those that are stored.
pub type ClaimNames = MemberNames;

/// Names of an object's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberNames {
    /// Only these; possibly none.
    These(BTreeSet<String>),
    /// Every one there is.
    All,
}

impl Default for MemberNames {
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

impl MemberNames {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::These(names) if names.is_empty())
    }

    /// Whether this name is one of them.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::These(names) => names.contains(name),
            Self::All => true,
        }
    }

    /// Takes up the names of `other`.
    pub fn extend(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::These(own), Self::These(more)) => own.extend(more.iter().cloned()),
            (own, Self::All) => *own = Self::All,
            (Self::All, Self::These(_)) => {}
        }
    }

    /// Takes up one name.
    pub(crate) fn insert(&mut self, name: &str) {
        if let Self::These(names) = self {
            names.insert(name.to_owned());
        }
    }
}

/// Claims of one verified token.
///
/// A claim that is too large, too deep, or a number outside CEL's types is not stored. Its name is recorded, so that a
/// condition that reads it fails instead of treating it as missing.
#[derive(Default)]
pub struct KeptClaims {
    values: CelMap<'static>,
    /// Claims that should have been stored but were not.
    missed: BTreeSet<String>,
}

static NONE: LazyLock<Arc<KeptClaims>> = LazyLock::new(Arc::default);

impl KeptClaims {
    /// Maximum bytes of JSON stored for one token, without names: the default limit of a whole token.
    pub const MAX_BYTES: usize = 8 * 1024;

    /// No claims at all, without an allocation.
    pub fn none() -> Arc<Self> {
        Arc::clone(&NONE)
    }

    /// Keeps the claims of these names. They come from a document that passed [`json::check`](crate::json::check()).
    pub fn of(claims: &Object<'_>, names: &ClaimNames) -> Arc<Self> {
        if names.is_empty() {
            return Self::none();
        }
        let mut left = Self::MAX_BYTES;
        let mut values = HashMap::new();
        let mut missed = BTreeSet::new();
        for (name, raw) in claims.iter().filter(|(name, _)| names.contains(name)) {
            let fits = left.checked_sub(raw.len());
            match fits.map(|_| Values::owned(Self::MAX_BYTES).value(raw)) {
                Some(Ok(value)) => {
                    left = fits.unwrap_or_default();
                    values.insert(key(name.to_owned().into()), value);
                }
                Some(Err(_)) | None => {
                    missed.insert(name.to_owned());
                }
            }
        }
        Arc::new(Self {
            values: values.into(),
            missed,
        })
    }

    /// The claims as a CEL map.
    pub(crate) fn map(&self) -> &CelMap<'static> {
        &self.values
    }

    /// Whether the token has a claim of these names that was not stored.
    pub(crate) fn misses(&self, names: &ClaimNames) -> bool {
        self.missed.iter().any(|missed| names.contains(missed))
    }

    /// Whether the token has one of these claims that was not stored.
    pub(crate) fn misses_one_of(&self, names: &BTreeSet<String>) -> bool {
        !self.missed.is_disjoint(names)
    }
}

impl fmt::Debug for KeptClaims {
    /// The number of claims, without values: they are personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptClaims")
            .field("kept", &self.values.inner().len())
            .field("missed", &self.missed)
            .finish()
    }
}

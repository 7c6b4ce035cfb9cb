//! One rate limit, and what a call takes from it.

use std::sync::Arc;

use super::counted_names::CountedNames;
use super::token_bucket::Rate;
use crate::mcp::method::McpMethod;
use crate::principal::{Principal, Subject, Who};

/// One rate limit of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// What each bucket counts.
    pub per: Per,
    /// How often within a time, and how often at once.
    pub rate: Rate,
    /// The methods that it counts; empty means every method that a policy decides.
    pub methods: Vec<String>,
    /// The names that it counts; empty means any.
    pub names: CountedNames,
}

/// What each bucket counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Each principal.
    Principal,
    /// Each subject of each issuer, for all of its clients together.
    Subject,
    /// Each client of each issuer, for all of its users together. Tokens without a client id count for their principal.
    Client,
    /// Each tool among the limit's names, which are exact: callers can invent names, but must not create buckets.
    Tool,
    /// The resource.
    Resource,
}

/// Distinguishes the buckets of one limit in use from those of every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitId(u64);

impl LimitId {
    /// The id of this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// A rate limit in use, with its buckets.
#[derive(Clone, Debug)]
pub struct Limiter {
    /// Its buckets.
    pub id: LimitId,
    /// What it limits.
    pub limit: RateLimit,
}

/// What one call takes from one limit.
#[derive(Clone, Debug)]
pub struct Share {
    pub(super) bucket: Bucket,
    pub(super) rate: Rate,
    /// Who makes the call: it may have only so many buckets.
    pub(super) by: Subject,
}

/// A bucket of a limit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Bucket {
    pub(super) limit: LimitId,
    pub(super) of: CountedBy,
}

/// Whose bucket it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum CountedBy {
    Principal(Who),
    Subject(Subject),
    /// Issuer and client id.
    Client(Arc<str>, Arc<str>),
    /// The place among the limit's names.
    Tool(usize),
    Resource,
}

impl Limiter {
    /// What this call takes; `None` where the limit does not count it.
    pub fn share(&self, caller: &Principal, method: &str, name: Option<&str>) -> Option<Share> {
        let named = self.limit.counts(method, name)?;
        let of = match (self.limit.per, &caller.client) {
            (Per::Client, Some(client)) => CountedBy::Client(caller.issuer.clone(), client.clone()),
            (Per::Principal | Per::Client, _) => CountedBy::Principal(caller.who()),
            (Per::Subject, _) => CountedBy::Subject(caller.subject()),
            (Per::Tool, _) => CountedBy::Tool(named),
            (Per::Resource, _) => CountedBy::Resource,
        };
        Some(Share {
            bucket: Bucket { limit: self.id, of },
            rate: self.limit.rate,
            by: caller.subject(),
        })
    }
}

impl Share {
    /// How fast its bucket fills, and how much it holds.
    pub const fn rate(&self) -> Rate {
        self.rate
    }
}

impl RateLimit {
    /// Whether this call is counted, and by which of the names.
    fn counts(&self, method: &str, name: Option<&str>) -> Option<usize> {
        let is_counted = match self.methods.as_slice() {
            [] => !McpMethod::of(method).is_always_open(),
            methods => methods.iter().any(|own| own == method),
        };
        if !is_counted {
            return None;
        }
        self.names.position(method, name)
    }
}

impl CountedBy {
    /// Whether their number grows with the callers. The number of the others follows from the configuration.
    pub(super) const fn is_caller(&self) -> bool {
        matches!(
            self,
            Self::Principal(_) | Self::Subject(_) | Self::Client(..)
        )
    }
}

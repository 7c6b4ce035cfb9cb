//! What a store that several processes share must be able to do: count calls in token buckets.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use mcp_gateway_core::rate::{shared::SharedName, token_bucket::Rate};

/// A bucket, and how many calls are to be taken from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// The bucket.
    pub(crate) name: SharedName,
    /// How fast it fills, and how much it holds.
    pub(crate) rate: Rate,
    /// The most calls to take: at least one.
    pub(crate) wanted: u32,
}

/// What the store said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// So many calls were taken from each bucket, at least one, in the order of the question.
    Taken(Vec<u32>),
    /// The bucket at this place of the question is empty, and nothing was taken. It has a call again after this time.
    Empty(usize, Duration),
}

/// The store cannot count: it is gone, or too slow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store of rate limits failed: {0}")]
pub(crate) struct CounterError(pub(crate) String);

/// A store that counts.
#[async_trait]
pub(crate) trait Counter: Debug + Send + Sync {
    /// Takes from all buckets, or from none.
    ///
    /// # Errors
    /// [`CounterError`]: it may have taken, or not.
    async fn take(&self, asks: &[Ask]) -> Result<Counted, CounterError>;
}

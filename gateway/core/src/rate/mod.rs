//! Fair use: how often principals, clients and tools may be called for, and a resource in all.
//!
//! Every count is a token bucket of its own and exact: no sketch, no sampling, and none that is still needed is forgotten.
//! A call that several limits count takes from all of their buckets or from none. A full bucket takes no place, so only
//! those who called a short while ago do; where all places are taken, newcomers wait.

mod buckets;
mod rate_limit;
pub mod refusal_budget;
#[cfg(test)]
mod tests;
pub mod token_bucket;

pub use buckets::Buckets;
pub use rate_limit::{LimitId, Limiter, Per, RateLimit, Share};

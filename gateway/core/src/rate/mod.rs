//! Rate limits: how often each principal, each client and each tool may call, and how often a resource is called in total.
//!
//! Every count is an exact token bucket of its own: no sketch, no sampling, and no bucket is removed before it is full.
//! A call that several limits count takes from all of their buckets or from none. A full bucket is not stored, so only
//! recent callers use memory. Where the maximum number of callers is stored, new callers are refused.
//!
//! Several processes may count together ([`shared`]): each takes a batch of calls from the store at once and spends it ([`lease`]).

mod buckets;
mod counted_names;
pub mod lease;
mod rate_limit;
pub mod refusal_budget;
pub mod shared;
#[cfg(test)]
mod tests;
pub mod token_bucket;

pub use buckets::Buckets;
pub use counted_names::CountedNames;
pub use rate_limit::{LimitId, Limiter, Per, RateLimit, Share};

//! Decision points: who is asked about calls that the policy permits (OpenID AuthZEN, Authorization API 1.0).
//!
//! * [`point`] is one of them: what it answered is in its [`cache`], and what is not there is asked once, however many wait for it
//!   ([`single_flight`](crate::single_flight));
//! * [`failure`] is why there is no answer.
//!
//! What is asked and what an answer means is in the core (`policy/decision_point`). Nothing of a question is logged.

mod cache;
pub(crate) mod failure;
pub(crate) mod point;
#[cfg(test)]
mod tests;

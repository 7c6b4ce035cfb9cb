//! Decisions that somebody else makes after the policy: what a decision point is asked about a call that the policy permits, and what
//! its answer means (OpenID AuthZEN, Authorization API 1.0).
//!
//! * [`asker`] is who asks, which every question begins with;
//! * [`asked`] is what questions say of a call, as configured;
//! * [`question`] makes the questions about one call, or about the entries of a list, and their keys in a cache;
//! * [`answer`] judges an answer: only a `decision` that is `true` is a yes;
//! * [`asking`] has the permit of a call until the answers are there.
//!
//! The policy is never replaced: a call that it refuses is asked about by nobody.

pub mod answer;
pub mod asked;
pub mod asker;
pub mod asking;
pub mod question;
mod values;
mod written;

#[cfg(test)]
mod tests;

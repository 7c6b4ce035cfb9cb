//! The endpoints of one upstream: which of them gets a call, and which of them get none for a while.
//!
//! * [`choice`]: the less loaded of two that are drawn by weight; [`slow_start`]: the weight of an endpoint that is new or back;
//! * [`ejection`]: an endpoint whose calls fail is left out for a while; [`outcome`]: what such a failure is, [`answers`] who got answers;
//! * [`health`]: an endpoint that does not answer checks is left out until it does;
//! * [`endpoints`]: all of that for a set of endpoints, with the most calls of each, and the calls that wait ([`waiting`]);
//! * [`resolution`]: the addresses of a name, as they change.
//!
//! Instants are times since the start of a clock that only goes forward; random numbers are arguments.

pub mod answers;
pub mod choice;
pub mod ejection;
pub mod endpoints;
pub mod health;
pub mod outcome;
pub mod resolution;
pub mod slow_start;
#[cfg(test)]
mod tests;
pub mod waiting;

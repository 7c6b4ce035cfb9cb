//! People who sign in with a provider: the company's OpenID provider (OpenID Connect Core §3.1), or GitHub.
//!
//! * [`preset`]: what is known of each kind of provider. [`rules`]: who may sign in, and what they may do. [`provider`]: a provider as the
//!   configuration describes it.
//! * [`protocol`]: what goes to it and what comes back. [`github`]: what GitHub's API says of an account.
//! * [`account`](mod@account): an account, judged by the rules. [`arrival`]: somebody comes back and enters. [`sign_in`]: sign-ins that are
//!   repeated at each refresh.

pub mod account;
pub mod arrival;
pub mod github;
pub mod preset;
pub mod protocol;
pub mod provider;
pub mod rules;
pub mod sign_in;
#[cfg(test)]
mod testing;

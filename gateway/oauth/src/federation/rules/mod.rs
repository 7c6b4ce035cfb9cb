//! The rules for a provider's accounts: who may sign in ([`may_sign_in`]), what they may do ([`scope_rules`]), and which of them an account
//! met when it signed in ([`met`]).

pub mod may_sign_in;
pub(in crate::federation) mod met;
pub mod scope_rules;

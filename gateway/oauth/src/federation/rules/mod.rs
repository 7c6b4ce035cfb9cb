//! The rules for a provider's accounts: who may sign in ([`may_sign_in`]), and what they may do ([`scope_rules`]).

pub mod may_sign_in;
pub mod scope_rules;

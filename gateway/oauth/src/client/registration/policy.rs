//! Who may register, and for what.

use std::{fmt, time::Duration};

use mcp_gateway_core::scope::ScopeSet;

use crate::secret::Secret;

use super::error::RegistrationError;

/// How many clients may be registered by default.
const DEFAULT_MAX_CLIENTS: u64 = 100_000;

/// Who may register, and for what.
#[derive(Clone, Debug)]
pub struct RegistrationPolicy {
    /// Whether clients for people may register.
    pub people: bool,
    /// Which machines may register.
    pub machines: Machines,
    /// All scopes of the server: others are left out of what a client asks for.
    pub known_scopes: ScopeSet,
    /// How many clients may be registered at once. Machines take at most half of it: strangers' machines never keep people's
    /// clients out.
    pub max_clients: u64,
    /// How long a client stays that never got a token.
    pub unused_client: Duration,
}

/// Which machines may register. None by default.
#[derive(Clone, Debug, Default)]
pub struct Machines {
    /// Tokens of the operator, with the scopes that each allows.
    pub initial_access: Vec<InitialAccess>,
    /// The scopes of machines that bring no token; none where they may not register.
    pub strangers: Option<ScopeSet>,
}

/// An initial access token (RFC 7591 §1.2).
#[derive(Clone, PartialEq, Eq)]
pub struct InitialAccess {
    /// The token.
    pub token: Secret,
    /// The scopes that a machine gets with it at most.
    pub scopes: ScopeSet,
}

impl fmt::Debug for InitialAccess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "InitialAccess({})", self.scopes)
    }
}

impl Default for RegistrationPolicy {
    fn default() -> Self {
        Self {
            people: true,
            machines: Machines::default(),
            known_scopes: ScopeSet::default(),
            max_clients: DEFAULT_MAX_CLIENTS,
            unused_client: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl RegistrationPolicy {
    /// How many clients there may be when another one of this kind registers.
    pub(super) const fn room(&self, is_machine: bool) -> u64 {
        match is_machine {
            true => self.max_clients / 2,
            false => self.max_clients,
        }
    }

    /// Those of these scopes that the server knows; none if it knows none of them.
    pub(super) fn known(&self, asked: Option<&ScopeSet>) -> Option<ScopeSet> {
        let known = both(asked?, &self.known_scopes);
        (!known.is_empty()).then_some(known)
    }
}

impl Machines {
    /// The scopes of a machine with this initial access token that asks for these: what it asks for within what is allowed, and all
    /// that is allowed where it asks for nothing that is.
    pub(super) fn scopes(
        &self,
        token: Option<&Secret>,
        asked: Option<&ScopeSet>,
    ) -> Result<ScopeSet, RegistrationError> {
        let allowed = self.allowed(token)?;
        let asked = asked.map(|asked| both(asked, allowed));
        Ok(asked
            .filter(|asked| !asked.is_empty())
            .unwrap_or_else(|| allowed.clone()))
    }

    /// A token that is not known is refused even where strangers are welcome: who brings one expects what it allows.
    fn allowed(&self, token: Option<&Secret>) -> Result<&ScopeSet, RegistrationError> {
        let Some(token) = token else {
            return self
                .strangers
                .as_ref()
                .ok_or(match self.initial_access.is_empty() {
                    true => RegistrationError::MachinesOff,
                    false => RegistrationError::InitialAccessToken,
                });
        };
        if self.initial_access.is_empty() && self.strangers.is_none() {
            return Err(RegistrationError::MachinesOff);
        }
        // Every token is compared, so that the time does not tell which one was nearly right.
        let found =
            self.initial_access
                .iter()
                .fold(None, |found, own| match own.token.is_same(token) {
                    true => Some(&own.scopes),
                    false => found,
                });
        found.ok_or(RegistrationError::InitialAccessToken)
    }
}

/// The scopes in both.
fn both(one: &ScopeSet, other: &ScopeSet) -> ScopeSet {
    one.difference(&one.difference(other))
}

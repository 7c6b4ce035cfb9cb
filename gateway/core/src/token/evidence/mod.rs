//! What a verified token proves: who calls, until when, what the token is bound to ([`binding`], [`possession`]), and which [`grant`] it comes from. The
//! same for every kind of token.

pub mod binding;
pub mod grant;
pub mod possession;

use std::sync::Arc;
use std::time::Duration;

use crate::cel::kept_claims::KeptClaims;
use crate::principal::Principal;
use crate::refusal::reason::Reason;
use crate::time::UnixTime;
use binding::Binding;
use grant::GrantId;

/// What a verified token proves. A cache may store it.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The caller.
    pub principal: Arc<Principal>,
    /// The claims that conditions read (`IssuerProfile::kept_claims`).
    pub claims: Arc<KeptClaims>,
    /// `exp`, without clock skew.
    pub expires: UnixTime,
    /// `nbf`, without clock skew.
    pub not_before: Option<UnixTime>,
    /// The grant that it comes from, where its issuer names grants.
    pub grant: Option<GrantId>,
    /// What only its sender has. Each request that presents the token must prove it.
    pub binding: Option<Binding>,
}

impl Evidence {
    /// Checks the times again: a cached verification is valid no longer than its token.
    ///
    /// # Errors
    /// [`Reason::Expired`] or [`Reason::NotYetValid`].
    pub fn still_valid(&self, skew: Duration, now: UnixTime) -> Result<(), Reason> {
        check_times(self.expires, self.not_before, skew, now)
    }

    /// The same where the token itself says that it is `stated` to be bound: what others say of the token does not free it.
    ///
    /// # Errors
    /// [`Reason::SenderConstrained`].
    pub fn bound_as(self, stated: Option<Binding>) -> Result<Self, Reason> {
        match stated.is_none() || stated == self.binding {
            true => Ok(self),
            false => Err(Reason::SenderConstrained),
        }
    }

    /// The same where nobody can prove possession: a bound token is refused.
    ///
    /// # Errors
    /// [`Reason::SenderConstrained`].
    pub fn of_any_sender(self) -> Result<Self, Reason> {
        match self.binding {
            None => Ok(self),
            Some(_) => Err(Reason::SenderConstrained),
        }
    }
}

/// A token is valid from `nbf` until just before `exp` (RFC 7519 §4.1.4, §4.1.5); the clock skew extends both ends.
pub(crate) fn check_times(
    expires: UnixTime,
    not_before: Option<UnixTime>,
    skew: Duration,
    now: UnixTime,
) -> Result<(), Reason> {
    if now >= expires.plus(skew) {
        return Err(Reason::Expired);
    }
    if not_before.is_some_and(|not_before| not_before > now.plus(skew)) {
        return Err(Reason::NotYetValid);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::ScopeSet;

    #[test]
    fn a_token_that_says_what_it_is_bound_to_is_bound_to_nothing_else() {
        let evidence = |binding| Evidence {
            principal: Arc::new(Principal {
                issuer: "https://issuer.example".into(),
                subject: "alice".into(),
                client: None,
                scopes: ScopeSet::default(),
            }),
            claims: KeptClaims::none(),
            expires: UnixTime::new(1000),
            not_before: None,
            grant: None,
            binding,
        };
        let (key, other) = (Binding::Key([1; 32]), Binding::Key([2; 32]));
        let certificate = Binding::Certificate([1; 32]);
        for (stated, found, expected) in [
            (None, None, Ok(None)),
            // The answer says more than the token.
            (None, Some(key), Ok(Some(key))),
            (Some(key), Some(key), Ok(Some(key))),
            (Some(key), None, Err(Reason::SenderConstrained)),
            (Some(key), Some(other), Err(Reason::SenderConstrained)),
            (Some(key), Some(certificate), Err(Reason::SenderConstrained)),
        ] {
            let bound = evidence(found).bound_as(stated);
            assert_eq!(bound.map(|evidence| evidence.binding), expected);
        }
    }
}

//! What the sender of a token must prove with each request: by what the token is bound to, how it came, and what the resource
//! demands. A bound token is never accepted without proof, whatever the configuration says (RFC 9449 §7.2, RFC 8705 §3).

use super::binding::{Binding, Thumbprint};
use crate::refusal::challenge::TokenScheme;
use crate::refusal::reason::Reason;

/// Whether tokens may be bound in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Tokens that are bound so are refused.
    Refuse,
    /// Tokens may be bound so.
    Allow,
    /// Tokens must be bound so.
    Require,
}

/// What a resource demands of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// Tokens that are bound to a key of the client (RFC 9449).
    pub dpop: Demand,
}

/// What the sender must prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Possession {
    /// Nothing: the token is bound to nothing.
    Nothing,
    /// That it has the key with this thumbprint.
    Key(Thumbprint),
}

impl Constraint {
    /// Whether tokens with the scheme DPoP are accepted.
    pub fn accepts_dpop(&self) -> bool {
        self.dpop != Demand::Refuse
    }

    /// What the sender of a token with this binding must prove.
    ///
    /// # Errors
    /// [`Reason::BoundTokenAsBearer`], [`Reason::UnboundToken`], [`Reason::UnsupportedScheme`] or [`Reason::SenderConstrained`].
    pub fn demanded(
        &self,
        binding: Option<&Binding>,
        scheme: TokenScheme,
    ) -> Result<Possession, Reason> {
        match (binding, scheme) {
            (Some(Binding::Certificate(_)), _) => Err(Reason::SenderConstrained),
            (Some(Binding::Key(_)), _) if !self.accepts_dpop() => Err(Reason::SenderConstrained),
            (Some(Binding::Key(_)), TokenScheme::Bearer) => Err(Reason::BoundTokenAsBearer),
            (Some(Binding::Key(key)), TokenScheme::Dpop) => Ok(Possession::Key(*key)),
            (None, TokenScheme::Dpop) => Err(Reason::UnboundToken),
            (None, TokenScheme::Bearer) if self.dpop == Demand::Require => {
                Err(Reason::UnboundToken)
            }
            (None, TokenScheme::Bearer) => Ok(Possession::Nothing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_token_is_never_accepted_without_proof() {
        use Demand::{Allow, Refuse, Require};
        use Reason::{BoundTokenAsBearer, SenderConstrained, UnboundToken};
        use TokenScheme::{Bearer, Dpop};
        let key = Some(Binding::Key([7; 32]));
        let certificate = Some(Binding::Certificate([7; 32]));
        for (dpop, binding, scheme, expected) in [
            (Refuse, None, Bearer, Ok(Possession::Nothing)),
            (Refuse, None, Dpop, Err(UnboundToken)),
            (Refuse, key, Bearer, Err(SenderConstrained)),
            (Refuse, key, Dpop, Err(SenderConstrained)),
            (Allow, None, Bearer, Ok(Possession::Nothing)),
            (Allow, None, Dpop, Err(UnboundToken)),
            (Allow, key, Bearer, Err(BoundTokenAsBearer)),
            (Allow, key, Dpop, Ok(Possession::Key([7; 32]))),
            (Require, None, Bearer, Err(UnboundToken)),
            (Require, None, Dpop, Err(UnboundToken)),
            (Require, key, Bearer, Err(BoundTokenAsBearer)),
            (Require, key, Dpop, Ok(Possession::Key([7; 32]))),
            (Allow, certificate, Bearer, Err(SenderConstrained)),
            (Allow, certificate, Dpop, Err(SenderConstrained)),
            (Require, certificate, Bearer, Err(SenderConstrained)),
            (Refuse, certificate, Bearer, Err(SenderConstrained)),
        ] {
            let constraint = Constraint { dpop };
            let found = constraint.demanded(binding.as_ref(), scheme);
            assert_eq!(found, expected, "{dpop:?} {binding:?} {scheme:?}");
        }
    }
}

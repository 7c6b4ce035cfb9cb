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

/// A way in which a token is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To a key of the client (RFC 9449).
    Dpop,
    /// To a certificate of the client (RFC 8705).
    MutualTls,
}

/// What a resource demands of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// Tokens that are bound to a key of the client (RFC 9449).
    pub dpop: Demand,
    /// Tokens that are bound to a certificate of the client (RFC 8705).
    pub mutual_tls: Demand,
}

/// What the sender must prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Possession {
    /// Nothing: the token is bound to nothing.
    Nothing,
    /// That it has the key with this thumbprint.
    Key(Thumbprint),
    /// That it presented the certificate with this digest.
    Certificate(Thumbprint),
}

impl Possession {
    /// Whether the sender presented the certificate that it must have, if it must have one.
    ///
    /// # Errors
    /// [`Reason::CertificateMissing`] or [`Reason::OtherCertificate`].
    pub fn has_certificate(&self, presented: Option<&Thumbprint>) -> Result<(), Reason> {
        match (self, presented) {
            (Self::Certificate(bound), Some(presented)) if bound == presented => Ok(()),
            (Self::Certificate(_), Some(_)) => Err(Reason::OtherCertificate),
            (Self::Certificate(_), None) => Err(Reason::CertificateMissing),
            (Self::Nothing | Self::Key(_), _) => Ok(()),
        }
    }
}

impl Constraint {
    /// Whether a token that is bound in this way can be accepted: a token is bound in one way, so what requires the other refuses it.
    pub fn accepts(&self, way: Way) -> bool {
        let (own, other) = match way {
            Way::Dpop => (self.dpop, self.mutual_tls),
            Way::MutualTls => (self.mutual_tls, self.dpop),
        };
        own != Demand::Refuse && other != Demand::Require
    }

    fn requires_binding(&self) -> bool {
        self.dpop == Demand::Require || self.mutual_tls == Demand::Require
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
            (Some(Binding::Certificate(_)), _) if !self.accepts(Way::MutualTls) => {
                Err(Reason::SenderConstrained)
            }
            (Some(Binding::Certificate(_)), TokenScheme::Dpop) => Err(Reason::UnboundToken),
            (Some(Binding::Certificate(own)), _) => Ok(Possession::Certificate(*own)),
            (Some(Binding::Key(_)), _) if !self.accepts(Way::Dpop) => {
                Err(Reason::SenderConstrained)
            }
            (Some(Binding::Key(_)), TokenScheme::Bearer) => Err(Reason::BoundTokenAsBearer),
            (Some(Binding::Key(key)), TokenScheme::Dpop) => Ok(Possession::Key(*key)),
            (None, TokenScheme::Dpop) => Err(Reason::UnboundToken),
            (None, TokenScheme::Bearer) if self.requires_binding() => Err(Reason::UnboundToken),
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
        ] {
            let constraint = Constraint {
                dpop,
                mutual_tls: Allow,
            };
            let found = constraint.demanded(binding.as_ref(), scheme);
            assert_eq!(found, expected, "{dpop:?} {binding:?} {scheme:?}");
        }
        let proven = Ok(Possession::Certificate([7; 32]));
        for (dpop, mutual_tls, binding, scheme, expected) in [
            (Allow, Allow, certificate, Bearer, proven),
            (Refuse, Allow, certificate, Bearer, proven),
            (Allow, Require, certificate, Bearer, proven),
            (Allow, Refuse, certificate, Bearer, Err(SenderConstrained)),
            (Require, Allow, certificate, Bearer, Err(SenderConstrained)),
            (Allow, Allow, certificate, Dpop, Err(UnboundToken)),
            (Allow, Require, key, Dpop, Err(SenderConstrained)),
            (Refuse, Require, key, Dpop, Err(SenderConstrained)),
            (Allow, Refuse, key, Dpop, Ok(Possession::Key([7; 32]))),
            (Allow, Require, None, Bearer, Err(UnboundToken)),
            (Allow, Refuse, None, Bearer, Ok(Possession::Nothing)),
        ] {
            let constraint = Constraint { dpop, mutual_tls };
            let found = constraint.demanded(binding.as_ref(), scheme);
            assert_eq!(
                found, expected,
                "{dpop:?} {mutual_tls:?} {binding:?} {scheme:?}"
            );
        }
    }

    #[test]
    fn a_way_is_accepted_unless_it_is_refused_or_the_other_is_required() {
        use Demand::{Allow, Refuse, Require};
        for (dpop, mutual_tls, by_key, by_certificate) in [
            (Refuse, Refuse, false, false),
            (Allow, Allow, true, true),
            (Allow, Refuse, true, false),
            (Refuse, Allow, false, true),
            (Require, Allow, true, false),
            (Require, Refuse, true, false),
            (Allow, Require, false, true),
            (Refuse, Require, false, true),
        ] {
            let constraint = Constraint { dpop, mutual_tls };
            let found = [Way::Dpop, Way::MutualTls].map(|way| constraint.accepts(way));
            assert_eq!(found, [by_key, by_certificate], "{constraint:?}");
        }
    }

    #[test]
    fn a_certificate_that_is_demanded_must_be_the_one_presented() {
        use Reason::{CertificateMissing, OtherCertificate};
        let (own, other) = ([1; 32], [2; 32]);
        for (demanded, presented, expected) in [
            (Possession::Certificate(own), Some(own), Ok(())),
            (
                Possession::Certificate(own),
                Some(other),
                Err(OtherCertificate),
            ),
            (Possession::Certificate(own), None, Err(CertificateMissing)),
            // A certificate beside a token that is not bound to it proves nothing, and harms nothing.
            (Possession::Nothing, Some(own), Ok(())),
            (Possession::Nothing, None, Ok(())),
            (Possession::Key(own), Some(other), Ok(())),
        ] {
            let found = demanded.has_certificate(presented.as_ref());
            assert_eq!(found, expected, "{demanded:?} {presented:?}");
        }
    }
}

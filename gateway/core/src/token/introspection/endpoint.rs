//! What is asked: the kind of an endpoint, and what a token that it calls active must be for.

use crate::token::issuer_profile::IssuerProfile;

/// The protocol of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Token introspection (RFC 7662).
    Rfc7662,
    /// Google's tokeninfo.
    Google,
    /// GitHub's *check a token*, which answers about tokens of one application.
    GitHub,
}

/// What a token must be.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The protocol of the endpoint.
    pub kind: Kind,
    /// Its issuer.
    pub profile: &'a IssuerProfile,
    /// The audiences of the resource.
    pub resource: &'a [String],
    /// Our client ids at the issuer.
    pub client_ids: &'a [String],
}

impl<'a> Expected<'a> {
    /// Whom the token must name as its audience: the resource; where a service does not know resources, one of our clients.
    pub const fn audience(&self) -> &'a [String] {
        match self.kind {
            Kind::Rfc7662 => self.resource,
            Kind::Google | Kind::GitHub => self.client_ids,
        }
    }
}

//! Issuers whose tokens the server takes, each with the keys that verify them. The keys are kept and refreshed like those of every
//! issuer; while there are none, nothing is decided.

use std::time::Instant;

use mcp_gateway_core::{refusal::reason::Reason, token::issuer_profile::IssuerProfile};
use mcp_gateway_oauth::{
    token::error::{Refused, TokenError},
    trust::{TrustFault, TrustedIssuer, Vouched},
};

use super::server::Server;
use crate::{clock, issuer_keys::keys::IssuerKeys};

/// An issuer whose tokens are taken.
#[derive(Clone, Copy)]
pub(super) struct Trusted<'a> {
    /// What it is trusted for.
    pub(super) issuer: &'a TrustedIssuer,
    keys: &'a IssuerKeys,
}

/// Why a token is not verified.
pub(super) enum NotVouched {
    /// It is not taken.
    Fault(TrustFault),
    /// The keys of its issuer cannot be had now.
    Unavailable(Refused),
}

/// The trusted issuer with this identifier.
///
/// # Errors
/// [`TrustFault::Issuer`].
pub(super) fn trusted<'a>(server: &'a Server, issuer: &str) -> Result<Trusted<'a>, TrustFault> {
    let mut known = server.settings.trust.iter();
    let found = known.find(|(_, trusted)| trusted.issuer == issuer);
    let found = found.and_then(|(name, trusted)| {
        Some(Trusted {
            issuer: trusted,
            keys: server.issuer_keys.get(name)?,
        })
    });
    found.ok_or_else(|| TrustFault::Issuer(issuer.to_owned()))
}

impl Trusted<'_> {
    /// Verifies a token of this issuer for one of these audiences. Waits for its keys as the requests of resources do.
    ///
    /// # Errors
    /// [`NotVouched`].
    pub(super) async fn verify(
        &self,
        token: &str,
        profile: &IssuerProfile,
        audiences: &[String],
    ) -> Result<Vouched, NotVouched> {
        let started = Instant::now();
        let unavailable = |reason| self.unavailable(reason);
        let mut state = self.keys.current().await.map_err(unavailable)?;
        loop {
            let named = (self.keys.name(), profile);
            match Vouched::verify(token, named, state.keys(), audiences, clock::now()) {
                // The key may have been published since.
                Err(fault) if fault.may_have_new_keys() && !state.is_fetched_after(started) => {
                    let newer = self.keys.newer_than(&state, started).await;
                    state = newer.map_err(|refusal| unavailable(refusal.reason))?;
                }
                verified => return verified.map_err(NotVouched::Fault),
            }
        }
    }

    fn unavailable(&self, reason: Reason) -> NotVouched {
        let found = format!("the keys of {} cannot be had: {reason:?}", self.keys.name());
        NotVouched::Unavailable(Refused::of(TokenError::IssuerUnavailable).found(found))
    }
}

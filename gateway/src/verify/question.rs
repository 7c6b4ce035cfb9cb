//! What a verifier is asked: a token, and when it came.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::digest::{SHA256, digest};
use mcp_gateway_core::{
    http::client_address::CountedAddress,
    principal::Subject,
    time::UnixTime,
    token::{bearer::BearerToken, evidence::Evidence},
};

use super::{
    cache::TokenDigest,
    verdict::{Freshness, Verdict},
};
use crate::limits::accounts::Accounts;

/// A token that has to be verified.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) token: BearerToken<'a>,
    /// The key of its verdict in the cache.
    pub(crate) digest: TokenDigest,
    pub(crate) now: UnixTime,
    /// The same instant, by a clock that cannot be set.
    pub(crate) started: Instant,
    /// The accounts of subjects.
    pub(crate) accounts: &'a Arc<Accounts<Subject>>,
    /// Who presented it; none for an address whose requests are not counted.
    pub(crate) address: Option<CountedAddress>,
}

impl<'a> Question<'a> {
    /// The question about this token, which came now.
    pub(crate) fn new(
        token: BearerToken<'a>,
        (now, started): (UnixTime, Instant),
        accounts: &'a Arc<Accounts<Subject>>,
    ) -> Self {
        Self {
            token,
            digest: digest_of(&token),
            now,
            started,
            accounts,
            address: None,
        }
    }

    /// The same question about a token that came from this address.
    pub(crate) const fn with_address(self, address: Option<CountedAddress>) -> Self {
        Self { address, ..self }
    }
}

impl Question<'_> {
    /// The verdict of the verifier that found this evidence, which rests on this.
    pub(super) fn verdict(
        &self,
        evidence: Evidence,
        freshness: Freshness,
        clock_skew: Duration,
    ) -> Verdict {
        let ends = evidence.expires.plus(clock_skew);
        Verdict {
            deadline: Verdict::deadline(self.started, ends.since(self.now)),
            account: self.accounts.of(evidence.principal.subject()),
            evidence,
            asker: Arc::default(),
            identity: Arc::default(),
            freshness,
            clock_skew,
        }
    }
}

fn digest_of(token: &BearerToken<'_>) -> TokenDigest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, token.expose_bytes()).as_ref());
    bytes
}

//! What the access tokens of one issuer look like, as configured.

use std::sync::Arc;
use std::time::Duration;

use super::algorithm::Algorithm;
use crate::cel::kept_claims::ClaimNames;

/// How far the clocks of issuer and gateway may be apart, unless configured otherwise.
const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(30);

/// How long a token may live, unless configured otherwise.
const DEFAULT_MAX_LIFETIME: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// What the tokens of one issuer look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerProfile {
    /// The issuer, compared with `iss` letter by letter.
    pub issuer: Arc<str>,
    /// The values of `typ` that its access tokens have, case and `application/` apart; an empty one means that `typ`
    /// may be missing.
    pub token_types: Vec<String>,
    /// The algorithms it may sign with.
    pub algorithms: Vec<Algorithm>,
    /// The claims that hold scopes; their union counts.
    pub scope_claims: Vec<String>,
    /// The claim that says who the caller is.
    pub subject_claim: String,
    /// How far its clock and ours may be apart.
    pub clock_skew: Duration,
    /// How long a token may live.
    pub max_lifetime: Duration,
    /// Header parameters that are ignored instead of refused; only those of `jose::IGNORABLE` can be.
    pub ignored_headers: Vec<String>,
    /// The claims that are kept of a verified token, for conditions to read.
    pub kept_claims: ClaimNames,
}

impl IssuerProfile {
    /// The profile of an issuer that keeps to RFC 9068.
    pub fn new(issuer: impl Into<Arc<str>>) -> Self {
        Self {
            issuer: issuer.into(),
            token_types: vec!["at+jwt".to_owned()],
            algorithms: Algorithm::ALL.to_vec(),
            scope_claims: vec!["scope".to_owned(), "scp".to_owned()],
            subject_claim: "sub".to_owned(),
            clock_skew: DEFAULT_CLOCK_SKEW,
            max_lifetime: DEFAULT_MAX_LIFETIME,
            ignored_headers: Vec::new(),
            kept_claims: ClaimNames::default(),
        }
    }
}

//! What the access tokens of one issuer look like, as configured.

use std::sync::Arc;
use std::time::Duration;

use super::algorithm::Algorithm;
use crate::cel::kept_claims::ClaimNames;

/// How far the clocks of issuer and gateway may differ by default.
const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(30);

/// The longest lifetime of a token by default.
const DEFAULT_MAX_LIFETIME: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// What the access tokens of one issuer look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerProfile {
    /// The issuer. `iss` must equal it exactly.
    pub issuer: Arc<str>,
    /// The values of `typ` that its access tokens may have, compared without case and without `application/`. An empty value
    /// means that `typ` may be missing.
    pub token_types: Vec<String>,
    /// The algorithms it may sign with.
    pub algorithms: Vec<Algorithm>,
    /// The claims that hold scopes. A caller has the union of them.
    pub scope_claims: Vec<String>,
    /// The claim that names the subject of the caller.
    pub subject_claim: String,
    /// How far its clock and the gateway's may differ.
    pub clock_skew: Duration,
    /// The longest lifetime of a token.
    pub max_lifetime: Duration,
    /// Header parameters that are ignored instead of refused. Only those of `jose::IGNORABLE` can be ignored.
    pub ignored_headers: Vec<String>,
    /// The claims of a verified token that are stored for conditions.
    pub kept_claims: ClaimNames,
}

impl IssuerProfile {
    /// The profile of an issuer that follows RFC 9068.
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

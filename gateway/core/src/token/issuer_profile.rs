//! What the access tokens of one issuer look like, as configured.

use std::sync::Arc;
use std::time::Duration;

use super::algorithm::Algorithm;
use super::claim_path::ClaimPath;
use crate::cel::kept_claims::ClaimNames;
use crate::scope_prefix::ScopePrefixes;

/// How far the clocks of issuer and gateway may differ by default.
const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(30);

/// The longest lifetime of a token by default.
const DEFAULT_MAX_LIFETIME: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// What the access tokens of one issuer look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerProfile {
    /// The issuer. `iss` must equal it exactly.
    pub issuer: Arc<str>,
    /// The tenant that `tid` must name, where the issuer has many.
    pub tenant: Option<Arc<str>>,
    /// Every name of this issuer: a key that names its issuer must name one of them.
    pub names: Arc<[Arc<str>]>,
    /// The values of `typ` that its access tokens may have, compared without case and without `application/`. An empty value
    /// means that `typ` may be missing.
    pub token_types: Vec<String>,
    /// The algorithms it may sign with.
    pub algorithms: Vec<Algorithm>,
    /// The claims that hold scopes. A caller has the union of them.
    pub scope_claims: Vec<ClaimPath>,
    /// What its tokens may have before the scopes of this resource.
    pub scope_prefixes: ScopePrefixes,
    /// The claim that names the subject of the caller.
    pub subject_claim: ClaimPath,
    /// The claims that name the client. The first that a token has is read.
    pub client_claims: Vec<ClaimPath>,
    /// How far its clock and the gateway's may differ.
    pub clock_skew: Duration,
    /// The longest lifetime of a token.
    pub max_lifetime: Duration,
    /// Header parameters that are ignored instead of refused. Only those of `jose::IGNORABLE` can be ignored.
    pub ignored_headers: Vec<String>,
    /// Whether each of its tokens names its grant, which may end before the token expires: those of the built-in authorization
    /// server do.
    pub names_grants: bool,
    /// Whether its ID tokens are accepted too: where they are presented instead of an access token, or where `typ` shows which is meant.
    pub takes_id_tokens: bool,
    /// The claims of a verified token that are stored for conditions.
    pub kept_claims: ClaimNames,
}

impl IssuerProfile {
    /// The profile of an issuer that follows RFC 9068.
    pub fn new(issuer: impl Into<Arc<str>>) -> Self {
        let issuer = issuer.into();
        Self {
            tenant: None,
            names: [issuer.clone()].into(),
            issuer,
            token_types: vec!["at+jwt".to_owned()],
            algorithms: Algorithm::ALL.to_vec(),
            scope_claims: ["scope", "scp"].map(ClaimPath::named).into(),
            subject_claim: ClaimPath::named("sub"),
            client_claims: ["client_id", "azp"].map(ClaimPath::named).into(),
            scope_prefixes: ScopePrefixes::default(),
            clock_skew: DEFAULT_CLOCK_SKEW,
            max_lifetime: DEFAULT_MAX_LIFETIME,
            ignored_headers: Vec::new(),
            names_grants: false,
            takes_id_tokens: false,
            kept_claims: ClaimNames::default(),
        }
    }
}

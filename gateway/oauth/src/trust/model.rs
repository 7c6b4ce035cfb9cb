//! What an issuer is trusted for, as the configuration says.

use std::{fmt, time::Duration};

use mcp_gateway_core::{
    cel::{Condition, kept_claims::ClaimNames},
    refusal::found::Found,
    scope::ScopeSet,
    token::{algorithm::Algorithm, claim_path::ClaimPath, issuer_profile::IssuerProfile},
};

/// The `typ` of identity assertions (draft-ietf-oauth-identity-assertion-authz-grant). No other token has it.
pub const ID_JAG_TYPE: &str = "oauth-id-jag+jwt";

/// The longest life of an identity assertion, from `iat` to `exp`. A used one takes a place until it has expired.
pub const MAX_ID_JAG_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// The types of workloads' tokens: an empty one means none. SPIFFE allows `JOSE` (JWT-SVID §2.2).
const WORKLOAD_TYPES: [&str; 3] = ["", "jwt", "jose"];

/// An issuer, and what it is trusted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// Its identifier: `iss` must equal it exactly.
    pub issuer: String,
    /// What it may sign with.
    pub algorithms: Vec<Algorithm>,
    /// How far its clock and ours may differ.
    pub clock_skew: Duration,
    /// The longest life of a token of a workload, and of one that is exchanged.
    pub max_lifetime: Duration,
    /// Identity assertions; none where they are not taken.
    pub id_jag: Option<IdJagTrust>,
    /// Workloads, by the client that they act as.
    pub workloads: Vec<WorkloadRule>,
    /// Tokens that clients exchange; none where they are not taken.
    pub exchange: Option<ExchangeTrust>,
}

/// Which identity assertions are taken (ID-JAG).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdJagTrust {
    /// The clients that may present one; empty for every client that authenticates.
    pub clients: Vec<String>,
    /// Whether clients that do not authenticate may too.
    pub has_public_clients: bool,
    /// The most scopes; none where the assertion alone decides.
    pub scopes: Option<ScopeSet>,
}

/// Workloads that act as one client: those whose tokens have this audience and these claims, and for which the condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadRule {
    /// The one audience of the token.
    pub audience: String,
    /// Claims of the token itself that have exactly these values.
    pub claims: Vec<(String, ClaimValue)>,
    /// A condition over the claims.
    pub condition: Option<Condition>,
    /// The client of the configuration.
    pub client: String,
    /// The most scopes; none for those of the client.
    pub scopes: Option<ScopeSet>,
}

/// The value of a claim that a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimValue {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// True or false.
    Flag(bool),
}

impl fmt::Display for ClaimValue {
    /// A text in backticks, numbers and flags without: the text `true` is not true.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => Found(text).fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

/// Which tokens clients may exchange (RFC 8693).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExchangeTrust {
    /// The accepted audiences: a token must name one of them.
    pub audiences: Vec<String>,
    /// The clients that may; empty for every client with the grant type.
    pub clients: Vec<String>,
    /// The most scopes, and those for a token that names none; without, none for such a token.
    pub scopes: Option<ScopeSet>,
}

impl TrustedIssuer {
    /// What its identity assertions look like. No other token has their type.
    pub fn id_jag_profile(&self) -> IssuerProfile {
        IssuerProfile {
            token_types: vec![ID_JAG_TYPE.to_owned()],
            client_claims: vec![ClaimPath::named("client_id")],
            scope_claims: vec![ClaimPath::named("scope")],
            max_lifetime: MAX_ID_JAG_LIFETIME.saturating_add(self.clock_skew),
            takes_id_tokens: true,
            ..self.profile()
        }
    }

    /// What the tokens of its workloads look like.
    pub fn workload_profile(&self) -> IssuerProfile {
        let mut kept_claims = ClaimNames::default();
        for condition in self
            .workloads
            .iter()
            .filter_map(|rule| rule.condition.as_ref())
        {
            kept_claims.extend(condition.claims_read());
        }
        IssuerProfile {
            token_types: WORKLOAD_TYPES.map(str::to_owned).into(),
            kept_claims,
            ..self.profile()
        }
    }

    /// The audiences of its workloads.
    pub fn workload_audiences(&self) -> Vec<String> {
        let rules = self.workloads.iter();
        rules.map(|rule| rule.audience.clone()).collect()
    }

    /// What tokens look like that are exchanged, of these types.
    pub fn subject_profile(&self, token_types: &[&str], takes_id_tokens: bool) -> IssuerProfile {
        IssuerProfile {
            token_types: token_types.iter().map(|&name| name.to_owned()).collect(),
            scope_claims: SCOPE_CLAIMS.map(ClaimPath::named).into(),
            takes_id_tokens,
            ..self.profile()
        }
    }

    fn profile(&self) -> IssuerProfile {
        IssuerProfile {
            algorithms: self.algorithms.clone(),
            client_claims: Vec::new(),
            scope_claims: Vec::new(),
            clock_skew: self.clock_skew,
            max_lifetime: self.max_lifetime,
            ..IssuerProfile::new(self.issuer.as_str())
        }
    }
}

/// The claims in which a token that is exchanged has its scopes.
pub const SCOPE_CLAIMS: [&str; 2] = ["scope", "scp"];

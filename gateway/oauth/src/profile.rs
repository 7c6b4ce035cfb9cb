//! What the server is, as its configuration says: its issuer, its resources, its lifetimes.

use std::time::Duration;

use mcp_gateway_core::scope::ScopeSet;

/// What the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerProfile {
    /// The issuer identifier (RFC 8414 §2): an origin.
    pub issuer: String,
    /// The resources that it issues tokens for, in the order of the configuration; at least one.
    pub resources: Vec<ResourceProfile>,
    /// How long things live.
    pub lifetimes: Lifetimes,
}

/// A resource that the server issues tokens for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceProfile {
    /// The resource URI as its metadata spells it (RFC 9728 §2): what `aud` is.
    pub uri: String,
    /// What people call it; its URI without a name.
    pub name: Option<String>,
    /// The scopes that every call requires: what is granted when none of the requested ones is known.
    pub required: ScopeSet,
    /// All of its scopes, with what each means to people.
    pub scopes: Vec<ScopeProfile>,
}

/// A scope of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeProfile {
    /// The scope token.
    pub scope: String,
    /// What it allows, in a sentence for people; none where nobody wrote one.
    pub description: Option<String>,
}

/// How long things live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Access tokens.
    pub access_token: Duration,
    /// Authorization codes.
    pub code: Duration,
    /// How long the direct predecessor of a refresh token still gets the same answer.
    pub refresh_grace: Duration,
    /// Grants that are not used.
    pub grant_idle: Duration,
    /// Grants, used or not.
    pub grant: Duration,
    /// Sessions of browsers that are not used.
    pub session_idle: Duration,
    /// Sessions of browsers, used or not.
    pub session: Duration,
    /// An authorization request on its way through sign-in and consent.
    pub interaction: Duration,
    /// Registered clients that never got a token.
    pub unused_client: Duration,
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            access_token: MINUTE.saturating_mul(15),
            code: MINUTE,
            refresh_grace: MINUTE,
            grant_idle: DAY.saturating_mul(30),
            grant: DAY.saturating_mul(180),
            session_idle: MINUTE.saturating_mul(60),
            session: MINUTE.saturating_mul(12 * 60),
            interaction: MINUTE.saturating_mul(10),
            unused_client: DAY,
        }
    }
}

impl ServerProfile {
    /// The URL of the endpoint with this path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer.trim_end_matches('/'))
    }
}

//! What the server is, as its configuration says: its issuer, its resources, its lifetimes.

use std::time::Duration;

use mcp_gateway_core::{scope::ScopeSet, scope_prefix::ScopePrefixes};

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
    /// The prefixes with which others may write them. Required scopes and those above have the first one, as clients read it.
    pub scope_prefixes: ScopePrefixes,
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

impl ResourceProfile {
    /// Its scopes among these, which may be written with a prefix of the resource or without one.
    pub fn named_by(&self, scopes: &ScopeSet) -> ScopeSet {
        let prefixes = &self.scope_prefixes;
        let is_named = |own: &&str| {
            let bare = prefixes.without_prefix(own);
            (scopes.iter()).any(|scope| prefixes.without_prefix(scope) == bare)
        };
        let described = self.scopes.iter().map(|scope| scope.scope.as_str());
        let own = described.chain(self.required.iter());
        // Scopes of the configuration are scope tokens.
        ScopeSet::from_tokens(own.filter(is_named)).unwrap_or_default()
    }
}

impl ServerProfile {
    /// These scopes as clients read them: with the prefix of each resource that has them. What no resource has stays as it is.
    pub fn spelled(&self, scopes: &ScopeSet) -> ScopeSet {
        let resources = self.resources.iter();
        resources.fold(scopes.clone(), |all, resource| {
            all.union(&resource.named_by(scopes))
        })
    }

    /// The URL of the endpoint with this path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    fn resource(prefixes: &[&str], scopes: &[&str]) -> ResourceProfile {
        let scope = |scope: &&str| ScopeProfile {
            scope: (*scope).to_owned(),
            description: None,
        };
        let prefixes: Vec<_> = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
        ResourceProfile {
            uri: "https://mcp.example/mcp".to_owned(),
            name: None,
            required: set(scopes[0]),
            scopes: scopes[1..].iter().map(scope).collect(),
            scope_prefixes: ScopePrefixes::new(&prefixes).unwrap(),
        }
    }

    #[test]
    fn a_scope_is_the_same_with_a_prefix_of_its_resource_and_without() {
        let prefixed = resource(
            &["api://1/", "mcp:"],
            &["api://1/base", "api://1/read", "api://1/write"],
        );
        for (written, named) in [
            ("read", "api://1/read"),
            ("api://1/read", "api://1/read"),
            ("mcp:read base", "api://1/base api://1/read"),
            ("api://2/read", ""),
            ("READ", ""),
            ("openid", ""),
            ("", ""),
        ] {
            assert_eq!(prefixed.named_by(&set(written)), set(named), "{written}");
        }
        let plain = resource(&[], &["base", "read"]);
        assert_eq!(plain.named_by(&set("read api://1/read")), set("read"));
        let server = ServerProfile {
            issuer: "https://mcp.example".to_owned(),
            resources: vec![prefixed, plain],
            lifetimes: Lifetimes::default(),
        };
        assert_eq!(server.spelled(&set("read")), set("api://1/read read"));
        assert_eq!(server.spelled(&set("api://1/read")), set("api://1/read"));
        assert_eq!(server.spelled(&set("other")), set("other"));
    }
}

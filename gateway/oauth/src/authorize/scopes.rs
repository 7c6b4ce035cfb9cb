//! The parameter `scope` (RFC 6749 §3.3): which scopes consent is asked for.

use mcp_gateway_core::scope::ScopeSet;

use crate::{
    client::model::{Client, ClientOrigin},
    profile::ResourceProfile,
};

/// The scopes that consent is asked for: the known ones among those that were sent. Where none of them is known, those that every call
/// of the resource requires; where nothing is required, all of the resource. Never more than the operator allows the client.
///
/// `offline_access` belongs to the server and is not among them.
///
/// Returns none where the resource has scopes and the client may have none of them.
pub fn granted_for(client: &Client, resource: &ResourceProfile, sent: &str) -> Option<ScopeSet> {
    let all = all_of(resource);
    let allowed = match maximum(client) {
        Some(maximum) => common(&all, maximum),
        None => all.clone(),
    };
    let sent = of_tokens(sent.split_ascii_whitespace());
    let candidates = [sent, resource.required.clone(), all.clone()];
    let mut candidates = candidates
        .iter()
        .map(|candidate| common(candidate, &allowed));
    let found = candidates.find(|scopes| !scopes.is_empty());
    found.or_else(|| all.is_empty().then(ScopeSet::default))
}

/// The most that the operator, or the rules for machines, let the client have.
///
/// What a client said in its own registration or document binds nobody: it could register again with more, and clients register with
/// the scopes of the first challenge, or with `openid email profile`, and ask for others later.
fn maximum(client: &Client) -> Option<&ScopeSet> {
    match client.origin {
        ClientOrigin::Registered { .. } | ClientOrigin::Document { .. } => None,
        ClientOrigin::Configured | ClientOrigin::Machine { .. } | ClientOrigin::Provisional => {
            client.scopes.as_ref().map(|scopes| &scopes.0)
        }
    }
}

fn all_of(resource: &ResourceProfile) -> ScopeSet {
    let scopes = resource.scopes.iter().map(|scope| scope.scope.as_str());
    of_tokens(scopes.chain(resource.required.iter()))
}

fn common(one: &ScopeSet, other: &ScopeSet) -> ScopeSet {
    of_tokens(one.iter().filter(|scope| other.contains(scope)))
}

/// Those among the texts that are scope tokens.
fn of_tokens<'a>(tokens: impl Iterator<Item = &'a str>) -> ScopeSet {
    let sets = tokens.filter_map(|token| ScopeSet::from_tokens([token]).ok());
    sets.fold(ScopeSet::default(), |all, one| all.union(&one))
}

//! Workloads: a platform signs who a program is, and rules of the configuration say which client it acts as. The program has no
//! secret and presents the same token again and again, so it does not count once.
//!
//! Rules of two clients for one token are a mistake of the configuration, which is not decided here: such a token is refused.

use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};

use super::refused;
use crate::{
    client::model::{Client, ClientOrigin},
    id::Id,
    keys::ServerKeys,
    profile::ServerProfile,
    token::{
        client_credentials,
        error::{Refused, TokenError},
        issued::{self, Alone, Issued, Taken},
        scopes,
    },
    trust::{Vouched, WorkloadRule},
};

/// Which client a workload acts as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped<'a> {
    /// The client.
    pub client: &'a str,
    /// The most scopes; none for those of the client.
    pub scopes: Option<ScopeSet>,
}

/// The client that the rules name for this token, which is verified with the profile and the audiences of workloads.
///
/// # Errors
/// [`Refused`].
pub fn map<'a>(rules: &'a [WorkloadRule], token: &Vouched) -> Result<Mapped<'a>, Refused> {
    let audience = token.one("aud").map_err(|fault| refused(&fault))?;
    let (mut matching, mut faults) = (Vec::new(), String::new());
    for rule in rules.iter().filter(|rule| rule.audience == audience) {
        match fits(rule, token) {
            Ok(true) => matching.push(rule),
            Ok(false) => {}
            Err(fault) => faults = format!("; the condition for {} failed: {fault}", rule.client),
        }
    }
    let unmatched = |found: String| {
        let found = format!("the workload {}: {found}", token.subject());
        Err(Refused::of(TokenError::WorkloadUnmatched).found(found))
    };
    let Some(first) = matching.first() else {
        return unmatched(format!("no rule fits (workloads){faults}"));
    };
    if let Some(other) = matching.iter().find(|rule| rule.client != first.client) {
        let clients = format!("{} and {}", first.client, other.client);
        return unmatched(format!("rules of several clients fit: {clients}"));
    }
    Ok(Mapped {
        client: &first.client,
        scopes: union(&matching),
    })
}

fn fits(rule: &WorkloadRule, token: &Vouched) -> Result<bool, String> {
    let mut claims = rule.claims.iter();
    if !claims.all(|(name, value)| token.is(name, value)) {
        return Ok(false);
    }
    let Some(condition) = &rule.condition else {
        return Ok(true);
    };
    let judged = condition.judge_claims(token.kept());
    judged.map_err(|fault| fault.to_string())
}

/// The scopes of all rules; those of the client where one of them sets no limit.
fn union(rules: &[&WorkloadRule]) -> Option<ScopeSet> {
    let mut all = ScopeSet::default();
    for rule in rules {
        all = all.union(rule.scopes.as_ref()?);
    }
    Some(all)
}

/// A request of a workload.
#[derive(Clone, Copy, Debug)]
pub struct WorkloadRequest<'a> {
    /// The client that it acts as.
    pub client: &'a Client,
    /// What the rules say.
    pub mapped: &'a Mapped<'a>,
    /// `client_id`, if one was sent.
    pub client_id: Option<&'a str>,
    /// `scope`, if one was sent.
    pub scope: Option<&'a str>,
    /// `resource`, if one was sent, as the configuration spells it; else the first resource.
    pub resource: Option<&'a str>,
    /// Random.
    pub id: Id,
}

/// Issues an access token to a workload, as the client would get it for itself. It needs no store.
///
/// # Errors
/// [`Refused`].
pub fn issue(
    keys: &ServerKeys,
    server: &ServerProfile,
    request: &WorkloadRequest<'_>,
    now: UnixTime,
) -> Result<Issued, Refused> {
    let client = request.client;
    if client.origin != ClientOrigin::Configured || !client.grant_types.jwt_bearer {
        return Err(Refused::of(TokenError::GrantTypeNotAllowed)
            .found(&client.id)
            .expected("a client of the configuration with the grant type jwt-bearer"));
    }
    if let Some(other) = request.client_id.filter(|id| *id != client.id) {
        return Err(Refused::of(TokenError::AssertionOfAnotherClient)
            .found(other)
            .expected(&client.id));
    }
    let resource = client_credentials::resource(server, request.resource)?;
    let mut most = client_credentials::allowed(client, resource);
    if let Some(listed) = &request.mapped.scopes {
        most = scopes::common(&most, listed);
    }
    let token = Alone {
        subject: client_credentials::subject(client),
        client,
        resource: &resource.uri,
        scopes: scopes::asked_of(&most, request.scope, resource)?,
        auth_time: None,
        id: request.id,
        taken: Taken::Nothing,
    };
    Ok(issued::alone(keys, server, token, now))
}

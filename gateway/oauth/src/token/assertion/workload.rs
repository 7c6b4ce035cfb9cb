//! Workloads: a platform signs who a program is, and rules of the configuration say which client it acts as. The program has no
//! secret and presents the same token again and again, so it does not count once.
//!
//! Rules of two clients for one token are a mistake of the configuration, which is not decided here: such a token is refused.

use std::fmt;

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

/// The most rules of which a line says why they do not fit.
const MAX_SHOWN: usize = 3;

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
    let (mut matching, mut faults) = (Vec::new(), Vec::new());
    let for_it = |(_, rule): &(usize, &WorkloadRule)| rule.audience == audience;
    for (at, rule) in rules.iter().enumerate().filter(for_it) {
        match fits(rule, token) {
            Ok(()) => matching.push(rule),
            Err(fault) => faults.push(format!("workloads[{at}]: {fault}")),
        }
    }
    let unmatched = |found: String| {
        let found = format!("the workload {}: {found}", token.subject());
        Err(Refused::of(TokenError::WorkloadUnmatched).found(found))
    };
    let Some(first) = matching.first() else {
        return unmatched(format!("no rule fits. {}", Faults(&faults)));
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

/// Whether a rule is for this token; if not, what the token has instead.
fn fits(rule: &WorkloadRule, token: &Vouched) -> Result<(), String> {
    let mut claims = rule.claims.iter();
    if let Some((name, value)) = claims.find(|(name, value)| !token.is(name, value)) {
        let found = token.shown(name);
        return Err(format!("{name} {found}, not {value}"));
    }
    let Some(condition) = &rule.condition else {
        return Ok(());
    };
    match condition.judge_claims(token.kept()) {
        Ok(true) => Ok(()),
        Ok(false) => Err("the condition is false".to_owned()),
        Err(fault) => Err(fault.to_string()),
    }
}

/// Why rules do not fit, at most [`MAX_SHOWN`] of them.
struct Faults<'a>(&'a [String]);

impl fmt::Display for Faults<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<_> = self.0.iter().take(MAX_SHOWN).map(String::as_str).collect();
        f.write_str(&shown.join("; "))?;
        match self.0.len() - shown.len() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
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

//! Which scopes a token gets of those that are asked for (RFC 6749 §3.3, §6).
//!
//! A scope that the resource does not know is ignored: clients send `openid` or `offline_access` whatever the resource is. One that it
//! knows but that may not be given is ignored too while another one is left; alone it is an error, so that a client which wants more
//! learns that it has to ask a person.

pub(super) mod provider;

use mcp_gateway_core::scope::ScopeSet;

use super::error::{Refused, TokenError};
use crate::{client::model::Client, owner::Vouched, profile::ResourceProfile};

/// Who allowed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person<'a> {
    /// The `sub`.
    pub subject: &'a str,
    /// Which person had it then: [`ResourceOwner::identity`](crate::owner::ResourceOwner::identity).
    pub identity: &'a str,
    /// What the provider of that person's account said; none for users of the file.
    pub vouched: Option<&'a Vouched>,
}

/// What a user may have now. It may have changed since the user signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// Whatever was granted.
    Everything,
    /// Of that, these scopes.
    Scopes(ScopeSet),
    /// Nothing: the server no longer knows the user, or has locked them out.
    Nothing,
    /// The provider of the account must be asked first: by what is known, the account does not meet its rules.
    MustAsk,
}

/// What was granted, as far as person and client may still have it.
pub(super) fn still_allowed(
    granted: &ScopeSet,
    person: Person<'_>,
    client: &Client,
    allowance: &dyn Fn(Person<'_>) -> Allowance,
) -> Result<ScopeSet, Refused> {
    let by_user = match allowance(person) {
        Allowance::Everything => granted.clone(),
        Allowance::Scopes(scopes) => common(granted, &scopes),
        Allowance::Nothing => {
            return Err(Refused::of(TokenError::SubjectNotAllowed).found(person.subject));
        }
        Allowance::MustAsk => {
            return Err(Refused::of(TokenError::ProviderNotAsked).found(person.subject));
        }
    };
    let by_client = client.scopes.as_ref();
    let allowed = by_client.map_or_else(|| by_user.clone(), |scopes| common(&by_user, &scopes.0));
    if allowed.is_empty() && !granted.is_empty() {
        return Err(Refused::of(TokenError::SubjectNotAllowed)
            .found("none of the granted scopes is allowed now")
            .expected(granted));
    }
    Ok(allowed)
}

/// All scopes of a resource.
pub(super) fn known(resource: &ResourceProfile) -> ScopeSet {
    let named = resource.scopes.iter().map(|scope| scope.scope.as_str());
    // Scopes of the configuration are scope tokens; one that is not could never be asked for.
    let named = ScopeSet::from_tokens(named).unwrap_or_default();
    named.union(&resource.required)
}

/// The scopes of `allowed` that are asked for; all of them where none is asked for that the resource knows.
pub(super) fn asked_of(
    allowed: &ScopeSet,
    asked: Option<&str>,
    resource: &ResourceProfile,
) -> Result<ScopeSet, Refused> {
    let asked = read(asked)?;
    let known_and_asked = common(&asked, &known(resource));
    let given = common(&asked, allowed);
    if !given.is_empty() {
        return Ok(given);
    }
    if known_and_asked.is_empty() {
        return Ok(allowed.clone());
    }
    Err(Refused::of(TokenError::ScopeNotGranted)
        .found(known_and_asked)
        .expected(allowed))
}

/// The scopes of both.
pub(super) fn common(one: &ScopeSet, other: &ScopeSet) -> ScopeSet {
    one.difference(&one.difference(other))
}

/// Blanks around and between are not counted: some clients begin with one.
fn read(asked: Option<&str>) -> Result<ScopeSet, Refused> {
    let asked = asked.unwrap_or_default();
    let tokens = asked.split(' ').filter(|token| !token.is_empty());
    ScopeSet::from_tokens(tokens).map_err(|_| Refused::of(TokenError::ScopeMalformed).found(asked))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::ScopeProfile;

    fn set(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    #[test]
    fn what_is_asked_for_is_given_as_far_as_it_is_allowed() {
        let scope = |scope: &str| ScopeProfile {
            scope: scope.to_owned(),
            description: None,
        };
        let resource = ResourceProfile {
            uri: "https://mcp.example/mcp".to_owned(),
            name: None,
            required: set("base"),
            scopes: ["read", "write", "admin"].map(scope).to_vec(),
            scope_prefixes: mcp_gateway_core::scope_prefix::ScopePrefixes::default(),
        };
        assert_eq!(known(&resource), set("admin base read write"));
        let allowed = set("base read write");
        for (asked, expected) in [
            (None, Ok("base read write")),
            (Some(""), Ok("base read write")),
            (Some("read"), Ok("read")),
            (Some(" read  base "), Ok("base read")),
            (Some("read read openid"), Ok("read")),
            (Some("read admin"), Ok("read")),
            (Some("openid email profile"), Ok("base read write")),
            (Some("offline_access"), Ok("base read write")),
            (Some("READ"), Ok("base read write")),
            (Some("admin"), Err(TokenError::ScopeNotGranted)),
            (Some("admin openid"), Err(TokenError::ScopeNotGranted)),
            (Some("read\twrite"), Err(TokenError::ScopeMalformed)),
            (Some("re\"ad"), Err(TokenError::ScopeMalformed)),
            (Some("lésen"), Err(TokenError::ScopeMalformed)),
        ] {
            let given = asked_of(&allowed, asked, &resource);
            let given = given.map_err(|refused| refused.error);
            assert_eq!(given, expected.map(set), "{asked:?}");
        }
        let nothing = asked_of(&set(""), Some("openid"), &resource).unwrap();
        assert!(nothing.is_empty());
    }
}

//! Who can allow something (RFC 6749 §1.1, resource owner): a user of the file, or an account at a provider. Everything after the sign-in
//! treats both alike.

use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};
use serde::{Deserialize, Serialize};

use crate::{
    id::Id,
    store::text::{ScopeSetText, UnixTimeText},
};

/// Somebody who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceOwner {
    /// The `sub` of the tokens.
    pub subject: String,
    /// Which person has the `sub`: what is granted by one is not given to another.
    pub identity: String,
    /// What people see.
    pub name: String,
    /// What may be allowed; everything if there is none.
    pub scopes: Option<ScopeSet>,
    /// Who vouches for the account; none for users of the file.
    pub vouched: Option<Vouched>,
}

impl ResourceOwner {
    /// Whether this scope may be allowed.
    pub fn may_allow(&self, scope: &str) -> bool {
        let scopes = self.scopes.as_ref();
        scopes.is_none_or(|scopes| scopes.contains(scope))
    }

    /// What may be allowed of these scopes.
    pub fn allowed(&self, asked: &ScopeSet) -> ScopeSet {
        let Some(scopes) = &self.scopes else {
            return asked.clone();
        };
        asked.difference(&asked.difference(scopes))
    }
}

/// What a provider said of an account when it was asked last: it stands in the rows of the session, the codes and the grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vouched {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's issuer identifier.
    pub issuer: String,
    /// The rules that the account met. It is judged by other rules with these alone
    /// ([`Provider::still_vouches`](crate::federation::provider::Provider::still_vouches)).
    pub rules: String,
    /// What the account may allow; everything if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<ScopeSetText>,
    /// What its grants rest on.
    pub rests_on: RestsOn,
}

/// What the grants of an account rest on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestsOn {
    /// The session of a browser: they end with it.
    Session {
        /// The browser's name.
        browser: String,
        /// When the session ends in any case.
        ends: UnixTimeText,
    },
    /// A sign-in that can be repeated without the person: the provider is asked again at each refresh.
    SignIn(Id),
}

impl Vouched {
    /// When its grants end at the latest; none where the provider decides.
    pub const fn grants_end(&self) -> Option<UnixTime> {
        match &self.rests_on {
            RestsOn::Session { ends, .. } => Some(ends.0),
            RestsOn::SignIn(_) => None,
        }
    }

    /// The sign-in that can be repeated; none where the grants rest on a session.
    pub const fn sign_in(&self) -> Option<Id> {
        match &self.rests_on {
            RestsOn::SignIn(id) => Some(*id),
            RestsOn::Session { .. } => None,
        }
    }

    /// Whether its grants end when the person signs out of a browser with this name.
    pub fn rests_on_browser(&self, name: &str) -> bool {
        matches!(&self.rests_on, RestsOn::Session { browser, .. } if browser == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_allows_what_the_rules_say() {
        let scopes = |text| ScopeSet::parse(text).unwrap();
        let owner = |scopes| ResourceOwner {
            subject: "f:x".to_owned(),
            identity: String::new(),
            name: "Ana".to_owned(),
            scopes,
            vouched: None,
        };
        let some = owner(Some(scopes("read list")));
        assert_eq!(some.allowed(&scopes("read write")), scopes("read"));
        assert!(some.may_allow("list") && !some.may_allow("write"));
        let nothing = owner(Some(ScopeSet::default()));
        assert!(nothing.allowed(&scopes("read")).is_empty() && !nothing.may_allow("read"));
        let all = owner(None);
        assert_eq!(all.allowed(&scopes("read write")), scopes("read write"));
        assert!(all.may_allow("anything"));
    }

    #[test]
    fn a_row_of_what_was_vouched_for_is_read_as_it_was_written() {
        for rests_on in [
            RestsOn::SignIn(Id::new([7; 16])),
            RestsOn::Session {
                browser: "b".to_owned(),
                ends: UnixTime::new(100).into(),
            },
        ] {
            let vouched = Vouched {
                provider: "corporate".to_owned(),
                issuer: "https://login.example".to_owned(),
                rules: "r".to_owned(),
                scopes: None,
                rests_on,
            };
            let row = serde_json::to_string(&vouched).unwrap();
            assert_eq!(serde_json::from_str::<Vouched>(&row).unwrap(), vouched);
            let is_session = vouched.grants_end() == Some(UnixTime::new(100));
            assert_eq!(vouched.rests_on_browser("b"), is_session);
            assert!(!vouched.rests_on_browser("c"));
        }
    }
}

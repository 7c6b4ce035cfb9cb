//! What accounts of a provider may do: scopes for everybody, and scopes for those who have a value in a claim.

use mcp_gateway_core::{
    scope::ScopeSet,
    token::{claim_path::ClaimPath, claim_set::ClaimSet},
};

use super::{may_sign_in::listed, met::Rule};

/// Claims with scopes.
const OF_SCOPES: [&str; 2] = ["scope", "scp"];

/// The most claims that are named where an account gets fewer scopes than others.
const MAX_NAMED: usize = 5;

/// What accounts may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeRules {
    /// What everybody may have who may sign in.
    pub everybody: ScopeSet,
    /// What some may have in addition.
    pub by_claim: Vec<ScopesByClaim>,
}

/// The scopes of accounts with a value in a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopesByClaim {
    /// The claim: a text, or a list of texts.
    pub claim: ClaimPath,
    /// The value: the whole text, or one of the list.
    pub value: String,
    /// What they may have.
    pub scopes: ScopeSet,
}

impl ScopeRules {
    /// What an account with these claims may have.
    pub fn scopes(&self, claims: &ClaimSet) -> ScopeSet {
        self.scopes_by(|rule| rule.fits(claims))
    }

    /// What an account may have for which these rules fit.
    pub(in crate::federation) fn scopes_by(
        &self,
        fits: impl Fn(&ScopesByClaim) -> bool,
    ) -> ScopeSet {
        let fitting = self.by_claim.iter().filter(|rule| fits(rule));
        fitting.fold(self.everybody.clone(), |all, rule| all.union(&rule.scopes))
    }

    /// What an account has in the claims of those rules that do not fit, for the log; none where all fit.
    pub fn unmet(&self, claims: &ClaimSet) -> Option<String> {
        let unmet = self.by_claim.iter().filter(|rule| !rule.fits(claims));
        let mut read: Vec<_> = unmet.map(|rule| &rule.claim).collect();
        read.dedup();
        let described = read.iter().take(MAX_NAMED).map(|claim| {
            let found = claims.texts(claim);
            let found = found.map_or_else(|| "no list of texts".to_owned(), |found| listed(&found));
            format!("in {claim}: {found}")
        });
        let described: Vec<_> = described.collect();
        (!described.is_empty()).then(|| described.join("; "))
    }

    /// The claims that are read.
    pub fn claims_read(&self) -> impl Iterator<Item = ClaimPath> {
        self.by_claim.iter().map(|rule| rule.claim.clone())
    }
}

impl ScopesByClaim {
    /// What it asks.
    pub(in crate::federation) fn asked(&self) -> Rule<'_> {
        Rule::Claim(&self.claim, &self.value)
    }

    /// A claim of scopes may be one text with blanks between them (RFC 8693 §4.2; Entra's `scp`) or a list (Okta's).
    pub(in crate::federation) fn fits(&self, claims: &ClaimSet) -> bool {
        let found = claims.texts(&self.claim).unwrap_or_default();
        let has_scopes = OF_SCOPES.map(ClaimPath::named).contains(&self.claim);
        found.iter().any(|text| match has_scopes {
            true => text.split(' ').any(|scope| scope == self.value),
            false => *text == self.value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_the_scopes_of_everybody_and_of_its_claims() {
        let set = |text| ScopeSet::parse(text).unwrap();
        let rule = |claim: &str, value: &str, scopes| ScopesByClaim {
            claim: ClaimPath::parse(claim).unwrap(),
            value: value.to_owned(),
            scopes: set(scopes),
        };
        let rules = ScopeRules {
            everybody: set("read"),
            by_claim: vec![
                rule("groups", "writers", "write"),
                rule("realm_access.roles", "admin", "write admin"),
                rule("scp", "tasks", "list"),
            ],
        };
        for (claims, expected) in [
            ("{}", "read"),
            (r#"{"groups":["writers"]}"#, "read write"),
            (r#"{"groups":"writers"}"#, "read write"),
            (r#"{"groups":"writers readers"}"#, "read"),
            (r#"{"groups":["Writers"]}"#, "read"),
            (r#"{"groups":["writers",1]}"#, "read"),
            (r#"{"groups":{"writers":true}}"#, "read"),
            (
                r#"{"realm_access":{"roles":["x","admin"]}}"#,
                "admin read write",
            ),
            (r#"{"realm_access.roles":["admin"]}"#, "read"),
            (r#"{"scp":"openid tasks"}"#, "list read"),
            (r#"{"scp":["openid","tasks"]}"#, "list read"),
            (r#"{"scp":"tasks.all"}"#, "read"),
            (r#"{"scp":7}"#, "read"),
        ] {
            let found = rules.scopes(&ClaimSet::parse(claims).unwrap());
            assert_eq!(found, set(expected), "{claims}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told_with_what_was_found() {
        let rule = |claim: &str, value: &str| ScopesByClaim {
            claim: ClaimPath::parse(claim).unwrap(),
            value: value.to_owned(),
            scopes: ScopeSet::parse("write").unwrap(),
        };
        let rules = ScopeRules {
            everybody: ScopeSet::default(),
            by_claim: vec![rule("groups", "a"), rule("groups", "b"), rule("roles", "c")],
        };
        let unmet = |claims: &str| rules.unmet(&ClaimSet::parse(claims).unwrap());
        assert_eq!(
            unmet(r#"{"groups":["/a","x\ny"]}"#).as_deref(),
            Some(r"in groups: `/a`, `x\ny`; in roles: no list of texts")
        );
        assert_eq!(
            unmet(r#"{"groups":["a","b"],"roles":"d"}"#).as_deref(),
            Some("in roles: `d`")
        );
        assert_eq!(unmet(r#"{"groups":["a","b"],"roles":["c"]}"#), None);
    }
}

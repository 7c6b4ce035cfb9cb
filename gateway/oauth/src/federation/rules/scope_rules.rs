//! What accounts of a provider may do: scopes for everybody, and scopes for those who have a value in a claim.

use mcp_gateway_core::{
    scope::ScopeSet,
    token::{claim_path::ClaimPath, claim_set::ClaimSet},
};

/// Claims with scopes.
const OF_SCOPES: [&str; 2] = ["scope", "scp"];

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
        let fitting = self.by_claim.iter().filter(|rule| rule.fits(claims));
        fitting.fold(self.everybody.clone(), |all, rule| all.union(&rule.scopes))
    }

    /// The claims that are read.
    pub fn claims_read(&self) -> impl Iterator<Item = ClaimPath> {
        self.by_claim.iter().map(|rule| rule.claim.clone())
    }
}

impl ScopesByClaim {
    /// A claim of scopes may be one text with blanks between them (RFC 8693 §4.2; Entra's `scp`) or a list (Okta's).
    fn fits(&self, claims: &ClaimSet) -> bool {
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
}

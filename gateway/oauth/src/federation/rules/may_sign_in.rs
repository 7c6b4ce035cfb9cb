//! Who of a provider's accounts may sign in. Each list that is written must have the account: more lists let fewer people in.

use std::fmt;

use mcp_gateway_core::{
    cel::{Condition, kept_claims::MemberNames},
    refusal::found::{Found, Listed},
    token::{claim_path::ClaimPath, claim_set::ClaimSet},
};

use super::met::Rule;
use crate::federation::preset::DomainClaim;

/// Where GitHub's organizations are among the claims of an account.
pub const ORGANIZATIONS: &str = "organizations";

/// Where its teams are, each as `organization/team`.
pub const TEAMS: &str = "teams";

/// Who may sign in. An empty list asks nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaySignIn {
    /// Accounts of these domains, in lower case.
    pub domains: Vec<String>,
    /// Members of one of these groups.
    pub groups: Vec<String>,
    /// Accounts with one of these subjects, as the provider names them.
    pub subjects: Vec<String>,
    /// Members of one of these organizations of GitHub, in lower case.
    pub organizations: Vec<String>,
    /// Members of one of these teams of GitHub, as `organization/team` in lower case.
    pub teams: Vec<String>,
    /// Accounts for whose claims this holds.
    pub condition: Option<Condition>,
}

/// Why an account may not sign in: the key of the rule, what was found and what was expected, for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// It has nothing that the list names.
    #[error("{key}: found {found}; expected {expected}")]
    List {
        /// The key of the list.
        key: &'static str,
        /// What the account has.
        found: String,
        /// What the list names.
        expected: String,
    },
    /// The condition does not hold, or could not be evaluated.
    #[error("may_sign_in.condition does not hold: {0}")]
    Condition(String),
}

impl NotAllowed {
    fn list(key: &'static str, found: impl fmt::Display, expected: &[String]) -> Self {
        Self::List {
            key,
            found: found.to_string(),
            expected: listed(expected),
        }
    }
}

/// Names in backticks, at most so many; what has no end of its own is shortened.
pub(super) fn listed(texts: &[String]) -> String {
    Listed(texts.iter().map(String::as_str)).to_string()
}

impl MaySignIn {
    /// Whether nothing is asked.
    pub const fn is_empty(&self) -> bool {
        self.domains.is_empty()
            && self.groups.is_empty()
            && self.subjects.is_empty()
            && self.organizations.is_empty()
            && self.teams.is_empty()
            && self.condition.is_none()
    }

    /// Whether an account may sign in.
    ///
    /// # Errors
    /// [`NotAllowed`].
    pub fn judge(
        &self,
        subject: &str,
        claims: &ClaimSet,
        (domain, groups): (DomainClaim, Option<&ClaimPath>),
    ) -> Result<(), NotAllowed> {
        self.judge_domain(claims, domain)?;
        self.judge_groups(claims, groups)?;
        if !self.subjects.is_empty() && !self.subjects.iter().any(|own| own == subject) {
            let key = "may_sign_in.subjects";
            return Err(NotAllowed::list(key, Found(subject), &self.subjects));
        }
        for (key, asked, name) in [
            (
                "may_sign_in.organizations",
                &self.organizations,
                ORGANIZATIONS,
            ),
            ("may_sign_in.teams", &self.teams, TEAMS),
        ] {
            if !has_one_of(asked, claims, name) {
                let found = claims.texts(&ClaimPath::named(name)).unwrap_or_default();
                return Err(NotAllowed::list(key, listed(&found), asked));
            }
        }
        self.judge_condition(claims)
    }

    /// What each list asks that is written: an account meets one of each.
    pub(in crate::federation) fn asked<'a>(
        &'a self,
        (domain, subject): (DomainClaim, &'a str),
        groups: Option<&'a ClaimPath>,
    ) -> Vec<Vec<Rule<'a>>> {
        let group = |group: &'a String| groups.map(|claim| Rule::Group(claim, group));
        let condition = self.condition.as_ref().map(Condition::source);
        let lists = [
            (
                &self.domains,
                each(&self.domains, |name| Rule::Domain(domain, name)),
            ),
            (&self.groups, self.groups.iter().filter_map(group).collect()),
            (
                &self.subjects,
                each(&self.subjects, |own| Rule::Subject(subject, own)),
            ),
            (
                &self.organizations,
                each(&self.organizations, Rule::Organization),
            ),
            (&self.teams, each(&self.teams, Rule::Team)),
        ];
        let written = lists.into_iter().filter(|(list, _)| !list.is_empty());
        let condition = condition.map(|source| vec![Rule::Condition(source)]);
        written.map(|(_, rules)| rules).chain(condition).collect()
    }

    /// The claims that are read.
    pub fn claims_read(
        &self,
        domain: Vec<ClaimPath>,
        groups: Option<&ClaimPath>,
    ) -> Vec<ClaimPath> {
        let mut read = Vec::new();
        if !self.domains.is_empty() {
            read.extend(domain);
        }
        if !self.groups.is_empty() {
            read.extend(groups.cloned());
        }
        if let Some(MemberNames::These(names)) = self.condition.as_ref().map(Condition::claims_read)
        {
            read.extend(names.iter().map(|name| ClaimPath::named(name)));
        }
        read
    }

    fn judge_domain(&self, claims: &ClaimSet, claim: DomainClaim) -> Result<(), NotAllowed> {
        if self.domains.is_empty() {
            return Ok(());
        }
        let refused = |found| NotAllowed::list("may_sign_in.domains", found, &self.domains);
        let found = domain_of(claims, claim).map_err(refused)?;
        match self.domains.contains(&found) {
            true => Ok(()),
            false => Err(refused(Found(&found).to_string())),
        }
    }

    fn judge_groups(&self, claims: &ClaimSet, claim: Option<&ClaimPath>) -> Result<(), NotAllowed> {
        if self.groups.is_empty() {
            return Ok(());
        }
        let refused = |found| NotAllowed::list("may_sign_in.groups", found, &self.groups);
        let claim = claim.ok_or_else(|| refused("no claim (groups_claim)".to_owned()))?;
        let found = claims.texts(claim).ok_or_else(|| {
            refused(format!(
                "no list of texts in the claim {claim} (groups_claim)"
            ))
        })?;
        match found.iter().any(|group| self.groups.contains(group)) {
            true => Ok(()),
            false => Err(refused(format!("in the claim {claim}: {}", listed(&found)))),
        }
    }

    fn judge_condition(&self, claims: &ClaimSet) -> Result<(), NotAllowed> {
        let Some(condition) = &self.condition else {
            return Ok(());
        };
        match claims.meets(condition) {
            Ok(true) => Ok(()),
            Ok(false) => Err(NotAllowed::Condition("it is false".to_owned())),
            Err(fault) => {
                let missing = missing(condition, claims);
                Err(NotAllowed::Condition(format!("{fault}{missing}")))
            }
        }
    }
}

/// Whether an account that may sign in meets a rule that [`MaySignIn::asked`] names.
pub(in crate::federation) fn meets(rule: &Rule<'_>, own: &str, claims: &ClaimSet) -> bool {
    let has = |claim: &ClaimPath, value: &str| {
        let found = claims.texts(claim).unwrap_or_default();
        found.iter().any(|one| one == value)
    };
    match *rule {
        Rule::Domain(claim, domain) => domain_of(claims, claim).is_ok_and(|found| found == domain),
        Rule::Group(claim, value) | Rule::Claim(claim, value) => has(claim, value),
        Rule::Subject(_, subject) => subject == own,
        Rule::Organization(name) => has_one_of(&[name.to_owned()], claims, ORGANIZATIONS),
        Rule::Team(name) => has_one_of(&[name.to_owned()], claims, TEAMS),
        // Without it the account could not sign in.
        Rule::Condition(_) | Rule::AskedAgain => true,
    }
}

fn each<'a>(list: &'a [String], rule: impl Fn(&'a str) -> Rule<'a>) -> Vec<Rule<'a>> {
    list.iter().map(|text| rule(text)).collect()
}

/// The domain of an account, in lower case.
pub(in crate::federation) fn domain_of(
    claims: &ClaimSet,
    claim: DomainClaim,
) -> Result<String, String> {
    let named = |name: &str| {
        let found = claims.text(&ClaimPath::named(name));
        found.ok_or_else(|| format!("no claim {name}"))
    };
    let found = match claim {
        DomainClaim::None => return Err("no claim with a domain".to_owned()),
        DomainClaim::Claim(name) => named(name)?,
        DomainClaim::VerifiedEmail => {
            let email = named("email")?;
            if !claims.is_true(&ClaimPath::named("email_verified")) {
                return Err("an email that is not verified (email_verified is not true)".to_owned());
            }
            match email.split_once('@') {
                Some((_, domain)) if !domain.contains('@') => domain.to_owned(),
                _ => return Err("an email that does not have exactly one @".to_owned()),
            }
        }
    };
    Ok(found.to_ascii_lowercase())
}

/// The claims that a condition reads and the account does not have.
fn missing(condition: &Condition, claims: &ClaimSet) -> String {
    let MemberNames::These(read) = condition.claims_read() else {
        return String::new();
    };
    let missing = read
        .iter()
        .filter(|name| !claims.has(&ClaimPath::named(name)));
    let missing: Vec<_> = missing.cloned().collect();
    match missing.is_empty() {
        true => String::new(),
        false => format!(" (the account has no {})", listed(&missing)),
    }
}

/// Whether the account has one of these, where one is asked for.
fn has_one_of(asked: &[String], claims: &ClaimSet, name: &str) -> bool {
    let found = claims.texts(&ClaimPath::named(name)).unwrap_or_default();
    let mut found = found.iter().map(|one| one.to_ascii_lowercase());
    asked.is_empty() || found.any(|one| asked.contains(&one))
}

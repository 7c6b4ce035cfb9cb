//! Who of a provider's accounts may sign in. Each list that is written must have the account: more lists let fewer people in.

use mcp_gateway_core::{
    cel::{Condition, kept_claims::MemberNames},
    refusal::found::{Found, Listed},
    token::{claim_path::ClaimPath, claim_set::ClaimSet},
};

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

/// Why an account may not sign in. What was found is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// It has another domain, or none that somebody verified.
    #[error("its domain is not among may_sign_in.domains: {0}")]
    Domain(String),
    /// It is in none of the groups.
    #[error("it is in none of may_sign_in.groups: {0}")]
    Group(String),
    /// It is another account.
    #[error("its subject is not among may_sign_in.subjects: {0}")]
    Subject(String),
    /// It is in none of the organizations.
    #[error("it is in none of may_sign_in.organizations: it is in {0}")]
    Organization(String),
    /// It is in none of the teams.
    #[error("it is in none of may_sign_in.teams: it is in {0}")]
    Team(String),
    /// The condition does not hold, or could not be evaluated.
    #[error("may_sign_in.condition does not hold: {0}")]
    Condition(String),
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
            return Err(NotAllowed::Subject(Found(subject).to_string()));
        }
        require_one_of(&self.organizations, claims, ORGANIZATIONS)
            .map_err(NotAllowed::Organization)?;
        require_one_of(&self.teams, claims, TEAMS).map_err(NotAllowed::Team)?;
        self.judge_condition(claims)
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
        let found = domain(claims, claim).map_err(|why| NotAllowed::Domain(why.to_owned()))?;
        match self.domains.contains(&found) {
            true => Ok(()),
            false => Err(NotAllowed::Domain(Found(&found).to_string())),
        }
    }

    fn judge_groups(&self, claims: &ClaimSet, claim: Option<&ClaimPath>) -> Result<(), NotAllowed> {
        if self.groups.is_empty() {
            return Ok(());
        }
        let missing = || NotAllowed::Group("the account has no claim with groups".to_owned());
        let found = claim
            .and_then(|claim| claims.texts(claim))
            .ok_or_else(missing)?;
        match found.iter().any(|group| self.groups.contains(group)) {
            true => Ok(()),
            false => {
                let found = Listed(found.iter().map(String::as_str));
                Err(NotAllowed::Group(format!("it is in {found}")))
            }
        }
    }

    fn judge_condition(&self, claims: &ClaimSet) -> Result<(), NotAllowed> {
        let Some(condition) = &self.condition else {
            return Ok(());
        };
        match claims.meets(condition) {
            Ok(true) => Ok(()),
            Ok(false) => Err(NotAllowed::Condition("it is false".to_owned())),
            Err(fault) => Err(NotAllowed::Condition(fault.to_string())),
        }
    }
}

/// The domain of an account, in lower case.
fn domain(claims: &ClaimSet, claim: DomainClaim) -> Result<String, &'static str> {
    let named = |name: &str| claims.text(&ClaimPath::named(name));
    let found = match claim {
        DomainClaim::None => return Err("the provider names no domain"),
        DomainClaim::Claim(name) => named(name).ok_or("the account has no domain")?,
        DomainClaim::VerifiedEmail => {
            let email = named("email").ok_or("the account has no email")?;
            if !claims.is_true(&ClaimPath::named("email_verified")) {
                return Err("its email is not verified (email_verified is not true)");
            }
            let (_, domain) = email.split_once('@').ok_or("its email has no domain")?;
            if domain.contains('@') {
                return Err("its email has more than one @");
            }
            domain.to_owned()
        }
    };
    Ok(found.to_ascii_lowercase())
}

/// Requires that the account has one of these, where one is asked for; the error says what it has.
fn require_one_of(asked: &[String], claims: &ClaimSet, name: &str) -> Result<(), String> {
    let found = claims.texts(&ClaimPath::named(name)).unwrap_or_default();
    let is_asked = |one: &String| asked.contains(&one.to_ascii_lowercase());
    match asked.is_empty() || found.iter().any(is_asked) {
        true => Ok(()),
        false => Err(Listed(found.iter().map(String::as_str)).to_string()),
    }
}

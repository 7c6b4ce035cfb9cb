//! The rules that an account met when its provider last spoke of it. They are kept with its session and grants, each as a digest, so that
//! the account can be judged by other rules without the provider: a rule that it met before is met. So a change that lets more people in
//! signs nobody out, and one that lets fewer in is in force at once.

use std::collections::HashSet;

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_gateway_core::token::claim_path::ClaimPath;

use crate::federation::preset::DomainClaim;

/// The most rules that are remembered of one account. What an account met beyond these has to be found again at a sign-in.
const MAX_MET: usize = 512;

/// Bytes of a digest.
const DIGEST_BYTES: usize = 12;

/// One thing that a rule asks of an account.
#[derive(Clone, Copy, Debug)]
pub(in crate::federation) enum Rule<'a> {
    /// It has this domain, in lower case, by this claim.
    Domain(DomainClaim, &'a str),
    /// It is in this group, by this claim.
    Group(&'a ClaimPath, &'a str),
    /// It is this account, which the claim of this name identifies.
    Subject(&'a str, &'a str),
    /// It is in this organization of GitHub.
    Organization(&'a str),
    /// It is in this team of GitHub.
    Team(&'a str),
    /// This condition holds.
    Condition(&'a str),
    /// It has this value in this claim, and the scopes of that.
    Claim(&'a ClaimPath, &'a str),
    /// It signed in where the provider is asked again at each refresh.
    AskedAgain,
}

impl Rule<'_> {
    /// A digest of a text that no other rule has. It must stay the same from one version of the program to the next.
    pub(super) fn digest(&self) -> String {
        let parts: Vec<&str> = match *self {
            Self::Domain(DomainClaim::Claim(claim), domain) => vec!["domain", domain, claim],
            Self::Domain(_, domain) => vec!["domain", domain],
            Self::Group(claim, value) => {
                ["group", value].into_iter().chain(claim.names()).collect()
            }
            Self::Subject(claim, subject) => vec!["subject", subject, claim],
            Self::Organization(name) => vec!["organization", name],
            Self::Team(name) => vec!["team", name],
            Self::Condition(source) => vec!["condition", source],
            Self::Claim(claim, value) => {
                ["claim", value].into_iter().chain(claim.names()).collect()
            }
            Self::AskedAgain => vec!["asked again"],
        };
        let mut context = Context::new(&SHA256);
        for part in parts {
            // The length says where a part ends.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let digest = context.finish();
        let short: [u8; DIGEST_BYTES] = digest.as_ref().first_chunk().copied().unwrap_or_default();
        URL_SAFE_NO_PAD.encode(short)
    }
}

/// The text that is kept of an account which meets these rules: their digests, separated by spaces.
pub(in crate::federation) fn kept<'a>(met: impl Iterator<Item = Rule<'a>>) -> String {
    let mut seen = HashSet::new();
    let digests = met.map(|rule| rule.digest());
    let digests = digests.filter(|digest| seen.insert(digest.clone()));
    digests.take(MAX_MET).collect::<Vec<_>>().join(" ")
}

/// What is known of an account that was judged before.
pub(in crate::federation) struct Met<'a>(HashSet<&'a str>);

impl<'a> Met<'a> {
    /// Reads the text that was kept.
    pub(in crate::federation) fn read(text: &'a str) -> Self {
        Self(text.split(' ').collect())
    }

    /// Whether the account met this rule.
    pub(in crate::federation) fn has(&self, rule: &Rule<'_>) -> bool {
        self.0.contains(&*rule.digest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rules_have_the_same_digest_and_it_never_changes() {
        let (groups, roles, nested, dotted) = (
            ClaimPath::named("groups"),
            ClaimPath::named("roles"),
            ClaimPath::of(["a", "b"]).unwrap(),
            ClaimPath::of(["a.b"]).unwrap(),
        );
        let rules = [
            Rule::Domain(DomainClaim::VerifiedEmail, "a"),
            Rule::Domain(DomainClaim::Claim("hd"), "a"),
            Rule::Group(&groups, "a"),
            Rule::Group(&roles, "a"),
            Rule::Group(&groups, "b"),
            Rule::Group(&nested, "a"),
            Rule::Group(&dotted, "a"),
            Rule::Claim(&groups, "a"),
            Rule::Subject("sub", "a"),
            Rule::Subject("oid", "a"),
            Rule::Organization("a"),
            Rule::Team("a"),
            Rule::Condition("a"),
            Rule::AskedAgain,
        ];
        let digests: HashSet<_> = rules.iter().map(Rule::digest).collect();
        assert_eq!(digests.len(), rules.len());
        assert_eq!(
            Rule::Group(&groups, "engineering").digest(),
            "b_MghJWcOHspi2GL"
        );
    }
}

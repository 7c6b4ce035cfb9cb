//! What GitHub's API says of an account, as claims: GitHub is not an OpenID provider and signs nothing. Its answers come over TLS from the
//! configured host, with the access token that belongs to the account.

use mcp_gateway_core::token::{claim_path::ClaimPath, claim_set::ClaimSet};
use serde::Deserialize;
use serde_json::json;

use super::{
    account::Account,
    provider::Provider,
    rules::may_sign_in::{ORGANIZATIONS, TEAMS},
};

/// Entries of one page.
pub const PAGE: usize = 100;

/// The most pages of organizations or teams that are read of one account.
pub const MAX_PAGES: usize = 10;

/// The host of GitHub itself; all others are of GitHub Enterprise.
const GITHUB: &str = "https://github.com";

/// Where its API is.
const GITHUB_API: &str = "https://api.github.com";

/// Why an answer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("GitHub's answer about {0} cannot be read")]
pub struct Unreadable(pub &'static str);

/// Where GitHub signs people in, redeems codes, and describes accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitHubUrls {
    /// Where browsers are sent.
    pub authorization: String,
    /// Where codes are redeemed.
    pub token: String,
    /// The API.
    pub api: String,
}

impl GitHubUrls {
    /// Those of the site at this address; its API is elsewhere if one is written.
    pub fn of(site: &str, api: Option<&str>) -> Self {
        let site = site.trim_end_matches('/');
        let own = match site {
            GITHUB => GITHUB_API.to_owned(),
            _ => format!("{site}/api/v3"),
        };
        Self {
            authorization: format!("{site}/login/oauth/authorize"),
            token: format!("{site}/login/oauth/access_token"),
            api: api.map_or(own, |api| api.trim_end_matches('/').to_owned()),
        }
    }
}

#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Organization {
    login: String,
}

#[derive(Deserialize)]
struct Team {
    slug: String,
    organization: Organization,
}

/// The names of the organizations on a page.
///
/// # Errors
/// [`Unreadable`].
pub fn organizations(page: &[u8]) -> Result<Vec<String>, Unreadable> {
    let read: Result<Vec<Organization>, _> = serde_json::from_slice(page);
    let read = read.map_err(|_| Unreadable("organizations"))?;
    Ok(read.into_iter().map(|one| one.login).collect())
}

/// The names of the teams on a page, each as `organization/team`.
///
/// # Errors
/// [`Unreadable`].
pub fn teams(page: &[u8]) -> Result<Vec<String>, Unreadable> {
    let read: Result<Vec<Team>, _> = serde_json::from_slice(page);
    let read = read.map_err(|_| Unreadable("teams"))?;
    let name = |team: Team| format!("{}/{}", team.organization.login, team.slug);
    Ok(read.into_iter().map(name).collect())
}

/// The account that `/user` describes, with the organizations and teams that were read. The account is its number: names are given
/// to other people.
///
/// # Errors
/// [`Unreadable`].
pub fn account(
    provider: &Provider,
    user: &[u8],
    organizations: &[String],
    teams: &[String],
) -> Result<Account, Unreadable> {
    let user: User = serde_json::from_slice(user).map_err(|_| Unreadable("the user"))?;
    let subject = user.id.to_string();
    let claims = json!({
        "id": subject,
        "login": user.login,
        "name": user.name,
        ORGANIZATIONS: organizations,
        TEAMS: teams,
    });
    let claims = ClaimSet::parse(claims.to_string()).map_err(|_| Unreadable("the user"))?;
    Ok(Account {
        issuer: provider.issuer.clone(),
        subject,
        claims,
        is_of_id_token: false,
    })
}

/// Whether the rules read the organizations, and the teams.
pub fn wanted(provider: &Provider) -> (bool, bool) {
    let read = provider.claims_read();
    let reads = |name: &str| read.iter().any(|path: &ClaimPath| path.first() == name);
    let rules = &provider.may_sign_in;
    (
        !rules.organizations.is_empty() || reads(ORGANIZATIONS),
        !rules.teams.is_empty() || reads(TEAMS),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_follow_from_the_site() {
        let github = GitHubUrls::of("https://github.com", None);
        assert_eq!(
            github.authorization,
            "https://github.com/login/oauth/authorize"
        );
        assert_eq!(github.api, "https://api.github.com");
        let own = GitHubUrls::of("https://git.example/", None);
        assert_eq!(own.token, "https://git.example/login/oauth/access_token");
        assert_eq!(own.api, "https://git.example/api/v3");
        let other = GitHubUrls::of("https://x.ghe.com", Some("https://api.x.ghe.com/"));
        assert_eq!(other.api, "https://api.x.ghe.com");
    }

    #[test]
    fn organizations_and_teams_are_read_from_their_pages() {
        let page = br#"[{"login":"Acme","id":1},{"login":"other"}]"#;
        assert_eq!(organizations(page).unwrap(), ["Acme", "other"]);
        let page = br#"[{"slug":"ops","organization":{"login":"Acme"}}]"#;
        assert_eq!(teams(page).unwrap(), ["Acme/ops"]);
        for page in ["{}", "[1]", r#"{"message":"Not Found"}"#, ""] {
            assert!(organizations(page.as_bytes()).is_err(), "{page}");
            assert!(teams(page.as_bytes()).is_err(), "{page}");
        }
    }
}

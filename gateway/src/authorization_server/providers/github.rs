//! The account behind an access token of GitHub, asked of its API. Lists are read page by page, as many as there may be.

use bytes::Bytes;
use mcp_gateway_oauth::{
    federation::{
        account::Account,
        github::{self, GitHubUrls, MAX_PAGES, PAGE, Unreadable},
    },
    secret::Secret,
};

use super::{fault::ProviderFault, provider::Provider, tokens::bearer};
use crate::fetch::call::Outgoing;

impl From<Unreadable> for ProviderFault {
    fn from(unreadable: Unreadable) -> Self {
        Self::Wrong(unreadable.to_string())
    }
}

impl Provider {
    /// The account of this access token.
    ///
    /// # Errors
    /// [`ProviderFault`].
    pub(super) async fn github_account(
        &self,
        urls: &GitHubUrls,
        access_token: &Secret,
    ) -> Result<Account, ProviderFault> {
        let api = &urls.api;
        let user = self.asked(&format!("{api}/user"), access_token).await?;
        let (wants_organizations, wants_teams) = github::wanted(&self.profile);
        let mut organizations = Vec::new();
        if wants_organizations {
            let list = format!("{api}/user/orgs");
            organizations = self
                .listed(&list, access_token, github::organizations)
                .await?;
        }
        let mut teams = Vec::new();
        if wants_teams {
            let list = format!("{api}/user/teams");
            teams = self.listed(&list, access_token, github::teams).await?;
        }
        Ok(github::account(
            &self.profile,
            &user,
            &organizations,
            &teams,
        )?)
    }

    /// All entries of a list. One with more pages than are read is an error: what is not read could matter.
    async fn listed(
        &self,
        list: &str,
        access_token: &Secret,
        read: impl Fn(&[u8]) -> Result<Vec<String>, Unreadable>,
    ) -> Result<Vec<String>, ProviderFault> {
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let url = format!("{list}?per_page={PAGE}&page={page}");
            let names = read(&self.asked(&url, access_token).await?)?;
            let is_last = names.len() < PAGE;
            all.extend(names);
            if is_last {
                return Ok(all);
            }
        }
        let most = MAX_PAGES * PAGE;
        Err(ProviderFault::LeftOut(format!(
            "the account is in more organizations or teams than are read: at most {most}"
        )))
    }

    async fn asked(&self, url: &str, access_token: &Secret) -> Result<Bytes, ProviderFault> {
        let call = Outgoing::get(Some(bearer(access_token)?));
        let answer = self.call(url, &call).await?;
        let found = format!("GitHub answered {url} with status {}", answer.status);
        match answer.status {
            200 => Ok(answer.body),
            401 => Err(ProviderFault::Over(found)),
            403 => Err(ProviderFault::Wrong(format!(
                "{found}: the token may lack a scope (scopes), or the organization does not allow this application"
            ))),
            429 | 500.. => Err(ProviderFault::Unavailable(found)),
            _ => Err(ProviderFault::Wrong(found)),
        }
    }
}

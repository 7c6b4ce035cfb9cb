//! A provider is asked again about an account that signed in before: is it still there, and what does the provider say of it now?

use mcp_gateway_core::token::id_token::ExpectedIdToken;
use mcp_gateway_oauth::{
    federation::{
        account::Account,
        protocol::token_request::Presented,
        sign_in::{Credential, CredentialKind, Question},
    },
    secret::Secret,
};

use super::{
    discovery::Known,
    fault::ProviderFault,
    provider::{Kind, Provider},
};

/// What a provider said to being asked again.
pub(in crate::authorization_server) struct SaidAgain {
    /// The refresh token for the next time, if it is another one.
    pub(in crate::authorization_server) next: Option<Secret>,
    /// Its access token, with which it says more.
    access_token: Secret,
    id_token: Option<Secret>,
}

impl Provider {
    /// Asks again. What comes back must be kept at once: the provider may accept each refresh token once.
    ///
    /// # Errors
    /// [`ProviderFault`]; [`ProviderFault::Over`] where it no longer knows the account.
    pub(in crate::authorization_server) async fn ask_again(
        &self,
        credential: &Credential,
    ) -> Result<SaidAgain, ProviderFault> {
        if credential.kind == CredentialKind::AccessToken {
            return Ok(SaidAgain {
                next: None,
                access_token: credential.token.clone(),
                id_token: None,
            });
        }
        let known = self.known().await?;
        let metadata = known.as_ref().map(|known| &known.metadata);
        let presented = Presented::RefreshToken(&credential.token);
        let tokens = self.tokens(metadata, &presented).await?;
        let is_other = |token: &Secret| !token.is_same(&credential.token);
        Ok(SaidAgain {
            next: tokens.refresh_token.filter(is_other),
            access_token: tokens.access_token,
            id_token: tokens.id_token,
        })
    }

    /// The account as the provider describes it now; none where it says only that the account is still there.
    ///
    /// # Errors
    /// [`ProviderFault`].
    pub(in crate::authorization_server) async fn account_again(
        &self,
        question: &Question,
        said: &SaidAgain,
    ) -> Result<Option<Account>, ProviderFault> {
        let account = match &self.kind {
            Kind::GitHub(urls) => {
                let account = self.github_account(urls, &said.access_token).await?;
                Some(account)
            }
            Kind::OpenId(discovery) => {
                let known = discovery.known(&self.fetcher).await?;
                self.openid_again(&known, question, said).await?
            }
        };
        let is_same = |account: &Account| {
            account.issuer == question.issuer && account.subject == question.account
        };
        match account {
            Some(account) if !is_same(&account) => Err(ProviderFault::Wrong(
                "it answered about another account than the one that signed in".to_owned(),
            )),
            account => Ok(account),
        }
    }

    /// By the new ID token (OpenID Connect Core §12.2), else by the userinfo endpoint.
    async fn openid_again(
        &self,
        known: &Known,
        question: &Question,
        said: &SaidAgain,
    ) -> Result<Option<Account>, ProviderFault> {
        let access_token = &said.access_token;
        if let Some(id_token) = &said.id_token {
            let expected = ExpectedIdToken {
                client_id: &self.profile.client_id,
                nonce: None,
                access_token: Some(access_token.expose()),
            };
            let verified = self.verified(known, id_token, &expected).await?;
            return self
                .completed(known, verified, access_token)
                .await
                .map(Some);
        }
        // `sub` names the account there, which is another name than the one that some presets use.
        let names_account = self.profile.preset.row().subject_claim == "sub";
        match &known.metadata.userinfo_endpoint {
            Some(endpoint) if names_account => {
                let claims = self
                    .userinfo(endpoint, &question.account, access_token)
                    .await?;
                // The ID token said it, and there is none now: the account is there, and nothing else is known (§12.2).
                let is_silent = question.is_of_id_token && !self.has_all_read(&claims);
                Ok((!is_silent).then(|| Account {
                    issuer: question.issuer.clone(),
                    subject: question.account.clone(),
                    claims,
                    is_of_id_token: false,
                }))
            }
            _ => Ok(None),
        }
    }
}

//! The account behind the tokens of an OpenID provider: its ID token, verified with the provider's keys, and the userinfo endpoint for
//! claims that the rules read and the ID token lacks.

use std::time::Instant;

use mcp_gateway_core::{
    refusal::reason::Reason,
    token::{
        bearer::BearerToken,
        claim_path::ClaimPath,
        claim_set::ClaimSet,
        id_token::{self, ExpectedIdToken, IdToken, IdTokenFault},
        jwt::Unverified,
        key_set::KeySet,
    },
    why::{
        self,
        token::{Accepted, AcceptedIssuer, TokensOf},
    },
};
use mcp_gateway_oauth::{
    federation::{
        account::{Account, has_name},
        protocol::token_answer::ProviderTokens,
    },
    secret::Secret,
};

use super::{discovery::Known, fault::ProviderFault, provider::Provider, tokens::bearer};
use crate::{clock, fetch::call::Outgoing};

/// The longest ID token, in bytes: one with two hundred groups fits.
const MAX_ID_TOKEN_BYTES: usize = 64 * 1024;

impl Provider {
    /// The account behind these tokens, which came for a sign-in with this nonce.
    ///
    /// # Errors
    /// [`ProviderFault`].
    pub(super) async fn openid_account(
        &self,
        known: &Known,
        tokens: &ProviderTokens,
        nonce: &str,
    ) -> Result<Account, ProviderFault> {
        let missing = || ProviderFault::Wrong("there is no ID token in its answer".to_owned());
        let id_token = tokens.id_token.as_ref().ok_or_else(missing)?;
        let expected = ExpectedIdToken {
            client_id: &self.profile.client_id,
            nonce: Some(nonce),
            access_token: Some(tokens.access_token.expose()),
        };
        let verified = self.verified(known, id_token, &expected).await?;
        self.completed(known, verified, &tokens.access_token).await
    }

    pub(super) async fn verified(
        &self,
        known: &Known,
        id_token: &Secret,
        expected: &ExpectedIdToken<'_>,
    ) -> Result<IdToken, ProviderFault> {
        let started = Instant::now();
        let text = id_token.expose();
        let refused = |fault, keys: Option<&KeySet>| self.refused(text, fault, expected, keys);
        let token = BearerToken::parse(text, MAX_ID_TOKEN_BYTES);
        let token = token.ok_or_else(|| unreadable(text))?;
        let token = Unverified::parse(&token).map_err(|reason| refused(reason.into(), None))?;
        let profile = self.profile.id_token_profile(token.issuer());
        let profile = profile.ok_or_else(|| refused(Reason::WrongIssuer.into(), None))?;
        let mut state = known.keys.current_soon().await.map_err(|_| no_keys())?;
        loop {
            let verified = id_token::verify(&token, &profile, state.keys(), expected, clock::now());
            match verified {
                // The key may have been published since.
                Err(fault @ IdTokenFault::Token(Reason::UnknownKey))
                    if !state.is_fetched_after(started) =>
                {
                    let newer = known.keys.newer_than(&state, started).await;
                    state = newer.map_err(|_| not_fetched(refused(fault, Some(state.keys()))))?;
                }
                outcome => return outcome.map_err(|fault| refused(fault, Some(state.keys()))),
            }
        }
    }

    /// Why an ID token is refused, with what was found in it and what is expected.
    fn refused(
        &self,
        text: &str,
        fault: IdTokenFault,
        expected: &ExpectedIdToken<'_>,
        keys: Option<&KeySet>,
    ) -> ProviderFault {
        let issuers = self.profile.issuers();
        let profiles: Vec<_> = (issuers.iter())
            .filter_map(|(issuer, _)| self.profile.id_token_profile(issuer))
            .collect();
        let issuers = profiles.iter().map(|profile| AcceptedIssuer {
            name: &self.profile.name,
            profile,
            keys,
        });
        let accepted = Accepted {
            tokens: TokensOf::Provider,
            issuers: issuers.collect(),
            audience: std::slice::from_ref(&self.profile.client_id),
            now: clock::now(),
        };
        ProviderFault::Wrong(why::id_token::refused(text, fault, expected, &accepted))
    }

    /// The account, with claims of the userinfo endpoint where the rules read one that the ID token lacks.
    pub(super) async fn completed(
        &self,
        known: &Known,
        verified: IdToken,
        access_token: &Secret,
    ) -> Result<Account, ProviderFault> {
        let own = &verified.claims;
        let is_of_id_token = self.has_all_read(own);
        let is_complete = has_name(own) && is_of_id_token;
        let claims = match (&known.metadata.userinfo_endpoint, is_complete) {
            (Some(endpoint), false) => {
                let subject = own.text(&ClaimPath::named("sub")).unwrap_or_default();
                let more = self.userinfo(endpoint, &subject, access_token).await?;
                own.with_missing_of(&more)
            }
            _ => own.clone(),
        };
        Ok(Account {
            issuer: verified.issuer,
            subject: verified.subject,
            claims,
            is_of_id_token,
        })
    }

    /// Whether these claims have all that the rules read.
    pub(super) fn has_all_read(&self, claims: &ClaimSet) -> bool {
        let read = self.profile.claims_read();
        read.iter().all(|path| claims.has(path))
    }

    /// OpenID Connect Core §5.3: the answer is about the same account, or not used.
    pub(super) async fn userinfo(
        &self,
        endpoint: &str,
        subject: &str,
        access_token: &Secret,
    ) -> Result<ClaimSet, ProviderFault> {
        let call = Outgoing::get(Some(bearer(access_token)?));
        let answer = self.call(endpoint, &call).await?;
        let wrong = |what: String| ProviderFault::Wrong(format!("its userinfo endpoint {what}"));
        match answer.status {
            200 => {}
            429 | 500.. => {
                let what = format!(
                    "its userinfo endpoint answered with status {}",
                    answer.status
                );
                return Err(ProviderFault::Unavailable(what));
            }
            status => return Err(wrong(format!("answered with status {status}"))),
        }
        let claims = ClaimSet::parse(answer.body.to_vec());
        let claims = claims.map_err(|fault| wrong(format!("gave an answer that {fault}")))?;
        match claims.text(&ClaimPath::named("sub")) {
            Some(found) if found == subject => Ok(claims),
            _ => Err(wrong("answered about another account (sub)".to_owned())),
        }
    }
}

/// It is not the text of a token at all.
fn unreadable(text: &str) -> ProviderFault {
    let bytes = text.len();
    ProviderFault::Wrong(format!(
        "the ID token is refused: it has {bytes} bytes, or characters that no token has; expected: at most {MAX_ID_TOKEN_BYTES} bytes of base64url and dots"
    ))
}

fn no_keys() -> ProviderFault {
    ProviderFault::Unavailable(
        "its key set (JWKS) is not available; another line says why (key set (JWKS) fetch failed)"
            .to_owned(),
    )
}

/// The key may be there, but nobody could look.
fn not_fetched(refused: ProviderFault) -> ProviderFault {
    ProviderFault::Unavailable(format!(
        "{refused}; its key set (JWKS) could not be fetched again in time (jwks.wait, jwks.cool_down)"
    ))
}

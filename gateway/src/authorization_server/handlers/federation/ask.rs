//! A provider is asked again before tokens are issued for an account: one request asks, the others wait for its answer.

use std::time::{Duration, Instant};

use mcp_gateway_oauth::{
    federation::{
        account,
        sign_in::{self, MustAsk, Question, Turn},
    },
    id::Id,
    secret::Secret,
    store::rows::{Rows, StoreError},
};
use tokio::time::sleep;

use crate::{
    authorization_server::{providers::ProviderFault, server::Server},
    clock,
};

/// The longest that a request waits for another one that asks.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Time between two looks whether it has an answer.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a provider has not answered.
#[derive(Debug, thiserror::Error)]
pub(in crate::authorization_server::handlers) enum NotAsked {
    #[error("{provider}: {fault}")]
    Provider {
        provider: String,
        fault: ProviderFault,
    },
    #[error("another request still asks the provider")]
    Waiting,
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the provider gave could not be kept yet.
    #[error("the provider's refresh token is kept when the store is back: {0}")]
    NotKept(StoreError),
    #[error("asking the provider was interrupted")]
    Interrupted,
}

/// Asks the provider of a sign-in, or waits for the request that does. Afterwards the row of the sign-in says how it stands.
///
/// # Errors
/// [`NotAsked`]: nothing has changed.
pub(in crate::authorization_server::handlers) async fn ask_again(
    server: &Server,
    must_ask: MustAsk,
) -> Result<(), NotAsked> {
    let begun = Instant::now();
    loop {
        let keys = server.settings.keys.clone();
        let take =
            move |rows: &mut dyn Rows| sign_in::take_turn(rows, &keys, must_ask, clock::now());
        match server.runtime.store.write(take).await? {
            Turn::Done => return Ok(()),
            Turn::Ask(question) => {
                // What the provider gives must be kept, also if the client goes away meanwhile.
                let (server, id) = (server.clone(), must_ask.id);
                let asked = tokio::spawn(async move { ask(&server, id, &question).await });
                return asked.await.unwrap_or(Err(NotAsked::Interrupted));
            }
            Turn::Wait if begun.elapsed() >= MAX_WAIT => return Err(NotAsked::Waiting),
            Turn::Wait => sleep(PAUSE).await,
        }
    }
}

async fn ask(server: &Server, id: Id, question: &Question) -> Result<(), NotAsked> {
    match answer(server, id, question).await {
        Ok(()) => Ok(()),
        Err(NotAsked::Provider { provider, fault }) if ends(&fault) => {
            let end = move |rows: &mut dyn Rows| sign_in::end(rows, id, clock::now());
            let ended = server.runtime.store.write(end).await?;
            server.runtime.revoke(ended);
            tracing::info!(provider, "the grants of a sign-in ended: {fault}");
            Ok(())
        }
        Err(why @ NotAsked::NotKept(_)) => {
            tracing::warn!("a refresh is answered with 503: {why}");
            Err(why)
        }
        Err(why) => {
            let give_back =
                move |rows: &mut dyn Rows| sign_in::give_turn_back(rows, id, clock::now());
            server.runtime.store.write(give_back).await?;
            tracing::warn!("a refresh is answered with 503: {why}");
            Err(why)
        }
    }
}

/// Whether the account is out: the provider no longer knows it, or the rules no longer let it in.
const fn ends(fault: &ProviderFault) -> bool {
    matches!(
        fault,
        ProviderFault::Over(_) | ProviderFault::NotAllowed(_) | ProviderFault::LeftOut(_)
    )
}

async fn answer(server: &Server, id: Id, question: &Question) -> Result<(), NotAsked> {
    let failed = |fault| NotAsked::Provider {
        provider: question.provider.clone(),
        fault,
    };
    let over = |why: &str| failed(ProviderFault::Over(why.to_owned()));
    let provider = server.settings.providers.named(&question.provider);
    let provider = provider.filter(|provider| provider.profile.vouches_for(&question.issuer));
    let provider = provider.ok_or_else(|| over("the configuration no longer has the provider"))?;
    let credential = question.credential.as_ref();
    let credential =
        credential.ok_or_else(|| over("no key opens its token any more (key_files)"))?;
    let _place = provider.question_place().map_err(failed)?;
    let said = provider.ask_again(credential).await.map_err(failed)?;
    let store = &server.runtime.store;
    if let Some(next) = &said.next {
        keep(server, id, &credential.token, next).await?;
    }
    let account = provider
        .account_again(question, &said)
        .await
        .map_err(failed)?;
    let admitted = account.map(|account| account::judge(&provider.profile, &account));
    let admitted = admitted.transpose().map_err(|fault| failed(fault.into()))?;
    let keys = server.settings.keys.clone();
    let answered = move |rows: &mut dyn Rows| {
        sign_in::answered(rows, &keys, id, admitted.as_ref(), clock::now())
    };
    Ok(store.write(answered).await?)
}

/// Keeps the provider's next refresh token. The provider may accept the one before no more, so it is kept as soon as the store is back.
/// Until then the turn stays taken, as long as it lasts, so that nobody else presents the one before.
async fn keep(server: &Server, id: Id, before: &Secret, next: &Secret) -> Result<(), NotAsked> {
    let store = &server.runtime.store;
    let keys = server.settings.keys.clone();
    let (before, next) = (before.clone(), next.clone());
    let keep = move |rows: &mut dyn Rows| sign_in::keep(rows, &keys, id, (&before, &next));
    let Err(error) = store.write(keep.clone()).await else {
        return Ok(());
    };
    store.write_later(keep);
    Err(NotAsked::NotKept(error))
}

//! What the authorization server does beside requests, as long as the process runs: it removes what has expired, rotates its signing
//! keys, puts them in use where its tokens are verified, asks the providers for their documents, ends what removed users
//! allowed, settles what the store left undecided, and answers operators.

use std::{sync::Arc, time::Duration};

use mcp_gateway_core::time::UnixTime;
use mcp_gateway_oauth::{
    client::{authentication::UsedAssertion, stored::StoredClient},
    federation::sign_in::SignIn,
    grant::{
        Grant,
        revoked::{self, Revoked, RevokedRow},
    },
    session::Session,
    store::{
        by_subject,
        expiry::{self, Kind},
        rows::{Rows, StoreError},
    },
    token::code::CodeRow,
};
use tokio::{sync::watch, time::sleep};

use super::{
    control::socket::ControlSocket,
    operator::Desk,
    server::Server,
    store::{Followed, expiry::remove_expired_rows},
};
use crate::{clock, issuer_keys::keys::IssuerKeys, telemetry::authorization_event::Note};

/// Time between the word that users are gone and the end of what they allowed, and between two attempts to end it.
const GONE: Duration = Duration::from_secs(1);

/// Time between two questions to providers that have not answered yet.
const PREPARE: Duration = Duration::from_secs(3);

/// Time between two rounds in which ended grants are forgotten whose tokens have expired.
const FORGET: Duration = Duration::from_secs(60);

/// Time between two looks what other processes revoked, in a store that they share.
const FOLLOW: Duration = Duration::from_secs(1);

/// Runs until it is dropped. `keys` is where the tokens of the server are verified now, `current` the server with the configuration of
/// now, which changes with each of `reloads`; `note` writes the audit log.
pub(crate) async fn run<R>(
    server: Server,
    keys: impl Fn() -> Option<Arc<IssuerKeys>> + Send,
    (current, reloads): (impl Fn() -> Option<Server> + Send, watch::Receiver<R>),
    note: Note,
) {
    let runtime = server.runtime.clone();
    tokio::join!(
        runtime.signing.clone().keep(),
        remove_expired_rows(runtime.store.clone(), remove_expired),
        publish(&server, keys, reloads.clone()),
        forget(&server),
        follow(&server),
        runtime.store.settle(),
        end_gone(&server, &note),
        control(&server, &note),
        prepare(current, reloads),
    );
}

/// Asks the providers for their documents until each has answered once; after a reload there may be others.
async fn prepare<R>(current: impl Fn() -> Option<Server> + Send, mut reloads: watch::Receiver<R>) {
    loop {
        reloads.mark_unchanged();
        let has_all = match current() {
            Some(server) => server.settings.providers.prepare().await,
            None => true,
        };
        if !has_all {
            sleep(PREPARE).await;
        } else if reloads.changed().await.is_err() {
            return;
        }
    }
}

/// Publishes each new ring, where the tokens are verified then.
async fn publish<R>(
    server: &Server,
    keys: impl Fn() -> Option<Arc<IssuerKeys>> + Send,
    mut reloads: watch::Receiver<R>,
) {
    let mut published = (server.runtime.signing.ring(), keys());
    loop {
        tokio::select! {
            () = server.runtime.signing.changed() => {}
            reloaded = reloads.changed() => if reloaded.is_err() { return },
        }
        let (ring, keys) = (server.runtime.signing.ring(), keys());
        let is_same = |one: &Arc<IssuerKeys>| {
            let before = published.1.as_ref();
            before.is_some_and(|before| Arc::ptr_eq(one, before))
        };
        let is_published = Arc::ptr_eq(&ring, &published.0) && keys.as_ref().is_none_or(is_same);
        if let Some(keys) = keys.as_ref().filter(|_| !is_published) {
            server.publish_keys(keys);
        }
        published = (ring, keys);
    }
}

/// Answers operators over the control socket.
async fn control(server: &Server, note: &Note) {
    let desk = Desk {
        server: server.clone(),
        note: note.clone(),
    };
    match ControlSocket::bind(&server.runtime.directory) {
        Ok(socket) => socket.serve(Arc::new(desk)).await,
        Err(error) => tracing::error!(
            "`mcp-gateway oauth` cannot be used: the control socket cannot be opened (authorization_server.directory): {error}"
        ),
    }
}

/// Refuses the tokens of grants that other processes ended; there are none where the store is not shared. While the store cannot be
/// reached, nobody ends any.
async fn follow(server: &Server) {
    if !server.runtime.store.is_shared() {
        return;
    }
    let mut has_more = true;
    loop {
        if !has_more {
            sleep(FOLLOW).await;
        }
        // The connection logs a store that is lost.
        let Ok(followed) = server.runtime.store.follow().await else {
            has_more = false;
            continue;
        };
        has_more = followed.has_more;
        server.runtime.revoke(ended(followed));
    }
}

/// The grants of these rows. A row that was removed has no valid token any longer.
fn ended(followed: Followed) -> Vec<Revoked> {
    let rows = followed
        .entries
        .into_iter()
        .filter_map(|(key, row)| Some((key, row?)));
    let read = rows.filter_map(|(key, row)| {
        let read = revoked::read(&key, &row);
        read.inspect_err(|error| tracing::error!("an ended grant cannot be read: {error}"))
            .ok()
    });
    read.collect()
}

/// Ends what users allowed who are gone. The file may have changed before the start, so all grants are looked at once.
async fn end_gone(server: &Server, note: &Note) {
    let mut is_compared = false;
    loop {
        sleep(GONE).await;
        if !is_compared {
            is_compared = server.runtime.find_gone().await.is_ok();
        }
        server.runtime.end_gone(note).await;
        if is_compared {
            server.runtime.wait_for_gone().await;
        }
    }
}

async fn forget(server: &Server) {
    loop {
        sleep(FORGET).await;
        server.runtime.revocations.forget_expired(clock::now());
    }
}

fn remove_expired(rows: &mut dyn Rows, now: UnixTime, most: usize) -> Result<bool, StoreError> {
    let kinds = [
        Kind::of::<StoredClient>(),
        Kind::of::<Grant>(),
        Kind::of::<CodeRow>(),
        Kind::of::<Session>(),
        Kind::of::<RevokedRow>(),
        Kind::of::<UsedAssertion>(),
        Kind::of::<SignIn>(),
        Kind::of::<by_subject::Entry>(),
    ];
    Ok(expiry::remove_expired(rows, &kinds, now, most)?.looked < most)
}

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
use tokio::time::sleep;

use super::{
    control::socket::ControlSocket,
    operator::Desk,
    server::Server,
    store::{Followed, expiry::remove_expired_rows},
};
use crate::{clock, issuer_keys::keys::IssuerKeys, telemetry::authorization_event::Note};

/// Time between two looks whether the signing keys have changed. They are published long before they sign.
const LOOK: Duration = Duration::from_secs(1);

/// Time between two questions to providers that have not answered yet.
const PREPARE: Duration = Duration::from_secs(3);

/// Time between two rounds in which ended grants are forgotten whose tokens have expired.
const FORGET: Duration = Duration::from_secs(60);

/// Time between two looks what other processes revoked, in a store that they share.
const FOLLOW: Duration = Duration::from_secs(1);

/// Runs until it is dropped. `keys` is where the tokens of the server are verified now, `current` the server with the configuration of
/// now; `note` writes the audit log.
pub(crate) async fn run(
    server: Server,
    keys: impl Fn() -> Option<Arc<IssuerKeys>> + Send,
    current: impl Fn() -> Option<Server> + Send,
    note: Note,
) {
    let runtime = server.runtime.clone();
    tokio::join!(
        runtime.signing.clone().keep(),
        remove_expired_rows(runtime.store.clone(), remove_expired),
        publish(&server, keys),
        forget(&server),
        follow(&server),
        runtime.store.settle(),
        end_gone(&server, &note),
        control(&server, &note),
        prepare(current),
    );
}

/// Asks the providers for their documents until each has answered once.
async fn prepare(current: impl Fn() -> Option<Server> + Send) {
    loop {
        if let Some(server) = current() {
            server.settings.providers.prepare().await;
        }
        sleep(PREPARE).await;
    }
}

/// Publishes each new ring.
async fn publish(server: &Server, keys: impl Fn() -> Option<Arc<IssuerKeys>> + Send) {
    let mut published = server.runtime.signing.ring();
    loop {
        sleep(LOOK).await;
        let ring = server.runtime.signing.ring();
        if Arc::ptr_eq(&ring, &published) {
            continue;
        }
        if let Some(keys) = keys() {
            server.publish_keys(&keys);
            published = ring;
        }
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

/// Refuses the tokens of grants that other processes ended. While the store cannot be reached, nobody ends any.
async fn follow(server: &Server) {
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
        sleep(LOOK).await;
        if !is_compared {
            is_compared = server.runtime.find_gone().await.is_ok();
        }
        server.runtime.end_gone(note).await;
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

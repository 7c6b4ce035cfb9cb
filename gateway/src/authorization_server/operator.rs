//! What operators do over the control socket: they see and revoke clients and grants.

use mcp_gateway_core::time::UnixTime;
use mcp_gateway_oauth::{
    client::stored::StoredClient,
    grant::{self, EndedBy, Filter, Grant, Revoked, list::find, revoked},
    id::Id,
    store::{
        rows::{Rows, StoreError, Table},
        table,
    },
};

use super::{
    control::{
        protocol::{ClientLine, GrantLine, Page},
        socket::Operator,
    },
    server::Server,
};
use crate::{
    clock,
    telemetry::authorization_event::{AuthorizationEvent, EventSubject, Note},
};

/// Grants that end in one transaction when their client is revoked.
const BATCH: usize = 256;

/// What the control socket reaches.
pub(super) struct Desk {
    pub(super) server: Server,
    /// Writes the audit log.
    pub(super) note: Note,
}

impl Operator for Desk {
    async fn clients(
        &self,
        after: Option<&str>,
        most: usize,
    ) -> Result<Page<ClientLine>, StoreError> {
        let after = after.unwrap_or_default().as_bytes();
        let found = self
            .server
            .runtime
            .store
            .read(|rows| rows.after(Table::Clients, after, most))
            .await?;
        let next = (found.len() == most).then(|| found.last()).flatten();
        let next = next.map(|(key, _)| String::from_utf8_lossy(key).into_owned());
        let lines = found.iter().map(|(_, row)| {
            let stored: StoredClient = table::read(Table::Clients, row)?;
            Ok(ClientLine::from(&stored.client))
        });
        let lines = lines.collect::<Result<_, StoreError>>()?;
        Ok(Page { lines, next })
    }

    async fn grants(
        &self,
        after: Option<&str>,
        most: usize,
    ) -> Result<Page<GrantLine>, StoreError> {
        let after = after.and_then(|after| Id::parse(after).ok());
        let listed = |rows: &dyn Rows| grant::list(rows, &Filter::default(), after, most);
        let page = self.server.runtime.store.read(listed).await?;
        let line = |(id, grant): &(Id, Grant)| GrantLine::from((id, grant));
        Ok(Page {
            lines: page.grants.iter().map(line).collect(),
            next: page.next.map(|id| id.to_string()),
        })
    }

    async fn revoke_client(&self, id: &str) -> Result<Option<usize>, StoreError> {
        let client = id.to_owned();
        let remove = move |rows: &mut dyn Rows| {
            let found: Option<StoredClient> = table::get(rows, client.as_bytes())?;
            let Some(found) = found else {
                return Ok(None);
            };
            rows.remove(Table::Clients, client.as_bytes())?;
            end_tokens(rows, &found, clock::now()).map(Some)
        };
        let removed = self.server.runtime.store.write(remove).await?;
        let is_known = removed.is_some();
        if is_known {
            self.note("an operator revoked the client", Some(id), None);
        }
        self.server.runtime.revoke(removed.flatten());
        let note = |ended: &Revoked| {
            self.note("an operator revoked the client", Some(id), Some(ended.id));
        };
        let ended = self
            .server
            .end_grants_of(id, EndedBy::Operator, BATCH, note)
            .await?;
        Ok((is_known || ended > 0).then_some(ended))
    }

    async fn revoke_grant(&self, id: &str) -> Result<bool, StoreError> {
        let Ok(id) = Id::parse(id) else {
            return Ok(false);
        };
        let end = move |rows: &mut dyn Rows| {
            let is_known = find(rows, id)?.is_some();
            let ending = grant::end(rows, id, EndedBy::Operator, clock::now())?;
            Ok((is_known, ending.revoked()))
        };
        let (is_known, revoked) = self.server.runtime.store.write(end).await?;
        if let Some(ended) = revoked {
            self.note("an operator revoked the grant", None, Some(ended.id));
        }
        self.server.runtime.revoke(revoked);
        Ok(is_known)
    }
}

impl Desk {
    fn note(&self, reason: &str, client: Option<&str>, grant: Option<Id>) {
        let about = EventSubject {
            client: client.map(str::to_owned),
            grant: grant.map(|id| id.to_string()),
            ..EventSubject::default()
        };
        (self.note)(&AuthorizationEvent::revoked(reason, about));
    }
}

/// Ends the tokens of a client that is removed, if it is a machine: they have no grant that ends.
pub(super) fn end_tokens(
    rows: &mut dyn Rows,
    removed: &StoredClient,
    now: UnixTime,
) -> Result<Option<Revoked>, StoreError> {
    let client = &removed.client;
    let is_machine = client.grant_types.client_credentials;
    let ended = is_machine.then(|| revoked::revoke_machine(rows, &client.id, now));
    ended.transpose()
}

impl Server {
    /// Ends all grants of a client, some in each transaction, and notes each. Returns how many.
    pub(super) async fn end_grants_of(
        &self,
        client: &str,
        why: EndedBy,
        batch: usize,
        note: impl Fn(&Revoked),
    ) -> Result<usize, StoreError> {
        let (mut after, mut ended) = (None, 0);
        loop {
            let (client, now) = (client.to_owned(), clock::now());
            let end = move |rows: &mut dyn Rows| {
                grant::end_all_of_client(rows, &client, why, after, batch, now)
            };
            let done = self.runtime.store.write(end).await?;
            ended += done.ended.len();
            done.ended.iter().for_each(&note);
            self.runtime.revoke(done.ended);
            match done.next {
                None => return Ok(ended),
                next => after = next,
            }
        }
    }
}

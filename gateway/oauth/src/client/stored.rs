//! The row of a client that registered itself.

use mcp_gateway_core::time::UnixTime;
use serde::{Deserialize, Serialize};

use crate::{
    client::model::{Client, ClientOrigin},
    store::{
        rows::{Rows, StoreError, Table},
        table::{self, Row},
        text::{ScopeSetText, UnixTimeText},
    },
};

/// The end of a used client is moved only when this many seconds are gained: not with every token.
const STEP_SECONDS: i64 = 24 * 60 * 60;

/// A client that registered itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredClient {
    /// The client.
    pub client: Client,
    /// The scopes that it named when it registered, as far as the server knows them. They bind a machine only: people decide at
    /// consent, and a client asks for more when a call needs more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeSetText>,
    /// When it is removed unless it gets a token before.
    pub ends: UnixTimeText,
}

impl Row for StoredClient {
    const TABLE: Table = Table::Clients;

    fn ends(&self) -> Option<UnixTime> {
        Some(self.ends.0)
    }
}

impl StoredClient {
    /// When it registered.
    pub const fn registered(&self) -> Option<UnixTime> {
        match &self.client.origin {
            ClientOrigin::Registered { at, .. } | ClientOrigin::Machine { at } => Some(at.0),
            _ => None,
        }
    }
}

/// The client that registered under this id and has not expired.
///
/// # Errors
/// [`StoreError`].
pub fn find(rows: &dyn Rows, id: &str, now: UnixTime) -> Result<Option<StoredClient>, StoreError> {
    let found: Option<StoredClient> = table::get(rows, id.as_bytes())?;
    Ok(found.filter(|stored| now < stored.ends.0))
}

/// Whether a client is still what it was when it was looked up. Only one that registered itself can have changed.
///
/// # Errors
/// [`StoreError`].
pub fn is_still(rows: &dyn Rows, client: &Client, now: UnixTime) -> Result<bool, StoreError> {
    let is_stored = matches!(
        client.origin,
        ClientOrigin::Registered { .. } | ClientOrigin::Machine { .. }
    );
    if !is_stored {
        return Ok(true);
    }
    let found = find(rows, &client.id, now)?;
    Ok(found.is_some_and(|stored| as_used(stored.client) == as_used(client.clone())))
}

/// The client after its first token, which changes nothing else.
fn as_used(mut client: Client) -> Client {
    if let ClientOrigin::Registered { is_used, .. } = &mut client.origin {
        *is_used = true;
    }
    client
}

/// Notes that a client got a token: it stays until `end` at least. A client without a row is left alone.
///
/// # Errors
/// [`StoreError`].
pub fn used(rows: &mut dyn Rows, id: &str, end: UnixTime, now: UnixTime) -> Result<(), StoreError> {
    let Some(mut stored) = find(rows, id, now)? else {
        return Ok(());
    };
    let is_first = match &mut stored.client.origin {
        ClientOrigin::Registered { is_used, .. } => !std::mem::replace(is_used, true),
        _ => false,
    };
    let gained = end.secs().saturating_sub(stored.ends.0.secs());
    if !is_first && gained < STEP_SECONDS {
        return Ok(());
    }
    stored.ends = UnixTimeText(stored.ends.0.max(end));
    table::put(rows, id.as_bytes(), &stored)
}

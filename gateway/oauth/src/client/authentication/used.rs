//! Assertions that were used. Each counts once (RFC 7523 §3: `jti`).

use mcp_gateway_core::time::UnixTime;
use serde::{Deserialize, Serialize};

use crate::store::{
    rows::{Rows, StoreError, Table},
    table::{self, Row},
    text::UnixTimeText,
};

use super::{assertion::AssertionFault, fault::ClientFault, judge::Authenticated};

/// The most used assertions that are remembered. Each is remembered until it has expired.
pub const MAX_ASSERTIONS: u64 = 1_000_000;

/// Separates client id and `jti` in the key of a row: no client id has this byte.
const SEPARATOR: &[u8] = &[0];

/// The row of a used assertion.
#[derive(Debug, Serialize, Deserialize)]
pub struct UsedAssertion {
    ends: UnixTimeText,
}

impl Row for UsedAssertion {
    const TABLE: Table = Table::Assertions;

    fn ends(&self) -> Option<UnixTime> {
        Some(self.ends.0)
    }
}

/// Uses up the assertion of a client, if it sent one, in the transaction of its request.
///
/// # Errors
/// [`StoreError`]; [`ClientFault`] inside, if it was used before or too many are remembered.
pub fn use_assertion(
    rows: &mut dyn Rows,
    authenticated: &Authenticated,
) -> Result<Result<(), ClientFault>, StoreError> {
    let Some(assertion) = &authenticated.assertion else {
        return Ok(Ok(()));
    };
    let (client, id) = (authenticated.client_id.as_bytes(), assertion.id.as_bytes());
    let key = [client, SEPARATOR, id].concat();
    if rows.get(Table::Assertions, &key)?.is_some() {
        return Ok(Err(AssertionFault::Used.into()));
    }
    if rows.count(Table::Assertions)? >= MAX_ASSERTIONS {
        return Ok(Err(ClientFault::Busy));
    }
    let ends = UnixTimeText(assertion.ends);
    table::insert(rows, &key, &UsedAssertion { ends })?;
    Ok(Ok(()))
}

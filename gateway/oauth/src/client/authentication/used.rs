//! Assertions that were used. Each can be used only once (RFC 7523 §3: `jti`): those of clients, and identity assertions.

use aws_lc_rs::digest::{SHA256, digest};
use mcp_gateway_core::time::UnixTime;
use serde::{Deserialize, Serialize};

use crate::id::{ID_BYTES, Id};
use crate::store::{
    rows::{Rows, StoreError, Table},
    table::{self, Row},
    text::UnixTimeText,
};

use super::{
    assertion::{AssertionFault, OnceOnly},
    fault::ClientFault,
    judge::Authenticated,
};

/// The most used assertions that are remembered. Each is remembered until it has expired.
pub const MAX_ASSERTIONS: u64 = 1_000_000;

/// The most of them that one client has: everybody can be a client, and none may use up what all share.
pub const MAX_ASSERTIONS_PER_CLIENT: usize = 1000;

/// Bytes of the key of a row: the client's part, then that of its `jti`.
const KEY_BYTES: usize = 2 * PART_BYTES;

/// Bytes of a digest that are kept. A client that found two `jti` with the same ones could not use the second.
const PART_BYTES: usize = 16;

/// A used assertion: the key of its row, and which use it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedKey {
    key: [u8; KEY_BYTES],
    by: Id,
}

/// What came of using up an assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It is used now, under this key.
    Now(UsedKey),
    /// It was used before.
    Before,
    /// Too many are remembered.
    Full,
}

/// The row of a used assertion.
#[derive(Debug, Serialize, Deserialize)]
pub struct UsedAssertion {
    ends: UnixTimeText,
    /// Which use it was, for those that can be given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

impl UsedAssertion {
    /// The row of something that this use used up, and that is remembered until then.
    pub fn until(ends: UnixTime, by: Id) -> Self {
        Self {
            ends: UnixTimeText(ends),
            by: Some(by.to_string()),
        }
    }

    /// Removes the row of this key, if it is of this use: somebody else may have used it since.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn give_back(rows: &mut dyn Rows, key: &[u8], by: Id) -> Result<(), StoreError> {
        let found: Option<Self> = table::get(rows, key)?;
        match found.is_some_and(|used| used.by == Some(by.to_string())) {
            true => rows.remove(Table::Assertions, key),
            false => Ok(()),
        }
    }
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
    // Clients make a new one for each request: none is given back.
    let by = Id::new([0; ID_BYTES]);
    Ok(
        match use_once(rows, &authenticated.client_id, assertion, by)? {
            Use::Now(_) => Ok(()),
            Use::Before => Err(AssertionFault::Used.into()),
            Use::Full => Err(ClientFault::Busy),
        },
    )
}

/// Uses up an assertion of this owner: a client, or the account of which an identity assertion speaks. No owner takes the room of
/// another. `by` names this use; it is random.
///
/// # Errors
/// [`StoreError`].
pub fn use_once(
    rows: &mut dyn Rows,
    owner: &str,
    assertion: &OnceOnly,
    by: Id,
) -> Result<Use, StoreError> {
    let key = key(owner, assertion);
    if rows.get(Table::Assertions, &key)?.is_some() {
        return Ok(Use::Before);
    }
    if rows.count(Table::Assertions)? >= MAX_ASSERTIONS || is_share_used(rows, &key)? {
        return Ok(Use::Full);
    }
    table::insert(rows, &key, &UsedAssertion::until(assertion.ends, by))?;
    Ok(Use::Now(UsedKey { key, by }))
}

/// Lets an assertion be used again: nobody got the answer.
///
/// # Errors
/// [`StoreError`].
pub fn unuse(rows: &mut dyn Rows, used: &UsedKey) -> Result<(), StoreError> {
    UsedAssertion::give_back(rows, &used.key, used.by)
}

/// Whether the client of this key has used as many as it may. Their keys begin with the same bytes, so its last one is in this place.
fn is_share_used(rows: &dyn Rows, key: &[u8; KEY_BYTES]) -> Result<bool, StoreError> {
    let (client, _) = key.split_at(PART_BYTES);
    let own = rows.starting_with(Table::Assertions, client, MAX_ASSERTIONS_PER_CLIENT)?;
    Ok(own.len() >= MAX_ASSERTIONS_PER_CLIENT)
}

fn key(client: &str, assertion: &OnceOnly) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    let parts = [client, &assertion.id];
    for (place, part) in key.chunks_exact_mut(PART_BYTES).zip(parts) {
        let whole = digest(&SHA256, part.as_bytes());
        for (place, byte) in place.iter_mut().zip(whole.as_ref()) {
            *place = *byte;
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryRows;

    fn used(client: &str, id: String) -> Authenticated {
        Authenticated {
            client_id: client.to_owned(),
            method: "private_key_jwt",
            assertion: Some(OnceOnly {
                id,
                ends: UnixTime::new(1000),
            }),
        }
    }

    #[test]
    fn one_client_cannot_use_up_what_all_share() {
        let mut rows = MemoryRows::default();
        let mut ask = |client: &str, number: usize| {
            use_assertion(&mut rows, &used(client, number.to_string())).unwrap()
        };
        for number in 0..MAX_ASSERTIONS_PER_CLIENT {
            assert_eq!(ask("a", number), Ok(()), "{number}");
        }
        let one_more = ask("a", MAX_ASSERTIONS_PER_CLIENT);
        assert_eq!(one_more, Err(ClientFault::Busy));
        assert_eq!(ask("a", 0), Err(AssertionFault::Used.into()));
        for client in ["", "b", "a0", "c", "d", "e", "f", "g"] {
            assert_eq!(ask(client, 0), Ok(()), "{client}");
        }
    }

    #[test]
    fn a_key_has_the_same_size_whatever_the_client_sends() {
        let mut rows = MemoryRows::default();
        for (client, id) in [
            ("a", "b".to_owned()),
            ("ab", String::new()),
            ("a", "x".repeat(256)),
        ] {
            assert_eq!(use_assertion(&mut rows, &used(client, id)).unwrap(), Ok(()));
        }
        let keys = rows.after(Table::Assertions, &[], 10).unwrap();
        assert_eq!(keys.len(), 3);
        assert!(keys.iter().all(|(key, _)| key.len() == KEY_BYTES));
    }
}

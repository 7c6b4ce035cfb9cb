//! The `grant` claim of machines' access tokens. Nobody allowed them anything, so they have no grant and no row; but each of their
//! tokens can be revoked, and all of a client end with its registration (RFC 7592 §2.3).
//!
//! The first half of the id is a digest of the client id, the second half is the token's own. The first half with zeros stands for all
//! tokens of the client. The first half of a user's grant is random, so no client has the same.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use crate::id::{ID_BYTES, Id};

/// Bytes that all ids of a client have in common.
const CLIENT_BYTES: usize = ID_BYTES / 2;

/// The longest that an access token lives in any configuration: tokens of before a reload may live longer than those of now.
pub const LONGEST_ACCESS_TOKEN: Duration = Duration::from_secs(24 * 60 * 60);

/// The id of one token of this client.
pub fn of_token(client: &str, random: Id) -> Id {
    let client = digest(&SHA256, client.as_bytes());
    let mut id = *random.as_bytes();
    for (own, byte) in id.iter_mut().zip(client.as_ref()).take(CLIENT_BYTES) {
        *own = *byte;
    }
    Id::new(id)
}

/// The id that stands for all tokens of the client that this token is of.
pub fn of_all(token: Id) -> Id {
    let mut id = *token.as_bytes();
    for own in id.iter_mut().skip(CLIENT_BYTES) {
        *own = 0;
    }
    Id::new(id)
}

/// The id that stands for all tokens of the client with this id.
pub fn of_client(client: &str) -> Id {
    of_all(of_token(client, Id::new([0; ID_BYTES])))
}

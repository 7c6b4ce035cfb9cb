//! The registration access token (RFC 7592 §1.2): key id and tag over the client id, in base64url. It is derived, so nothing is stored,
//! and it stays the same as long as the server key exists.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    keys::{KeyId, Purpose, ServerKeys, TAG_BYTES, Tag},
    secret::Secret,
};

/// The token of this client.
pub fn management_token(keys: &ServerKeys, client_id: &str) -> Secret {
    let tag = keys.tag(Purpose::RegistrationToken, &[client_id.as_bytes()]);
    Secret::new(URL_SAFE_NO_PAD.encode([&tag.key[..], &tag.bytes].concat()))
}

/// Whether this is the token of this client, by any key that the server still has.
pub(super) fn is_token_of(keys: &ServerKeys, token: &Secret, client_id: &str) -> bool {
    read(token).is_some_and(|tag| {
        keys.is_tag_of(&tag, Purpose::RegistrationToken, &[client_id.as_bytes()])
    })
}

fn read(token: &Secret) -> Option<Tag> {
    let bytes = URL_SAFE_NO_PAD.decode(token.expose()).ok()?;
    let (key, rest) = bytes.split_first_chunk::<{ size_of::<KeyId>() }>()?;
    let bytes: [u8; TAG_BYTES] = rest.try_into().ok()?;
    Some(Tag { key: *key, bytes })
}

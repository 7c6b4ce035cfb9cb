//! Codes and refresh tokens: what names their row, and a tag that only the server can make. No store has them, and the same one can be
//! made again.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    id::{ID_BYTES, Id},
    keys::{KeyId, Purpose, ServerKeys, TAG_BYTES, Tag},
    secret::Secret,
};

/// Bytes of the generation in a refresh token.
const GENERATION_BYTES: usize = size_of::<u32>();

/// What stands between a refresh token and its hint ([`refresh::hint`](super::refresh::hint)).
pub(super) const HINT: char = '.';

/// The most bytes of a refresh token with its hint.
const MOST_BYTES: usize = 2048;

/// The code of an interaction.
pub(super) fn code(keys: &ServerKeys, interaction: Id) -> Secret {
    write(keys, Purpose::Code, interaction.as_bytes())
}

/// The interaction of a code; none when the server did not make it.
pub(super) fn interaction_of(keys: &ServerKeys, code: &str) -> Option<Id> {
    read::<ID_BYTES>(keys, Purpose::Code, code).map(Id::new)
}

/// The refresh token of a grant and generation.
pub(super) fn refresh_token(keys: &ServerKeys, grant: Id, generation: u32) -> Secret {
    let body = [&grant.as_bytes()[..], &generation.to_be_bytes()].concat();
    write(keys, Purpose::RefreshToken, &body)
}

/// A refresh token without its hint.
pub(super) fn bare(token: &str) -> &str {
    token.split_once(HINT).map_or(token, |(bare, _)| bare)
}

/// The grant and the generation of a refresh token; none when the server did not make it. A hint in it is not judged.
pub(super) fn grant_of(keys: &ServerKeys, token: &str) -> Option<(Id, u32)> {
    const BYTES: usize = ID_BYTES + GENERATION_BYTES;
    if token.len() > MOST_BYTES {
        return None;
    }
    let body = read::<BYTES>(keys, Purpose::RefreshToken, bare(token))?;
    let (grant, generation) = body.split_first_chunk::<ID_BYTES>()?;
    let generation = generation.first_chunk::<GENERATION_BYTES>()?;
    Some((Id::new(*grant), u32::from_be_bytes(*generation)))
}

/// Key id, body, tag; base64url.
fn write(keys: &ServerKeys, purpose: Purpose, body: &[u8]) -> Secret {
    let tag = keys.tag(purpose, &[body]);
    Secret::new(URL_SAFE_NO_PAD.encode([&tag.key[..], body, &tag.bytes].concat()))
}

fn read<const BODY: usize>(keys: &ServerKeys, purpose: Purpose, text: &str) -> Option<[u8; BODY]> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (key, rest) = bytes.split_first_chunk::<{ size_of::<KeyId>() }>()?;
    let (body, tag) = rest.split_first_chunk::<BODY>()?;
    let bytes: [u8; TAG_BYTES] = tag.try_into().ok()?;
    let tag = Tag { key: *key, bytes };
    keys.is_tag_of(&tag, purpose, &[body]).then_some(*body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secret: u8) -> ServerKeys {
        ServerKeys::new(&[[secret; 32]]).unwrap()
    }

    #[test]
    fn what_is_made_is_read_and_made_again() {
        let (keys, id) = (keys(1), Id::new([7; 16]));
        let code = code(&keys, id);
        assert_eq!(interaction_of(&keys, code.expose()), Some(id));
        for generation in [0, 1, u32::MAX] {
            let token = refresh_token(&keys, id, generation);
            assert_eq!(token, refresh_token(&keys, id, generation));
            assert_eq!(grant_of(&keys, token.expose()), Some((id, generation)));
            assert!(token.expose().len() < 80);
        }
    }

    #[test]
    fn what_was_changed_or_is_of_another_kind_or_key_is_refused() {
        let (own, other, id) = (keys(1), keys(2), Id::new([7; 16]));
        let (code, token) = (code(&own, id), refresh_token(&own, id, 3));
        let (code, token) = (code.expose(), token.expose());
        assert_eq!(interaction_of(&other, code), None);
        assert_eq!(grant_of(&other, token), None);
        assert_eq!(interaction_of(&own, token), None);
        assert_eq!(grant_of(&own, code), None);
        for at in 0..token.len() {
            let (before, after) = token.split_at(at);
            let letter = if after.starts_with('A') { 'B' } else { 'A' };
            let changed = format!("{before}{letter}{}", &after[1..]);
            assert_eq!(grant_of(&own, &changed), None, "{at}");
            assert_eq!(grant_of(&own, before), None, "{at}");
        }
        for text in [
            String::new(),
            format!("{token}A"),
            format!("{token}="),
            format!(" {token}"),
            token.to_ascii_uppercase(),
        ] {
            assert_eq!(grant_of(&own, &text), None, "{text}");
        }
    }
}

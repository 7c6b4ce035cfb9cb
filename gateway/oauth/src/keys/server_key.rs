//! Keys that never leave the server. From each key file two are derived: one for tags and digests (HMAC-SHA256), one for sealed
//! texts (AES-256-GCM-SIV, RFC 8452). The first key file is used for what is new; all of them for what exists, so that a key can be
//! rotated without ending what it protects.
//!
//! A tag proves that the server made a token, without a row for each token: a refresh token is its grant, its generation and a tag.
//! So the store has no secret that somebody who reads it could use.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    constant_time::verify_slices_are_equal,
    hmac,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Bytes of the secret in a key file.
pub const SECRET_BYTES: usize = 32;

/// Bytes of a tag.
pub const TAG_BYTES: usize = 32;

/// What names a key: the first bytes of a digest of it.
pub type KeyId = [u8; 4];

/// What a tag or a sealed text is for: one of another purpose is not accepted in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An authorization code.
    Code,
    /// A refresh token.
    RefreshToken,
    /// What a refresh token says of the rows that it will read.
    RefreshHint,
    /// The `jti` of an access token.
    AccessTokenId,
    /// A registration access token (RFC 7592).
    RegistrationToken,
    /// The digest of a client secret.
    ClientSecret,
    /// The digest of a session cookie.
    SessionCookie,
    /// An authorization request on its way through sign-in and consent.
    Interaction,
    /// The keys that sign access tokens, in a store that several processes share.
    SigningKeys,
    /// What a provider gave to be asked again.
    ProviderToken,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Code => b"code",
            Self::RefreshToken => b"refresh token",
            Self::RefreshHint => b"refresh hint",
            Self::AccessTokenId => b"access token id",
            Self::RegistrationToken => b"registration token",
            Self::ClientSecret => b"client secret",
            Self::SessionCookie => b"session cookie",
            Self::Interaction => b"interaction",
            Self::SigningKeys => b"signing keys",
            Self::ProviderToken => b"provider token",
        }
    }
}

/// A tag, and the key that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The key.
    pub key: KeyId,
    /// HMAC-SHA256 of purpose and parts.
    pub bytes: [u8; TAG_BYTES],
}

/// The keys of the server, the newest first. `Debug` does not show them.
pub struct ServerKeys {
    newest: ServerKey,
    older: Vec<ServerKey>,
}

struct ServerKey {
    id: KeyId,
    tags: hmac::Key,
    seals: LessSafeKey,
}

impl fmt::Debug for ServerKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ServerKeys({})", 1 + self.older.len())
    }
}

impl ServerKeys {
    /// From the secrets of the key files, the newest first; none without secrets.
    pub fn new(secrets: &[[u8; SECRET_BYTES]]) -> Option<Self> {
        let mut keys = secrets.iter().filter_map(ServerKey::new);
        Some(Self {
            newest: keys.next()?,
            older: keys.collect(),
        })
    }

    /// The tag of these parts under the newest key. The same parts always have the same tag.
    pub fn tag(&self, purpose: Purpose, parts: &[&[u8]]) -> Tag {
        self.newest.tag(purpose, parts)
    }

    /// The tag of these parts under the key with this id, if the server still has it.
    pub fn tag_by(&self, key: KeyId, purpose: Purpose, parts: &[&[u8]]) -> Option<Tag> {
        Some(self.by_id(key)?.tag(purpose, parts))
    }

    /// Whether the server made this tag for these parts. Takes the same time wherever the tags differ.
    pub fn is_tag_of(&self, tag: &Tag, purpose: Purpose, parts: &[&[u8]]) -> bool {
        self.tag_by(tag.key, purpose, parts)
            .is_some_and(|own| verify_slices_are_equal(&own.bytes, &tag.bytes).is_ok())
    }

    /// A text that only the server can read, for this purpose and context; base64url. The same text is always sealed to the same.
    pub fn seal(&self, purpose: Purpose, context: &[u8], plain: &[u8]) -> String {
        self.newest.seal(purpose, context, plain)
    }

    /// What was sealed for this purpose and context.
    pub fn open(&self, purpose: Purpose, context: &[u8], sealed: &str) -> Option<Vec<u8>> {
        let mut bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let id: KeyId = *bytes.first_chunk()?;
        self.by_id(id)?.open(purpose, context, &mut bytes)
    }

    fn by_id(&self, id: KeyId) -> Option<&ServerKey> {
        let mut all = std::iter::once(&self.newest).chain(&self.older);
        all.find(|key| key.id == id)
    }
}

impl ServerKey {
    fn new(secret: &[u8; SECRET_BYTES]) -> Option<Self> {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = |label: &[u8]| hmac::sign(&root, label);
        let id = *derived(b"mcp-gateway oauth key id 1")
            .as_ref()
            .first_chunk()?;
        let tags = hmac::Key::new(
            hmac::HMAC_SHA256,
            derived(b"mcp-gateway oauth tags 1").as_ref(),
        );
        let seals = UnboundKey::new(
            &AES_256_GCM_SIV,
            derived(b"mcp-gateway oauth seals 1").as_ref(),
        );
        Some(Self {
            id,
            tags,
            seals: LessSafeKey::new(seals.ok()?),
        })
    }

    fn tag(&self, purpose: Purpose, parts: &[&[u8]]) -> Tag {
        let mut context = hmac::Context::with_key(&self.tags);
        for part in std::iter::once(&purpose.label()).chain(parts) {
            // The length first, so that parts cannot run into one another.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let signed = context.sign();
        Tag {
            key: self.id,
            bytes: signed.as_ref().first_chunk().copied().unwrap_or_default(),
        }
    }

    /// Key id, nonce, then the sealed text. The nonce is a tag of the text: GCM-SIV allows that it repeats for the same text.
    fn seal(&self, purpose: Purpose, context: &[u8], plain: &[u8]) -> String {
        let nonce = self.tag(purpose, &[b"nonce", context, plain]).bytes;
        let nonce: [u8; NONCE_LEN] = nonce.first_chunk().copied().unwrap_or_default();
        let mut sealed = plain.to_vec();
        let aad = Aad::from(self.associated(purpose, context));
        let nonce_value = Nonce::assume_unique_for_key(nonce);
        if self
            .seals
            .seal_in_place_append_tag(nonce_value, aad, &mut sealed)
            .is_err()
        {
            // Only a text beyond 2^36 bytes fails. An empty text opens as nothing.
            return String::new();
        }
        URL_SAFE_NO_PAD.encode([&self.id[..], &nonce, &sealed].concat())
    }

    fn open(&self, purpose: Purpose, context: &[u8], bytes: &mut [u8]) -> Option<Vec<u8>> {
        let (_, rest) = bytes.split_at_mut_checked(self.id.len())?;
        let (nonce, sealed) = rest.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let aad = Aad::from(self.associated(purpose, context));
        Some(self.seals.open_in_place(nonce, aad, sealed).ok()?.to_vec())
    }

    fn associated(&self, purpose: Purpose, context: &[u8]) -> [u8; TAG_BYTES] {
        self.tag(purpose, &[b"associated", context]).bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &[u8]) -> ServerKeys {
        let secrets: Vec<_> = secrets.iter().map(|byte| [*byte; SECRET_BYTES]).collect();
        ServerKeys::new(&secrets).unwrap()
    }

    #[test]
    fn a_tag_is_of_one_purpose_and_of_parts_with_their_borders() {
        let keys = keys(&[1]);
        let tag = keys.tag(Purpose::Code, &[b"ab", b"c"]);
        assert!(keys.is_tag_of(&tag, Purpose::Code, &[b"ab", b"c"]));
        for (purpose, parts) in [
            (Purpose::RefreshToken, &[&b"ab"[..], b"c"][..]),
            (Purpose::Code, &[b"a", b"bc"]),
            (Purpose::Code, &[b"abc"]),
            (Purpose::Code, &[b"ab", b"c", b""]),
        ] {
            assert!(
                !keys.is_tag_of(&tag, purpose, parts),
                "{purpose:?} {parts:?}"
            );
        }
    }

    #[test]
    fn a_rotated_key_still_checks_and_opens_what_it_made_until_it_is_removed() {
        let (old, both, new) = (keys(&[1]), keys(&[2, 1]), keys(&[2]));
        let tag = old.tag(Purpose::Code, &[b"a"]);
        let sealed = old.seal(Purpose::Interaction, b"browser", b"text");
        assert!(both.is_tag_of(&tag, Purpose::Code, &[b"a"]));
        assert!(!new.is_tag_of(&tag, Purpose::Code, &[b"a"]));
        assert_ne!(both.tag(Purpose::Code, &[b"a"]), tag);
        let open = |keys: &ServerKeys| keys.open(Purpose::Interaction, b"browser", &sealed);
        assert_eq!(open(&both).as_deref(), Some(&b"text"[..]));
        assert_eq!(open(&new), None);
    }

    #[test]
    fn a_sealed_text_opens_for_its_purpose_and_context_only_and_not_when_changed() {
        let keys = keys(&[1]);
        let sealed = keys.seal(Purpose::Interaction, b"browser", b"text");
        assert_eq!(sealed, keys.seal(Purpose::Interaction, b"browser", b"text"));
        assert_eq!(keys.open(Purpose::Interaction, b"another", &sealed), None);
        assert_eq!(keys.open(Purpose::Code, b"browser", &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(
                keys.open(Purpose::Interaction, b"browser", &changed),
                None,
                "{at}"
            );
        }
        assert_eq!(keys.open(Purpose::Interaction, b"browser", ""), None);
        assert_eq!(format!("{keys:?}"), "ServerKeys(1)");
    }

    #[test]
    fn without_a_secret_there_are_no_keys() {
        assert!(ServerKeys::new(&[]).is_none());
    }
}

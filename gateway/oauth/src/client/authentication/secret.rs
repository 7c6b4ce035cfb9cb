//! Client secrets. The server keeps keyed digests: who reads the store cannot use them, and cannot guess secrets offline.

use crate::{
    client::model::SecretDigest,
    keys::{Purpose, ServerKeys, Tag},
    secret::Secret,
};

/// The digest of a client's secret.
pub fn secret_digest(keys: &ServerKeys, client_id: &str, secret: &Secret) -> SecretDigest {
    let tag = keys.tag(Purpose::ClientSecret, &parts(client_id, secret));
    SecretDigest {
        key: tag.key,
        tag: tag.bytes.to_vec(),
    }
}

/// Whether this is the client's secret. It takes the same time wherever secrets differ.
pub fn is_secret_of(
    keys: &ServerKeys,
    client_id: &str,
    secret: &Secret,
    digest: &SecretDigest,
) -> bool {
    let Ok(bytes) = digest.tag.as_slice().try_into() else {
        return false;
    };
    let tag = Tag {
        key: digest.key,
        bytes,
    };
    keys.is_tag_of(&tag, Purpose::ClientSecret, &parts(client_id, secret))
}

fn parts<'a>(client_id: &'a str, secret: &'a Secret) -> [&'a [u8]; 2] {
    [client_id.as_bytes(), secret.expose().as_bytes()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_of_one_client_and_one_key() {
        let keys = ServerKeys::new(&[[1; 32]]).unwrap();
        let secret = Secret::new("s");
        let digest = secret_digest(&keys, "a", &secret);
        assert!(is_secret_of(&keys, "a", &secret, &digest));
        assert!(!is_secret_of(&keys, "b", &secret, &digest));
        assert!(!is_secret_of(&keys, "a", &Secret::new("t"), &digest));
        assert!(!is_secret_of(&keys, "a", &Secret::new(""), &digest));
        let rotated = ServerKeys::new(&[[2; 32], [1; 32]]).unwrap();
        assert!(is_secret_of(&rotated, "a", &secret, &digest));
        let other = ServerKeys::new(&[[2; 32]]).unwrap();
        assert!(!is_secret_of(&other, "a", &secret, &digest));
        let damaged = SecretDigest {
            tag: Vec::new(),
            ..digest
        };
        assert!(!is_secret_of(&keys, "a", &secret, &damaged));
    }
}

//! The keys of a client that authenticates with `private_key_jwt` (RFC 7591 §2: `jwks`, `jwks_uri`).

use mcp_gateway_core::token::{
    algorithm::Algorithm,
    key_set::{KeyRejection, KeySet},
};
use serde_json::Value;

use crate::client::{foreign_url, model::ClientKeys};

use super::{fault::MetadataFault, members::Metadata};

/// The algorithms that client assertions may be signed with (RFC 8414 §2: `token_endpoint_auth_signing_alg_values_supported`).
pub const SIGNING_ALGORITHMS: [Algorithm; 4] = [
    Algorithm::Rs256,
    Algorithm::Ps256,
    Algorithm::Es256,
    Algorithm::EdDsa,
];

/// The longest key set in a registration or a document, in bytes.
const MAX_INLINE_BYTES: usize = 16 * 1024;

/// The longest name of an algorithm, in bytes.
const MAX_ALGORITHM_BYTES: usize = 32;

/// Reads where the keys are. Exactly one place is named.
pub(super) fn read(metadata: &Metadata<'_>) -> Result<ClientKeys, MetadataFault> {
    check_algorithm(metadata)?;
    let uri = metadata.text("jwks_uri", foreign_url::MAX_FOREIGN_URL_BYTES)?;
    match (metadata.object("jwks")?, uri) {
        (None, None) => Err(MetadataFault::NoKeys),
        (Some(_), Some(_)) => Err(MetadataFault::TwoKeySets),
        (None, Some(uri)) => {
            foreign_url::judge(&uri).map_err(MetadataFault::KeySetUri)?;
            Ok(ClientKeys::Uri(uri))
        }
        (Some(set), None) => {
            let bytes = metadata.raw("jwks").unwrap_or_default();
            check_inline_keys(bytes).map_err(MetadataFault::KeySet)?;
            Ok(ClientKeys::Inline(public_only(set)))
        }
    }
}

/// Says whether these bytes are a key set with a usable key, or why not.
///
/// # Errors
/// A clause for people.
pub fn check_inline_keys(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() > MAX_INLINE_BYTES {
        return Err(format!("is longer than {MAX_INLINE_BYTES} bytes"));
    }
    let parsed = KeySet::parse(bytes).map_err(|error| format!("is not a key set: {error}"))?;
    // It would be stored, and sent back.
    let is_private = |reason| reason == KeyRejection::Private;
    if parsed.rejected.iter().any(|key| is_private(key.reason)) {
        return Err("has a private key".to_owned());
    }
    if !parsed.keys.is_empty() {
        return Ok(());
    }
    Err(parsed.rejected.first().map_or_else(
        || "has no key".to_owned(),
        |key| format!("has no usable key: {}", key.reason),
    ))
}

/// The set without members beside `keys`, which serve nothing.
fn public_only(mut set: Value) -> Value {
    if let Some(members) = set.as_object_mut() {
        members.retain(|name, _| name == "keys");
    }
    set
}

fn check_algorithm(metadata: &Metadata<'_>) -> Result<(), MetadataFault> {
    let name = metadata.text("token_endpoint_auth_signing_alg", MAX_ALGORITHM_BYTES)?;
    match name {
        Some(name)
            if !Algorithm::parse(&name).is_some_and(|one| SIGNING_ALGORITHMS.contains(&one)) =>
        {
            Err(MetadataFault::SigningAlgorithm(name))
        }
        _ => Ok(()),
    }
}

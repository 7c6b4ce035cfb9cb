//! Base64url, and JSON objects with some members changed.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

/// Unpadded base64url (RFC 7515 §2).
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a text in unpadded base64url.
pub fn base64url_decode(text: impl AsRef<[u8]>) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// An object with the members of another one added or replaced; a member that is null there is removed.
pub fn with_members(mut object: Value, members: Value) -> Value {
    let own = object.as_object_mut().expect("an object");
    for (name, value) in members.as_object().expect("an object") {
        if value.is_null() {
            own.remove(name);
        } else {
            own.insert(name.clone(), value.clone());
        }
    }
    object
}

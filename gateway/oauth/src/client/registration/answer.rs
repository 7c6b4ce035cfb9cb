//! The answer to a registration (RFC 7591 §3.2.1, RFC 7592 §3).

use serde_json::{Map, Value, json};

use crate::client::{
    metadata::grant_type_names,
    model::{ClientKeys, ClientMethod},
};

use super::register::Registered;

/// The answer. `register_url` is the URL of the registration endpoint: the client manages itself at its id below it.
pub fn answer(registered: &Registered, register_url: &str) -> Value {
    let client = &registered.stored.client;
    let mut members = Map::new();
    let mut set = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    set("client_id", json!(client.id));
    if let Some(at) = registered.stored.registered() {
        set("client_id_issued_at", json!(at.secs()));
    }
    if let Some(name) = &client.name {
        set("client_name", json!(name));
    }
    // Some clients refuse an empty list.
    if !client.redirect_uris.is_empty() {
        set("redirect_uris", json!(client.redirect_uris));
    }
    set("grant_types", json!(grant_type_names(client.grant_types)));
    let response_types: &[&str] = match client.grant_types.authorization_code {
        true => &["code"],
        false => &[],
    };
    set("response_types", json!(response_types));
    set("token_endpoint_auth_method", json!(client.method.name()));
    if client.requires_proof {
        set("dpop_bound_access_tokens", json!(true));
    }
    if client.requires_certificate {
        set("tls_client_certificate_bound_access_tokens", json!(true));
    }
    if let Some(scope) = &registered.stored.scope {
        set("scope", json!(scope.0.to_string()));
    }
    if let ClientMethod::PrivateKeyJwt(keys) = &client.method {
        match keys {
            ClientKeys::Inline(keys) => set("jwks", keys.clone()),
            ClientKeys::Uri(uri) => set("jwks_uri", json!(uri)),
        }
    }
    if let Some(secret) = &registered.secret {
        set("client_secret", json!(secret.expose()));
        set("client_secret_expires_at", json!(0));
    }
    set(
        "registration_access_token",
        json!(registered.management.expose()),
    );
    let uri = format!("{register_url}/{}", client.id);
    set("registration_client_uri", json!(uri));
    Value::Object(members)
}

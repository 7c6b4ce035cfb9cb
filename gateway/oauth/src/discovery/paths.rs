//! The paths of the endpoints, at the origin that is the issuer: it has no path, so that clients of every revision of MCP find its
//! metadata.

/// The authorization endpoint (RFC 6749 §3.1).
pub const AUTHORIZE: &str = "/authorize";
/// Where the sign-in page sends its form.
pub const SIGN_IN: &str = "/sign-in";
/// Where the consent page sends its form.
pub const CONSENT: &str = "/consent";
/// Where providers send browsers back to, each below it.
pub const CALLBACK: &str = "/callback";
/// Signs a browser out.
pub const SIGN_OUT: &str = "/sign-out";
/// The token endpoint (RFC 6749 §3.2).
pub const TOKEN: &str = "/token";
/// The registration endpoint (RFC 7591 §3). The client configuration endpoint of a client (RFC 7592) is below it.
pub const REGISTER: &str = "/register";
/// The revocation endpoint (RFC 7009 §2).
pub const REVOKE: &str = "/revoke";
/// The introspection endpoint (RFC 7662 §2).
pub const INTROSPECT: &str = "/introspect";
/// The JWK set (RFC 7517 §5).
pub const KEY_SET: &str = "/jwks.json";
/// The style sheet of the pages.
pub const STYLE_SHEET: &str = "/oauth.css";
/// The operator's logo on the pages.
pub const LOGO: &str = "/oauth/logo";
/// Browsers ask for an icon here with every page that names none.
pub const ICON: &str = "/favicon.ico";
/// The metadata (RFC 8414 §3).
pub const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
/// The metadata where OpenID Connect Discovery §4 has it.
pub const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";

/// The most characters of a client id in the path of a client configuration endpoint. Ids of registered clients have 22.
const MOST_CLIENT_ID: usize = 64;

/// The path of the client configuration endpoint of a registered client.
pub fn client_configuration(client_id: &str) -> String {
    format!("{REGISTER}/{client_id}")
}

/// The path where a provider sends browsers back to.
pub fn callback(provider: &str) -> String {
    format!("{CALLBACK}/{provider}")
}

/// The provider that the path of a callback names.
pub fn provider_of(path: &str) -> Option<&str> {
    let name = path.strip_prefix(CALLBACK)?.strip_prefix('/')?;
    is_word(name).then_some(name)
}

/// The client that the path of a client configuration endpoint names.
pub fn client_of(path: &str) -> Option<&str> {
    let id = path.strip_prefix(REGISTER)?.strip_prefix('/')?;
    is_word(id).then_some(id)
}

fn is_word(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MOST_CLIENT_ID).contains(&text.len()) && text.bytes().all(is_allowed)
}

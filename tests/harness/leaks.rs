//! What must never appear: JSON Web Tokens, API keys and registered secrets (`tests/attacks.md` 43, 44, 144).

use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

static SECRETS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Registers a text that must not appear in any log, upstream request or metric of this process's tests.
pub fn secret(text: &str) -> String {
    SECRETS
        .lock()
        .expect("no holder panics")
        .push(text.to_owned());
    text.to_owned()
}

/// The first leak in `text`, if there is one.
pub fn find(text: &str) -> Option<String> {
    jwt(text).or_else(|| api_key(text)).or_else(|| {
        let secrets = SECRETS.lock().expect("no holder panics");
        secrets
            .iter()
            .find(|secret| text.contains(secret.as_str()))
            .cloned()
    })
}

/// The text without assertions of the gateway, which are for upstreams: signed by it, and of their own type.
pub fn without_assertions(text: &str) -> String {
    let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_assertion = |word: &&str| {
        let header = word.split('.').next().unwrap_or_default();
        let header = URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
        String::from_utf8_lossy(&header).contains("\"typ\":\"mcp-assertion+jwt\"")
    };
    let mut words: Vec<_> = text.split(|c| !is_token(c)).filter(is_assertion).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let mut rest = text.to_owned();
    for word in words {
        rest = rest.replace(word, "ASSERTION");
    }
    rest
}

/// A part of a compact JWT begins `eyJ` (`{"` in base64url); sixteen more characters do not occur by chance.
fn jwt(text: &str) -> Option<String> {
    text.match_indices("eyJ").find_map(|(start, _)| {
        let tail = &text[start..];
        let length = tail
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            .count();
        (length > 18 && is_json(&tail[..16])).then(|| tail[..length.min(40)].to_owned())
    })
}

/// An API key: `mgw_` and 36 characters of base 62, not inside of a longer word: sealed values have these characters by chance.
fn api_key(text: &str) -> Option<String> {
    let is_inside = |start: usize| {
        let before = text[..start].bytes().next_back();
        before.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let mut found = text.match_indices("mgw_").filter(|(at, _)| !is_inside(*at));
    found.find_map(|(start, prefix)| {
        let tail = text[start + prefix.len()..].bytes();
        let length = tail.take_while(u8::is_ascii_alphanumeric).count();
        (length >= 36).then(|| text[start..start + 12].to_owned())
    })
}

/// Whether these characters encode text, as every JOSE header does: among thousands of sealed session ids some have an
/// `eyJ` by chance.
fn is_json(encoded: &str) -> bool {
    let decoded = URL_SAFE_NO_PAD.decode(encoded).unwrap_or_default();
    decoded.starts_with(b"{\"") && decoded.iter().all(|byte| (b' '..=b'~').contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_tokens_and_registered_secrets_only() {
        secret("canary-0123");
        assert!(find("authorization: Bearer eyJhbGciOiJFUzI1NiJ9.x.y").is_some());
        assert!(find("x canary-0123 y").is_some());
        let own = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"a","typ":"mcp-assertion+jwt"}"#);
        let claims = URL_SAFE_NO_PAD.encode(r#"{"aud":"http://127.0.0.1:9/mcp"}"#);
        let assertion = format!("x-gateway-assertion: {own}.{claims}.c2ln");
        assert!(find(&assertion).is_some());
        assert!(find(&without_assertions(&assertion)).is_none());
        let both = format!("{assertion} eyJhbGciOiJFUzI1NiJ9.x.y");
        assert!(find(&without_assertions(&both)).is_some());
        assert!(find("key mgw_0123456789ABCDEFGHIJKLMNOPQRST4PMbyp.").is_some());
        assert!(find("mgw_ begins a key, mgw_0123456789 is none").is_none());
        assert!(find("k3Lmgw_0123456789ABCDEFGHIJKLMNOPQRST4PMbyp").is_none());
        assert!(find("v1.eyJ_____-_____7-_____random").is_none());
        assert!(find("eyJ is how JSON begins in base64").is_none());
    }
}

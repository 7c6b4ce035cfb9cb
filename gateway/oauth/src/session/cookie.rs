//! The cookie that names a browser (RFC 6265). It is made before anybody signs in, so that forms are bound to the browser that got
//! them; with a sign-in the browser gets a new one, so that nobody can know it beforehand (session fixation).
//!
//! Its value is a server key's id and 32 random bytes. The store has only a tag of it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderValue;

use crate::{
    keys::{KeyId, Purpose, ServerKeys, TAG_BYTES},
    secret::Secret,
};

/// Random bytes of a cookie.
pub const COOKIE_BYTES: usize = 32;

/// Bytes of a value: the key's id before the random ones.
const VALUE_BYTES: usize = size_of::<KeyId>() + COOKIE_BYTES;

/// The most pairs of a `Cookie` field that are looked at: other programs on the same host have cookies too.
const MAX_PAIRS: usize = 200;

/// How the browser reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// By https: the cookie has `Secure`, and a name that no other host can set (`__Host-`).
    Tls,
    /// By http on a loopback address. Safari and HTTP libraries ignore cookies with `Secure` there.
    PlainLoopback,
}

impl Transport {
    /// The name of the cookie.
    pub const fn cookie_name(self) -> &'static str {
        match self {
            Self::Tls => "__Host-mcp-session",
            Self::PlainLoopback => "mcp-session",
        }
    }

    pub(crate) const fn attributes(self) -> &'static str {
        match self {
            Self::Tls => "; Path=/; Secure; HttpOnly; SameSite=Lax",
            Self::PlainLoopback => "; Path=/; HttpOnly; SameSite=Lax",
        }
    }
}

/// What names a browser in the store and in sealed forms: a tag of its cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Browser([u8; TAG_BYTES]);

impl Browser {
    /// Its bytes: the key of the session's row.
    pub const fn as_bytes(&self) -> &[u8; TAG_BYTES] {
        &self.0
    }

    /// Its text, for a row.
    pub fn to_text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// From its text.
    pub fn from_text(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

/// A cookie of the server, and the browser it names.
#[derive(Clone, Debug)]
pub struct Cookie {
    value: Secret,
    browser: Browser,
}

impl Cookie {
    /// A new cookie of bytes that the caller drew at random.
    pub fn new(keys: &ServerKeys, random: [u8; COOKIE_BYTES]) -> Self {
        let tag = keys.tag(Purpose::SessionCookie, &[&random]);
        Self {
            value: Secret::new(URL_SAFE_NO_PAD.encode([&tag.key[..], &random].concat())),
            browser: Browser(tag.bytes),
        }
    }

    /// From the `Cookie` fields of a request. A browser without the cookie has none, and so has one whose cookie is malformed, was
    /// made with a key that the server no longer has, or is there with two values: it is treated as one that was never here.
    pub fn parse<'a>(
        fields: impl IntoIterator<Item = &'a [u8]>,
        transport: Transport,
        keys: &ServerKeys,
    ) -> Option<Self> {
        Self::read(value(fields, transport.cookie_name())?, keys)
    }

    fn read(value: &str, keys: &ServerKeys) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(value).ok()?;
        let bytes: [u8; VALUE_BYTES] = bytes.try_into().ok()?;
        let (key, random) = bytes.split_first_chunk()?;
        let tag = keys.tag_by(*key, Purpose::SessionCookie, &[random])?;
        Some(Self {
            value: Secret::new(value),
            browser: Browser(tag.bytes),
        })
    }

    /// The browser that it names.
    pub const fn browser(&self) -> &Browser {
        &self.browser
    }

    /// The `Set-Cookie` field. The browser forgets the cookie when it is closed; when the session ends is written in its row.
    pub fn set(&self, transport: Transport) -> HeaderValue {
        field(transport, self.value.expose(), "")
    }
}

/// The value of the cookie with this name, in the `Cookie` fields of a request; none where it is there with two values.
pub(crate) fn value<'a>(fields: impl IntoIterator<Item = &'a [u8]>, name: &str) -> Option<&'a str> {
    let pairs = fields
        .into_iter()
        .flat_map(|field| field.split(|byte| *byte == b';'))
        .take(MAX_PAIRS);
    let mut values = pairs.filter_map(|pair| value_of(pair, name));
    let value = values.next()?;
    if values.any(|other| other != value) {
        return None;
    }
    std::str::from_utf8(value).ok()
}

/// The `Set-Cookie` field that removes the cookie.
pub fn clear(transport: Transport) -> HeaderValue {
    field(transport, "", "; Max-Age=0")
}

fn field(transport: Transport, value: &str, more: &str) -> HeaderValue {
    let (name, attributes) = (transport.cookie_name(), transport.attributes());
    let field = HeaderValue::try_from(format!("{name}={value}{attributes}{more}"));
    // A name and base64url are always a legal field.
    let mut field = field.unwrap_or_else(|_| HeaderValue::from_static(""));
    field.set_sensitive(true);
    field
}

/// The value of a pair with this name.
fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let rest = pair.trim_ascii().strip_prefix(name.as_bytes())?;
    rest.strip_prefix(b"=")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(seeds: &[u8]) -> ServerKeys {
        let secrets: Vec<_> = seeds.iter().map(|seed| [*seed; 32]).collect();
        ServerKeys::new(&secrets).unwrap()
    }

    fn parse(fields: &[&str], transport: Transport, keys: &ServerKeys) -> Option<Cookie> {
        Cookie::parse(fields.iter().map(|field| field.as_bytes()), transport, keys)
    }

    #[test]
    fn a_cookie_has_the_attributes_of_its_transport_and_is_not_printed() {
        let cookie = Cookie::new(&keys(&[1]), [7; COOKIE_BYTES]);
        let value = cookie.value.expose();
        for (transport, expected) in [
            (
                Transport::Tls,
                format!("__Host-mcp-session={value}; Path=/; Secure; HttpOnly; SameSite=Lax"),
            ),
            (
                Transport::PlainLoopback,
                format!("mcp-session={value}; Path=/; HttpOnly; SameSite=Lax"),
            ),
        ] {
            assert_eq!(cookie.set(transport), expected.as_str());
            assert_eq!(format!("{:?}", cookie.set(transport)), "Sensitive");
        }
        assert!(!format!("{cookie:?}").contains(value));
        assert_eq!(
            clear(Transport::Tls),
            "__Host-mcp-session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"
        );
    }

    #[test]
    fn the_cookie_is_found_among_others_and_only_under_its_exact_name() {
        let keys = keys(&[1]);
        let cookie = Cookie::new(&keys, [7; COOKIE_BYTES]);
        let value = cookie.value.expose();
        let found = |fields: &[&str]| {
            let found = parse(fields, Transport::Tls, &keys)?;
            Some(found.browser)
        };
        let own = format!("__Host-mcp-session={value}");
        for fields in [
            vec![own.as_str()],
            vec!["a=b", &format!("c=d; {own};e=f")],
            vec![&format!("  {own}  ")],
            vec![&format!("{own}; {own}")],
        ] {
            assert_eq!(found(&fields), Some(cookie.browser), "{fields:?}");
        }
        let other = Cookie::new(&keys, [8; COOKIE_BYTES]);
        let other = other.value.expose();
        for fields in [
            vec![],
            vec![""],
            vec![&format!("mcp-session={value}")[..]],
            vec![&format!("__host-mcp-session={value}")],
            vec![&format!("x__Host-mcp-session={value}")],
            vec![&format!("__Host-mcp-session ={value}")],
            vec![&format!("__Host-mcp-session=\"{value}\"")],
            vec![&format!("{own}A")],
            vec!["__Host-mcp-session="],
            vec!["__Host-mcp-session=AAAA"],
            vec!["__Host-mcp-session=\u{ff}"],
            vec![&format!("{own}; __Host-mcp-session={other}")],
            vec![&own, &format!("__Host-mcp-session={other}")],
            vec![&format!("{}{own}", "a=b;".repeat(MAX_PAIRS))],
        ] {
            assert_eq!(found(&fields), None, "{fields:?}");
        }
    }

    #[test]
    fn a_cookie_names_the_same_browser_after_the_server_key_was_rotated() {
        let cookie = Cookie::new(&keys(&[1]), [7; COOKIE_BYTES]);
        let pair = format!("mcp-session={}", cookie.value.expose());
        let found = |seeds: &[u8]| {
            let found = parse(&[&pair], Transport::PlainLoopback, &keys(seeds))?;
            Some(found.browser)
        };
        assert_eq!(found(&[2, 1]), Some(cookie.browser));
        assert_eq!(found(&[2]), None);
    }

    #[test]
    fn a_browser_is_read_as_it_is_written() {
        let cookie = Cookie::new(&keys(&[1]), [7; COOKIE_BYTES]);
        let text = cookie.browser.to_text();
        assert_eq!(Browser::from_text(&text), Some(cookie.browser));
        assert_eq!(Browser::from_text("AAAA"), None);
    }
}

//! A redirect URI, and whether one that was sent fits one that was registered.

use serde::{Deserialize, Serialize};

use super::{
    error::{MOST_BYTES, RedirectUriError},
    host,
    parts::Parts,
    scheme::{self, OwnOrigin, RedirectRules},
    text, whatwg,
};

/// A redirect URI that every program reads alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri {
    text: String,
    parts: Parts,
}

/// How people see where an answer goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownDestination {
    /// The scheme. It belongs to the host: neither is shown without the other.
    pub scheme: String,
    /// The host in small letters, with its port where one is written; empty for `scheme:/path`. After a private-use scheme it is a
    /// word of the program that registered the scheme, not a host of the web.
    pub host: String,
    /// Whether the answer stays on the person's own machine, where any program may receive it.
    pub is_loopback: bool,
    /// Whether the scheme is a private-use one: whichever program registered it on the person's machine receives the answer.
    pub is_private_scheme: bool,
}

impl RedirectUri {
    /// Reads a redirect URI.
    ///
    /// # Errors
    /// [`RedirectUriError`]: what is wrong with it.
    pub fn parse(text: &str, rules: &RedirectRules) -> Result<Self, RedirectUriError> {
        let uri = Self::read(text, |scheme| rules.check_listed(scheme))?;
        match rules.own.as_ref().is_some_and(|own| uri.is_at(own)) {
            true => Err(RedirectUriError::OwnOrigin),
            false => Ok(uri),
        }
    }

    /// Its text, letter for letter.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its port, where one is written.
    pub const fn port(&self) -> Option<u16> {
        self.parts.port
    }

    /// Its query without the `?`, where one is written.
    pub fn query(&self) -> Option<&str> {
        self.parts.query.as_deref()
    }

    /// Whether its port may be another one in each request: http on the own machine (RFC 8252 §7.3).
    pub fn is_port_free(&self) -> bool {
        self.parts.scheme == "http"
    }

    /// How people see it.
    pub fn shown(&self) -> ShownDestination {
        let parts = &self.parts;
        let host = parts.host.as_deref().unwrap_or_default();
        let port = parts.port.map(|port| format!(":{port}"));
        let port = port.unwrap_or_default();
        ShownDestination {
            scheme: parts.scheme.clone(),
            host: format!("{}{port}", host.to_ascii_lowercase()),
            is_loopback: !parts.is_private_scheme() && host::is_loopback(host),
            is_private_scheme: parts.is_private_scheme(),
        }
    }

    /// Whether it is at this origin. The loopback hosts are one machine.
    fn is_at(&self, origin: &OwnOrigin) -> bool {
        let parts = &self.parts;
        let default = if parts.scheme == "https" { 443 } else { 80 };
        let host = parts.host.as_deref().unwrap_or_default();
        let is_host = host.eq_ignore_ascii_case(&origin.host)
            || (host::is_loopback(host) && host::is_loopback(&origin.host));
        parts.scheme == origin.scheme && parts.port.unwrap_or(default) == origin.port && is_host
    }

    fn read(
        text: &str,
        check_scheme: impl Fn(&str) -> Result<(), RedirectUriError>,
    ) -> Result<Self, RedirectUriError> {
        match text.len() {
            0 => return Err(RedirectUriError::Empty),
            1..=MOST_BYTES => text::check_plain(text)?,
            _ => return Err(RedirectUriError::TooLong),
        }
        let (scheme, rest) = scheme::split(text)?;
        check_scheme(scheme)?;
        let parts = Parts::read(scheme, rest)?;
        whatwg::check(text, &parts)?;
        let text = text.to_owned();
        Ok(Self { text, parts })
    }
}

/// Whether a redirect URI that was sent is one that was registered: the same text, or http on the same loopback host with the same
/// path and query, on any port (RFC 8252 §7.3, OAuth 2.1 §2.3.1).
pub fn fits(registered: &RedirectUri, sent: &RedirectUri) -> bool {
    if registered.text == sent.text {
        return true;
    }
    let (own, other) = (&registered.parts, &sent.parts);
    registered.is_port_free()
        && sent.is_port_free()
        && own.host == other.host
        && own.requested_path() == other.requested_path()
        && own.query == other.query
}

impl TryFrom<String> for RedirectUri {
    type Error = RedirectUriError;

    /// Reads one that was accepted before, in a row or a sealed text: whether its scheme is listed was judged then.
    fn try_from(text: String) -> Result<Self, RedirectUriError> {
        Self::read(&text, |_| Ok(()))
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> Self {
        uri.text
    }
}

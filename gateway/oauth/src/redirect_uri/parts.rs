//! The parts of a redirect URI (RFC 3986 §3), as its text has them.

use super::{authority::authority, error::RedirectUriError, host, path, scheme, text};

/// Its parts. What is not written is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// The scheme.
    pub(super) scheme: String,
    /// The host, an IPv6 address with its brackets; none for `scheme:/path`.
    pub(super) host: Option<String>,
    /// The port.
    pub(super) port: Option<u16>,
    /// The path, perhaps empty.
    pub(super) path: String,
    /// The query without the `?`.
    pub(super) query: Option<String>,
}

impl Parts {
    /// Reads what follows a scheme and its colon.
    pub(super) fn read(scheme: &str, rest: &str) -> Result<Self, RedirectUriError> {
        text::check_characters(rest)?;
        if rest.contains('#') {
            return Err(RedirectUriError::Fragment);
        }
        let (place, query) = match rest.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (rest, None),
        };
        let parts = Self::placed(scheme, place, query)?;
        path::check(&parts.path)?;
        query.map_or(Ok(()), path::check_query)?;
        parts.check_private()?;
        Ok(parts)
    }

    /// Whether the scheme is a private-use one.
    pub(super) fn is_private_scheme(&self) -> bool {
        scheme::is_private(&self.scheme)
    }

    /// The path that a request has: without one it is `/`.
    pub(super) fn requested_path(&self) -> &str {
        match self.path.as_str() {
            "" if !self.is_private_scheme() => "/",
            path => path,
        }
    }

    /// From the scheme, what stands between it and the query, and the query.
    fn placed(scheme: &str, place: &str, query: Option<&str>) -> Result<Self, RedirectUriError> {
        let parts = |host: Option<&str>, port, path: &str| Self {
            scheme: scheme.to_owned(),
            host: host.map(str::to_owned),
            port,
            path: path.to_owned(),
            query: query.map(str::to_owned),
        };
        let Some(rest) = place.strip_prefix("//") else {
            let is_path = scheme::is_private(scheme) && place.starts_with('/');
            let hostless = is_path.then(|| parts(None, None, place));
            return hostless.ok_or(RedirectUriError::NoAuthority);
        };
        let end = rest.find('/').unwrap_or(rest.len());
        let (written, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let authority = authority(written)?;
        check_host(scheme, authority.host)?;
        Ok(parts(Some(authority.host), authority.port, path))
    }

    /// What else holds for private-use schemes: no port, and nothing in the path that looks like the beginning of a web address.
    fn check_private(&self) -> Result<(), RedirectUriError> {
        if !self.is_private_scheme() {
            return Ok(());
        }
        if self.port.is_some() {
            return Err(RedirectUriError::PrivatePort);
        }
        if self.path.contains("//") {
            return Err(RedirectUriError::LooksLikeWebHost(self.path.clone()));
        }
        Ok(())
    }
}

fn check_host(scheme: &str, host: &str) -> Result<(), RedirectUriError> {
    if scheme::is_private(scheme) {
        return host::check_private(host);
    }
    host::check(host)?;
    if scheme == "http" && !host::is_loopback(host) {
        return Err(RedirectUriError::PlainHttp(host.to_owned()));
    }
    Ok(())
}

//! The authority of a redirect URI: its host and its port, and nothing before them.

use super::error::RedirectUriError;

/// Host and port as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    /// The host, an IPv6 address with its brackets.
    pub(super) host: &'a str,
    /// The port.
    pub(super) port: Option<u16>,
}

/// Reads an authority.
pub(super) fn authority(text: &str) -> Result<Authority<'_>, RedirectUriError> {
    if text.contains('@') {
        return Err(RedirectUriError::UserInfo);
    }
    let (host, port) = split(text)?;
    if host.is_empty() {
        return Err(RedirectUriError::EmptyHost);
    }
    let port = port.map(number).transpose()?;
    Ok(Authority { host, port })
}

fn split(text: &str) -> Result<(&str, Option<&str>), RedirectUriError> {
    let end = match text.rfind(']') {
        Some(end) => end + 1,
        None if text.starts_with('[') => text.len(),
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None => match rest.chars().next() {
            Some(character) => Err(RedirectUriError::HostCharacter(character)),
            None => Ok((host, None)),
        },
    }
}

fn number(port: &str) -> Result<u16, RedirectUriError> {
    if port.is_empty() {
        return Err(RedirectUriError::EmptyPort);
    }
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || (port.len() > 1 && port.starts_with('0')) {
        return Err(RedirectUriError::PortNotANumber(port.to_owned()));
    }
    match port.parse::<u16>() {
        Ok(0) => Err(RedirectUriError::PortZero),
        Ok(number) => Ok(number),
        Err(_) => Err(RedirectUriError::PortTooLarge(port.to_owned())),
    }
}

//! The URI of an `endpoint` event, resolved to what the gateway asks its MCP server for.
//!
//! Path and query stay as the server wrote them, byte for byte: some servers refuse another final slash or another escape. So nothing
//! is normalised (RFC 3986 §6), and a URI that another reader could normalise into another one is refused. Only the dots at the
//! beginning of a relative path are resolved (RFC 3986 §5.2).

use http::uri::PathAndQuery;

use crate::http::authority::{Authority, Scheme};
use crate::refusal::{
    fault::Fault,
    found::{Found, Listed},
    reason::Reason,
};

/// The longest URI of an `endpoint` event, in bytes.
pub const MAX_ENDPOINT_URI: usize = 2048;

/// Characters that no URI has (RFC 3986 §2), those that readers take for others, and the fragment's, which is never sent.
const NOT_ALLOWED: &[u8] = b"\"#<>\\^`{|}";

/// The MCP server whose URI is resolved.
#[derive(Clone, Debug)]
pub struct Server<'a> {
    /// How it is reached.
    pub scheme: Scheme,
    /// Its authority, and the `Host` that it is sent: it may call itself so.
    pub authorities: Vec<Authority>,
    /// The path of its event stream.
    pub path: &'a str,
}

impl Server<'_> {
    /// Path and query of a URI of this server.
    ///
    /// # Errors
    /// [`Reason::EndpointOrigin`] for a URI of another origin, [`Reason::UpstreamEndpoint`] for one that cannot be used.
    pub fn resolve(&self, uri: &str) -> Result<String, Fault> {
        check_text(uri)?;
        let target = match (scheme(uri), uri.strip_prefix("//")) {
            (Some((name, rest)), _) => self.after_scheme(name, rest)?,
            (None, Some(rest)) => self.after_authority(rest)?,
            (None, None) if uri.starts_with('/') => uri.to_owned(),
            (None, None) if uri.starts_with('?') => format!("{}{uri}", self.path),
            (None, None) => self.relative(uri)?,
        };
        check_target(&target)?;
        Ok(target)
    }

    fn after_scheme(&self, name: &str, rest: &str) -> Result<String, Fault> {
        let own = name.eq_ignore_ascii_case(self.scheme.as_str());
        match rest.strip_prefix("//") {
            Some(rest) if own => self.after_authority(rest),
            Some(rest) => Err(self.another_origin(&format!("{name}://{}", until_path(rest).0))),
            None => Err(self.another_origin(name)),
        }
    }

    /// The text after two slashes: the server's authority, and what is asked there.
    fn after_authority(&self, rest: &str) -> Result<String, Fault> {
        let (authority, target) = until_path(rest);
        let named = Authority::parse(authority)
            .ok()
            .map(|named| named.for_scheme(self.scheme));
        let mut own = self.authorities.iter().cloned();
        if !own.any(|own| Some(own.for_scheme(self.scheme)) == named) {
            return Err(self.another_origin(authority));
        }
        Ok(match target.starts_with('/') {
            true => target.to_owned(),
            false => format!("/{target}"),
        })
    }

    /// A path that is relative to the folder of the event stream.
    fn relative(&self, uri: &str) -> Result<String, Fault> {
        let mut folder = folder(self.path);
        let mut rest = uri;
        loop {
            if let Some(behind) = rest.strip_prefix("./") {
                rest = behind;
            } else if let Some(behind) = rest.strip_prefix("../") {
                let above = folder.strip_suffix('/').unwrap_or_default();
                folder = self::folder(above);
                rest = behind;
            } else {
                break;
            }
        }
        match folder.is_empty() || rest.is_empty() {
            true => Err(unusable(
                "the URI of the endpoint event does not name a path of the MCP server",
            )),
            false => Ok(format!("{folder}{rest}")),
        }
    }

    fn another_origin(&self, found: &str) -> Fault {
        let own: Vec<_> = self.authorities.iter().map(ToString::to_string).collect();
        let own = Listed(own.iter().map(String::as_str));
        let detail = format!(
            "the URI of the endpoint event is of {}; accepted: {} of {own} (resources.upstream)",
            Found(found),
            self.scheme
        );
        Fault::new(Reason::EndpointOrigin, detail)
    }
}

fn unusable(detail: &'static str) -> Fault {
    Fault::new(Reason::UpstreamEndpoint, detail)
}

fn check_text(uri: &str) -> Result<(), Fault> {
    if uri.len() > MAX_ENDPOINT_URI {
        let detail = format!(
            "the URI of the endpoint event has {} bytes, more than {MAX_ENDPOINT_URI} (a fixed limit)",
            uri.len()
        );
        return Err(Fault::limit(Reason::UpstreamEndpoint, detail));
    }
    let is_of_uri = |byte: u8| byte.is_ascii_graphic() && !NOT_ALLOWED.contains(&byte);
    match (uri.is_empty(), uri.bytes().all(is_of_uri)) {
        (true, _) => Err(unusable("the endpoint event has no URI")),
        (false, false) => Err(unusable(
            "the URI of the endpoint event has a character that URIs do not have, or a fragment",
        )),
        (false, true) => Ok(()),
    }
}

/// Refuses what a reader could normalise into another path, and what cannot be a request target.
fn check_target(target: &str) -> Result<(), Fault> {
    let path = target.split('?').next().unwrap_or(target);
    if path.split('/').any(is_dots) {
        return Err(unusable(
            "the path of the URI of the endpoint event has dot segments",
        ));
    }
    let parsed: Option<PathAndQuery> = target.parse().ok();
    match parsed.is_some_and(|parsed| parsed.as_str() == target) && !target.starts_with("//") {
        true => Ok(()),
        false => Err(unusable(
            "the URI of the endpoint event cannot be a request target",
        )),
    }
}

/// Whether some reader takes this segment for `.` or `..`.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

/// The scheme of an absolute URI, and what follows the colon (RFC 3986 §3.1).
fn scheme(uri: &str) -> Option<(&str, &str)> {
    let (name, rest) = uri.split_once(':')?;
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let is_scheme = name.starts_with(|c: char| c.is_ascii_alphabetic());
    (is_scheme && name.chars().all(is_of_scheme)).then_some((name, rest))
}

/// The authority at the beginning of a text, and what follows it.
fn until_path(text: &str) -> (&str, &str) {
    let end = text.find(['/', '?']).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// A path up to its last slash.
fn folder(path: &str) -> &str {
    let end = path.rfind('/').map_or(0, |at| at + 1);
    path.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(path: &str) -> Server<'_> {
        let authorities = ["10.0.0.5:9000", "MCP.internal"];
        let authorities = authorities.map(|text| Authority::parse(text).unwrap());
        Server {
            scheme: Scheme::Http,
            authorities: authorities.into(),
            path,
        }
    }

    #[test]
    fn uris_of_the_server_keep_every_byte_of_path_and_query() {
        for (path, uri, expected) in [
            (
                "/sse",
                "/messages/?session_id=0f",
                "/messages/?session_id=0f",
            ),
            ("/sse", "/messages?sessionId=a-b", "/messages?sessionId=a-b"),
            ("/sse", "/m%20x//y/?a=%2F&b=..", "/m%20x//y/?a=%2F&b=.."),
            ("/a/sse", "message?s=1", "/a/message?s=1"),
            ("/a/sse/", "message?s=1", "/a/sse/message?s=1"),
            ("/a/sse", "./message", "/a/message"),
            ("/a/b/sse", "../../m/?x", "/m/?x"),
            ("/sse", "?session=1", "/sse?session=1"),
            ("/sse", "http://10.0.0.5:9000/m/?x", "/m/?x"),
            ("/sse", "HTTP://mcp.INTERNAL:80/m", "/m"),
            ("/sse", "http://mcp.internal?x", "/?x"),
            ("/sse", "//mcp.internal/m", "/m"),
            ("/sse", "/m:1/a", "/m:1/a"),
            ("/sse", "m/a:1", "/m/a:1"),
        ] {
            let resolved = server(path).resolve(uri);
            assert_eq!(resolved.as_deref(), Ok(expected), "{path} {uri}");
        }
    }

    #[test]
    fn a_uri_of_another_origin_is_refused() {
        for uri in [
            "https://10.0.0.5:9000/m",
            "http://10.0.0.5/m",
            "http://10.0.0.5:9001/m",
            "http://evil.example/m",
            "http://mcp.internal.evil.example/m",
            "http://mcp.internal@evil.example/m",
            "http://evil.example@mcp.internal/m",
            "http://mcp.internal./m",
            "http:///m",
            "http:/m",
            "http:m",
            "//evil.example/m",
            "///m",
            "ws://mcp.internal/m",
            "javascript:alert(1)",
            "m:1",
            "unix:/run/x.sock",
        ] {
            let refused = server("/sse").resolve(uri).map_err(|fault| fault.reason);
            assert_eq!(refused, Err(Reason::EndpointOrigin), "{uri}");
        }
    }

    #[test]
    fn a_uri_that_cannot_be_used_is_refused() {
        let long = format!("/{}", "x".repeat(MAX_ENDPOINT_URI));
        for uri in [
            "",
            " /m",
            "/m ",
            "/m\n",
            "/m x",
            "/gr\u{fc}n",
            "/m#x",
            "\\\\evil.example\\m",
            "/\\evil.example/m",
            "/a/../m",
            "/a/./m",
            "/a/%2e%2E/m",
            "/..",
            "..",
            "./",
            "../../m",
            "http://mcp.internal//evil.example/m",
            "/{x}",
            &long,
        ] {
            let refused = server("/sse").resolve(uri).map_err(|fault| fault.reason);
            assert_eq!(refused, Err(Reason::UpstreamEndpoint), "{uri}");
        }
        let longest = &long[..MAX_ENDPOINT_URI];
        assert_eq!(server("/sse").resolve(longest).as_deref(), Ok(longest));
    }

    #[test]
    fn the_detail_names_the_origins_and_nothing_of_path_and_query() {
        let fault = server("/sse")
            .resolve("https://evil.example/m?session=secret")
            .unwrap_err();
        let expected = "the URI of the endpoint event is of `https://evil.example`; accepted: http of `10.0.0.5:9000`, `mcp.internal` (resources.upstream)";
        assert_eq!(fault.detail, expected);
    }
}

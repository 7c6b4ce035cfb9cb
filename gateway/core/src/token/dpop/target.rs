//! The URI that a proof is for (`htu`), without query and fragment (RFC 9449 §4.3). Only the case of scheme and host, a default port
//! and an empty path may differ: a path in another spelling is another path.

use crate::http::authority::{Authority, Scheme};

/// The longest URI, in bytes.
const MAX_URI_BYTES: usize = 4096;

/// Scheme, authority and path of a URI.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    scheme: Scheme,
    authority: Authority,
    path: &'a str,
}

impl<'a> Target<'a> {
    pub(super) fn parse(uri: &'a str) -> Option<Self> {
        if uri.len() > MAX_URI_BYTES {
            return None;
        }
        let (scheme, rest) = uri.split_once("://")?;
        let scheme = Scheme::parse(&scheme.to_ascii_lowercase())?;
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let slash = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(slash);
        let authority = Authority::parse(authority).ok()?;
        Some(Self {
            scheme,
            authority: authority.for_scheme(scheme),
            path: if path.is_empty() { "/" } else { path },
        })
    }

    /// Whether it is the same as this one.
    pub(super) fn is(&self, expected: &str) -> bool {
        Target::parse(expected).is_some_and(|expected| *self == expected)
    }
}

/// What may be shown of a URI that a client sent: no query and no fragment, which may have secrets, and no user information.
pub(super) fn shown(uri: &str) -> String {
    let uri = uri.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = uri.split_once("://") else {
        return after_user(uri).to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    format!("{scheme}://{}{path}", after_user(authority))
}

fn after_user(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, after)| after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_differs_in_nothing_but_case_default_port_query_and_fragment() {
        let expected = "https://mcp.example.com/mcp";
        for (htu, same) in [
            ("https://mcp.example.com/mcp", true),
            ("HTTPS://MCP.Example.com/mcp", true),
            ("https://mcp.example.com:443/mcp", true),
            ("https://mcp.example.com/mcp?a=b", true),
            ("https://mcp.example.com/mcp#x", true),
            ("https://mcp.example.com/mcp?a#b?c", true),
            ("https://mcp.example.com/mcp/", false),
            ("https://mcp.example.com/MCP", false),
            ("https://mcp.example.com/%6dcp", false),
            ("https://mcp.example.com/a/../mcp", false),
            ("https://mcp.example.com/./mcp", false),
            ("https://mcp.example.com//mcp", false),
            ("https://mcp.example.com", false),
            ("https://mcp.example.com?/mcp", false),
            ("https://mcp.example.com#/mcp", false),
            ("https://mcp.example.com:8443/mcp", false),
            ("https://mcp.example.com:80/mcp", false),
            ("http://mcp.example.com/mcp", false),
            ("https://other.example.com/mcp", false),
            ("https://mcp.example.com./mcp", false),
            ("https://user@mcp.example.com/mcp", false),
            ("https://evil.example@mcp.example.com/mcp", false),
            ("https://mcp.example.com\\@evil.example/mcp", false),
            ("https:/mcp.example.com/mcp", false),
            ("//mcp.example.com/mcp", false),
            ("/mcp", false),
            ("mcp.example.com/mcp", false),
            ("https:///mcp", false),
            (" https://mcp.example.com/mcp", false),
            ("https://mcp.example.com/mcp ", false),
            ("", false),
        ] {
            let found = Target::parse(htu).is_some_and(|target| target.is(expected));
            assert_eq!(found, same, "{htu:?}");
        }
        let long = format!("https://mcp.example.com/mcp?{}", "a".repeat(MAX_URI_BYTES));
        assert_eq!(Target::parse(&long), None);
        let root = Target::parse("https://mcp.example.com").unwrap();
        assert!(root.is("https://mcp.example.com/"));
    }
    #[test]
    fn what_is_shown_has_no_query_fragment_or_user() {
        for (uri, expected) in [
            ("https://a.example/mcp", "https://a.example/mcp"),
            (
                "https://a.example/mcp?token=s3cret",
                "https://a.example/mcp",
            ),
            ("https://a.example/mcp#s3cret", "https://a.example/mcp"),
            ("https://a.example?s3cret#x", "https://a.example"),
            ("https://u:s3cret@a.example/mcp", "https://a.example/mcp"),
            ("https://u:s3@cret@a.example/@b/c", "https://a.example/@b/c"),
            ("u:s3cret@a.example/mcp", "a.example/mcp"),
            ("?s3cret", ""),
            ("", ""),
        ] {
            assert_eq!(shown(uri), expected, "{uri}");
        }
    }
}

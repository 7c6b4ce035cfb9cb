//! How a log shows a redirect URI that a request had: without its query and fragment, where a code or a token may stand, and bounded like
//! every value of a request.

use std::fmt;

use mcp_gateway_core::refusal::found::{Found, Listed};

/// A redirect URI that a request had.
#[derive(Clone, Copy, Debug)]
pub struct FoundUri<'a>(pub &'a str);

/// Several redirect URIs.
#[derive(Clone, Copy, Debug)]
pub struct FoundUris<'a>(pub &'a [String]);

impl fmt::Display for FoundUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = before_query(self.0);
        Found(shown).fmt(f)?;
        match shown.len() < self.0.len() {
            true => f.write_str(" (query left out)"),
            false => Ok(()),
        }
    }
}

impl fmt::Display for FoundUris<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Listed(self.0.iter().map(|uri| before_query(uri))).fmt(f)
    }
}

fn before_query(uri: &str) -> &str {
    uri.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_uri_is_shown_without_query_and_fragment() {
        for (uri, expected) in [
            ("https://a.example/cb", "`https://a.example/cb`"),
            (
                "https://a.example/cb?code=secret",
                "`https://a.example/cb` (query left out)",
            ),
            (
                "https://a.example/cb#code=secret?x",
                "`https://a.example/cb` (query left out)",
            ),
            ("", "``"),
        ] {
            assert_eq!(FoundUri(uri).to_string(), expected);
        }
        let long = format!("https://a.example/{}", "a".repeat(2000));
        assert!(FoundUri(&long).to_string().len() < 200);
        let several = ["https://a.example/?b".to_owned(), "x:/".to_owned()];
        assert_eq!(
            FoundUris(&several).to_string(),
            "`https://a.example/`, `x:/`"
        );
        assert_eq!(FoundUris(&[]).to_string(), "none");
    }
}

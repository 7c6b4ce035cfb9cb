//! Request targets: which path is requested, and does the query carry a token?

use std::path::Path;

use libtest_mimic::{Failed, Trial};
use mcp_gateway_core::{http::path, refusal::reason::Reason};
use serde::Deserialize;

use crate::{suite, text};

/// The `Host` of every case that names none.
const HOST: &str = "mcp.example.com";

/// How many cases there must be.
const PROMISED: usize = 150;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// As in the request line.
    target: String,
    /// The value of `Host`; empty for none.
    host: Option<String>,
    /// `accepted`, or the label of the reason.
    expect: String,
    /// The path that routes are compared with, where it is accepted; the whole target unless given.
    path: Option<String>,
    /// What follows the question mark.
    query: Option<String>,
    /// Where the case comes from.
    #[serde(rename = "source")]
    _source: Option<String>,
}

pub(crate) fn trials() -> Vec<Trial> {
    suite::trials::<Case>("targets", PROMISED)
}

pub(crate) fn write_seeds(into: &Path) {
    suite::write_seeds::<Case>("targets", into);
}

impl suite::Case for Case {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self) -> Result<(), Failed> {
        let raw = text::text(&self.target);
        let host = self.host.as_deref().unwrap_or(HOST);
        let target = path::target(&raw, Some(host).filter(|host| !host.is_empty()));
        let target = target.and_then(|target| match target.query.is_some_and(path::has_token) {
            true => Err(Reason::TokenInQuery),
            false => Ok(target),
        });
        let outcome = target.map_or_else(Reason::label, |_| "accepted");
        suite::expect_equal("outcome", outcome, self.expect.as_str())?;
        let Ok(target) = target else { return Ok(()) };
        let path = self.path.as_deref().unwrap_or(&self.target);
        suite::expect_equal("path", target.path, &text::text(path))?;
        let query = self.query.as_deref().map(text::text);
        suite::expect_equal("query", target.query, query.as_deref())
    }

    fn seeds(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut seed = text::bytes(&self.target);
        if let Some(host) = &self.host {
            seed.extend_from_slice(format!("\n{host}").as_bytes());
        }
        vec![("target", seed)]
    }
}

//! Who calls: by the assertion of the gateway where one is required, else by its headers. It removes these headers from every
//! request it forwards and sets its own.

use axum::http::{HeaderMap, request::Parts};
use rmcp::model::Extensions;
use schemars::JsonSchema;
use serde::Serialize;

/// The caller's subject without a gateway.
const ANONYMOUS: &str = "anonymous";

/// The identity in the assertion or the headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Caller {
    /// The token's subject, from `x-mcp-subject`; `anonymous` without it.
    pub(crate) subject: String,
    /// The token's issuer, from `x-mcp-issuer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// The OAuth client, from `x-mcp-client`.
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    /// The granted scopes, from `x-mcp-scope`.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

impl Caller {
    /// The caller that a verified assertion names.
    pub(crate) const fn new(
        subject: String,
        issuer: String,
        client: Option<String>,
        scope: Option<String>,
    ) -> Self {
        Self {
            subject,
            issuer: Some(issuer),
            client,
            scope,
        }
    }

    /// The caller of the verified assertion; without one, what the headers say. Reads the headers of the HTTP request that carried an MCP request.
    pub(crate) fn of(extensions: &Extensions) -> Result<Self, AmbiguousIdentity> {
        extensions.get::<Parts>().map_or_else(
            || Self::from_headers(&HeaderMap::new()),
            |parts| match parts.extensions.get::<Self>() {
                Some(asserted) => Ok(asserted.clone()),
                None => Self::from_headers(&parts.headers),
            },
        )
    }

    fn from_headers(headers: &HeaderMap) -> Result<Self, AmbiguousIdentity> {
        Ok(Self {
            subject: single(headers, "x-mcp-subject")?.unwrap_or_else(|| ANONYMOUS.to_owned()),
            issuer: single(headers, "x-mcp-issuer")?,
            client: single(headers, "x-mcp-client")?,
            scope: single(headers, "x-mcp-scope")?,
        })
    }
}

/// An identity header is repeated or is not text: something other than the gateway set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header {0} does not have exactly one readable value")]
pub(crate) struct AmbiguousIdentity(&'static str);

fn single(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, AmbiguousIdentity> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text.to_owned())),
        _ => Err(AmbiguousIdentity(name)),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    type Case = (
        &'static str,
        &'static [&'static [u8]],
        Result<&'static str, AmbiguousIdentity>,
    );

    #[test]
    fn the_subject_is_the_single_header_or_anonymous() {
        let cases: [Case; 4] = [
            ("no header", &[], Ok("anonymous")),
            ("one header", &[b"auth0|42"], Ok("auth0|42")),
            (
                "two headers",
                &[b"alice", b"alice"],
                Err(AmbiguousIdentity("x-mcp-subject")),
            ),
            (
                "no text",
                &[b"\xff"],
                Err(AmbiguousIdentity("x-mcp-subject")),
            ),
        ];
        for (name, values, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-mcp-subject", HeaderValue::from_bytes(value).unwrap());
            }
            let caller = Caller::from_headers(&headers);
            assert_eq!(
                caller.as_ref().map(|caller| caller.subject.as_str()),
                expected.as_ref().copied(),
                "{name}"
            );
        }
    }
}

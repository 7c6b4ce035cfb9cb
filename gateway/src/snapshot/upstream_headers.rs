//! Headers of requests to an upstream, beyond those that every upstream gets, with their values.

use http::{HeaderMap, HeaderName, HeaderValue, header::CONNECTION};
use mcp_gateway_core::{
    http::{forwarding, framing},
    refusal::reason::Reason,
    token::api_key::text::is_api_key,
};

use super::error::SnapshotError;
use crate::config::{
    FixedHeader, FixedValue, UpstreamHeaders as Configured, files, secret::SecretHeader,
};

/// Headers of a resource's requests.
#[derive(Debug)]
pub(crate) struct UpstreamHeaders {
    passed: Vec<HeaderName>,
    fixed: Vec<(HeaderName, SecretHeader)>,
}

impl UpstreamHeaders {
    /// Reads the files of the values.
    ///
    /// # Errors
    /// A file cannot be used.
    pub(super) fn read(configured: &Configured) -> Result<Self, SnapshotError> {
        let fixed = configured.fixed.iter().map(fixed);
        Ok(Self {
            passed: configured.passed.clone(),
            fixed: fixed.collect::<Result<_, _>>()?,
        })
    }

    /// The headers of the client that are passed on.
    pub(crate) fn passed(&self) -> &[HeaderName] {
        &self.passed
    }

    /// The option of the client's `Connection` that names a header which is passed on: a proxy would have removed it.
    pub(crate) fn removed(&self, client: &HeaderMap) -> Option<String> {
        let may_remove = !self.passed.is_empty() && client.contains_key(CONNECTION);
        may_remove.then(|| framing::removed_field_among(client, &self.passed))?
    }

    /// Adds them to the headers of a request. A value with an API key is left out: it is for the gateway alone.
    ///
    /// # Errors
    /// The client sent one with different values; with its name.
    pub(crate) fn add(
        &self,
        client: &HeaderMap,
        headers: &mut HeaderMap,
    ) -> Result<(), (Reason, &HeaderName)> {
        for name in &self.passed {
            let value = forwarding::sole_value(client, name).map_err(|reason| (reason, name))?;
            if let Some(value) = value.filter(|value| !has_api_key(value)) {
                headers.insert(name, value.clone());
            }
        }
        for (name, value) in &self.fixed {
            headers.insert(name, value.expose().clone());
        }
        Ok(())
    }
}

/// Whether one of the words of a value begins like an API key, alone or after a scheme (`Bearer mgw_...`).
fn has_api_key(value: &HeaderValue) -> bool {
    let words = value
        .as_bytes()
        .split(|byte| !byte.is_ascii_graphic() || b",;=\"'".contains(byte));
    let mut words = words.filter_map(|word| std::str::from_utf8(word).ok());
    words.any(is_api_key)
}

fn fixed(header: &FixedHeader) -> Result<(HeaderName, SecretHeader), SnapshotError> {
    let value = match &header.value {
        FixedValue::Text(value) => value.clone(),
        FixedValue::File(path) => {
            files::secret_header(path).map_err(|error| SnapshotError::UpstreamHeader {
                name: header.name.clone(),
                path: path.clone(),
                error,
            })?
        }
    };
    Ok((header.name.clone(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &'static str) -> HeaderName {
        HeaderName::from_static(text)
    }

    #[test]
    fn a_value_with_an_api_key_is_not_passed_on() {
        let headers = UpstreamHeaders {
            passed: vec![name("x-api-key")],
            fixed: Vec::new(),
        };
        for (value, is_passed) in [
            ("mgw_0123456789ABCDEFGHIJKLMNOPQRST4PMbyp", false),
            ("mgw_x", false),
            ("Bearer mgw_x", false),
            ("key=\"mgw_x\"", false),
            ("other, mgw_x", false),
            ("other", true),
            ("not-mgw_x", true),
            ("", true),
        ] {
            let mut client = HeaderMap::new();
            client.append("x-api-key", HeaderValue::from_static(value));
            let mut sent = HeaderMap::new();
            headers.add(&client, &mut sent).unwrap();
            assert_eq!(sent.contains_key("x-api-key"), is_passed, "{value}");
        }
    }

    #[test]
    fn a_fixed_header_replaces_the_clients() {
        let value = SecretHeader::new(b"own").unwrap();
        let fixed = ["user-agent", "x-tenant-id"].map(|text| (name(text), value.clone()));
        let headers = UpstreamHeaders {
            passed: vec![name("x-tenant-id"), name("x-other")],
            fixed: fixed.into(),
        };
        let mut client = HeaderMap::new();
        for text in ["x-tenant-id", "x-other", "x-third"] {
            client.append(text, HeaderValue::from_static("client's"));
        }
        let mut sent = HeaderMap::new();
        sent.append("user-agent", HeaderValue::from_static("client's"));
        headers.add(&client, &mut sent).unwrap();
        assert_eq!(sent["user-agent"], "own");
        assert_eq!(sent["x-tenant-id"], "own");
        assert_eq!(sent["x-other"], "client's");
        assert_eq!(sent.len(), 3);
        client.append("x-other", HeaderValue::from_static("another"));
        let refused = headers.add(&client, &mut sent);
        assert_eq!(refused, Err((Reason::HeaderRepeated, &name("x-other"))));
    }
}

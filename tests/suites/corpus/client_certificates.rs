//! The header `Client-Cert` of a trusted proxy: which certificate does it name?

use std::path::Path;

use http::{HeaderMap, HeaderValue};
use libtest_mimic::{Failed, Trial};
use mcp_gateway_core::http::client_cert::{CLIENT_CERT, ClientCertError, client_cert};
use serde::Deserialize;

use crate::{suite, text};

/// How many cases there must be.
const PROMISED: usize = 80;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// The value of each field.
    lines: Vec<String>,
    expect: Expected,
    /// Where the case comes from.
    #[serde(rename = "source")]
    _source: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Expected {
    /// A certificate is named.
    Accepted,
    /// No certificate is named.
    None,
    Repeated,
    NoByteSequence,
    NoBase64,
    TooLong,
    NoCertificate,
}

pub(crate) fn trials() -> Vec<Trial> {
    suite::trials::<Case>("client_certificates", PROMISED)
}

pub(crate) fn write_seeds(into: &Path) {
    suite::write_seeds::<Case>("client_certificates", into);
}

impl suite::Case for Case {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self) -> Result<(), Failed> {
        let mut headers = HeaderMap::new();
        for line in &self.lines {
            headers.append(CLIENT_CERT, HeaderValue::from_bytes(&text::bytes(line))?);
        }
        let outcome = match client_cert(&headers) {
            Ok(Some(_)) => Expected::Accepted,
            Ok(None) => Expected::None,
            Err(ClientCertError::Repeated) => Expected::Repeated,
            Err(ClientCertError::NoByteSequence) => Expected::NoByteSequence,
            Err(ClientCertError::NoBase64) => Expected::NoBase64,
            Err(ClientCertError::TooLong) => Expected::TooLong,
            Err(ClientCertError::NoCertificate) => Expected::NoCertificate,
        };
        suite::expect_equal("outcome", outcome, self.expect)
    }

    fn seeds(&self) -> Vec<(&'static str, Vec<u8>)> {
        let lines: Vec<_> = self.lines.iter().map(|line| text::bytes(line)).collect();
        vec![("client_cert", lines.join(&b'\n'))]
    }
}

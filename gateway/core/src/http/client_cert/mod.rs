//! The client's certificate as a proxy that terminates TLS names it: the header `Client-Cert` (RFC 9440).
//!
//! Its value is a byte sequence: base64 of the certificate's DER between two colons. Whether the header counts at all depends
//! on who sent it, which the caller decides. What is accepted here is one certificate in one spelling. `Client-Cert-Chain` is
//! not read: an access token is bound to the certificate alone (RFC 8705 §3.1).

use base64::{Engine, engine::general_purpose::STANDARD};
use http::header::{HeaderMap, HeaderName};
use thiserror::Error;

/// The header's name.
pub const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");

/// The longest certificate that is accepted, in bytes of its DER. Common ones have less than 2 KiB.
pub const MAX_CERTIFICATE: usize = 16 * 1024;

/// The same in characters of base64, with padding.
const MAX_ENCODED: usize = MAX_CERTIFICATE.div_ceil(3) * 4;

/// Why the header names no certificate. Each message is what was found, and what is expected.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ClientCertError {
    /// The header is there more than once, equal or not (RFC 9440 §2.2).
    #[error(
        "the request has the header Client-Cert more than once: does the proxy remove what its clients send?"
    )]
    Repeated,
    /// There are no colons around the value, or something is outside of them.
    #[error("Client-Cert is not base64 between two colons (RFC 9440 §2.1)")]
    NoByteSequence,
    /// Other characters than those of base64, or bits that encode nothing.
    #[error("Client-Cert has no canonical base64 with padding between its colons (RFC 4648 §4)")]
    NoBase64,
    /// More than [`MAX_CERTIFICATE`] bytes.
    #[error("the certificate in Client-Cert is longer than {MAX_CERTIFICATE} bytes")]
    TooLong,
    /// The bytes are not exactly one DER sequence, as a certificate is.
    #[error("Client-Cert does not have the DER of exactly one certificate: is it PEM, or a chain?")]
    NoCertificate,
}

/// The DER of the certificate in the header; `None` without the header: the client presented no certificate.
///
/// # Errors
/// The header is there, but it does not name exactly one certificate.
pub fn client_cert(headers: &HeaderMap) -> Result<Option<Vec<u8>>, ClientCertError> {
    let mut lines = headers.get_all(CLIENT_CERT).iter();
    let Some(line) = lines.next() else {
        return Ok(None);
    };
    if lines.next().is_some() {
        return Err(ClientCertError::Repeated);
    }
    certificate(line.as_bytes()).map(Some)
}

fn certificate(value: &[u8]) -> Result<Vec<u8>, ClientCertError> {
    let encoded = between_colons(value).ok_or(ClientCertError::NoByteSequence)?;
    if encoded.len() > MAX_ENCODED {
        return Err(ClientCertError::TooLong);
    }
    let der = STANDARD
        .decode(encoded)
        .map_err(|_| ClientCertError::NoBase64)?;
    match der.len() {
        length if length > MAX_CERTIFICATE => Err(ClientCertError::TooLong),
        _ if is_one_sequence(&der) => Ok(der),
        _ => Err(ClientCertError::NoCertificate),
    }
}

/// What is between the first and the last byte, both of them colons. Spaces around have no meaning (RFC 9651 §4.2).
fn between_colons(value: &[u8]) -> Option<&[u8]> {
    match value.trim_ascii() {
        [b':', encoded @ .., b':'] if !encoded.contains(&b':') => Some(encoded),
        _ => None,
    }
}

/// Whether the bytes are one DER sequence with nothing behind it (X.690 §8.1, §10.1: the shortest form of a length). Nothing
/// inside is parsed: only the digest of these bytes is compared (RFC 8705 §7.5).
fn is_one_sequence(der: &[u8]) -> bool {
    let [0x30, first, rest @ ..] = der else {
        return false;
    };
    let (length, content) = match (first, rest) {
        (0..=0x7f, content) => (usize::from(*first), content),
        (0x81, [length @ 0x80..=0xff, content @ ..]) => (usize::from(*length), content),
        (0x82, [high @ 1..=0xff, low, content @ ..]) => {
            (usize::from(u16::from_be_bytes([*high, *low])), content)
        }
        _ => return false,
    };
    length > 0 && content.len() == length
}

#[cfg(test)]
mod tests;

//! A value that an endpoint of an upstream issued, in the text that is sealed.

use aws_lc_rs::digest::SHA256_OUTPUT_LEN;

use crate::endpoint_id::EndpointId;

/// A value that was opened, and the endpoint that issued it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Who issued it: no other endpoint knows it.
    pub endpoint: EndpointId,
    /// What the endpoint issued.
    pub value: String,
}

/// The text that is sealed.
pub(crate) fn written(
    binding: &[u8; SHA256_OUTPUT_LEN],
    endpoint: EndpointId,
    value: &str,
) -> Vec<u8> {
    [&binding[..], endpoint.as_bytes(), value.as_bytes()].concat()
}

/// The parts of the text: the digest of the binding, and what was issued.
pub(crate) fn read(text: &[u8]) -> Option<(&[u8], Issued)> {
    let (binding, rest) = text.split_at_checked(SHA256_OUTPUT_LEN)?;
    let (endpoint, value) = rest.split_first_chunk()?;
    let issued = Issued {
        endpoint: EndpointId::from_bytes(*endpoint),
        value: String::from_utf8(value.to_vec()).ok()?,
    };
    Some((binding, issued))
}

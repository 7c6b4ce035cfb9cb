//! The id of one endpoint of an upstream, that is of one instance of an MCP server. Sealed values hold it, so that they lead back
//! to the endpoint that issued them, at every replica and after a restart.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

/// Which endpoint: the first bytes of a digest of what distinguishes it from others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId([u8; Self::LENGTH]);

impl EndpointId {
    /// Bytes of an id. Only configured endpoints have one, so 64 bits distinguish them.
    pub const LENGTH: usize = 8;

    /// Of an endpoint with this text: its URL with its query, and the host that it is asked as.
    pub fn of(endpoint: &str) -> Self {
        let hash = digest(&SHA256, endpoint.as_bytes());
        Self(hash.as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// From the bytes of [`as_bytes`](Self::as_bytes).
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Debug for EndpointId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EndpointId({:016x})", u64::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_same_in_every_process_and_differs_between_endpoints() {
        let one = EndpointId::of("http://127.0.0.1:9000/mcp");
        assert_eq!(EndpointId::from_bytes(*one.as_bytes()), one);
        assert_eq!(format!("{one:?}"), "EndpointId(c0995675546f77fb)");
        assert_ne!(one, EndpointId::of("http://127.0.0.1:9001/mcp"));
    }
}

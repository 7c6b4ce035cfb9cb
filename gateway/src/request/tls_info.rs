//! What the TLS handshake of a connection said.

use mcp_gateway_core::token::evidence::binding::Thumbprint;

/// What the TLS handshake of a connection said. Empty for a connection without TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsInfo {
    /// The host that the client named (SNI, RFC 6066 §3).
    pub(crate) server_name: Option<String>,
    /// The SHA-256 of the client's certificate, in DER form.
    pub(crate) client_certificate: Option<Thumbprint>,
}

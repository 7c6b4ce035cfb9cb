//! The certificate of the client of a request: from the TLS handshake of its connection, or from the proxy that sent the request.

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderMap;
use mcp_gateway_core::{
    http::client_cert::{ClientCertError, client_cert},
    token::evidence::binding::Thumbprint,
    why::certificate::Place,
};

/// Where the certificate of a request's client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientCertificate {
    /// In the handshake of the connection; none where the client presented none.
    Handshake(Option<Thumbprint>),
    /// In the header of the trusted proxy that sent the request. Its own handshake is not the client's.
    Header,
    /// Nowhere: a trusted proxy sent the request, and proxies name no certificates.
    Nowhere,
}

impl ClientCertificate {
    /// The SHA-256 of the certificate's DER, if the client presented one.
    ///
    /// # Errors
    /// The header of the proxy cannot be read.
    pub(crate) fn thumbprint(
        self,
        headers: &HeaderMap,
    ) -> Result<Option<Thumbprint>, ClientCertError> {
        match self {
            Self::Handshake(presented) => Ok(presented),
            Self::Header => Ok(client_cert(headers)?.as_deref().map(thumbprint)),
            Self::Nowhere => Ok(None),
        }
    }

    /// The same place, for the operator.
    pub(super) const fn place(self) -> Place {
        match self {
            Self::Handshake(_) => Place::Handshake,
            Self::Header => Place::Header,
            Self::Nowhere => Place::Nowhere,
        }
    }
}

/// The SHA-256 of a certificate in DER form, by which a token is bound to it (`x5t#S256`, RFC 8705 §3.1).
pub(crate) fn thumbprint(der: &[u8]) -> Thumbprint {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, der).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use mcp_gateway_core::http::client_cert::CLIENT_CERT;

    use super::*;

    #[test]
    fn only_the_place_that_is_meant_is_read() {
        let value = HeaderValue::from_static(":MAEA:");
        let headers = HeaderMap::from_iter([(CLIENT_CERT, value)]);
        let of_header = thumbprint(&[0x30, 1, 0]);
        let own = Some([1; 32]);
        for (place, with, without) in [
            (ClientCertificate::Handshake(own), own, own),
            (ClientCertificate::Handshake(None), None, None),
            (ClientCertificate::Header, Some(of_header), None),
            (ClientCertificate::Nowhere, None, None),
        ] {
            assert_eq!(place.thumbprint(&headers), Ok(with), "{place:?}");
            assert_eq!(place.thumbprint(&HeaderMap::new()), Ok(without));
        }
    }

    #[test]
    fn a_header_that_names_no_certificate_matters_only_from_a_proxy() {
        let value = HeaderValue::from_static("nothing");
        let headers = HeaderMap::from_iter([(CLIENT_CERT, value)]);
        assert!(ClientCertificate::Header.thumbprint(&headers).is_err());
        for place in [
            ClientCertificate::Handshake(None),
            ClientCertificate::Nowhere,
        ] {
            assert_eq!(place.thumbprint(&headers), Ok(None));
        }
    }
}

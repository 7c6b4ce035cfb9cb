//! Client certificates that a listener asks for and does not demand (`listen.tls.client_certificates: request`).
//!
//! A token that is bound to a certificate names its digest (RFC 8705 §3.1). So only one thing counts in the handshake: that the
//! client has the private key of the certificate. Who issued it, for whom and until when says nothing, and is not read
//! (RFC 8705 §2.2, §7.4).

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, UnixTime},
    server::{
        ParsedCertificate,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

/// The most bytes of certificates that a client may send: its own, and those of issuers, which nobody reads. They stay in memory
/// as long as the connection.
const MAX_BYTES: usize = 16 * 1024;

/// Accepts every certificate whose private key the client has.
#[derive(Debug)]
pub(super) struct AnyCertificate(WebPkiSupportedAlgorithms);

impl AnyCertificate {
    /// Verifies signatures with the algorithms of this provider.
    pub(super) fn with(provider: &CryptoProvider) -> Arc<Self> {
        Arc::new(Self(provider.signature_verification_algorithms))
    }
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let others = intermediates.iter().map(|certificate| certificate.len());
        if others.fold(end_entity.len(), usize::saturating_add) > MAX_BYTES {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        ParsedCertificate::try_from(end_entity)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify(end_entity: Vec<u8>, others: &[usize]) -> Result<(), Error> {
        let others = others.iter().map(|length| vec![0; *length].into());
        let others: Vec<CertificateDer<'static>> = others.collect();
        let verifier = AnyCertificate::with(&rustls::crypto::aws_lc_rs::default_provider());
        let verified = verifier.verify_client_cert(&end_entity.into(), &others, UnixTime::now());
        verified.map(drop)
    }

    fn certificate() -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed(["agent".to_owned()]).unwrap();
        made.cert.der().to_vec()
    }

    #[test]
    fn a_certificate_of_any_issuer_is_accepted_with_what_was_sent_beside_it() {
        assert_eq!(verify(certificate(), &[]), Ok(()));
        assert_eq!(verify(certificate(), &[1000, 1000]), Ok(()));
    }

    #[test]
    fn more_certificates_than_the_limit_are_refused() {
        let own = certificate();
        let left = MAX_BYTES - own.len();
        assert_eq!(verify(own.clone(), &[left / 2, left - left / 2]), Ok(()));
        let refused = Err(CertificateError::ApplicationVerificationFailure.into());
        assert_eq!(verify(own.clone(), &[left + 1]), refused);
        assert_eq!(verify(own, &[left, 1]), refused);
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let own = certificate();
        let cut = own[..own.len() - 1].to_vec();
        let longer = [&own[..], &[0]].concat();
        for bytes in [Vec::new(), vec![0x30, 0], cut, longer] {
            let found = verify(bytes.clone(), &[]);
            assert!(
                matches!(found, Err(Error::InvalidCertificate(_))),
                "{bytes:x?}"
            );
        }
    }
}

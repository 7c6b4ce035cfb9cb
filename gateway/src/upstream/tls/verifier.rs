//! The certificate of an upstream. It is verified as everywhere (issuer, name, time, purpose), and where keys are pinned, its key must be one
//! of them too. A pin never replaces a check: a stolen key is refused once its certificate expires or is for another name. Only the upstream's own
//! certificate counts: anybody can send a pinned certificate of an issuer beside another one.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::words::{Refused, found, problem};
use crate::config::{UpstreamTls, files};

/// Verifies the certificate of one upstream.
#[derive(Debug)]
pub(super) struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    expected: UpstreamTls,
}

impl Verifier {
    pub(super) fn new(inner: Arc<WebPkiServerVerifier>, expected: &UpstreamTls) -> Self {
        Self {
            inner,
            expected: expected.clone(),
        }
    }

    fn check_pin(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let pins = &self.expected.pins;
        let key = files::key_pin(certificate);
        if pins.is_empty() || key.is_some_and(|key| pins.contains(&key)) {
            return Ok(());
        }
        let key = key.map_or_else(|| "not readable".to_owned(), |key| key.to_string());
        Err(refused(format!(
            "its key is {key}, expected one of resources.upstream.pins; found {}",
            found(certificate)
        )))
    }
}

fn refused(text: String) -> Error {
    CertificateError::Other(OtherError(Arc::new(Refused(text)))).into()
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        let verified = verified.map_err(|error| match &error {
            Error::InvalidCertificate(why) => {
                let problem = problem(why, end_entity, &self.expected);
                refused(format!("{problem}; found {}", found(end_entity)))
            }
            _ => error,
        })?;
        self.check_pin(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

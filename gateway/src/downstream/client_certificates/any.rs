//! Client certificates that a listener asks for and does not demand (`listen.tls.client_certificates: request`).
//!
//! A token that is bound to a certificate names its digest (RFC 8705 §3.1). So only one thing counts in the handshake: that the
//! client has the private key of the certificate. Who issued it, for whom, until when and in which version says nothing, and is not
//! read (RFC 8705 §2.2, §7.4).

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerMisbehaved,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use thiserror::Error;

use super::key::CertificateKey;

/// The most bytes of certificates that a client may send: its own, and those of issuers, which nobody reads. They stay in memory
/// as long as the connection.
const MAX_BYTES: usize = 16 * 1024;

/// The shortest RSA key in bits whose signatures are verified, as everywhere in TLS here. Shorter ones can be computed from what
/// is public.
const MIN_RSA_BITS: usize = 2048;

/// The longest one. Longer ones cost too much time.
const MAX_RSA_BITS: usize = 8192;

/// Why a certificate cannot be used by any client.
#[derive(Debug, Error, PartialEq, Eq)]
enum Unusable {
    /// It and those of its issuers are too long.
    #[error("{0} bytes of certificates, at most {MAX_BYTES} are accepted")]
    TooLong(usize),
    /// The bytes are not a certificate.
    #[error("not an X.509 certificate in DER")]
    Unreadable,
    /// An RSA key that is too short or too long.
    #[error("an RSA key of {0} bits, accepted are {MIN_RSA_BITS} to {MAX_RSA_BITS}")]
    RsaBits(usize),
    /// A kind of key with which nothing can be verified.
    #[error(
        "a key of an unsupported algorithm ({0}); use P-256, P-384, P-521, Ed25519 or RSA of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits"
    )]
    Algorithm(String),
}

impl From<Unusable> for Error {
    fn from(unusable: Unusable) -> Self {
        CertificateError::Other(OtherError(Arc::new(unusable))).into()
    }
}

/// Accepts every certificate whose private key the client has.
#[derive(Debug)]
pub(in crate::downstream) struct AnyCertificate(WebPkiSupportedAlgorithms);

impl AnyCertificate {
    /// Verifies signatures with the algorithms of this provider.
    pub(in crate::downstream) fn with(provider: &CryptoProvider) -> Arc<Self> {
        Arc::new(Self(provider.signature_verification_algorithms))
    }

    /// The key of a certificate, with which a signature can be verified.
    fn key<'a>(&self, certificate: &'a CertificateDer<'_>) -> Result<CertificateKey<'a>, Unusable> {
        let key = CertificateKey::of(certificate).ok_or(Unusable::Unreadable)?;
        if !self.0.all.iter().any(|one| verifies(*one, &key)) {
            return Err(Unusable::Algorithm(key.algorithm_name()));
        }
        match key.rsa_bits() {
            Some(bits) if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) => {
                Err(Unusable::RsaBits(bits))
            }
            _ => Ok(key),
        }
    }

    /// The algorithms of a scheme in TLS 1.2. It has no ML-DSA.
    fn of_tls12(
        &self,
        scheme: SignatureScheme,
    ) -> Option<&'static [&'static dyn SignatureVerificationAlgorithm]> {
        use SignatureScheme::{ML_DSA_44, ML_DSA_65, ML_DSA_87};
        let is_of_tls12 = !matches!(scheme, ML_DSA_44 | ML_DSA_65 | ML_DSA_87);
        let mut schemes = self.0.mapping.iter();
        let found = schemes.find(|(offered, _)| is_of_tls12 && *offered == scheme);
        found.map(|(_, algorithms)| *algorithms)
    }
}

/// Whether this algorithm verifies signatures of keys like this one.
fn verifies(algorithm: &dyn SignatureVerificationAlgorithm, key: &CertificateKey<'_>) -> bool {
    algorithm.public_key_alg_id().as_ref() == key.algorithm
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
        let bytes = others.fold(end_entity.len(), usize::saturating_add);
        if bytes > MAX_BYTES {
            return Err(Unusable::TooLong(bytes).into());
        }
        self.key(end_entity)?;
        Ok(ClientCertVerified::assertion())
    }

    /// In TLS 1.2, a scheme does not fix the curve of the key (RFC 5246 §7.4.1.4.1).
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = self.key(cert)?;
        let algorithms = self
            .of_tls12(dss.scheme)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        let mut algorithms = algorithms.iter();
        let verified = algorithms
            .find(|algorithm| verifies(**algorithm, &key))
            .and_then(|algorithm| {
                algorithm
                    .verify_signature(key.key, message, dss.signature())
                    .ok()
            });
        verified.ok_or(CertificateError::BadSignature)?;
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = self.key(cert)?;
        verify_tls13_signature_with_raw_key(message, &key.info.into(), dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, KeyPair, PublicKeyData};
    use rustls::{
        ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
        SupportedProtocolVersion,
        client::ResolvesClientCert,
        crypto::aws_lc_rs::default_provider,
        pki_types::{PrivateKeyDer, ServerName},
        sign::CertifiedKey,
        version::{TLS12, TLS13},
    };

    use super::{
        super::made::{self, der},
        *,
    };

    fn verify(end_entity: Vec<u8>, others: &[usize]) -> Result<(), String> {
        let others = others.iter().map(|length| vec![0; *length].into());
        let others: Vec<CertificateDer<'static>> = others.collect();
        let verifier = AnyCertificate::with(&default_provider());
        let verified = verifier.verify_client_cert(&end_entity.into(), &others, UnixTime::now());
        verified.map(drop).map_err(|error| match error {
            Error::InvalidCertificate(CertificateError::Other(error)) => error.to_string(),
            other => other.to_string(),
        })
    }

    fn certificate() -> Vec<u8> {
        signed(&KeyPair::generate().unwrap(), |_| {})
    }

    fn signed(pair: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut parameters = CertificateParams::new(["agent".to_owned()]).unwrap();
        change(&mut parameters);
        parameters.self_signed(pair).unwrap().der().to_vec()
    }

    /// Presents this certificate, whether or not its key belongs to it.
    #[derive(Debug)]
    struct Presents(Arc<CertifiedKey>);

    impl ResolvesClientCert for Presents {
        fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            Some(self.0.clone())
        }

        fn has_certs(&self) -> bool {
            true
        }
    }

    fn key_of(pair: &KeyPair) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(pair.serialize_der()).unwrap()
    }

    fn server(roots: &mut RootCertStore) -> ServerConnection {
        let pair = KeyPair::generate().unwrap();
        let own = CertificateDer::from(signed(&pair, |_| {}));
        roots.add(own.clone()).unwrap();
        let provider = Arc::new(default_provider());
        let verifier = AnyCertificate::with(&provider);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![own], key_of(&pair));
        ServerConnection::new(Arc::new(config.unwrap())).unwrap()
    }

    /// A handshake with a client that presents this certificate and signs with this key. The certificate that the server saw.
    fn handshake(
        presented: Option<(Vec<u8>, &KeyPair)>,
        version: &'static SupportedProtocolVersion,
    ) -> Result<Option<Vec<u8>>, Error> {
        let provider = Arc::new(default_provider());
        let mut roots = RootCertStore::empty();
        let mut server = server(&mut roots);
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let config = match presented {
            None => builder.with_no_client_auth(),
            Some((der, pair)) => {
                let key = provider.key_provider.load_private_key(key_of(pair));
                let presented = CertifiedKey::new(vec![der.into()], key.unwrap());
                builder.with_client_cert_resolver(Arc::new(Presents(Arc::new(presented))))
            }
        };
        let name = ServerName::try_from("agent").unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut bytes = Vec::new();
            client.write_tls(&mut bytes).unwrap();
            server.read_tls(&mut &bytes[..]).unwrap();
            server.process_new_packets()?;
            bytes.clear();
            server.write_tls(&mut bytes).unwrap();
            client.read_tls(&mut &bytes[..]).unwrap();
            client.process_new_packets().unwrap();
        }
        let certificates = server.peer_certificates();
        Ok(certificates.map(|chain| chain[0].to_vec()))
    }

    const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

    #[test]
    fn a_certificate_of_any_form_is_accepted_from_who_has_its_key() {
        let pair = KeyPair::generate().unwrap();
        let info = pair.subject_public_key_info();
        let unknown = |critical| {
            let mut extension =
                CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 9], vec![5, 0]);
            extension.set_criticality(critical);
            extension
        };
        let version = |number| der(0xa0, &[&[2, 1, number]]);
        let not_utf8 = der(0xa3, &[&der(0x30, &[&der(0x30, &[b"\xff"])])]);
        for (name, der) in [
            ("as made", signed(&pair, |_| {})),
            (
                "critical",
                signed(&pair, |made| made.custom_extensions = vec![unknown(true)]),
            ),
            (
                "twice",
                signed(&pair, |made| {
                    made.custom_extensions = vec![unknown(false), unknown(false)];
                }),
            ),
            (
                "expired",
                signed(&pair, |made| {
                    made.not_after = rcgen::date_time_ymd(2001, 1, 1)
                }),
            ),
            (
                "not yet valid",
                signed(&pair, |made| {
                    made.not_before = rcgen::date_time_ymd(3001, 1, 1)
                }),
            ),
            ("version 1", made::certificate(&[], &info, &[])),
            ("version 2", made::certificate(&version(1), &info, &[])),
            ("version 9", made::certificate(&version(8), &info, &[])),
            (
                "unreadable extensions",
                made::certificate(&version(2), &info, &not_utf8),
            ),
        ] {
            for version in VERSIONS {
                let seen = handshake(Some((der.clone(), &pair)), version);
                assert_eq!(seen, Ok(Some(der.clone())), "{name}, {version:?}");
            }
        }
    }

    #[test]
    fn keys_of_every_supported_kind_are_verified() {
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ECDSA_P521_SHA512,
            &rcgen::PKCS_ED25519,
        ] {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            let other = KeyPair::generate_for(algorithm).unwrap();
            let info = pair.subject_public_key_info();
            for der in [signed(&pair, |_| {}), made::certificate(&[], &info, &[])] {
                for version in VERSIONS {
                    let seen = handshake(Some((der.clone(), &pair)), version);
                    assert_eq!(seen, Ok(Some(der.clone())), "{algorithm:?}, {version:?}");
                    let stolen = handshake(Some((der.clone(), &other)), version);
                    let expected = Err(CertificateError::BadSignature.into());
                    assert_eq!(stolen, expected, "{algorithm:?}, {version:?}");
                }
            }
        }
    }

    #[test]
    fn a_key_of_another_kind_than_that_of_the_certificate_is_refused() {
        let [one, other] = [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519]
            .map(|algorithm| KeyPair::generate_for(algorithm).unwrap());
        for version in VERSIONS {
            for (der, pair) in [
                (signed(&one, |_| {}), &other),
                (signed(&other, |_| {}), &one),
            ] {
                let refused = handshake(Some((der, pair)), version).unwrap_err();
                assert!(matches!(refused, Error::InvalidCertificate(_)), "{refused}");
            }
        }
    }

    #[test]
    fn a_client_without_a_certificate_is_accepted() {
        for version in VERSIONS {
            assert_eq!(handshake(None, version), Ok(None));
        }
    }

    #[test]
    fn more_certificates_than_the_limit_are_refused() {
        let own = certificate();
        assert_eq!(verify(own.clone(), &[1000, 1000]), Ok(()));
        let left = MAX_BYTES - own.len();
        assert_eq!(verify(own.clone(), &[left / 2, left - left / 2]), Ok(()));
        for others in [&[left + 1][..], &[left, 1]] {
            let refused = verify(own.clone(), others).unwrap_err();
            assert!(refused.contains("16385 bytes of certificates"), "{refused}");
        }
    }

    #[test]
    fn a_key_that_verifies_nothing_is_refused_by_its_name() {
        const RSA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
        let info = |algorithm: &[u8], key: &[u8]| {
            let bits = der(3, &[&[0], key]);
            der(0x30, &[&der(0x30, &[algorithm]), &bits])
        };
        let rsa = |bytes: usize| {
            let modulus = [&[0, 0xff][..], &vec![0xff; bytes - 1]].concat();
            let key = der(0x30, &[&der(2, &[&modulus]), &der(2, &[&[1, 0, 1]])]);
            info(RSA, &key)
        };
        let curve = [
            &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1][..],
            &[6, 5, 0x2b, 0x81, 4, 0, 10],
        ];
        for (info, expected) in [
            (rsa(128), "an RSA key of 1024 bits"),
            (rsa(255), "an RSA key of 2040 bits"),
            (rsa(1025), "an RSA key of 8200 bits"),
            (
                info(&curve.concat(), &[4]),
                "unsupported algorithm (1.2.840.10045.2.1 1.3.132.0.10)",
            ),
            (info(&[6, 3, 0x2b, 0x65, 0x71], &[0]), "(1.3.101.113)"),
            (info(b"", b""), "()"),
        ] {
            let refused = verify(made::certificate(&[], &info, &[]), &[]).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
        for bytes in [256, 1024] {
            assert_eq!(
                verify(made::certificate(&[], &rsa(bytes), &[]), &[]),
                Ok(())
            );
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let own = certificate();
        let cut = own[..own.len() - 1].to_vec();
        let longer = [&own[..], &[0]].concat();
        for bytes in [Vec::new(), vec![0x30, 0], cut, longer] {
            let found = verify(bytes, &[]).unwrap_err();
            assert!(found.contains("not an X.509 certificate"), "{found}");
        }
    }
}

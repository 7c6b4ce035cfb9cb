//! A private certificate authority and the leaves it signs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use test_support::base64url;

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its private key.
pub struct Leaf {
    /// The certificate, PEM.
    pub certificate: String,
    /// The private key, PEM.
    pub private_key: String,
    der: CertificateDer<'static>,
    key_der: Vec<u8>,
    /// The SubjectPublicKeyInfo of its key, DER.
    public_key: Vec<u8>,
}

impl Authority {
    /// A new authority.
    pub fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters
            .distinguished_name
            .push(rcgen::DnType::CommonName, "test authority");
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(parameters, key).expect("signs itself"))
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server certificate for these names or addresses.
    pub fn leaf(&self, names: &[&str]) -> Leaf {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).expect("well-formed names");
        parameters.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.0).expect("signs");
        Leaf {
            certificate: certificate.pem(),
            private_key: key.serialize_pem(),
            der: certificate.der().clone(),
            key_der: key.serialize_der(),
            public_key: key.subject_public_key_info(),
        }
    }

    /// The certificates of a client that trusts only this authority.
    pub fn roots(&self) -> rustls::RootCertStore {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(self.0.der().clone())
            .expect("a well-formed authority");
        roots
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Leaf {
    /// Writes both files into `folder`, the key readable only by its owner, and returns their paths.
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = (
            folder.join(format!("{name}.crt")),
            folder.join(format!("{name}.key")),
        );
        std::fs::write(&certificate, &self.certificate).expect("the folder is writable");
        write_secret(&key, &self.private_key);
        (certificate, key)
    }

    /// The certificate as it is shown in a handshake.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its SHA-256 in base64url, by which a token is bound to it (RFC 8705 §3.1).
    pub fn thumbprint(&self) -> String {
        base64url(digest(&SHA256, &self.der))
    }

    /// The same certificate as a proxy names it in `Client-Cert` (RFC 9440 §2.1).
    pub fn as_header(&self) -> String {
        format!(":{}:", STANDARD.encode(&self.der))
    }

    /// What a client presents.
    pub fn identity(&self) -> reqwest::Identity {
        let pem = format!("{}{}", self.private_key, self.certificate);
        reqwest::Identity::from_pem(pem.as_bytes()).expect("a certificate and its key")
    }

    /// Its public key as `pins` name it.
    pub fn pin(&self) -> String {
        let key = digest(&SHA256, &self.public_key);
        format!("sha256/{}", STANDARD.encode(key))
    }

    /// A server's settings with this certificate.
    pub fn server(&self) -> Arc<rustls::ServerConfig> {
        self.server_with(Arc::new(rustls::server::NoClientAuth))
    }

    /// The same of a server that requires a client certificate of this authority.
    pub fn server_requiring(&self, clients: &Authority) -> Arc<rustls::ServerConfig> {
        let roots = Arc::new(clients.roots());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
        self.server_with(verifier.build().expect("an authority"))
    }

    fn server_with(&self, clients: Arc<dyn ClientCertVerifier>) -> Arc<rustls::ServerConfig> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key_der.clone()));
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider supports them")
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![self.der.clone()], key)
            .expect("key and certificate fit");
        Arc::new(config)
    }
}

/// A client's settings that trust `authority` and offer these application protocols.
pub fn client(authority: &Authority, protocols: &[&[u8]]) -> Arc<rustls::ClientConfig> {
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider supports them")
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

/// Writes a file that only its owner can read.
pub fn write_secret(path: &Path, text: impl AsRef<[u8]>) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).expect("the folder is writable");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .expect("a file of the test");
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

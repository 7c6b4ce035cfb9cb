//! The files that a configuration names: certificates, keys, key sets. `check` reads each of them, so that an unusable file is
//! a finding and not a failure at the first request.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use ::aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD};
use mcp_gateway_core::{
    http::outbound::key_pin::KeyPin,
    seal::{SealingKey, SealingKeyError, key_bytes},
    token::key_set::{KeySet, KeySetError, ParsedKeySet},
};
use mcp_gateway_oauth::keys::signing_key::{SigningAlgorithm, SigningKey};
use rustls::{
    RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use thiserror::Error;
use x509_parser::{prelude::parse_x509_certificate, x509::X509Version};

use crate::config::{
    model::CertificateFiles,
    secret::{MAX_HEADER_VALUE, Secret, SecretHeader},
};

/// Largest size of a file that a configuration names, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Largest bearer token for fetching keys, in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Largest user name and password of a proxy, in bytes.
const MAX_CREDENTIALS_BYTES: usize = 1024;

/// Largest secret of a client, in bytes.
const MAX_SECRET_BYTES: usize = 1024;

/// Largest logo, in bytes.
const MAX_LOGO_BYTES: usize = 64 * 1024;

/// Permission bits that let users other than owner and group write.
pub(super) const OTHERS_WRITE: u32 = 0o002;

/// Permission bits that let users other than owner and group read or write. The group may read: Kubernetes mounts secrets
/// with mode 0440 for the group of the pod (threat 148).
const OTHERS: u32 = 0o006;

/// Why a file cannot be used. Never contains anything from the file.
#[derive(Debug, Error)]
pub enum FileError {
    /// It cannot be opened or read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// A directory, device or pipe.
    #[error("is not a regular file")]
    NotAFile,
    /// Larger than [`MAX_FILE_BYTES`].
    #[error("is larger than {MAX_FILE_BYTES} bytes")]
    TooLarge,
    /// No content.
    #[error("is an empty file")]
    Empty,
    /// A secret that every user of the machine can read or overwrite.
    #[error("must not be readable or writable by all users")]
    Exposed,
    /// No PEM certificate in it.
    #[error("contains no PEM certificate")]
    NoCertificate,
    /// An X.509 certificate of version 1 or 2, which has no subject alternative names (RFC 5280 §4.1.2.1).
    #[error("contains an X.509 {0} certificate; only v3 is supported")]
    CertificateVersion(X509Version),
    /// A certificate that cannot be used.
    #[error("contains an unusable certificate: {0}")]
    UnusableCertificate(String),
    /// No PEM private key in it.
    #[error("contains no supported PEM private key (encrypted keys are not supported)")]
    NoPrivateKey,
    /// The private key belongs to another certificate.
    #[error("does not match the certificate")]
    KeyMismatch,
    /// A token that every user of the machine can overwrite.
    #[error("must not be writable by all users")]
    Writable,
    /// Not one bearer token.
    #[error(
        "contains no bearer token: write only the token, without the word Bearer (RFC 6750, section 2.1; at most {MAX_TOKEN_BYTES} bytes)"
    )]
    NoToken,
    /// Not a user name and a password.
    #[error("contains no user:password on one line (at most {MAX_CREDENTIALS_BYTES} bytes)")]
    NoCredentials,
    /// Not a sealing key.
    #[error("contains no valid session key: {0}")]
    SealingKey(#[from] SealingKeyError),
    /// Not a key of the authorization server.
    #[error("contains no valid key: {0}")]
    ServerKey(#[source] SealingKeyError),
    /// Not a secret of a client.
    #[error(
        "must be one line of printable ASCII characters, without spaces, of at most {MAX_SECRET_BYTES} bytes"
    )]
    NotASecret,
    /// Not a password.
    #[error("must be one line of text, of at most {MAX_SECRET_BYTES} bytes")]
    NotAPassword,
    /// Not a private key with which the gateway can sign.
    #[error(
        "contains no private key in PEM: PKCS #8 with RSA (2048 bits or more), P-256 or Ed25519"
    )]
    NotAClientKey,
    /// Not a private key with which assertions are signed.
    #[error("contains no private key in PEM: PKCS #8 with P-256 or Ed25519")]
    NotAnAssertionKey,
    /// Not an image that pages can show.
    #[error("is not a PNG, JPEG, WebP or SVG image of at most {MAX_LOGO_BYTES} bytes")]
    NotALogo,
    /// Not the value of a header.
    #[error("must be one line of text of at most {MAX_HEADER_VALUE} bytes")]
    NotAHeader,
    /// Not a JWK set.
    #[error("contains no valid JWK set: {0}")]
    KeySet(#[from] KeySetError),
    /// A JWK set in which no key can verify anything.
    #[error("contains no key that can verify a signature")]
    NoKeys,
}

/// Reads a certificate chain and its key, and checks that they match.
///
/// # Errors
/// Which of the two files cannot be used, and why.
pub fn certified_key(files: &CertificateFiles) -> Result<CertifiedKey, CertifiedKeyError> {
    let read = (
        certificates(&files.certificate),
        private_key(&files.private_key),
    );
    let (chain, key) = match read {
        (Ok(chain), Ok(key)) => (chain, key),
        (Err(error), Ok(_)) => return Err(CertifiedKeyError::Certificate(error)),
        (Ok(_), Err(error)) => return Err(CertifiedKeyError::PrivateKey(error)),
        (Err(one), Err(other)) => return Err(CertifiedKeyError::Both(one, other)),
    };
    let version = chain.first().and_then(|certificate| version(certificate));
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| {
        match (error, version) {
            (rustls::Error::InconsistentKeys(_), _) => {
                CertifiedKeyError::PrivateKey(FileError::KeyMismatch)
            }
            (rustls::Error::InvalidCertificate(_), Some(version)) if version != X509Version::V3 => {
                CertifiedKeyError::Certificate(FileError::CertificateVersion(version))
            }
            (rustls::Error::InvalidCertificate(error), _) => {
                CertifiedKeyError::Certificate(FileError::UnusableCertificate(error.to_string()))
            }
            _ => CertifiedKeyError::PrivateKey(FileError::NoPrivateKey),
        }
    })
}

/// The validity period of a certificate, in Unix seconds (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    /// First second of validity.
    pub not_before: i64,
    /// Last second of validity.
    pub not_after: i64,
}

/// The validity period of the first certificate of a file, which is the server's own.
///
/// # Errors
/// The file cannot be read, or contains no certificate.
pub fn validity(path: &Path) -> Result<Validity, FileError> {
    let chain = certificates(path)?;
    let first = chain.first().ok_or(FileError::NoCertificate)?;
    let (_, certificate) = parse_x509_certificate(first)
        .map_err(|error| FileError::UnusableCertificate(error.to_string()))?;
    let validity = certificate.validity();
    Ok(Validity {
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
    })
}

/// Which file of a certificate and key pair cannot be used.
#[derive(Debug, Error)]
pub enum CertifiedKeyError {
    /// The certificate chain.
    #[error("the certificate {0}")]
    Certificate(#[source] FileError),
    /// The private key.
    #[error("the private key {0}")]
    PrivateKey(#[source] FileError),
    /// Both files.
    #[error("the certificate {0}, and the private key {1}")]
    Both(FileError, FileError),
}

/// Reads the certificates of a CA file.
///
/// # Errors
/// The file cannot be read, or a certificate in it cannot be trusted as a root.
pub fn roots(path: &Path) -> Result<RootCertStore, FileError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store
            .add(certificate)
            .map_err(|error| FileError::UnusableCertificate(error.to_string()))?;
    }
    Ok(store)
}

/// Reads a key that seals session ids.
///
/// # Errors
/// The file cannot be read, is exposed, or contains no sealing key.
pub fn sealing_key(path: &Path) -> Result<SealingKey, FileError> {
    Ok(SealingKey::from_bytes(read_secret(path)?.expose())?)
}

/// Reads a bearer token (`b64token` of RFC 6750 §2.1), without the line end. All users may read it: Kubernetes mounts service
/// account tokens with mode 0644 where no user or group is set.
///
/// # Errors
/// The file cannot be read, can be written by all users, or contains no token.
pub fn bearer_token(path: &Path) -> Result<Secret, FileError> {
    let file = open(path)?;
    if file.metadata()?.permissions().mode() & OTHERS_WRITE != 0 {
        return Err(FileError::Writable);
    }
    let read = Secret::new(contents(&file)?);
    let token = read.expose().trim_ascii();
    let is_legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    if token.is_empty() || token.len() > MAX_TOKEN_BYTES || !token.iter().all(is_legal) {
        return Err(FileError::NoToken);
    }
    Ok(Secret::new(token.to_vec()))
}

/// Reads user name and password of a proxy: `user:password` (RFC 7617 §2), without the line end.
///
/// # Errors
/// The file cannot be read, is exposed, or contains something else.
pub fn proxy_credentials(path: &Path) -> Result<Secret, FileError> {
    let read = read_secret(path)?;
    let line = read.expose();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let has_control = line.iter().any(u8::is_ascii_control);
    if !line.contains(&b':') || has_control || line.len() > MAX_CREDENTIALS_BYTES {
        return Err(FileError::NoCredentials);
    }
    Ok(Secret::new(line.to_vec()))
}

/// Reads the value of a header for an upstream.
///
/// # Errors
/// The file cannot be read, is exposed, or is not one line of text.
pub fn secret_header(path: &Path) -> Result<SecretHeader, FileError> {
    SecretHeader::new(read_secret(path)?.expose()).ok_or(FileError::NotAHeader)
}

/// Reads a key of the authorization server: 32 bytes, in the forms of a sealing key.
///
/// # Errors
/// The file cannot be read, is exposed, or contains no key.
pub fn server_key(path: &Path) -> Result<[u8; 32], FileError> {
    key_bytes(read_secret(path)?.expose()).map_err(FileError::ServerKey)
}

/// Reads a client's secret, without the line end.
///
/// # Errors
/// The file cannot be read, is exposed, or is not one line of printable ASCII characters.
pub fn secret_line(path: &Path) -> Result<Secret, FileError> {
    let read = read_secret(path)?;
    let line = read.expose();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let is_line = !line.is_empty() && line.len() <= MAX_SECRET_BYTES;
    if !is_line || !line.iter().all(u8::is_ascii_graphic) {
        return Err(FileError::NotASecret);
    }
    Ok(Secret::new(line.to_vec()))
}

/// Reads a password, without the line end.
///
/// # Errors
/// The file cannot be read, is exposed, or is not one line of text.
pub fn password_line(path: &Path) -> Result<Secret, FileError> {
    let read = read_secret(path)?;
    let line = read.expose();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let is_line = !line.is_empty() && line.len() <= MAX_SECRET_BYTES;
    if !is_line || line.iter().any(u8::is_ascii_control) {
        return Err(FileError::NotAPassword);
    }
    Ok(Secret::new(line.to_vec()))
}

/// Reads a private key with which the gateway authenticates elsewhere: PKCS #8 in PEM, of a kind that can sign.
///
/// # Errors
/// The file cannot be read, is exposed, or contains no such key.
pub fn client_key(path: &Path) -> Result<SigningKey, FileError> {
    let pem = read_secret(path)?;
    let Ok(PrivateKeyDer::Pkcs8(key)) = PrivateKeyDer::from_pem_slice(pem.expose()) else {
        return Err(FileError::NotAClientKey);
    };
    let kinds = [
        SigningAlgorithm::Es256,
        SigningAlgorithm::Rs256,
        SigningAlgorithm::EdDsa,
    ];
    let read = |kind| SigningKey::new(kind, key.secret_pkcs8_der()).ok();
    kinds
        .into_iter()
        .find_map(read)
        .ok_or(FileError::NotAClientKey)
}

/// Reads a private key that signs assertions about callers: one that signs fast.
///
/// # Errors
/// The file cannot be read, is exposed, or contains no such key.
pub fn assertion_key(path: &Path) -> Result<SigningKey, FileError> {
    match client_key(path) {
        Ok(key) if key.algorithm() != SigningAlgorithm::Rs256 => Ok(key),
        Ok(_) | Err(FileError::NotAClientKey) => Err(FileError::NotAnAssertionKey),
        Err(error) => Err(error),
    }
}

/// The SHA-256 of the first certificate of a file, in base64url (`x5t#S256`, RFC 7515 §4.1.8).
///
/// # Errors
/// The file cannot be read, or contains no certificate.
pub fn certificate_digest(path: &Path) -> Result<String, FileError> {
    let chain = certificates(path)?;
    let first = chain.first().ok_or(FileError::NoCertificate)?;
    Ok(URL_SAFE_NO_PAD.encode(digest(&SHA256, first)))
}

/// The SHA-256 of the public key of a certificate (SubjectPublicKeyInfo, DER); none where it cannot be read.
pub fn key_pin(certificate: &CertificateDer<'_>) -> Option<KeyPin> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    let key = digest(&SHA256, certificate.public_key().raw);
    key.as_ref().first_chunk().copied().map(KeyPin::new)
}

/// The media type of a logo, by its content.
///
/// # Errors
/// The file cannot be read, or is not an image that pages can show.
pub fn logo(path: &Path) -> Result<&'static str, FileError> {
    let bytes = read(path)?;
    if bytes.len() > MAX_LOGO_BYTES {
        return Err(FileError::NotALogo);
    }
    let is_webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    let is_svg = || std::str::from_utf8(&bytes).is_ok_and(|text| text.contains("<svg"));
    match () {
        () if bytes.starts_with(b"\x89PNG\r\n\x1a\n") => Ok("image/png"),
        () if bytes.starts_with(b"\xff\xd8\xff") => Ok("image/jpeg"),
        () if is_webp => Ok("image/webp"),
        () if is_svg() => Ok("image/svg+xml"),
        () => Err(FileError::NotALogo),
    }
}

/// Reads an issuer's keys.
///
/// # Errors
/// The file cannot be read, or no key in it is usable.
pub fn key_set(path: &Path) -> Result<ParsedKeySet, FileError> {
    let parsed = KeySet::parse(&read(path)?)?;
    if parsed.keys.is_empty() {
        return Err(FileError::NoKeys);
    }
    Ok(parsed)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let pem = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(FileError::NoCertificate),
    }
}

fn version(certificate: &CertificateDer<'_>) -> Option<X509Version> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    Some(certificate.version())
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    PrivateKeyDer::from_pem_slice(read_secret(path)?.expose()).map_err(|_| FileError::NoPrivateKey)
}

/// Reads a file that only owner and group may read.
///
/// # Errors
/// The file cannot be read, or is exposed.
pub fn read_secret(path: &Path) -> Result<Secret, FileError> {
    let file = open(path)?;
    if file.metadata()?.permissions().mode() & OTHERS != 0 {
        return Err(FileError::Exposed);
    }
    contents(&file).map(Secret::new)
}

/// Reads a file.
///
/// # Errors
/// The file cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    contents(&open(path)?)
}

/// Opens a regular file, also through symbolic links, because Kubernetes mounts secrets as symbolic links. Checks the type
/// first: opening a pipe would block until it has a writer.
pub(super) fn open(path: &Path) -> Result<File, FileError> {
    if !path.metadata()?.is_file() {
        return Err(FileError::NotAFile);
    }
    Ok(File::open(path)?)
}

/// The content of a file, up to [`MAX_FILE_BYTES`].
pub(super) fn contents(file: &File) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        0 => Err(FileError::Empty),
        1..=MAX_FILE_BYTES => Ok(bytes),
        _ => Err(FileError::TooLarge),
    }
}

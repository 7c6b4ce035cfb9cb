//! What the demonstration has besides its authorization server: the user who signs in, a session key, and a CA with a certificate
//! for `localhost`.

use aws_lc_rs::rand;
use mcp_gateway_oauth::secret::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose,
};

use super::error::DemoError;
use crate::authorization_server::users::hashing::hash_password;

/// The name of the user who signs in.
pub(super) const USER: &str = "demo_user";

/// The password of the user. It is on the sign-in page.
pub(super) const PASSWORD: &str = "demo_password";

/// The users file.
pub(super) fn users() -> Result<String, DemoError> {
    let hash = hash_password(&Secret::new(PASSWORD));
    let hash = hash.map_err(|error| DemoError::Key(error.to_string()))?;
    Ok(format!(
        "users:\n  - name: {USER}\n    password: '{hash}'\n"
    ))
}

/// A random key for sealing session ids, 32 bytes.
pub(super) fn make_session_key() -> Result<[u8; 32], DemoError> {
    let mut key = [0; 32];
    rand::fill(&mut key).map_err(|error| DemoError::Key(error.to_string()))?;
    Ok(key)
}

/// A CA, a certificate for `localhost` by it, and that certificate's key, all PEM.
pub(super) fn make_certificates() -> Result<(String, String, String), DemoError> {
    let authority_key = rcgen::KeyPair::generate()?;
    let mut authority = CertificateParams::default();
    authority
        .distinguished_name
        .push(DnType::CommonName, "mcp-gateway demo CA");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(authority, authority_key)?;

    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut server = CertificateParams::new(names)?;
    server
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = rcgen::KeyPair::generate()?;
    let certificate = server.signed_by(&key, &authority)?;
    Ok((authority.pem(), certificate.pem(), key.serialize_pem()))
}

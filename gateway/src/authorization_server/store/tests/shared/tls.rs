//! A server behind TLS.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::{
    server::{at, free_port},
    *,
};
use crate::authorization_server::store::shared::RemoteStore;

/// A certificate authority, and a certificate and a key for 127.0.0.1; PEM files in a folder.
fn certificates(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &ca).unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    write("ca.crt", ca.pem());
    write("server.crt", leaf.pem());
    write("server.key", key.serialize_pem());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_behind_tls_is_used_only_if_its_certificate_is_trusted() {
    // The program does so when it starts.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    for program in PROGRAMS {
        let port = free_port();
        let served = Served::start(
            program,
            &[
                "--tls-port",
                &port.to_string(),
                "--tls-cert-file",
                &path("server.crt"),
                "--tls-key-file",
                &path("server.key"),
                "--tls-ca-cert-file",
                &path("ca.crt"),
                "--tls-auth-clients",
                "no",
            ],
        );
        let mut settings = at(port);
        settings.tls = true;
        let opened = RemoteStore::open_within(&settings, Duration::from_secs(2));
        let untrusted = opened.map(|_| ()).unwrap_err().to_string();
        assert!(untrusted.contains("certificate"), "{untrusted}");
        settings.ca_file = Some(folder.path().join("ca.crt"));
        let store = Store::connect(&settings, &folder.path().join("state")).unwrap();
        assert_eq!(store.write(count_up).await, Ok(0), "{program}");
        drop(served);
    }
}

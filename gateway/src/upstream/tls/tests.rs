//! Handshakes with servers whose certificates are right and wrong in every way, and what the operator reads.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc, time::Duration};

use mcp_gateway_core::http::{authority::Authority, outbound::key_pin::KeyPin};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::{
    AlertDescription, ServerConfig,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{
    config::{CertificateFiles, Upstream, UpstreamTarget, UpstreamTls, files},
    upstream::{
        connect::Connector,
        tls::words::{OwnCertificate, cause},
    },
};

/// A private CA, whose certificate is in a file.
struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A server's certificate and its private key.
struct Leaf {
    der: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Leaf {
    fn pin(&self) -> KeyPin {
        files::key_pin(&self.der).unwrap()
    }
}

impl Ca {
    fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        parameters
            .distinguished_name
            .push(DnType::CommonName, "test authority");
        let key = KeyPair::generate().unwrap();
        let ca = Self {
            issuer: CertifiedIssuer::self_signed(parameters, key).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(ca.file(), ca.issuer.pem()).unwrap();
        ca
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn leaf(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut parameters);
        let key = KeyPair::generate().unwrap();
        Leaf {
            der: parameters
                .signed_by(&key, &self.issuer)
                .unwrap()
                .der()
                .clone(),
            key: key.serialize_der(),
        }
    }

    /// Trusts this CA.
    fn tls(&self) -> UpstreamTls {
        UpstreamTls {
            ca_file: Some(self.file()),
            ..UpstreamTls::default()
        }
    }
}

/// What connects to this authority.
fn connector(authority: &str, tls: UpstreamTls) -> Connector {
    let configured = Upstream {
        target: UpstreamTarget::Https {
            authority: Authority::parse(authority).unwrap(),
            tls,
        },
        host: authority.to_owned(),
        path: "/mcp".to_owned(),
        query: None,
        http2: false,
    };
    Connector::new(&configured, Duration::from_secs(10)).unwrap()
}

/// What comes of a connection to `localhost`, where `leaf` is shown, followed by these certificates.
async fn connected(leaf: &Leaf, others: &[&Leaf], tls: UpstreamTls) -> Result<(), String> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let chain = [leaf].into_iter().chain(others.iter().copied());
    let chain = chain.map(|leaf| leaf.der.clone()).collect();
    let key = PrivatePkcs8KeyDer::from(leaf.key.clone()).into();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(chain, key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let _ = TlsAcceptor::from(Arc::new(config)).accept(tcp).await;
        std::future::pending::<()>().await;
    });
    let authority = format!("localhost:{port}");
    let connector = connector(&authority, tls);
    let uri = format!("https://{authority}/mcp").parse().unwrap();
    connector.connect(&uri).await.map(drop)
}

#[tokio::test]
async fn a_certificate_must_be_issued_by_a_trusted_ca_for_the_name_and_now() {
    let (ca, other) = (Ca::new(), Ca::new());
    let good = ca.leaf("localhost", |_| {});
    assert_eq!(connected(&good, &[], ca.tls()).await, Ok(()));
    let issued = "found a certificate for `localhost`, issued by `CN=test authority`";
    let file = other.file();
    for (leaf, tls, problem, found) in [
        (
            &good,
            other.tls(),
            format!("no certificate in {} (resources.upstream.ca_file) issued it", file.display()),
            issued,
        ),
        (
            &good,
            UpstreamTls::default(),
            "no CA certificate of the system issued it; for a private CA, set resources.upstream.ca_file".to_owned(),
            issued,
        ),
        (
            &ca.leaf("tasks.internal", |_| {}),
            ca.tls(),
            "it is not for localhost (the host of resources.upstream.url)".to_owned(),
            "found a certificate for `tasks.internal`, issued by `CN=test authority`",
        ),
        (
            &ca.leaf("localhost", |parameters| parameters.not_after = date_time_ymd(2020, 1, 31)),
            ca.tls(),
            "it expired on 2020-01-31".to_owned(),
            issued,
        ),
        (
            &ca.leaf("localhost", |parameters| parameters.not_before = date_time_ymd(3000, 1, 1)),
            ca.tls(),
            "it is not valid before 3000-01-01".to_owned(),
            issued,
        ),
    ] {
        let refused = connected(leaf, &[], tls).await.unwrap_err();
        let expected = format!("the MCP server's certificate is refused: {problem}; {found}");
        assert_eq!(refused, expected);
    }
}

#[tokio::test]
async fn another_name_than_that_of_the_url_can_be_expected() {
    let ca = Ca::new();
    let named = |name: &str| UpstreamTls {
        server_name: Some(name.to_owned()),
        ..ca.tls()
    };
    let internal = ca.leaf("tasks.internal", |_| {});
    assert_eq!(
        connected(&internal, &[], named("tasks.internal")).await,
        Ok(())
    );
    let refused = connected(&ca.leaf("localhost", |_| {}), &[], named("tasks.internal")).await;
    assert_eq!(
        refused.unwrap_err(),
        "the MCP server's certificate is refused: it is not for tasks.internal (resources.upstream.server_name); found a certificate for `localhost`, issued by `CN=test authority`"
    );
    let address = ca.leaf("192.0.2.7", |_| {});
    assert_eq!(connected(&address, &[], named("192.0.2.7")).await, Ok(()));
}

#[tokio::test]
async fn a_pinned_key_is_required_beside_everything_else() {
    let ca = Ca::new();
    let (own, other) = (ca.leaf("localhost", |_| {}), ca.leaf("localhost", |_| {}));
    let pinning = |pins: &[KeyPin]| UpstreamTls {
        pins: pins.to_vec(),
        ..ca.tls()
    };
    assert_eq!(connected(&own, &[], pinning(&[own.pin()])).await, Ok(()));
    let both = pinning(&[other.pin(), own.pin()]);
    assert_eq!(connected(&own, &[], both).await, Ok(()));
    let expected = format!(
        "the MCP server's certificate is refused: its key is {}, expected one of resources.upstream.pins; found a certificate for `localhost`, issued by `CN=test authority`",
        own.pin()
    );
    let refused = connected(&own, &[], pinning(&[other.pin()])).await;
    assert_eq!(refused.unwrap_err(), expected);
    // Everybody can show the pinned certificate of another beside the own one.
    let refused = connected(&own, &[&other], pinning(&[other.pin()])).await;
    assert_eq!(refused.unwrap_err(), expected);
    // A pin replaces neither the CA, nor the name, nor the time.
    let expired = ca.leaf("localhost", |parameters| {
        parameters.not_after = date_time_ymd(2020, 1, 31);
    });
    let foreign = Ca::new().leaf("localhost", |_| {});
    let misnamed = ca.leaf("tasks.internal", |_| {});
    for leaf in [expired, foreign, misnamed] {
        let refused = connected(&leaf, &[], pinning(&[leaf.pin()])).await;
        let refused = refused.unwrap_err();
        assert!(!refused.contains("pins"), "{refused}");
    }
}

#[test]
fn an_alert_names_the_gateways_certificate_only_where_there_is_one() {
    let key = "(resources.upstream.certificate_file)";
    for (alert, configured, missing) in [
        (
            AlertDescription::CertificateRequired,
            format!("requires a client certificate, and the gateway's cannot be used there {key}"),
            format!("requires a client certificate {key}: TLS alert CertificateRequired"),
        ),
        (
            AlertDescription::BadCertificate,
            format!("refused the gateway's certificate {key}: TLS alert BadCertificate"),
            format!("requires a client certificate {key}: TLS alert BadCertificate"),
        ),
        (
            AlertDescription::UnknownCA,
            format!("refused the gateway's certificate {key}: TLS alert UnknownCA"),
            format!("requires a client certificate {key}: TLS alert UnknownCA"),
        ),
        (
            AlertDescription::AccessDenied,
            format!("refused the gateway's certificate {key}: TLS alert AccessDenied"),
            format!(
                "ended TLS with the alert AccessDenied; it may require a client certificate {key}"
            ),
        ),
        (
            AlertDescription::DecryptError,
            format!("refused the gateway's certificate {key}: TLS alert DecryptError"),
            "ended TLS with the alert DecryptError".to_owned(),
        ),
        (
            AlertDescription::HandshakeFailure,
            format!(
                "ended TLS with the alert HandshakeFailure; it may refuse the gateway's certificate {key}"
            ),
            format!(
                "ended TLS with the alert HandshakeFailure; it may require a client certificate {key}"
            ),
        ),
        (
            AlertDescription::UnrecognisedName,
            "ended TLS with the alert UnrecognisedName".to_owned(),
            "ended TLS with the alert UnrecognisedName".to_owned(),
        ),
        (
            AlertDescription::ProtocolVersion,
            "ended TLS with the alert ProtocolVersion".to_owned(),
            "ended TLS with the alert ProtocolVersion".to_owned(),
        ),
    ] {
        for (own, expected) in [
            (OwnCertificate::Configured, configured),
            (OwnCertificate::Missing, missing),
        ] {
            let error = std::io::Error::other(rustls::Error::AlertReceived(alert));
            let expected = format!("the MCP server {expected}");
            assert_eq!(cause(&error, own), expected, "{alert:?} {own:?}");
        }
    }
}

#[test]
fn a_certificate_is_the_gateways_own_only_if_it_is_configured() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let ca = Ca::new();
    let own = |tls: UpstreamTls| connector("localhost:1", tls).own_certificate();
    assert_eq!(own(ca.tls()), OwnCertificate::Missing);
    let own_key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec!["gateway".to_owned()]).unwrap();
    let issued = parameters.signed_by(&own_key, &ca.issuer).unwrap();
    let (certificate, private_key) = (
        ca.folder.path().join("own.pem"),
        ca.folder.path().join("own.key"),
    );
    fs::write(&certificate, issued.pem()).unwrap();
    fs::write(&private_key, own_key.serialize_pem()).unwrap();
    fs::set_permissions(&private_key, fs::Permissions::from_mode(0o600)).unwrap();
    let with = UpstreamTls {
        certificate: Some(CertificateFiles {
            certificate,
            private_key,
        }),
        ..ca.tls()
    };
    assert_eq!(own(with), OwnCertificate::Configured);
}

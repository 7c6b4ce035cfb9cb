//! `listen[].tls.client_ca`: only clients with a certificate of these authorities are served (attack 156).

use std::io;
use std::sync::Arc;

use e2e::certificates::{Authority, Leaf, client};
use e2e::world::secure::Secure;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A gateway that requires certificates of this authority.
async fn start(clients: &Authority) -> Secure {
    let pem = clients.pem();
    Secure::with(|config| {
        let file = config.write("client-ca.crt", pem);
        config.set("/listen/0/tls/client_ca", file.to_str().unwrap())
    })
    .await
}

fn settings(
    setting: &Secure,
    certificate: Option<&Leaf>,
    version: &'static SupportedProtocolVersion,
) -> ClientConfig {
    let provider = client(&setting.authority, &[]).crypto_provider().clone();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(setting.authority.roots());
    match certificate {
        None => builder.with_no_client_auth(),
        Some(leaf) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from(leaf.der().to_vec())],
                PrivateKeyDer::from_pem_slice(leaf.private_key.as_bytes()).unwrap(),
            )
            .unwrap(),
    }
}

/// The outcome of a connection: the head of an answer to a request for metadata, and how the handshake went.
async fn connect(
    setting: &Secure,
    config: Arc<ClientConfig>,
) -> io::Result<(String, ProtocolVersion, HandshakeKind)> {
    let tcp = TcpStream::connect(setting.gateway.config.public).await?;
    let connector = tokio_rustls::TlsConnector::from(config);
    let mut stream = connector
        .connect(ServerName::try_from("localhost").unwrap(), tcp)
        .await?;
    let request = format!(
        "GET /.well-known/oauth-protected-resource/mcp HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n",
        setting.gateway.config.public.port()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let session = stream.get_ref().1;
    Ok((
        String::from_utf8_lossy(&answer).into_owned(),
        session.protocol_version().unwrap(),
        session.handshake_kind().unwrap(),
    ))
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

#[tokio::test]
async fn only_clients_with_a_certificate_of_the_configured_authorities_are_served() {
    let (trusted, others) = (Authority::new(), Authority::new());
    let setting = start(&trusted).await;
    let good = trusted.leaf(&["agent"]);
    let foreign = others.leaf(&["agent"]);
    for version in VERSIONS {
        let config = Arc::new(settings(&setting, Some(&good), version));
        let (answer, agreed, _) = connect(&setting, config).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(agreed, version.version);
        for wrong in [
            None,
            Some(&foreign),
            // The authority of the server is not one of the client authorities.
            Some(&setting.leaves[0]),
        ] {
            let config = Arc::new(settings(&setting, wrong, version));
            let answer = connect(&setting, config).await;
            assert!(answer.is_err(), "{version:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn every_connection_presents_its_certificate_again() {
    // A resumed session would not be verified again.
    let trusted = Authority::new();
    let setting = start(&trusted).await;
    let good = trusted.leaf(&["agent"]);
    let plain = Secure::start().await;
    for version in VERSIONS {
        for (setting, certificate, second) in [
            (&setting, Some(&good), HandshakeKind::Full),
            // Without client certificates sessions do resume, or the other half would not prove anything.
            (&plain, None, HandshakeKind::Resumed),
        ] {
            let mut config = settings(setting, certificate, version);
            config.resumption = Resumption::in_memory_sessions(8);
            let config = Arc::new(config);
            for expected in [HandshakeKind::Full, second] {
                let (answer, _, kind) = connect(setting, config.clone()).await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                assert_eq!(kind, expected, "{version:?}");
            }
        }
    }
}

//! Certificates of clients in the handshake. `listen[].tls.client_ca`: only clients with a certificate of these authorities are served
//! (attack 156). `client_certificates: request`: any certificate whose key the client has, or none.

use std::io;
use std::sync::Arc;

use e2e::certificates::{Authority, Leaf, client};
use e2e::world::secure::Secure;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, HandshakeKind, ProtocolVersion, SignatureScheme, SupportedProtocolVersion,
    version,
};
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

/// A gateway that asks for certificates.
async fn start_requesting() -> Secure {
    Secure::with(|config| config.set("/listen/0/tls/client_certificates", "request")).await
}

fn settings(
    setting: &Secure,
    certificate: Option<&Leaf>,
    version: &'static SupportedProtocolVersion,
) -> ClientConfig {
    let chain = certificate.map(|leaf| (vec![leaf.der().to_vec()], leaf));
    settings_with(setting, chain, version)
}

/// The settings of a client that presents this chain with the key of this leaf.
fn settings_with(
    setting: &Secure,
    chain: Option<(Vec<Vec<u8>>, &Leaf)>,
    version: &'static SupportedProtocolVersion,
) -> ClientConfig {
    let provider = client(&setting.authority, &[]).crypto_provider().clone();
    let load = |leaf: &Leaf| {
        let key = PrivateKeyDer::from_pem_slice(leaf.private_key.as_bytes()).unwrap();
        provider.key_provider.load_private_key(key).unwrap()
    };
    let presented = chain.map(|(chain, leaf)| {
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        Arc::new(CertifiedKey::new(chain, load(leaf)))
    });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(setting.authority.roots());
    match presented {
        None => builder.with_no_client_auth(),
        Some(presented) => builder.with_client_cert_resolver(Arc::new(Presents(presented))),
    }
}

/// Presents this, whatever the server asks for, and whether or not its key belongs to its certificate.
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
    let (requesting, plain) = (start_requesting().await, Secure::start().await);
    for version in VERSIONS {
        for (setting, certificate, second) in [
            (&setting, Some(&good), HandshakeKind::Full),
            (&requesting, Some(&good), HandshakeKind::Full),
            (&requesting, None, HandshakeKind::Full),
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

#[tokio::test]
async fn a_requested_certificate_is_one_of_any_authority_or_none() {
    let setting = start_requesting().await;
    let (one, other) = (Authority::new().leaf(&["agent"]), Authority::new());
    let other = other.leaf(&["another agent"]);
    for version in VERSIONS {
        for certificate in [None, Some(&one), Some(&other), Some(&setting.leaves[0])] {
            let config = Arc::new(settings(&setting, certificate, version));
            let (answer, agreed, _) = connect(&setting, config).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert_eq!(agreed, version.version);
        }
    }
}

#[tokio::test]
async fn a_certificate_without_its_key_or_with_too_many_others_is_refused() {
    let setting = start_requesting().await;
    let authority = Authority::new();
    let (own, stolen) = (authority.leaf(&["thief"]), authority.leaf(&["agent"]));
    let own_der = own.der().to_vec();
    let many = vec![own_der.clone(); 16 * 1024 / own_der.len() + 1];
    let few = vec![own_der.clone(); 3];
    let damaged = own_der[..own_der.len() - 1].to_vec();
    for version in VERSIONS {
        for (name, chain, is_served) in [
            ("its own", vec![own_der.clone()], true),
            ("with others", few.clone(), true),
            ("another's", vec![stolen.der().to_vec()], false),
            (
                "another's first",
                vec![stolen.der().to_vec(), own_der.clone()],
                false,
            ),
            ("too many", many.clone(), false),
            ("damaged", vec![damaged.clone()], false),
        ] {
            let config = settings_with(&setting, Some((chain, &own)), version);
            let answer = connect(&setting, Arc::new(config)).await;
            let status = answer
                .as_ref()
                .map(|(answer, ..)| answer.starts_with("HTTP/1.1 200"));
            assert_eq!(
                status.unwrap_or(false),
                is_served,
                "{name}, {version:?}: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_ticket_from_before_certificates_were_requested_is_not_taken() {
    let mut setting = Secure::start().await;
    let leaf = Authority::new().leaf(&["agent"]);
    let clients = VERSIONS.map(|version| {
        let mut config = settings(&setting, Some(&leaf), version);
        config.resumption = Resumption::in_memory_sessions(8);
        Arc::new(config)
    });
    for client in &clients {
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let (_, _, kind) = connect(&setting, client.clone()).await.unwrap();
            assert_eq!(kind, expected);
        }
    }
    let config = setting.gateway.config.clone();
    setting.gateway.config = config.set("/listen/0/tls/client_certificates", "request");
    setting.gateway.config.file();
    setting.gateway.logged("configuration reloaded").await;
    // With the session of before, the gateway would never see the certificate.
    for client in clients {
        let (answer, _, kind) = connect(&setting, client).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(kind, HandshakeKind::Full);
    }
}

//! The common case behind TLS: two certificates of a private authority, a recording upstream, and tokens that fit.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use serde_json::json;
use tokio::net::TcpStream;

use crate::certificates::{Authority, Leaf, client};
use crate::client::Call;
use crate::gateway::Gateway;
use crate::gateway::config::{Config, ISSUER};
use crate::upstream::Upstream;
use test_support::{Key, Token};

/// The common case behind TLS. The gateway is dropped first, so that the upstream has received everything.
pub struct Secure {
    /// The gateway under test.
    pub gateway: Gateway,
    /// The MCP server behind it.
    pub upstream: Upstream,
    /// The authority that signed its certificates.
    pub authority: Authority,
    /// Its certificates: for `localhost`, and for `tasks.example` and `*.wild.example`.
    pub leaves: [Leaf; 2],
    /// The issuer's key.
    pub key: Key,
}

impl Secure {
    /// The common case as it is.
    pub async fn start() -> Self {
        Self::with(|config| config).await
    }

    /// The common case with changes to the configuration.
    pub async fn with(change: impl FnOnce(Config) -> Config) -> Self {
        Self::starting(change, async |config| Gateway::start(config).await).await
    }

    /// The same with so many open files of the gateway at most.
    pub async fn with_files(count: usize, change: impl FnOnce(Config) -> Config) -> Self {
        let start = async |config| Gateway::start_with_files(config, count).await;
        Self::starting(change, start).await
    }

    /// The same, started by the test in its own way.
    pub async fn starting(
        change: impl FnOnce(Config) -> Config,
        start: impl AsyncFnOnce(Config) -> Gateway,
    ) -> Self {
        let (authority, upstream, key) = (
            Authority::new(),
            Upstream::start().await,
            Key::es256("first"),
        );
        let leaves = [
            authority.leaf(&["localhost"]),
            authority.leaf(&["tasks.example", "*.wild.example"]),
        ];
        let config = Config::new(&upstream.url(), &[&key]);
        let files = ["one", "two"].iter().zip(&leaves).map(|(name, leaf)| {
            let (certificate, private_key) = leaf.write(config.folder(), name);
            json!({ "certificate": certificate, "private_key": private_key })
        });
        let files: Vec<_> = files.collect();
        let port = config.public.port();
        let config = config
            .set("/public_url", format!("https://localhost:{port}"))
            .set("/hosts", json!([format!("tasks.example:{port}")]))
            .set("/listen/0/tls", json!({ "certificates": files }))
            .set("/timeouts/handshake", "1s")
            .set("/timeouts/header", "2s");
        Self {
            gateway: start(change(config)).await,
            upstream,
            authority,
            leaves,
            key,
        }
    }

    /// A token with the scope to read.
    pub fn token(&self) -> String {
        self.unsigned_token().sign()
    }

    /// The same, unsigned.
    pub fn unsigned_token(&self) -> Token {
        Token::new(&self.key, ISSUER, &self.gateway.uri("/mcp"))
    }

    /// An HTTP client that trusts the authority; `http1` disables HTTP/2.
    pub fn http(&self, http1: bool) -> reqwest::Client {
        self.http_as(http1, None)
    }

    /// The same with this certificate of its own.
    pub fn http_as(&self, http1: bool, own: Option<&Leaf>) -> reqwest::Client {
        let authority = reqwest::Certificate::from_pem(self.authority.pem().as_bytes()).unwrap();
        let builder = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([authority])
            .resolve("localhost", self.gateway.config.public)
            .resolve("tasks.example", self.gateway.config.public);
        let builder = match own {
            Some(leaf) => builder.identity(leaf.identity()),
            None => builder,
        };
        if http1 { builder.http1_only() } else { builder }
            .build()
            .unwrap()
    }

    /// A POST of one message to `/mcp` with a good token.
    pub fn post(&self, http: &reqwest::Client, body: String) -> Call {
        Call::post(http, self.gateway.uri("/mcp"), body).token(&self.token())
    }

    /// The certificate shown for this name, and the protocol agreed on.
    pub async fn handshake(
        &self,
        name: &'static str,
        protocols: &[&[u8]],
    ) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut config = Arc::unwrap_or_clone(client(&self.authority, protocols));
        config
            .dangerous()
            .set_certificate_verifier(Arc::new(Anyone));
        let stream = TcpStream::connect(self.gateway.config.public)
            .await
            .unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = connector
            .connect(ServerName::try_from(name).unwrap(), stream)
            .await
            .unwrap();
        let (_, session) = stream.get_ref();
        (
            session.peer_certificates().unwrap()[0].to_vec(),
            session.alpn_protocol().map(<[u8]>::to_vec),
        )
    }
}

/// Trusts any certificate: the test checks which one it is.
#[derive(Debug)]
pub struct Anyone;

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

//! A listener's TLS: rustls with the configured certificates, selected by the name that the client requests.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{
        ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
        danger::ClientCertVerifier,
    },
    sign::CertifiedKey,
};
use thiserror::Error;
use x509_parser::{extensions::GeneralName, prelude::parse_x509_certificate};

use super::client_certificates::any::AnyCertificate;
use crate::config::{
    ClientCertificates, Tls,
    files::{self, CertifiedKeyError},
};

/// Why a certificate cannot be served.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The certificate file or the key file cannot be used.
    #[error("{}: {error}", certificate.display())]
    Files {
        /// The certificate's file.
        certificate: PathBuf,
        /// Which of the two files, and why.
        error: CertifiedKeyError,
    },
    /// rustls or the X.509 parser rejects it.
    #[error("{}: {problem}", certificate.display())]
    Certificate {
        /// The certificate's file.
        certificate: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The CA certificates for client certificates cannot be used.
    #[error("{}: {problem}", file.display())]
    ClientCa {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The keys of session tickets cannot be created.
    #[error("cannot create TLS session tickets: {0}")]
    Tickets(#[source] rustls::Error),
}

/// The TLS configuration for new handshakes. It is replaced as a whole; open connections keep theirs.
#[derive(Debug)]
pub(crate) struct ServedTls(ArcSwap<ServerConfig>);

impl ServedTls {
    /// Serves this configuration.
    pub(crate) fn new(config: ServerConfig) -> Self {
        Self(ArcSwap::from_pointee(config))
    }

    /// The configuration for the next handshake.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.0.load_full()
    }

    /// Replaces the configuration for later handshakes. The keys of session tickets stay, so that clients can still resume.
    pub(crate) fn exchange(&self, mut config: ServerConfig) {
        let before = self.current();
        if config.ticketer.enabled() && before.ticketer.enabled() {
            config.ticketer = before.ticketer.clone();
        }
        self.0.store(Arc::new(config));
    }
}

/// A certificate's expiry, for the metrics.
#[derive(Clone, Debug)]
pub(crate) struct Expiry {
    /// The certificate's file name as configured.
    pub(crate) certificate: String,
    /// Unix seconds.
    pub(crate) not_after: i64,
}

/// The rustls configuration of one listener: HTTP/2 and HTTP/1.1, TLS 1.2 and 1.3 (RFC 9325).
///
/// # Errors
/// A file cannot be read or does not hold a certificate with its key.
pub(crate) fn server_config(tls: &Tls) -> Result<(ServerConfig, Vec<Expiry>), TlsError> {
    let mut resolver = Resolver::default();
    let mut expiries = Vec::new();
    for pair in &tls.certificates {
        let key = files::certified_key(pair).map_err(|error| TlsError::Files {
            certificate: pair.certificate.clone(),
            error,
        })?;
        let (names, not_after) = names_and_expiry(&pair.certificate, &key)?;
        expiries.push(Expiry {
            certificate: pair.certificate.display().to_string(),
            not_after,
        });
        resolver.add(names, Arc::new(key));
    }
    let builder = ServerConfig::builder();
    let builder = match client_verifier(tls, builder.crypto_provider())? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if tls.takes_client_certificates() {
        // A resumed session is not verified again: its certificate may have expired since, and its client may have another one
        // by now. So nothing is resumed.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
    } else {
        // One ticket is enough for returning clients, and costs half of the default two.
        config.send_tls13_tickets = 1;
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Tickets)?;
    }
    Ok((config, expiries))
}

/// Who verifies the certificates of clients, where they present some.
fn client_verifier(
    tls: &Tls,
    provider: &CryptoProvider,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    match (&tls.client_ca, tls.client_certificates) {
        (Some(file), _) => of_authorities(file).map(Some),
        (None, ClientCertificates::Request) => Ok(Some(AnyCertificate::with(provider))),
        (None, ClientCertificates::None) => Ok(None),
    }
}

/// Requires a client certificate signed by a CA in `file`.
fn of_authorities(file: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let bad = |problem: String| TlsError::ClientCa {
        file: file.to_owned(),
        problem,
    };
    let roots = files::roots(file).map_err(|error| bad(error.to_string()))?;
    WebPkiClientVerifier::builder(Arc::new(roots))
        .build()
        .map_err(|error| bad(error.to_string()))
}

/// Certificates by the name in the ClientHello. The first one is for every other name, and for clients that send none.
#[derive(Default)]
struct Resolver {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// Keyed by the name after `*.`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
    default: Option<Arc<CertifiedKey>>,
}

impl Resolver {
    fn add(&mut self, names: Vec<String>, key: Arc<CertifiedKey>) {
        for name in names {
            match name.strip_prefix("*.") {
                Some(parent) => self
                    .wildcard
                    .entry(parent.to_owned())
                    .or_insert_with(|| key.clone()),
                None => self.exact.entry(name).or_insert_with(|| key.clone()),
            };
        }
        self.default.get_or_insert(key);
    }

    fn by_name(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let parent = name.split_once('.').map(|(_, parent)| parent);
        self.exact.get(&name).or_else(|| self.wildcard.get(parent?))
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        hello
            .server_name()
            .and_then(|name| self.by_name(name))
            .or(self.default.as_ref())
            .cloned()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("names", &self.exact.keys())
            .finish_non_exhaustive()
    }
}

fn names_and_expiry(path: &Path, key: &CertifiedKey) -> Result<(Vec<String>, i64), TlsError> {
    let bad = |error: &dyn fmt::Display| TlsError::Certificate {
        certificate: path.to_owned(),
        problem: error.to_string(),
    };
    let der = key.end_entity_cert().map_err(|error| bad(&error))?;
    let (_, parsed) = parse_x509_certificate(der).map_err(|error| bad(&error))?;
    let alternatives = parsed
        .subject_alternative_name()
        .map_err(|error| bad(&error))?;
    let names = alternatives.map_or_else(Vec::new, |extension| {
        let names = extension.value.general_names.iter();
        names.filter_map(dns_name).collect()
    });
    Ok((names, parsed.validity().not_after.timestamp()))
}

fn dns_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    }
}

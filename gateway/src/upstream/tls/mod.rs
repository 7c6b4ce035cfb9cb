//! TLS to an upstream: whose certificates are trusted, which name and key the upstream must show, and with which certificate the gateway
//! authenticates there. What goes wrong is said in [`words`].

#[cfg(test)]
mod tests;
mod verifier;
pub(super) mod words;

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, client::WebPkiServerVerifier, pki_types::ServerName,
    sign::SingleCertAndKey,
};

use super::error::UpstreamError;
use crate::config::{UpstreamTls, files};
use verifier::Verifier;
use words::OwnCertificate;

/// How TLS begins.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) config: ClientConfig,
    /// The name that the certificate must have; that of the URL without it.
    pub(super) server_name: Option<ServerName<'static>>,
}

impl Client {
    /// Whether the gateway shows a certificate where the upstream asks for one.
    pub(super) fn own_certificate(&self) -> OwnCertificate {
        match self.config.client_auth_cert_resolver.has_certs() {
            true => OwnCertificate::Configured,
            false => OwnCertificate::Missing,
        }
    }
}

/// For an upstream without TLS.
pub(super) fn unused() -> Client {
    Client {
        config: ClientConfig::builder()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth(),
        server_name: None,
    }
}

/// For an upstream that is reached so.
///
/// # Errors
/// A file cannot be used.
pub(super) fn client(tls: &UpstreamTls) -> Result<Client, UpstreamError> {
    let roots = Arc::new(roots(tls.ca_file.as_deref())?);
    let builder = ClientConfig::builder();
    let builder = match WebPkiServerVerifier::builder(roots.clone()).build() {
        Ok(inner) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(inner, tls))),
        // Nobody is trusted, so every connection fails.
        Err(_) => builder.with_root_certificates(roots),
    };
    let config = match &tls.certificate {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let own = files::certified_key(files).map_err(UpstreamError::Certificate)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own)))
        }
    };
    let server_name = tls.server_name.as_deref().map(server_name).transpose()?;
    Ok(Client {
        config,
        server_name,
    })
}

fn server_name(text: &str) -> Result<ServerName<'static>, UpstreamError> {
    ServerName::try_from(text.to_owned()).map_err(|_| UpstreamError::ServerName(text.to_owned()))
}

/// The CA certificates that an upstream is verified with: those of the file, else the system's.
fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, UpstreamError> {
    if let Some(path) = ca_file {
        return files::roots(path).map_err(|error| UpstreamError::Authorities {
            path: path.to_owned(),
            error,
        });
    }
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(system.certs);
    if added == 0 {
        tracing::warn!(
            "no system CA certificates found: https upstreams need ca_file (resources.upstream.ca_file)"
        );
    }
    Ok(roots)
}

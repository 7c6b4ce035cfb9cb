//! The certificates of all listeners: read at start, replaced when their files change. Their expiry is in the metrics.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use rustls::ServerConfig;
use thiserror::Error;

use crate::{
    clock,
    config::{Listener, Tls},
    downstream::tls::{self, Expiry, ServedTls, TlsError},
    telemetry::metrics::Metrics,
};

/// A certificate that expires within this time is logged.
const EXPIRES_SOON: Duration = Duration::from_secs(30 * 86_400);

/// A listener whose certificates cannot be used.
#[derive(Debug, Error)]
#[error("cannot serve TLS on {address}: {error}")]
pub(crate) struct CertificatesError {
    pub(crate) address: SocketAddr,
    pub(crate) error: TlsError,
}

/// What each listener serves, in the order of the configuration.
#[derive(Debug)]
pub(crate) struct Certificates(Vec<ListenerCertificates>);

#[derive(Debug)]
struct ListenerCertificates {
    address: SocketAddr,
    tls: Option<TlsInUse>,
}

#[derive(Debug)]
struct TlsInUse {
    configured: Tls,
    served: Arc<ServedTls>,
    expiries: Vec<Expiry>,
}

/// The new TLS configuration of a listener.
#[derive(Debug)]
pub(crate) struct RenewedTls {
    index: usize,
    configured: Tls,
    config: ServerConfig,
    expiries: Vec<Expiry>,
}

impl Certificates {
    /// Reads the certificates of every listener.
    ///
    /// # Errors
    /// A file cannot be used.
    pub(crate) fn read(listen: &[Listener], metrics: &Metrics) -> Result<Self, CertificatesError> {
        let served = listen.iter().map(|listener| {
            let address = listener.address;
            let Some(configured) = &listener.tls else {
                return Ok(ListenerCertificates { address, tls: None });
            };
            let (config, expiries) = server_config(address, configured)?;
            record_expiries(metrics, address, &expiries);
            let tls = TlsInUse {
                configured: configured.clone(),
                served: Arc::new(ServedTls::new(config)),
                expiries,
            };
            Ok(ListenerCertificates {
                address,
                tls: Some(tls),
            })
        });
        Ok(Self(served.collect::<Result<_, _>>()?))
    }

    /// The TLS configuration that each listener serves, in their order.
    pub(crate) fn served(&self) -> Vec<Option<Arc<ServedTls>>> {
        let served = self.0.iter().map(|served| served.tls.as_ref());
        served
            .map(|tls| tls.map(|tls| tls.served.clone()))
            .collect()
    }

    /// Reads the certificates of listeners whose TLS configuration or files have changed.
    ///
    /// # Errors
    /// A file cannot be used.
    pub(crate) fn renew(
        &self,
        listen: &[Listener],
        changed: &BTreeSet<PathBuf>,
    ) -> Result<Vec<RenewedTls>, CertificatesError> {
        let mut listen: Vec<_> = listen.iter().collect();
        let mut renewed = Vec::new();
        for (index, served) in self.0.iter().enumerate() {
            let same = |listener: &&Listener| listener.address == served.address;
            let Some(at) = listen.iter().position(same) else {
                continue;
            };
            // Removed from the list, because port 0 may be in it several times.
            let listener = listen.remove(at);
            let (Some(in_use), Some(configured)) = (&served.tls, &listener.tls) else {
                continue;
            };
            let is_same = in_use.configured == *configured;
            if is_same && !configured.files().any(|file| changed.contains(file)) {
                continue;
            }
            let (config, expiries) = server_config(served.address, configured)?;
            renewed.push(RenewedTls {
                index,
                configured: configured.clone(),
                config,
                expiries,
            });
        }
        Ok(renewed)
    }

    /// Serves the new ones from the next handshake on.
    pub(crate) fn exchange(&mut self, renewed: Vec<RenewedTls>, metrics: &Metrics) {
        for new in renewed {
            let Some(ListenerCertificates {
                address,
                tls: Some(in_use),
            }) = self.0.get_mut(new.index)
            else {
                continue;
            };
            in_use.served.exchange(new.config);
            in_use.configured = new.configured;
            remove_expiries(metrics, *address, &in_use.expiries, &new.expiries);
            record_expiries(metrics, *address, &new.expiries);
            in_use.expiries = new.expiries;
        }
    }
}

fn server_config(
    address: SocketAddr,
    tls: &Tls,
) -> Result<(ServerConfig, Vec<Expiry>), CertificatesError> {
    tls::server_config(tls).map_err(|error| CertificatesError { address, error })
}

fn record_expiries(metrics: &Metrics, address: SocketAddr, expiries: &[Expiry]) {
    let listener = address.to_string();
    let now = clock::now();
    for Expiry {
        certificate,
        not_after,
    } in expiries
    {
        if *not_after < now.secs() {
            tracing::error!(listener, "certificate expired: {certificate}");
        } else if *not_after < now.plus(EXPIRES_SOON).secs() {
            let days = (not_after - now.secs()) / 86_400;
            tracing::warn!(
                listener,
                "certificate expires in {days} days: {certificate}"
            );
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds fit a double for the next hundred million years"
        )]
        metrics
            .certificate_expiry
            .with_label_values(&[&listener, certificate])
            .set(*not_after as f64);
    }
}

/// Removes certificates from the metrics that are not served any more.
fn remove_expiries(metrics: &Metrics, address: SocketAddr, old: &[Expiry], new: &[Expiry]) {
    let listener = address.to_string();
    for Expiry { certificate, .. } in old {
        if new.iter().all(|new| new.certificate != *certificate) {
            // A missing label is not an error here.
            let _ = metrics
                .certificate_expiry
                .remove_label_values(&[&listener, certificate]);
        }
    }
}

//! Putting it together: configuration → sockets → snapshot → services → signals.
//!
//! Whatever can fail fails here, before a request is accepted, with a sentence that says what and where.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use async_trait::async_trait;
use mcp_gateway_core::auth::{self, SelfTestError};
use pingora::{
    server::{ListenFds, RunArgs, Server, ShutdownWatch, configuration::ServerConf},
    services::Service,
};
use thiserror::Error;

use crate::{
    admin::Admin,
    clock,
    config::{Config, Listener, Shutdown},
    gateway::Gateway,
    outbound::jwks::IssuerKeys,
    proxy::{
        listener::{self, Listeners, Port},
        tls::{self, Expiry, TlsError},
    },
    signals::Signals,
    snapshot::{Keys, Snapshot},
    telemetry::{access_log::AccessLog, logging::Logging, metrics::Metrics},
};

/// Why the gateway cannot run. The process ends with exit code 1.
#[derive(Debug, Error)]
pub enum RunError {
    /// An address is taken, or not allowed.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// A listener's certificates cannot be used.
    #[error("cannot serve TLS on {address}: {error}")]
    Tls {
        /// The listener.
        address: SocketAddr,
        /// What is wrong with its certificates.
        error: TlsError,
    },
    /// A file the configuration names cannot be used any more.
    #[error("the configuration cannot be used: {0}")]
    Config(String),
    /// The cryptography does not do what it must.
    #[error("the start-up self-test failed: {0}")]
    SelfTest(#[from] SelfTestError),
    /// The process cannot be set up.
    #[error("cannot start: {0}")]
    Start(String),
}

/// A gateway whose sockets are bound and whose configuration is in use, one step before it serves.
pub struct Prepared {
    gateway: Arc<Gateway>,
    signals: Signals,
    server: Server,
    shutdown: Shutdown,
    _logging: Logging,
}

impl Prepared {
    /// Does everything that can fail.
    ///
    /// # Errors
    /// The gateway cannot run; nothing was served.
    pub fn new(config: &Config) -> Result<Self, RunError> {
        // A SIGHUP kills a process that has no handler: this comes before everything else.
        let signals = Signals::install().map_err(|error| RunError::Start(error.to_string()))?;
        install_crypto();
        auth::self_test()?;
        let logging = Logging::install(&config.log);
        let metrics = Metrics::new().map_err(|error| RunError::Start(error.to_string()))?;
        let metrics = Arc::new(metrics);
        let ports = ports(config, &metrics)?;
        let admin = bind(config.admin.address)?;
        let keys = keys(config, &metrics)?;
        let snapshot = Snapshot::build(config, keys.clone());
        let snapshot = snapshot.map_err(|error| RunError::Config(error.to_string()))?;
        note_loaded(&metrics);

        let access_log = AccessLog::new(&config.log, logging.writer());
        let gateway = Arc::new(Gateway::new(snapshot, metrics, access_log));
        announce(config);
        let mut server = server();
        server.add_service(KeyKeeper { keys });
        server.add_service(Admin::new(admin, gateway.clone()));
        server.add_service(Listeners::new(ports, gateway.clone()));
        Ok(Self {
            gateway,
            signals,
            server,
            shutdown: config.shutdown,
            _logging: logging,
        })
    }

    /// Serves until a signal ends it, and drains then.
    pub fn serve(self) {
        self.gateway.set_ready(true);
        let drain = self.signals.draining(self.gateway, self.shutdown);
        self.server.run(RunArgs {
            shutdown_signal: Box::new(drain),
        });
        tracing::info!("ended");
    }
}

/// Chooses the cryptography for the whole process. Without this rustls would not know which of two linked ones to use.
pub fn install_crypto() {
    // A second call finds the same provider installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn ports(config: &Config, metrics: &Metrics) -> Result<Vec<Port>, RunError> {
    config
        .listen
        .iter()
        .map(|listen| port(listen, metrics))
        .collect()
}

fn port(listen: &Listener, metrics: &Metrics) -> Result<Port, RunError> {
    let address = listen.address;
    let tls = match &listen.tls {
        None => None,
        Some(tls) => {
            let (config, expiries) =
                tls::server_config(tls).map_err(|error| RunError::Tls { address, error })?;
            note_expiries(metrics, address, &expiries);
            Some(Arc::new(config))
        }
    };
    Ok(Port {
        socket: Some(bind(address)?),
        tls,
    })
}

fn note_expiries(metrics: &Metrics, address: SocketAddr, expiries: &[Expiry]) {
    let listener = address.to_string();
    for expiry in expiries {
        if expiry.not_after < clock::now().secs() {
            tracing::error!(
                listener,
                "the certificate {} has expired",
                expiry.certificate
            );
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds fit a double for the next hundred million years"
        )]
        metrics
            .certificate_expiry
            .with_label_values(&[&listener, &expiry.certificate])
            .set(expiry.not_after as f64);
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, RunError> {
    listener::bind(address).map_err(|error| RunError::Bind { address, error })
}

fn keys(config: &Config, metrics: &Arc<Metrics>) -> Result<Keys, RunError> {
    let keys = config.issuers.iter().map(|(name, issuer)| {
        let keys = IssuerKeys::new(issuer.clone(), config.jwks, metrics.clone());
        let keys = keys.map_err(|error| RunError::Config(format!("issuer {name}: {error}")))?;
        Ok((name.clone(), Arc::new(keys)))
    });
    keys.collect()
}

fn note_loaded(metrics: &Metrics) {
    metrics
        .config_reloads
        .with_label_values(&["accepted"])
        .inc();
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds fit a double for the next hundred million years"
    )]
    metrics.config_last_reload.set(clock::now().secs() as f64);
}

fn announce(config: &Config) {
    for listen in &config.listen {
        let address = listen.address;
        let scheme = if listen.tls.is_some() {
            "https"
        } else {
            "http"
        };
        tracing::info!("listening on {scheme}://{address}");
    }
    tracing::info!("metrics and probes on http://{}", config.admin.address);
    for resource in &config.resources {
        tracing::info!("protecting {}", resource.uri);
    }
}

fn server() -> Server {
    let conf = ServerConf {
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    server
}

/// Runs the key tasks of all issuers, on a thread of their own: a slow issuer holds up no request.
struct KeyKeeper {
    keys: Keys,
}

#[async_trait]
impl Service for KeyKeeper {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        let tasks = self.keys.values().cloned().map(IssuerKeys::run);
        let mut running: tokio::task::JoinSet<()> = tasks.collect();
        while running.join_next().await.is_some() {}
    }

    fn name(&self) -> &str {
        "keys"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}

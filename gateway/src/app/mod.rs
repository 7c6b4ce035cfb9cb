//! Assembly: configuration → sockets → snapshot → services → signals.
//!
//! Every step that can fail runs here, before a request is accepted. The error says what failed and where.

mod error;
mod services;
mod takeover;

use std::{
    collections::BTreeSet,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use mcp_gateway_core::{seal, token};
use pingora::server::{RunArgs, Server, configuration::ServerConf};

use crate::{
    admin::Admin,
    authorization_server::server::Server as AuthorizationServer,
    config::{Config, Loaded, authorization_server::SharedStore},
    downstream::{
        accept::{self, Listeners, Port},
        tls::ServedTls,
    },
    fetch::internet::Outside,
    issuer_keys::refresher,
    lifecycle::{
        reload::{self, ReloadTrigger, Reloader, certificates::Certificates, changes},
        signals::Signals,
        upgrade::InheritedSockets,
    },
    limits::{
        idle_connections::IDLE_CONNECTIONS, overload::descriptors, shared_rates::SharedRates,
    },
    shared::Gateway,
    snapshot::Snapshot,
    telemetry::{
        log_queue::LastLines,
        logging::Logging,
        metrics::Metrics,
        request_log::{access_log::AccessLog, audit_log::AuditLog},
    },
};
pub use error::RunError;
use services::{AuthorizationTasks, EndpointWatch, KeyRefresher, MemoryWatch};
pub use takeover::Start;
use takeover::{PreparedOffer, inherit_sockets, open_store, prepare_offer, take_place};

/// A gateway with bound sockets and a configuration in use, ready to serve.
pub struct Prepared {
    gateway: Arc<Gateway>,
    reloader: Reloader,
    signals: Signals,
    server: Server,
    inherited: InheritedSockets,
    offer: Option<PreparedOffer>,
    _audit: Option<LastLines>,
    _logging: Logging,
}

impl Prepared {
    /// Runs every step that can fail. Documents of strangers come from `outside`.
    ///
    /// # Errors
    /// The gateway cannot run; nothing was served.
    pub fn new(loaded: &Loaded, start: Start, outside: Outside) -> Result<Self, RunError> {
        let config = &loaded.config;
        let (trigger, requests) = ReloadTrigger::new();
        // A SIGHUP ends a process without a handler, so this is the first step.
        let signals = Signals::install(trigger.clone());
        let signals = signals.map_err(|error| RunError::Start(error.to_string()))?;
        install_crypto();
        token::self_test()?;
        seal::self_test()?;
        let metrics = Metrics::new().map_err(|error| RunError::Start(error.to_string()))?;
        let metrics = Arc::new(metrics);
        let logging = Logging::install(&config.log, metrics.log_lines_dropped.clone());
        let logging = logging.map_err(|error| RunError::Start(error.to_string()))?;
        let certificates = Certificates::read(&config.listen, &metrics)?;
        descriptors::raise_limit();
        let snapshot = Snapshot::build(config, &metrics, None, &BTreeSet::new());
        let mut snapshot = snapshot.map_err(|error| RunError::Config(error.to_string()))?;
        let mut inherited = inherit_sockets(config, start, &snapshot.keys)?;
        let ports = bind_ports(config, certificates.served(), &mut inherited)?;
        let admin = bind(config.admin.address, &mut inherited)?;
        let offer = prepare_offer(config, &ports, &admin)?;
        let lookup = outside.lookup();
        if let Some(server) =
            open_authorization_server(config, &mut inherited, (outside, &metrics))?
        {
            snapshot.start_authorization_server(server);
        }
        reload::note_start(&metrics);

        let capacity = snapshot.capacity;
        capacity.announce(&config.limits);
        IDLE_CONNECTIONS.limit(capacity.idle_upstream_connections);
        let access_log = AccessLog::new(&config.log, logging.writer());
        let (audit_log, last_lines) = start_audit(config, &logging, &metrics)?;
        let logs = (access_log, audit_log);
        let rates = shared_rates(config)?;
        let gateway = Gateway::new(snapshot, capacity.connections, metrics, logs);
        let gateway = Arc::new(gateway.with_shared_rates(rates));
        announce(config);
        let (key_orders, received_orders) = refresher::orders();
        let mut server = server();
        server.add_service(KeyRefresher::new(&gateway, received_orders));
        server.add_service(MemoryWatch::new(gateway.clone()));
        server.add_service(AuthorizationTasks::new(gateway.clone()));
        server.add_service(EndpointWatch::new(gateway.clone(), lookup));
        server.add_service(Admin::new(
            admin,
            gateway.clone(),
            config.admin.hosts.clone(),
        ));
        server.add_service(Listeners::new(ports, gateway.clone()));
        let reloader = Reloader::new(
            loaded.clone(),
            (trigger, requests),
            gateway.clone(),
            certificates,
            key_orders,
        );
        Ok(Self {
            gateway,
            reloader,
            signals,
            server,
            inherited,
            offer,
            _audit: last_lines,
            _logging: logging,
        })
    }

    /// An access token of the built-in authorization server for its first resource, for the demonstration. Nobody signed in for it.
    #[cfg(feature = "demo")]
    pub(crate) fn sign_for_demo(&self, user: &str, scope: &str) -> Option<String> {
        let server = self.gateway.snapshot().authorization_server.clone()?;
        server.sign_for_demo(user, scope)
    }

    /// Serves until a signal arrives or a new process takes over, then drains.
    ///
    /// # Errors
    /// Another process keeps the upgrade socket; nothing was served.
    pub fn serve(mut self) -> Result<(), RunError> {
        if let Some(offer) = self.offer.take() {
            let server = self.gateway.snapshot().authorization_server.clone();
            let store = server.map(|server| server.store().clone());
            let service = take_place(offer, self.inherited, &self.gateway, &self.signals, store)?;
            self.server.add_service(service);
        }
        if let Err(error) = self.reloader.start() {
            tracing::error!(
                "configuration reload disabled until restart: cannot start its thread: {error}"
            );
        }
        self.gateway.process_state().start_serving();
        let drain = self.signals.drain_on_end(self.gateway);
        self.server.run(RunArgs {
            shutdown_signal: Box::new(drain),
        });
        tracing::info!("shutdown complete");
        Ok(())
    }
}

/// The built-in authorization server, if the configuration has one. While a process is replaced, that one gives up the store here.
fn open_authorization_server(
    config: &Config,
    inherited: &mut InheritedSockets,
    (outside, metrics): (Outside, &Arc<Metrics>),
) -> Result<Option<AuthorizationServer>, RunError> {
    let Some(own) = &config.authorization_server else {
        return Ok(None);
    };
    let store = open_store(own, config, inherited)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RunError::Start(error.to_string()))?;
    let server = runtime.block_on(AuthorizationServer::start(
        config,
        own,
        store,
        (outside, metrics.clone()),
    ));
    let unusable = |error| RunError::Config(format!("authorization_server: {error}"));
    server.map(Some).map_err(unusable)
}

/// Rate limits that several gateways count together, if the configuration says so.
fn shared_rates(config: &Config) -> Result<Option<SharedRates>, RunError> {
    let Some(rates) = &config.shared_rates else {
        return Ok(None);
    };
    let unusable = |error| RunError::Config(format!("rate_limits.store: {error}"));
    let connected = SharedRates::connect(&rates.store).map_err(unusable)?;
    Ok(Some(connected))
}

fn start_audit(
    config: &Config,
    logging: &Logging,
    metrics: &Metrics,
) -> Result<(AuditLog, Option<LastLines>), RunError> {
    let dropped = metrics.audit_lines_dropped.clone();
    AuditLog::start(&config.audit, (&config.log, logging.writer()), dropped).map_err(|error| {
        RunError::Audit {
            path: config.audit.file.clone().unwrap_or_default(),
            error,
        }
    })
}

/// Installs the cryptography provider for the whole process. rustls has no default of its own here.
pub fn install_crypto() {
    // A second call finds the same provider installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn bind_ports(
    config: &Config,
    tls: Vec<Option<Arc<ServedTls>>>,
    inherited: &mut InheritedSockets,
) -> Result<Vec<Port>, RunError> {
    let listeners = config.listen.iter().zip(tls);
    listeners
        .map(|(listen, tls)| {
            let socket = Some(bind(listen.address, inherited)?);
            Ok(Port {
                socket,
                tls,
                proxy_protocol: listen.proxy_protocol,
            })
        })
        .collect()
}

/// The inherited socket for this address, or a new one.
fn bind(address: SocketAddr, inherited: &mut InheritedSockets) -> Result<TcpListener, RunError> {
    if let Some(socket) = inherited.take_socket(address) {
        return Ok(socket);
    }
    accept::bind(address).map_err(|error| RunError::Bind { address, error })
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
        tracing::info!("protecting resource {}", resource.uri);
    }
    changes::warn_of_lone_sessions(None, config);
    changes::warn_of_lone_assertions(None, config);
    for warning in config.stores().filter_map(SharedStore::warning) {
        tracing::warn!("{warning}");
    }
}

fn server() -> Server {
    let conf = ServerConf {
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        // Timeouts of a second and more are tokio's. Pingora's own wake a thread every 10 ms once the first one was used.
        fast_timeout_to_tokio_threshold_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    server
}

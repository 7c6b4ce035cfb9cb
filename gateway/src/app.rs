//! Putting it together: configuration → sockets → snapshot → services → signals.
//!
//! Whatever can fail fails here, before a request is accepted, with a sentence that says what and where.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use mcp_gateway_core::{
    seal::{self, SealingTestError},
    token::{self, SelfTestError},
};
use pingora::{
    server::{ListenFds, RunArgs, Server, ShutdownWatch, configuration::ServerConf},
    services::Service,
};
use thiserror::Error;
use tokio::sync::mpsc;

use crate::{
    admin::Admin,
    config::{Config, Loaded},
    downstream::{
        accept::{self, Listeners, Port},
        tls::{ServedTls, TlsError},
    },
    gateway::Gateway,
    lifecycle::{
        reload::{
            self, Bell, Reloader,
            certificates::{Certificates, CertificatesError},
            changes,
        },
        signals::Signals,
        upgrade::{Door, DoorError, HandOverError, Inherited, Predecessor},
    },
    limits::overload::{descriptors, memory},
    snapshot::{Keys, Snapshot},
    telemetry::{
        access_log::AccessLog, audit_log::AuditLog, log_queue::LastLines, logging::Logging,
        metrics::Metrics,
    },
    verify::{
        keys::IssuerKeys,
        refresher::{self, Order},
    },
};

/// How long to pause between two looks at whether an issuer's keys have come.
const KEYS_PAUSE: Duration = Duration::from_millis(10);

/// How a process begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// By itself.
    Fresh,
    /// In the place of the process that runs.
    Upgrade,
}

impl Start {
    /// What was typed.
    pub const fn of(upgrade: bool) -> Self {
        if upgrade { Self::Upgrade } else { Self::Fresh }
    }
}

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
    /// Sealing does not do what it must.
    #[error("the start-up self-test failed: {0}")]
    Sealing(#[from] SealingTestError),
    /// The running process cannot be replaced; it goes on.
    #[error("cannot take over at {path}: {error}")]
    Upgrade {
        /// The upgrade socket.
        path: PathBuf,
        /// Why.
        error: HandOverError,
    },
    /// Replacing was asked for, but nothing says where.
    #[error(
        "--upgrade needs upgrade_socket in the configuration, the same as in the running process's"
    )]
    NoUpgradeSocket,
    /// An issuer's keys cannot be fetched, so this process could not do what the running one does.
    #[error(
        "the running process is not replaced, because the keys of issuer {0} cannot be fetched: \
         upgrade when they can, or stop it and start anew"
    )]
    KeysUnavailable(String),
    /// A signal came while this process began; the running one goes on.
    #[error("the running process is not replaced, because a signal ended this one before")]
    Ended,
    /// Decisions could not be told.
    #[error("audit.file {path} cannot be written: {error}", path = path.display())]
    Audit {
        /// Where lines were to go.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// No successor could replace this process.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// The process cannot be set up.
    #[error("cannot start: {0}")]
    Start(String),
}

impl From<CertificatesError> for RunError {
    fn from(error: CertificatesError) -> Self {
        let CertificatesError { address, error } = error;
        Self::Tls { address, error }
    }
}

/// A gateway whose sockets are bound and whose configuration is in use, one step before it serves.
pub struct Prepared {
    gateway: Arc<Gateway>,
    reloader: Reloader,
    signals: Signals,
    server: Server,
    inherited: Inherited,
    waiting: Option<Waiting>,
    _audit: Option<LastLines>,
    _logging: Logging,
}

/// What a successor will be given, and where.
struct Waiting {
    door: Door,
    path: PathBuf,
    sockets: Vec<TcpListener>,
}

impl Prepared {
    /// Does everything that can fail.
    ///
    /// # Errors
    /// The gateway cannot run; nothing was served.
    pub fn new(loaded: &Loaded, start: Start) -> Result<Self, RunError> {
        let config = &loaded.config;
        let (bell, rings) = Bell::new();
        // A SIGHUP kills a process that has no handler: this comes before everything else.
        let signals = Signals::install(bell.clone());
        let signals = signals.map_err(|error| RunError::Start(error.to_string()))?;
        install_crypto();
        token::self_test()?;
        seal::self_test()?;
        let metrics = Metrics::new().map_err(|error| RunError::Start(error.to_string()))?;
        let metrics = Arc::new(metrics);
        let logging = Logging::install(&config.log, metrics.log_lines_dropped.clone());
        let logging = logging.map_err(|error| RunError::Start(error.to_string()))?;
        let certificates = Certificates::read(&config.listen, &metrics)?;
        let snapshot = Snapshot::build(config, &metrics, None);
        let snapshot = snapshot.map_err(|error| RunError::Config(error.to_string()))?;
        let mut inherited = inherited(config, start, &snapshot.keys)?;
        let ports = ports(config, certificates.served(), &mut inherited)?;
        let admin = bind(config.admin.address, &mut inherited)?;
        let waiting = waiting(config, &ports, &admin)?;
        reload::note_start(&metrics);

        let connections = descriptors::connections(config.limits.connections, descriptors::raise());
        let access_log = AccessLog::new(&config.log, logging.writer());
        let (audit_log, audit) = audit(config, &logging, &metrics)?;
        let logs = (access_log, audit_log);
        let gateway = Arc::new(Gateway::new(snapshot, connections, metrics, logs));
        announce(config);
        let (orders, ordered) = refresher::orders();
        let mut server = server();
        server.add_service(KeyKeeper::new(&gateway, ordered));
        server.add_service(MemoryWatch {
            gateway: gateway.clone(),
        });
        server.add_service(Admin::new(admin, gateway.clone()));
        server.add_service(Listeners::new(ports, gateway.clone()));
        let reloader = Reloader::new(
            loaded.clone(),
            (bell, rings),
            gateway.clone(),
            certificates,
            orders,
        );
        Ok(Self {
            gateway,
            reloader,
            signals,
            server,
            inherited,
            waiting,
            _audit: audit,
            _logging: logging,
        })
    }

    /// Serves until a signal or a successor ends it, and drains then.
    ///
    /// # Errors
    /// The process that runs does not give its place away; nothing was served.
    pub fn serve(mut self) -> Result<(), RunError> {
        if let Some(waiting) = self.waiting.take() {
            let predecessor = take_place(waiting, self.inherited, &self.gateway, &self.signals)?;
            self.server.add_service(predecessor);
        }
        if let Err(error) = self.reloader.start() {
            tracing::error!("the configuration cannot be reloaded: {error}");
        }
        self.gateway.set_ready(true);
        let drain = self.signals.draining(self.gateway);
        self.server.run(RunArgs {
            shutdown_signal: Box::new(drain),
        });
        tracing::info!("ended");
        Ok(())
    }
}

/// Asks the running process for its sockets. Whatever this process needs besides them is there by then.
fn inherited(config: &Config, start: Start, keys: &Keys) -> Result<Inherited, RunError> {
    if start == Start::Fresh {
        return Ok(Inherited::default());
    }
    let path = config.upgrade_socket.as_deref();
    let path = path.ok_or(RunError::NoUpgradeSocket)?;
    if config.sessions.key_files.is_empty() {
        tracing::warn!(
            "sessions of clients end with this upgrade: without sessions.key_files each process has a key of its own"
        );
    }
    fetch_keys(config, keys)?;
    Inherited::from(path).map_err(|error| upgrade(path, error))
}

fn upgrade(path: &Path, error: HandOverError) -> RunError {
    RunError::Upgrade {
        path: path.to_owned(),
        error,
    }
}

/// Fetches each issuer's keys once: the process that is replaced has them, so none of its requests may wait for them.
fn fetch_keys(config: &Config, keys: &Keys) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RunError::Start(error.to_string()))?;
    runtime.block_on(async {
        let fetching = keys.values().cloned().map(IssuerKeys::run);
        let _running: tokio::task::JoinSet<()> = fetching.collect();
        let deadline = tokio::time::Instant::now() + config.jwks.fetch + KEYS_PAUSE;
        while !keys.values().all(|keys| keys.was_tried()) && tokio::time::Instant::now() < deadline
        {
            tokio::time::sleep(KEYS_PAUSE).await;
        }
    });
    let missing = keys.iter().find(|(_, keys)| keys.usable().is_none());
    missing.map_or(Ok(()), |(name, _)| {
        Err(RunError::KeysUnavailable(name.clone()))
    })
}

fn audit(
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

/// Makes ready for a successor, under a name that nobody asks for yet.
fn waiting(
    config: &Config,
    ports: &[Port],
    admin: &TcpListener,
) -> Result<Option<Waiting>, RunError> {
    let Some(path) = config.upgrade_socket.clone() else {
        return Ok(None);
    };
    let sockets = ports.iter().filter_map(|port| port.socket.as_ref());
    let sockets: Result<Vec<_>, _> = sockets.chain([admin]).map(TcpListener::try_clone).collect();
    Ok(Some(Waiting {
        door: Door::build(&path)?,
        path,
        sockets: sockets.map_err(|error| RunError::Start(error.to_string()))?,
    }))
}

/// From here on this process is the one that runs.
fn take_place(
    waiting: Waiting,
    inherited: Inherited,
    gateway: &Arc<Gateway>,
    signals: &Signals,
) -> Result<Predecessor, RunError> {
    let Waiting {
        mut door,
        path,
        sockets,
    } = waiting;
    if inherited.is_empty() {
        door.open_first(&path)?;
    } else if signals.is_ending() {
        // It would take the sockets only to close them.
        return Err(RunError::Ended);
    } else {
        inherited.confirm().map_err(|error| upgrade(&path, error))?;
        tracing::info!("in the place of the process that ran, on the sockets it had");
        if let Err(error) = door.open(&path) {
            tracing::error!("this process cannot be upgraded in turn: {error}");
        }
    }
    Ok(Predecessor::new(
        door,
        sockets,
        gateway.clone(),
        signals.ends(),
    ))
}

/// Chooses the cryptography for the whole process. Without this rustls would not know which of two linked ones to use.
pub fn install_crypto() {
    // A second call finds the same provider installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn ports(
    config: &Config,
    tls: Vec<Option<Arc<ServedTls>>>,
    inherited: &mut Inherited,
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

/// The socket that the predecessor had, or a new one.
fn bind(address: SocketAddr, inherited: &mut Inherited) -> Result<TcpListener, RunError> {
    if let Some(socket) = inherited.socket(address) {
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
        tracing::info!("protecting {}", resource.uri);
    }
    changes::warn_of_lone_sessions(None, config);
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
    /// The keys to begin with, and the orders that come later; taken at the start.
    work: Option<(Vec<Arc<IssuerKeys>>, mpsc::Receiver<Order>)>,
}

impl KeyKeeper {
    fn new(gateway: &Gateway, orders: mpsc::Receiver<Order>) -> Self {
        let first = gateway.snapshot().keys.values().cloned().collect();
        Self {
            work: Some((first, orders)),
        }
    }
}

#[async_trait]
impl Service for KeyKeeper {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        if let Some((first, orders)) = self.work.take() {
            refresher::keep(first, orders).await;
        }
    }

    fn name(&self) -> &str {
        "keys"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}

/// Looks at the memory in use, on a thread of its own: a busy gateway is when it matters.
struct MemoryWatch {
    gateway: Arc<Gateway>,
}

#[async_trait]
impl Service for MemoryWatch {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        let granted = memory::cgroup_limit();
        let limit = || self.gateway.snapshot().limits.memory.or(granted);
        memory::watch(self.gateway.pressure(), limit).await;
    }

    fn name(&self) -> &str {
        "memory"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}

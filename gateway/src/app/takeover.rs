//! How a process takes its place: by itself, or from the running process whose sockets it inherits.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::error::RunError;
use crate::{
    config::Config,
    downstream::accept::Port,
    issuer_keys::keys::IssuerKeys,
    lifecycle::{
        signals::Signals,
        upgrade::{HandOverError, HandOverService, InheritedSockets, UpgradeSocket},
    },
    shared::Gateway,
    snapshot::KeysByIssuer,
};

/// How long to pause between two looks at whether an issuer's keys have come.
const KEYS_PAUSE: Duration = Duration::from_millis(10);

/// How a process starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// By itself.
    Fresh,
    /// In the place of the running process.
    Upgrade,
}

impl Start {
    /// What was typed.
    pub const fn of(upgrade: bool) -> Self {
        if upgrade { Self::Upgrade } else { Self::Fresh }
    }
}

/// What a successor will be given, and where.
pub(crate) struct PreparedOffer {
    upgrade_socket: UpgradeSocket,
    path: PathBuf,
    sockets: Vec<TcpListener>,
}

/// The sockets of the running process, where it is to be replaced. What this process needs besides them is there by then.
///
/// # Errors
/// An issuer's keys cannot be fetched, or the running process does not give its sockets.
pub(crate) fn inherit_sockets(
    config: &Config,
    start: Start,
    keys: &KeysByIssuer,
) -> Result<InheritedSockets, RunError> {
    if start == Start::Fresh {
        return Ok(InheritedSockets::default());
    }
    let path = config.upgrade_socket.as_deref();
    let path = path.ok_or(RunError::NoUpgradeSocket)?;
    if config.sessions.key_files.is_empty() {
        tracing::warn!(
            "client sessions end with this upgrade: each process has its own random session key. Set sessions.key_files to keep sessions"
        );
    }
    fetch_keys(config, keys)?;
    InheritedSockets::take_over(path).map_err(|error| upgrade_error(path, error))
}

fn upgrade_error(path: &Path, error: HandOverError) -> RunError {
    RunError::Upgrade {
        path: path.to_owned(),
        error,
    }
}

/// Fetches each issuer's keys once: the process that is replaced has them, so none of its requests may wait for them.
fn fetch_keys(config: &Config, keys: &KeysByIssuer) -> Result<(), RunError> {
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

/// Prepares for a successor, with an upgrade socket under a temporary name; nothing where none is configured.
///
/// # Errors
/// The system refuses.
pub(crate) fn prepare_offer(
    config: &Config,
    ports: &[Port],
    admin: &TcpListener,
) -> Result<Option<PreparedOffer>, RunError> {
    let Some(path) = config.upgrade_socket.clone() else {
        return Ok(None);
    };
    let sockets = ports.iter().filter_map(|port| port.socket.as_ref());
    let sockets: Result<Vec<_>, _> = sockets.chain([admin]).map(TcpListener::try_clone).collect();
    Ok(Some(PreparedOffer {
        upgrade_socket: UpgradeSocket::bind_aside(&path)?,
        path,
        sockets: sockets.map_err(|error| RunError::Start(error.to_string()))?,
    }))
}

/// Takes the place of the running process, or an unused one. From then on this process is the one that runs.
///
/// # Errors
/// A process runs at the configured place already, or the running one has not confirmed; it goes on.
pub(crate) fn take_place(
    offer: PreparedOffer,
    inherited: InheritedSockets,
    gateway: &Arc<Gateway>,
    signals: &Signals,
) -> Result<HandOverService, RunError> {
    let PreparedOffer {
        mut upgrade_socket,
        path,
        sockets,
    } = offer;
    if inherited.is_empty() {
        upgrade_socket.move_to_unused(&path)?;
    } else if signals.is_ending() {
        // It would take the sockets only to close them.
        return Err(RunError::Ended);
    } else {
        inherited
            .confirm()
            .map_err(|error| upgrade_error(&path, error))?;
        tracing::info!("took over the listening sockets of the previous process");
        if let Err(error) = upgrade_socket.move_to(&path) {
            tracing::error!(
                "upgrade socket unavailable (upgrade_socket), run --upgrade cannot replace this process: {error}"
            );
        }
    }
    Ok(HandOverService::new(
        upgrade_socket,
        sockets,
        gateway.clone(),
        signals.end_sender(),
    ))
}

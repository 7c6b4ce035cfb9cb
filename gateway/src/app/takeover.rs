//! How a process gets its sockets: new ones, or those of the running process.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::error::RunError;
use crate::{
    authorization_server::{
        control::socket,
        store::{MAX_WAIT, OpenError, Store},
    },
    config::{AuthorizationServer, Config},
    downstream::accept::Port,
    issuer_keys::keys::IssuerKeys,
    lifecycle::{
        signals::Signals,
        upgrade::{HandOverError, HandOverService, InheritedSockets, UpgradeSocket},
    },
    shared::Gateway,
    verify::KeysByIssuer,
};

/// Time between two checks whether the keys of all issuers have arrived.
const KEYS_PAUSE: Duration = Duration::from_millis(10);

/// How a process starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With new sockets.
    Fresh,
    /// With the sockets of the running process, which it replaces.
    Upgrade,
}

impl Start {
    /// From the command line option `--upgrade`.
    pub const fn of(upgrade: bool) -> Self {
        if upgrade { Self::Upgrade } else { Self::Fresh }
    }
}

/// The sockets for the next process, and the path of the upgrade socket.
pub(crate) struct PreparedOffer {
    upgrade_socket: UpgradeSocket,
    path: PathBuf,
    sockets: Vec<TcpListener>,
}

/// The sockets of the running process, when it is to be replaced. By then this process has everything else it needs.
///
/// # Errors
/// An issuer's keys cannot be fetched, or the running process does not hand over its sockets.
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

/// Opens the store of the authorization server. While a process is replaced, that one closes it first; it opens it again unless this
/// process takes its place. So this is the last step before [`take_place`].
///
/// # Errors
/// The store cannot be opened, or the running process does not close it.
pub(crate) fn open_store(
    own: &AuthorizationServer,
    config: &Config,
    inherited: &mut InheritedSockets,
) -> Result<Store, RunError> {
    let directory = &own.directory;
    let unusable = |error| RunError::Store {
        directory: directory.clone(),
        error,
    };
    if let Some(shared) = &own.store {
        // The store is for several processes. The directory has the control socket of one.
        if inherited.is_empty() && socket::is_answered(directory) {
            return Err(unusable(OpenError::DirectoryInUse));
        }
        return Store::connect(shared, directory).map_err(unusable);
    }
    match Store::open(directory) {
        Err(error) if error.is_in_use() && !inherited.is_empty() => {
            let path = config.upgrade_socket.clone().unwrap_or_default();
            let requested = inherited.request_store();
            requested.map_err(|error| upgrade_error(&path, error))?;
            Store::open_waiting(directory, MAX_WAIT).map_err(unusable)
        }
        opened => opened.map_err(unusable),
    }
}

fn upgrade_error(path: &Path, error: HandOverError) -> RunError {
    RunError::Upgrade {
        path: path.to_owned(),
        error,
    }
}

/// Fetches each issuer's keys once. The running process has them, so no call may wait for them after the upgrade. Those of issuers
/// that only the authorization server trusts are fetched too, and nothing waits for them.
fn fetch_keys(config: &Config, keys: &KeysByIssuer) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RunError::Start(error.to_string()))?;
    let needed = || keys.iter().filter(|(_, keys)| keys.are_for_calls());
    runtime.block_on(async {
        let fetching = keys.values().cloned().map(IssuerKeys::run);
        let _running: tokio::task::JoinSet<()> = fetching.collect();
        let deadline = tokio::time::Instant::now() + config.jwks.fetch + KEYS_PAUSE;
        let were_tried = || needed().all(|(_, keys)| keys.was_tried());
        while !were_tried() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(KEYS_PAUSE).await;
        }
    });
    let missing = needed().find(|(_, keys)| !keys.are_built_in() && keys.usable().is_none());
    missing.map_or(Ok(()), |(name, _)| {
        Err(RunError::KeysUnavailable(name.clone()))
    })
}

/// Prepares the upgrade socket under a temporary name; none where `upgrade_socket` is not configured.
///
/// # Errors
/// The socket cannot be created.
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

/// Takes over from the running process, or binds an unused upgrade socket. From then on this process is the running one.
///
/// # Errors
/// A process is already running at the configured path, or the running one did not confirm; it keeps serving.
pub(crate) fn take_place(
    offer: PreparedOffer,
    inherited: InheritedSockets,
    gateway: &Arc<Gateway>,
    signals: &Signals,
    store: Option<Store>,
) -> Result<HandOverService, RunError> {
    let PreparedOffer {
        mut upgrade_socket,
        path,
        sockets,
    } = offer;
    if inherited.is_empty() {
        upgrade_socket.move_to_unused(&path)?;
    } else if signals.is_ending() {
        // It would take the sockets and close them at once.
        return Err(RunError::Ended);
    } else {
        inherited
            .confirm()
            .map_err(|error| upgrade_error(&path, error))?;
        tracing::info!("took over the listening sockets of the previous process");
        if let Err(error) = upgrade_socket.move_to(&path) {
            tracing::error!(
                "cannot use the upgrade socket (upgrade_socket): {error}. The command `run --upgrade` cannot replace this process"
            );
        }
    }
    Ok(HandOverService::new(
        upgrade_socket,
        sockets,
        store,
        gateway.clone(),
        signals.end_sender(),
    ))
}

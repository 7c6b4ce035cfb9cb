//! Finds the server, directly or through Sentinel, and connects. The password is read each time, so it can be changed.

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, TlsCertificates, aio::MultiplexedConnection, cmd,
};
use std::time::Duration;

use super::commands;
use crate::config::{
    authorization_server::{SharedStore, StoreServers},
    files,
};

/// The longest that connecting takes.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// The longest that one answer takes, whatever is configured: less than callers wait, so that one of them notices a connection on
/// which nothing arrives any more.
const ANSWER_DEADLINE: Duration = Duration::from_millis(1500);

/// The line of INFO that says what a full server does with its rows.
const POLICY: &str = "maxmemory_policy";

/// The most bytes that wait to be sent before requests wait for room.
const MAX_UNSENT: usize = 4 * 1024 * 1024;

/// A connection to the server that takes changes.
///
/// # Errors
/// Why there is none, in words.
pub(super) async fn connect(
    settings: &SharedStore,
    commands: &[&str],
) -> Result<(MultiplexedConnection, Policy), String> {
    let (host, port) = master(settings).await?;
    let place = format!("{host}:{port}");
    let connected = tokio::time::timeout(CONNECT_DEADLINE, open(settings, host, port)).await;
    let mut connection = connected
        .unwrap_or_else(|_| Err("no answer in time".to_owned()))
        .map_err(|why| format!("{place}: {why}"))?;
    let policy = judge(&mut connection, commands, &settings.prefix)
        .await
        .map_err(|why| format!("{place}: {why}"))?;
    Ok((connection, policy))
}

/// What the server does with its rows when it is full (maxmemory-policy). None where it does not say.
pub(super) type Policy = Option<String>;

/// The policy now. None where the server does not answer.
pub(super) async fn policy(connection: &mut MultiplexedConnection) -> Option<Policy> {
    let info = cmd("INFO").query_async::<String>(connection).await.ok()?;
    Some(value(&info, POLICY).map(str::to_owned))
}

/// The address of the server. Each Sentinel is asked until one knows it.
async fn master(settings: &SharedStore) -> Result<(String, u16), String> {
    let (sentinels, name) = match &settings.servers {
        StoreServers::One { host, port } => return Ok((host.clone(), *port)),
        StoreServers::Sentinels { addresses, master } => (addresses, master),
    };
    let mut why = "there is no Sentinel".to_owned();
    for (host, port) in sentinels {
        match tokio::time::timeout(CONNECT_DEADLINE, ask(settings, host, *port, name)).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => why = format!("Sentinel {host}:{port}: {error}"),
            Err(_) => why = format!("Sentinel {host}:{port}: no answer in time"),
        }
    }
    Err(why)
}

async fn ask(
    settings: &SharedStore,
    host: &str,
    port: u16,
    name: &str,
) -> Result<(String, u16), String> {
    // A Sentinel has neither databases nor, usually, a password.
    let login = RedisConnectionInfo::default();
    let mut connection = connected(settings, host.to_owned(), port, login).await?;
    let mut question = cmd("SENTINEL");
    question.arg("get-master-addr-by-name").arg(name);
    let found: Option<(String, u16)> = question.query_async(&mut connection).await.map_err(said)?;
    found.ok_or_else(|| format!("it knows no server named {name}"))
}

async fn open(
    settings: &SharedStore,
    host: String,
    port: u16,
) -> Result<MultiplexedConnection, String> {
    connected(settings, host, port, login(settings)?).await
}

async fn connected(
    settings: &SharedStore,
    host: String,
    port: u16,
    login: RedisConnectionInfo,
) -> Result<MultiplexedConnection, String> {
    let (client, config) = (client(settings, host, port, login)?, config(settings));
    let connected = client.get_multiplexed_async_connection_with_config(&config);
    connected.await.map_err(said)
}

fn config(settings: &SharedStore) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_DEADLINE))
        .set_response_timeout(Some(settings.timeout.min(ANSWER_DEADLINE)))
        .set_write_backpressure_boundary(MAX_UNSENT)
}

fn client(
    settings: &SharedStore,
    host: String,
    port: u16,
    login: RedisConnectionInfo,
) -> Result<Client, String> {
    let address = match settings.tls {
        false => ConnectionAddr::Tcp(host, port),
        true => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        },
    };
    let info: ConnectionInfo = address.into_connection_info().map_err(said)?;
    let info = info.set_redis_settings(login);
    let root_cert = match &settings.ca_file {
        Some(path) => Some(files::read(path).map_err(|error| error.to_string())?),
        None => None,
    };
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert,
    };
    match settings.tls {
        false => Client::open(info),
        true => Client::build_with_tls(info, certificates),
    }
    .map_err(said)
}

fn login(settings: &SharedStore) -> Result<RedisConnectionInfo, String> {
    let login = RedisConnectionInfo::default();
    let mut login = login.set_skip_set_lib_name().set_db(settings.database);
    if let Some(username) = &settings.username {
        login = login.set_username(username);
    }
    if let Some(path) = &settings.password_file {
        let password = files::secret_line(path).map_err(|error| error.to_string())?;
        login = login.set_password(String::from_utf8_lossy(password.expose()));
    }
    Ok(login)
}

/// Looks whether the server takes changes and every command, and whether it keeps the rows.
async fn judge(
    connection: &mut MultiplexedConnection,
    commands: &[&str],
    prefix: &str,
) -> Result<Policy, String> {
    let trial = commands::try_all(connection, commands, prefix).await?;
    let info = trial.info.unwrap_or_default();
    if value(&info, "role") == Some("slave") {
        return Err("it is a replica, which takes no changes".to_owned());
    }
    if value(&info, "loading") == Some("1") {
        return Err("it is still loading its data".to_owned());
    }
    trial.refused?;
    Ok(value(&info, POLICY).map(str::to_owned))
}

/// A value of the server's description.
fn value<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    let mut lines = info.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// The library's error. It shows no password.
fn said(error: RedisError) -> String {
    error.to_string()
}

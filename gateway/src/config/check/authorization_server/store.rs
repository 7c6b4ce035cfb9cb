//! The store that several gateways share.

use mcp_gateway_core::http::authority::Authority;

use super::clients::secret_file;
use crate::config::{
    authorization_server::{SharedStore, StoreServers},
    check::common::ca_file,
    declaration::authorization_server::{STORE_PREFIX, STORE_TIMEOUT},
    reading::reader::{Item, Section},
};

const URL_FORM: &str = "Write redis://host:6379/0, or rediss://host:6379/0 for TLS, with user name and password in `username` and `password_file`";

const SENTINEL_FORM: &str = "Write host and port, such as sentinel-1.example.com:26379";

const PREFIX_FORM: &str = "Write letters, digits, `-`, `_`, `.` and `:`, such as mcp-gateway:";

/// The port of a server whose URL has none.
const PORT: u16 = 6379;

/// The port of a Sentinel without one.
const SENTINEL_PORT: u16 = 26379;

/// The greatest number of a database.
const MAX_DATABASE: i64 = 1_000_000;

/// The longest prefix, in bytes.
const MAX_PREFIX: usize = 128;

/// The most Sentinels.
const MAX_SENTINELS: usize = 16;

/// What a URL names.
struct Url {
    /// Host and perhaps port, or the name of a server.
    place: String,
    database: i64,
    tls: bool,
}

/// Reads `store`. Without key files of their own, gateways cannot read what others sealed.
pub(super) fn store(section: &Section<'_>, has_no_keys: bool) -> Option<SharedStore> {
    let item = section.get("store")?;
    if has_no_keys && section.get("key_files").is_none() {
        section.report_at(
            "key_files",
            "required with `store`: gateways that share a store must read what another one sealed",
            "Make a file with 32 random bytes (openssl rand -hex 32), copy it to each gateway, and list it",
        );
    }
    servers("authorization_server.store", item.section())
}

/// Reads the section of a store.
pub(in crate::config::check) fn servers(
    key: &'static str,
    store: Section<'_>,
) -> Option<SharedStore> {
    let redis = store.required("redis", URL_FORM);
    let read = redis.and_then(|item| redis_server(key, item.section()));
    store.finish();
    read
}

fn redis_server(key: &'static str, section: Section<'_>) -> Option<SharedStore> {
    let item = section.required("url", URL_FORM);
    let url = item.as_ref().and_then(|item| item.parsed(url, URL_FORM));
    let sentinels = sentinels(&section);
    let servers = url
        .as_ref()
        .zip(item.as_ref())
        .and_then(|(url, item)| match sentinels {
            Some(addresses) => named(item, &url.place, addresses),
            None => item.parsed(|_| one(&url.place), URL_FORM),
        });
    let ca_file = ca_file(&section, "ca_file");
    if ca_file.is_some() && url.as_ref().is_some_and(|url| !url.tls) {
        section.report_at(
            "ca_file",
            "has no effect without TLS",
            "Write rediss:// in `url`",
        );
    }
    let username = section.text("username");
    let password = section.get("password_file");
    if username.is_some() && password.is_none() {
        section.report_at(
            "username",
            "needs `password_file`",
            "Set it to a file with the password of this user",
        );
    }
    let read = url.zip(servers).map(|(url, servers)| SharedStore {
        key,
        servers,
        database: url.database,
        tls: url.tls,
        ca_file,
        username,
        password_file: password.and_then(|item| secret_file(&item)),
        prefix: prefix(&section),
        timeout: STORE_TIMEOUT.read(&section),
    });
    section.finish();
    read
}

fn url(text: &str) -> Result<Url, &'static str> {
    let (tls, rest) = match text.split_once("://") {
        Some(("redis", rest)) => (false, rest),
        Some(("rediss", rest)) => (true, rest),
        _ => return Err("must be a redis or rediss URL"),
    };
    if rest.contains('@') {
        return Err("must not have a user name or password");
    }
    let (place, database) = rest.split_once('/').unwrap_or((rest, "0"));
    let is_number = !database.is_empty() && database.bytes().all(|digit| digit.is_ascii_digit());
    let database = is_number.then(|| database.parse().ok()).flatten();
    let database = database.filter(|number| *number <= MAX_DATABASE);
    Ok(Url {
        place: place.to_owned(),
        database: database.ok_or("must have the number of a database as its path, or none")?,
        tls,
    })
}

fn one(place: &str) -> Result<StoreServers, &'static str> {
    let (host, port) = address(place, PORT)?;
    Ok(StoreServers::One { host, port })
}

fn address(text: &str, port: u16) -> Result<(String, u16), &'static str> {
    let place =
        Authority::parse(text).map_err(|_| "must have a valid host and an optional port")?;
    let host = place.host().trim_start_matches('[').trim_end_matches(']');
    Ok((host.to_owned(), place.port().unwrap_or(port)))
}

/// The server with this name.
fn named(item: &Item<'_>, name: &str, addresses: Vec<(String, u16)>) -> Option<StoreServers> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_plain) {
        item.report(
            "must have the name of a server at the Sentinels in place of host and port",
            "Write the name that the Sentinels monitor, such as redis://mymaster/0",
        );
        return None;
    }
    let master = name.to_owned();
    Some(StoreServers::Sentinels { addresses, master })
}

fn sentinels(section: &Section<'_>) -> Option<Vec<(String, u16)>> {
    let items = section.list("sentinels");
    if items.len() > MAX_SENTINELS {
        section.report_at(
            "sentinels",
            format_args!("must not have more than {MAX_SENTINELS} entries"),
            "List some of them: each knows the others",
        );
    }
    let addresses = items
        .iter()
        .filter_map(|item| item.parsed(|text| address(text, SENTINEL_PORT), SENTINEL_FORM));
    let addresses: Vec<_> = addresses.collect();
    (!addresses.is_empty()).then_some(addresses)
}

fn prefix(section: &Section<'_>) -> String {
    let item = section.get("prefix");
    let read = item.and_then(|item: Item<'_>| item.parsed(plain, PREFIX_FORM));
    read.unwrap_or_else(|| STORE_PREFIX.to_owned())
}

fn plain(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    match text.bytes().all(is_plain) && !text.is_empty() && text.len() <= MAX_PREFIX {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "must have 1 to {MAX_PREFIX} of the characters that a key may begin with"
        )),
    }
}

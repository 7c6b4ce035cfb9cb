//! Where clients connect: listeners with their certificates, the public URL, hosts and origins, the admin listener, the
//! upgrade socket, and the keys that seal sessions.

use std::{net::SocketAddr, path::PathBuf};

use mcp_gateway_core::http::{
    authority::{Authority, Scheme},
    origin::{AllowedOrigin, AllowedOriginError, OriginError},
};

use super::common::{ca_file, without_repeats};
use crate::config::{
    declaration::listen::{
        ADMIN_ADDRESS, CLIENT_CERTIFICATES, ClientCertificates, PLAIN_HTTP, PROXY_PROTOCOL,
    },
    files::{self, CertifiedKeyError, FileError},
    folder,
    model::{Admin, CertificateFiles, Listener, PublicUrl, Sessions, Tls},
    reading::{
        reader::{Item, Section},
        url::HttpUrl,
    },
};

/// Bytes in the path of a unix socket: the system allows 107, and a starting process appends its id for a moment.
const MAX_SOCKET_PATH: usize = 96;

const ADDRESS_FORM: &str = "Write an IP address and a port, such as 127.0.0.1:8443 or [::]:8443";
const AUTHORITY_FORM: &str =
    "Write a host name, with a port unless it is the default port, such as mcp.example.com:8443";

const CERTIFICATE_FIX: &str = "Use a readable PEM file with the own certificate first, then those of its issuers. Relative paths start at the directory of this configuration";
const PRIVATE_KEY_FIX: &str = "Use the PEM key of this certificate, with mode 0640 or stricter. Relative paths start at the directory of this configuration";

pub(super) fn listeners(root: &Section<'_>) -> Vec<Listener> {
    let items = root.required_list(
        "listen",
        "Add a listener, such as - address: 127.0.0.1:8080",
    );
    let listeners = items
        .into_iter()
        .filter_map(|item| Some((item.clone(), listener(item.section())?)));
    let mut taken: Vec<Listener> = Vec::new();
    for (item, listener) in listeners {
        if taken
            .iter()
            .any(|other| overlap(other.address, listener.address))
        {
            item.report(
                format_args!(
                    "address {} is already used by another listener",
                    listener.address
                ),
                "Change the address or the port",
            );
        }
        taken.push(listener);
    }
    taken
}

fn listener(section: Section<'_>) -> Option<Listener> {
    let address = address(section.required("address", ADDRESS_FORM));
    let plain_http = PLAIN_HTTP.read(&section);
    let proxy_protocol = PROXY_PROTOCOL.read(&section);
    let tls = section.get("tls").map(|item| tls(item.section()));
    if plain_http && tls.is_some() {
        section.report_at(
            "plain_http",
            "cannot be combined with `tls`",
            "Remove one of the two",
        );
    }
    if tls.is_none() && !plain_http && address.is_some_and(|address| !address.ip().is_loopback()) {
        section.report(
            "plain HTTP on a non-loopback address exposes tokens to the network",
            "Add `tls`, or set `plain_http: true` if a proxy in front terminates TLS",
        );
    }
    section.finish();
    Some(Listener {
        address: address?,
        tls,
        plain_http,
        proxy_protocol,
    })
}

fn tls(section: Section<'_>) -> Tls {
    let fix = "Add a certificate, such as - { certificate: tls.crt, private_key: tls.key }";
    let items = section.required_list("certificates", fix);
    let client_ca = ca_file(&section, "client_ca");
    let client_certificates = CLIENT_CERTIFICATES.read(&section);
    if client_ca.is_some() && client_certificates == ClientCertificates::Request {
        section.report_at(
            "client_certificates",
            "cannot be combined with `client_ca`, which requires certificates",
            "Remove one of the two",
        );
    }
    section.finish();
    let pairs = items.into_iter().filter_map(|item| {
        let files = pair(item.section())?;
        Some((item, files))
    });
    Tls {
        certificates: without_repeats(pairs.collect()),
        client_ca,
        client_certificates,
    }
}

fn pair(section: Section<'_>) -> Option<CertificateFiles> {
    let chain = section.required("certificate", "Set the path of the PEM certificate chain");
    let private_key = section.required("private_key", "Set the path of the PEM private key");
    section.finish();
    certificate(&chain?, &private_key?)
}

/// The files of a certificate and its key, read here to check that they are usable and belong together.
pub(super) fn certificate(
    certificate: &Item<'_>,
    private_key: &Item<'_>,
) -> Option<CertificateFiles> {
    let files = (certificate.file(), private_key.file());
    let files = CertificateFiles {
        certificate: files.0?,
        private_key: files.1?,
    };
    let (of_certificate, of_key) = match files::certified_key(&files) {
        Ok(_) => (None, None),
        Err(CertifiedKeyError::Certificate(error)) => (Some(error), None),
        Err(CertifiedKeyError::PrivateKey(error)) => (None, Some(error)),
        Err(CertifiedKeyError::Both(one, other)) => (Some(one), Some(other)),
    };
    if let Some(error) = of_certificate {
        certificate.report_file(&files.certificate, &error, CERTIFICATE_FIX);
    }
    if let Some(error) = of_key {
        private_key.report_file(&files.private_key, &error, PRIVATE_KEY_FIX);
    }
    Some(files)
}

pub(super) fn public_url(root: &Section<'_>, listen: &[Listener]) -> Option<PublicUrl> {
    let fix = "Write the URL that clients use, without a path, such as https://mcp.example.com";
    let item = root.required("public_url", fix)?;
    let url = item.parsed(HttpUrl::without_query, fix)?;
    if !matches!(url.path.as_str(), "" | "/") {
        item.report(
            "must not have a path",
            "Write only scheme and host. Each resource has its own path",
        );
        return None;
    }
    if url.is_exposed() && !listen.iter().any(|listener| listener.plain_http) {
        item.report(
            "must be https: plain HTTP exposes tokens to the network",
            "Write an https URL, or set `plain_http: true` at a listener",
        );
    }
    if url.scheme == Scheme::Http
        && !listen.is_empty()
        && listen.iter().all(|listener| listener.tls.is_some())
    {
        item.report("must be https: every listener uses TLS", "Use https");
    }
    Some(PublicUrl {
        scheme: url.scheme,
        authority: url.authority,
    })
}

pub(super) fn admin(root: &Section<'_>, listen: &[Listener]) -> Option<Admin> {
    let section = root.section("admin");
    let item = section.get("address");
    let hosts = section.list("hosts").into_iter().filter_map(|item| {
        let host = item.parsed(
            host_name,
            "Write only the name, such as mcp-gateway.mcp.svc",
        )?;
        Some((item, host))
    });
    let hosts = without_repeats(hosts.collect());
    section.finish();
    let address = match item {
        Some(item) => address(Some(item))?,
        None => ADMIN_ADDRESS,
    };
    if listen
        .iter()
        .any(|listener| overlap(listener.address, address))
    {
        root.report_at(
            "admin",
            format_args!("address {address} is already used by a listener"),
            "Change `admin.address`, or the address of the listener",
        );
    }
    Some(Admin { address, hosts })
}

/// A host without port.
fn host_name(text: &str) -> Result<Authority, &'static str> {
    let host = Authority::parse(text).ok();
    host.filter(|host| host.port().is_none())
        .ok_or("must be a host name without port")
}

/// The unix socket where a new process requests the listening sockets.
pub(super) fn upgrade_socket(root: &Section<'_>) -> Option<PathBuf> {
    let item = root.get("upgrade_socket")?;
    let path = item.path()?;
    if path.as_os_str().len() > MAX_SOCKET_PATH {
        item.report(
            format_args!("path of the socket must not be longer than {MAX_SOCKET_PATH} bytes"),
            "Use a shorter path, such as /run/mcp-gateway/upgrade.sock",
        );
    } else if let Err(error) = folder::check_private(&path) {
        item.report(
            error,
            "Use a directory with mode 0700 that belongs to the user of the gateway",
        );
    }
    Some(path)
}

pub(super) fn hosts(root: &Section<'_>, public_url: Option<&PublicUrl>) -> Vec<Authority> {
    let scheme = public_url.map_or(Scheme::Https, PublicUrl::scheme);
    let hosts = root.list("hosts").into_iter().filter_map(|item| {
        let host = authority(&item, scheme)?;
        Some((item, host))
    });
    without_repeats(hosts.collect())
}

/// A host and its port, without the default port of the scheme.
pub(super) fn authority(item: &Item<'_>, scheme: Scheme) -> Option<Authority> {
    let parse = |text: &str| {
        Authority::parse(text).map_err(|_| "must be a host name with an optional port")
    };
    Some(item.parsed(parse, AUTHORITY_FORM)?.for_scheme(scheme))
}

pub(super) fn origins(root: &Section<'_>) -> Vec<AllowedOrigin> {
    let origins = root.list("origins").into_iter().filter_map(|item| {
        let origin = item.parsed(
            origin,
            "Write only scheme and host, such as https://app.example.com, or a scheme for every host, such as moz-extension://*",
        )?;
        Some((item, origin))
    });
    without_repeats(origins.collect())
}

/// An origin (RFC 6454 §6.2). It has no path and no final slash, because browsers send none.
fn origin(text: &str) -> Result<AllowedOrigin, String> {
    if matches!(text, "*" | "null") {
        return Err(format!(
            "must not be {text}, which would allow every website"
        ));
    }
    match AllowedOrigin::parse(text) {
        Ok(origin) => Ok(origin),
        Err(AllowedOriginError::EveryWebsite) => {
            Err("must not have * in place of a host, which would allow every website".to_owned())
        }
        Err(AllowedOriginError::Origin(error)) => Err(unreadable(text, error)),
    }
}

/// Why a text is no origin: first what it has too much.
fn unreadable(text: &str, error: OriginError) -> String {
    let is_web = text.starts_with("http://") || text.starts_with("https://");
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let more = rest.find(['/', '?', '#']).and_then(|at| rest.get(at..));
    let problem = match (error, more) {
        (OriginError::Scheme, _) => "must begin with a scheme in lower case and ://",
        (_, Some("/")) => "must not end with a slash",
        (_, Some(more)) if more.starts_with('/') => "must not have a path",
        (_, Some(more)) if more.starts_with('?') => "must not have a query",
        (_, Some(_)) => "must not have a fragment (#)",
        (_, None) if is_web => {
            "must have a valid host and an optional port, without user name or password"
        }
        (_, None) => "must have a host of letters, digits, -, ., _ and ~, and an optional port",
    };
    problem.to_owned()
}

pub(super) fn sessions(root: &Section<'_>) -> Sessions {
    let section = root.section("sessions");
    let items = section.list("key_files");
    section.finish();
    let files = items.into_iter().filter_map(|item| {
        let path = item.file()?;
        if let Err(error) = files::sealing_key(&path) {
            item.report_file(&path, &error, session_key_fix(&error));
        }
        Some((item, path))
    });
    Sessions {
        key_files: without_repeats(files.collect()),
    }
}

/// Another key ends all sessions, so a file that only has the wrong mode keeps its key.
fn session_key_fix(error: &FileError) -> &'static str {
    match error {
        FileError::Exposed => "Set mode 0640 or stricter",
        _ => "Use a file with 32 random bytes (openssl rand -hex 32) and mode 0640 or stricter",
    }
}

fn address(item: Option<Item<'_>>) -> Option<SocketAddr> {
    item?.parsed(
        |text| {
            text.parse()
                .map_err(|_| "must be an IP address with a port")
        },
        ADDRESS_FORM,
    )
}

/// Whether two addresses cannot both be bound. Port 0 selects a free port.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_address = one.ip() == other.ip()
        || (one.is_ipv4() == other.is_ipv4()
            && (one.ip().is_unspecified() || other.ip().is_unspecified()));
    one.port() != 0 && one.port() == other.port() && same_address
}

//! The MCP server behind a resource: `http://127.0.0.1:9000/mcp`, `{ url: https://…, ca_file: … }` or
//! `{ unix: /run/tasks.sock, path: /mcp }`, both with `http2`.

use mcp_gateway_core::http::authority::{Authority, Scheme};

use super::{common::ca_file, listen, upstream_headers::upstream_headers};
use crate::config::{
    declaration::identity_headers::IdentityHeaders,
    model::{Listener, Upstream, UpstreamHeaders, UpstreamTarget},
    reading::{
        reader::{Item, Section},
        url::HttpUrl,
    },
};

/// Bytes in the path of a unix socket (`sun_path` of unix(7), without the final zero byte).
const MAX_SOCKET_PATH: usize = 107;

const URL_FORM: &str =
    "Write the MCP server's URL with its path, such as http://127.0.0.1:9000/mcp";

/// Reads an upstream, and the headers of requests to it. A unix socket without `path` has the path of the resource.
pub(super) fn upstream(
    item: &Item<'_>,
    resource_path: Option<&str>,
    listen: &[Listener],
    identity: &IdentityHeaders,
) -> (Option<Upstream>, UpstreamHeaders) {
    if !item.is_mapping() {
        return (by_url(item, None, None, listen), UpstreamHeaders::default());
    }
    let section = item.section();
    let host = host(&section);
    let headers = upstream_headers(&section, identity);
    let http2 = section.get("http2").and_then(|item| item.flag());
    let upstream = match (section.get("url"), section.get("unix")) {
        (Some(url), None) => {
            let ca_file = ca_file(&section, "ca_file");
            by_url(&url, ca_file, http2, listen)
        }
        (None, Some(socket)) => by_socket(&socket, &section, http2, resource_path),
        (Some(_), Some(socket)) => {
            socket.report("cannot be combined with `url`", "Remove one of the two");
            None
        }
        (None, None) => {
            section.report("must have `url` or `unix`", "Set one of the two");
            None
        }
    };
    section.finish();
    let upstream = upstream.map(|upstream| Upstream {
        host: host.unwrap_or(upstream.host),
        ..upstream
    });
    (upstream, headers)
}

/// The `Host` to send, with its port as it is written.
fn host(section: &Section<'_>) -> Option<String> {
    let item = section.get("host")?;
    let scheme = match section.get("url").and_then(|url| url.text()) {
        Some(url) if url.starts_with("https:") => Scheme::Https,
        _ => Scheme::Http,
    };
    Some(listen::authority(&item, scheme)?.to_string())
}

fn by_url(
    item: &Item<'_>,
    ca_file: Option<std::path::PathBuf>,
    http2: Option<bool>,
    listen: &[Listener],
) -> Option<Upstream> {
    let url = item.parsed(HttpUrl::parse, URL_FORM)?;
    if url.path.is_empty() {
        item.report(
            "must have a path",
            format_args!("{URL_FORM}, or add a final slash"),
        );
    }
    if listen
        .iter()
        .any(|listener| reaches(&url.authority, url.scheme, listener))
    {
        item.report(
            "must not be a listener of this gateway",
            "Write the address of the MCP server",
        );
    }
    let host = url.authority.to_string();
    let authority = url.authority;
    let is_https = url.scheme == Scheme::Https;
    let target = match url.scheme {
        Scheme::Https => UpstreamTarget::Https { authority, ca_file },
        Scheme::Http => {
            if ca_file.is_some() {
                item.report(
                    "must be https, because `ca_file` is set",
                    "Use https, or remove `ca_file`",
                );
            }
            UpstreamTarget::Http { authority }
        }
    };
    Some(Upstream {
        target,
        host,
        path: url.path,
        query: url.query,
        http2: http2.unwrap_or(is_https),
    })
}

fn by_socket(
    item: &Item<'_>,
    section: &Section<'_>,
    http2: Option<bool>,
    resource_path: Option<&str>,
) -> Option<Upstream> {
    let path = match section.get("path") {
        Some(item) => item.parsed(own_path, "Write an absolute path, such as /mcp"),
        None => resource_path.map(str::to_owned),
    };
    let socket = item.path()?;
    if socket.as_os_str().len() > MAX_SOCKET_PATH {
        item.report(
            format_args!("path of the socket must not be longer than {MAX_SOCKET_PATH} bytes"),
            "Move the socket to a shorter path",
        );
    }
    Some(Upstream {
        target: UpstreamTarget::Unix { socket },
        host: "localhost".to_owned(),
        path: path?,
        query: None,
        http2: http2.unwrap_or(false),
    })
}

fn own_path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err("must be an absolute path".to_owned());
    }
    let url = HttpUrl::without_query(&format!("http://localhost{text}"));
    url.map(|url| url.path).map_err(|error| error.to_string())
}

/// Whether an upstream is this gateway itself. Requests would loop until a limit stops them.
fn reaches(upstream: &Authority, scheme: Scheme, listener: &Listener) -> bool {
    let ip = listener.address.ip();
    let host = upstream.host().trim_matches(['[', ']']);
    let same_host = host == ip.to_string()
        || (upstream.is_loopback() && (ip.is_loopback() || ip.is_unspecified()));
    listener.address.port() != 0
        && upstream.port_or_default(scheme) == listener.address.port()
        && same_host
}

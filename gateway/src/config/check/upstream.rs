//! The MCP server behind a resource: `http://127.0.0.1:9000/mcp`, `{ url: https://…, ca_file: … }`,
//! `{ unix: /run/tasks.sock, path: /mcp }` or `{ endpoints: [http://…, { url: http://…, weight: 2 }] }`, all with `http2` and `transport`.

mod balancing;
mod credentials;
mod tls;
pub(super) mod transport;

use mcp_gateway_core::http::authority::{Authority, Scheme};

use super::{
    common::own_path, credentials::assertions, listen, upstream_headers::upstream_headers,
};
use crate::config::{
    declaration::{
        credentials::assertions::UpstreamAssertion,
        identity_headers::IdentityHeaders,
        resource::{TRANSPORT, Transport, balancing::WEIGHT},
    },
    model::{
        Balancing, Listener, Route, Upstream, UpstreamHeaders, UpstreamTarget, UpstreamTls,
        WeightedUpstream,
    },
    outgoing::credentials::UpstreamCredentials,
    reading::{
        reader::{Item, Section},
        url::HttpUrl,
    },
};

/// Bytes in the path of a unix socket (`sun_path` of unix(7), without the final zero byte).
const MAX_SOCKET_PATH: usize = 107;

/// The most endpoints of one upstream.
const MAX_ENDPOINTS: usize = 100;

const URL_FORM: &str =
    "Write the MCP server's URL with its path, such as http://127.0.0.1:9000/mcp";

/// What is read of an upstream.
#[derive(Default)]
pub(super) struct Read {
    pub(super) upstream: Option<Upstream>,
    pub(super) headers: UpstreamHeaders,
    pub(super) balancing: Balancing,
    pub(super) assertion: Option<UpstreamAssertion>,
    pub(super) transport: Transport,
    pub(super) credentials: Option<UpstreamCredentials>,
}

/// Reads an upstream, the headers of requests to it, the assertion about their caller, its transport, the gateway's credentials there, and how calls
/// are spread over its endpoints. A unix socket without `path` has the path of the resource. `route` is how an authorization server for it is reached.
pub(super) fn upstream(
    item: &Item<'_>,
    resource_path: Option<&str>,
    listen: &[Listener],
    identity: &IdentityHeaders,
    route: &Route,
) -> Read {
    if !item.is_mapping() {
        return Read {
            upstream: by_url(item, None, listen),
            ..Read::default()
        };
    }
    let section = item.section();
    let host = host(&section);
    let transport = TRANSPORT.read(&section);
    let http2 = section.get("http2").and_then(|item| item.flag());
    let mut several = Vec::new();
    let ways = (
        section.get("url"),
        section.get("unix"),
        section.get("endpoints"),
    );
    let upstream = match ways {
        (Some(url), None, None) => by_url(&url, http2, listen),
        (None, Some(socket), None) => by_socket(&socket, &section, http2, resource_path),
        (None, None, Some(list)) => {
            several = endpoints(&list, http2, listen);
            several.first().map(|first| first.upstream.clone())
        }
        (Some(_), Some(socket), _) => {
            socket.report("cannot be combined with `url`", "Remove one of the two");
            None
        }
        (_, _, Some(list)) => {
            list.report(
                "cannot be combined with `url` or `unix`",
                "Write every instance in `endpoints`, and remove the other key",
            );
            None
        }
        (None, None, None) => {
            section.report(
                "must have `url`, `unix` or `endpoints`",
                "Set one of the three",
            );
            None
        }
    };
    let all = several.iter().map(|one| &one.upstream).chain(&upstream);
    let tls = tls::of_all(&section, &all.collect::<Vec<_>>());
    let asked_as = |upstream: Upstream| Upstream {
        host: host.clone().unwrap_or_else(|| upstream.host.clone()),
        target: tls::secured(upstream.target, &tls),
        ..upstream
    };
    let upstream = upstream.map(asked_as);
    let several = several.into_iter().map(|one| WeightedUpstream {
        upstream: asked_as(one.upstream),
        weight: one.weight,
    });
    let balancing = balancing::balancing(&section, upstream.as_ref(), several.collect());
    let assertion = assertions::of_upstream(&section, upstream.as_ref(), identity);
    let own: Vec<_> = (identity.names().into_iter())
        .chain(assertion.iter().flat_map(UpstreamAssertion::names))
        .collect();
    let headers = upstream_headers(&section, &own);
    let credentials = credentials::read(&section, &headers, route);
    section.finish();
    Read {
        upstream,
        headers,
        balancing,
        assertion,
        transport,
        credentials,
    }
}

/// The instances of an MCP server, each one once.
fn endpoints(list: &Item<'_>, http2: Option<bool>, listen: &[Listener]) -> Vec<WeightedUpstream> {
    let items = list.list();
    if items.is_empty() {
        list.report("must have an endpoint", "Write the URL of each instance");
    }
    if items.len() > MAX_ENDPOINTS {
        list.report(
            format_args!("must not have more than {MAX_ENDPOINTS} endpoints"),
            "Remove some, or use `resolve` with a name",
        );
    }
    let mut found: Vec<WeightedUpstream> = Vec::new();
    for item in items {
        let (url, weight) = match item.is_mapping() {
            false => (Some(item.clone()), WEIGHT.default()),
            true => {
                let section = item.section();
                let url = section.required("url", URL_FORM);
                let weight = WEIGHT.read(&section);
                section.finish();
                (url, weight)
            }
        };
        let Some(upstream) = url.and_then(|url| by_url(&url, http2, listen)) else {
            continue;
        };
        if found.iter().any(|known| known.upstream == upstream) {
            item.report(
                "is listed twice",
                "Remove one of them; for a greater share write a `weight`",
            );
            continue;
        }
        if found
            .first()
            .is_some_and(|first| first.upstream.query != upstream.query)
        {
            item.report(
                "must have the same query as the first endpoint",
                "Write the same query in each URL, or none",
            );
        }
        found.push(WeightedUpstream { upstream, weight });
    }
    found
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

fn by_url(item: &Item<'_>, http2: Option<bool>, listen: &[Listener]) -> Option<Upstream> {
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
        Scheme::Https => UpstreamTarget::Https {
            authority,
            tls: UpstreamTls::default(),
        },
        Scheme::Http => UpstreamTarget::Http { authority },
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

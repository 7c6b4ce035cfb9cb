//! How issuers are reached: directly, or through a forward proxy.

use mcp_gateway_core::http::{
    authority::Scheme,
    outbound::no_proxy::{NoProxy, NoProxyEntry},
};

use super::common::ca_file;
use crate::config::{
    files,
    model::{ForwardProxy, Route},
    reading::{
        reader::{Item, Section},
        url::HttpUrl,
    },
};

/// The value for no proxy.
const NONE: &str = "none";

const PROXY_FORM: &str = "Write none or the URL of an HTTP proxy, such as http://proxy.example.com:3128, with user name and password in credentials_file";

const NO_PROXY_FORM: &str = "Write a host such as keys.example.com, .example.com for all hosts below it, an IP address or a network such as 10.0.0.0/8";

/// The route of issuers without one of their own.
pub(super) fn outbound(section: Section<'_>) -> Route {
    let route = route(&section).unwrap_or(Route::Unset);
    section.finish();
    route
}

/// The route at the key `proxy` of a section.
pub(super) fn route(section: &Section<'_>) -> Option<Route> {
    let item = section.get("proxy")?;
    if item.is_mapping() {
        return proxy(item.section()).map(Route::Proxy);
    }
    if item.any_text()? == NONE {
        return Some(Route::Direct);
    }
    by_url(&item).map(Route::Proxy)
}

fn proxy(section: Section<'_>) -> Option<ForwardProxy> {
    let url = section.required("url", PROXY_FORM);
    let proxy = ForwardProxy {
        credentials_file: credentials_file(&section),
        no_proxy: no_proxy(&section),
        ca_file: ca_file(&section, "ca_file"),
        ..url.and_then(|item| by_url(&item))?
    };
    if proxy.ca_file.is_some() && proxy.scheme == Scheme::Http {
        section.report_at(
            "ca_file",
            "has no effect with an http proxy",
            "Remove it, or write an https URL. CA certificates of an issuer belong to its own ca_file",
        );
    }
    section.finish();
    Some(proxy)
}

fn by_url(item: &Item<'_>) -> Option<ForwardProxy> {
    let url = item.parsed(HttpUrl::without_query, PROXY_FORM)?;
    if !["", "/"].contains(&url.path.as_str()) {
        item.report("must not have a path", PROXY_FORM);
    }
    Some(ForwardProxy {
        scheme: url.scheme,
        authority: url.authority,
        credentials_file: None,
        no_proxy: NoProxy::default(),
        ca_file: None,
    })
}

fn credentials_file(section: &Section<'_>) -> Option<std::path::PathBuf> {
    let item = section.get("credentials_file")?;
    let path = item.file()?;
    if let Err(error) = files::proxy_credentials(&path) {
        item.report_file(
            &path,
            &error,
            "Use a file with user:password on one line, readable only by owner and group",
        );
    }
    Some(path)
}

/// Each text may hold several entries, as the variable NO_PROXY does.
fn no_proxy(section: &Section<'_>) -> NoProxy {
    let mut entries = Vec::new();
    for item in section.one_or_many("no_proxy") {
        let Some(text) = item.text() else { continue };
        for entry in text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
        {
            match NoProxyEntry::parse(entry) {
                Ok(entry) => entries.push(entry),
                Err(error) => item.report(error, NO_PROXY_FORM),
            }
        }
    }
    NoProxy::new(entries)
}

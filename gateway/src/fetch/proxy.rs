//! Requests through a forward proxy: a tunnel (CONNECT, RFC 9110 §9.3.6) for https, the whole URL in the request line for
//! http (RFC 9112 §3.2.2).
//!
//! The proxy resolves the names of destinations. TLS in the tunnel is verified with the issuer's CA certificates, TLS to the
//! proxy itself with the proxy's: a proxy cannot vouch for an issuer. Loopback destinations never go through a proxy, which
//! would take them for itself.

use std::path::Path;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, PROXY_AUTHORIZATION, USER_AGENT},
};
use http_body_util::Full;
use hyper::{body::Incoming, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use mcp_gateway_core::http::{authority::Scheme, outbound::host::Host};
use reqwest::Url;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{
    call::Outgoing,
    error::{FetchError, Via},
    http1::{AGENT, Sender, bare, handshake, secured, system_roots, tls},
};
use crate::{
    config::{ForwardProxy, files},
    error_source::root_cause,
};

/// The client of a forward proxy.
#[derive(Clone)]
pub(super) struct ProxyClient {
    proxy: ForwardProxy,
    /// TLS to an https proxy.
    to_proxy: Option<TlsConnector>,
    /// TLS through a tunnel.
    to_target: TlsConnector,
}

impl std::fmt::Debug for ProxyClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("ProxyClient")
            .field(&self.proxy)
            .finish()
    }
}

impl ProxyClient {
    /// A client that verifies destinations with the certificates in `ca_file`, or the system's.
    ///
    /// # Errors
    /// A CA file cannot be used.
    pub(super) fn new(proxy: &ForwardProxy, ca_file: Option<&Path>) -> Result<Self, FetchError> {
        let to_proxy = match proxy.scheme {
            Scheme::Http => None,
            Scheme::Https => Some(connector(proxy.ca_file.as_deref())?),
        };
        Ok(Self {
            proxy: proxy.clone(),
            to_proxy,
            to_target: connector(ca_file)?,
        })
    }

    /// Whether requests for this URL go through the proxy.
    pub(super) fn is_used_for(&self, url: &Url) -> bool {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return true;
        };
        self.is_used_for_host(&Host::parse(host), port)
    }

    /// Whether requests for this host and port go through the proxy.
    pub(super) fn is_used_for_host(&self, host: &Host, port: u16) -> bool {
        !host.is_loopback() && !self.proxy.no_proxy.contains(host, port)
    }

    /// The proxy, for messages.
    pub(super) fn via(&self) -> Via {
        Via(Some(self.name()))
    }

    fn name(&self) -> String {
        format!("{}://{}", self.proxy.scheme, self.proxy.authority)
    }

    /// Sends a call to this URL.
    ///
    /// # Errors
    /// The proxy or, through it, the destination cannot be reached, or the proxy refused.
    pub(super) async fn send(
        &self,
        url: &Url,
        call: &Outgoing,
    ) -> Result<Response<Incoming>, FetchError> {
        if url.scheme() == "https" {
            return self.send_in_tunnel(url, call).await;
        }
        let failed = |error: hyper::Error| self.failed(root_cause(&error));
        let mut request = request(url.as_str(), url, call)?;
        if let Some(credentials) = self.credentials()? {
            let headers = request.headers_mut();
            headers.insert(PROXY_AUTHORIZATION, credentials);
        }
        let mut sender = self.open().await?;
        let answer = sender.send_request(request).await.map_err(failed)?;
        match answer.status() {
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err(self.refused(url.as_str(), answer.status()))
            }
            _ => Ok(answer),
        }
    }

    async fn send_in_tunnel(
        &self,
        url: &Url,
        call: &Outgoing,
    ) -> Result<Response<Incoming>, FetchError> {
        let failed = |problem| FetchError::Connection {
            url: url.as_str().to_owned(),
            problem,
            via: self.via(),
        };
        let tunnel = TokioIo::new(self.tunnel(&authority(url)).await?);
        let host = url.host_str().unwrap_or_default();
        let stream = secured(&self.to_target, host, tunnel)
            .await
            .map_err(failed)?;
        let mut sender = handshake(stream).await.map_err(failed)?;
        let path = url.query().map_or_else(
            || url.path().to_owned(),
            |query| format!("{}?{query}", url.path()),
        );
        let request = request(&path, url, call)?;
        let answer = sender.send_request(request).await;
        answer.map_err(|error| FetchError::Broken {
            url: url.as_str().to_owned(),
            problem: root_cause(&error),
            via: self.via(),
        })
    }

    /// A tunnel to this host and port (`a.example:443`).
    ///
    /// # Errors
    /// The proxy cannot be reached, or refused.
    pub(super) async fn tunnel(&self, target: &str) -> Result<Upgraded, FetchError> {
        let mut request = Request::connect(target)
            .header(HOST, target)
            .header(USER_AGENT, AGENT);
        if let Some(credentials) = self.credentials()? {
            request = request.header(PROXY_AUTHORIZATION, credentials);
        }
        let request = request
            .body(Full::default())
            .map_err(|error| self.failed(error.to_string()))?;
        let failed = |error: hyper::Error| self.failed(root_cause(&error));
        let mut sender = self.open().await?;
        let answer = sender.send_request(request).await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(self.refused(&format!("CONNECT {target}"), answer.status()));
        }
        hyper::upgrade::on(answer).await.map_err(failed)
    }

    /// A connection to the proxy.
    async fn open(&self) -> Result<Sender, FetchError> {
        let host = self.proxy.authority.host();
        let port = self.proxy.authority.port_or_default(self.proxy.scheme);
        let stream = TcpStream::connect((bare(host), port))
            .await
            .map_err(|error| self.failed(error.to_string()))?;
        let opened = match &self.to_proxy {
            None => handshake(stream).await,
            Some(tls) => match secured(tls, host, stream).await {
                Ok(stream) => handshake(stream).await,
                Err(problem) => Err(problem),
            },
        };
        opened.map_err(|problem| self.failed(problem))
    }

    /// `Proxy-Authorization` (RFC 7617), read again for each connection.
    fn credentials(&self) -> Result<Option<HeaderValue>, FetchError> {
        let Some(file) = &self.proxy.credentials_file else {
            return Ok(None);
        };
        let unusable = |error: &str| FetchError::Credentials(format!("{} {error}", file.display()));
        let credentials =
            files::proxy_credentials(file).map_err(|error| unusable(&error.to_string()))?;
        let value = format!("Basic {}", BASE64_STANDARD.encode(credentials.expose()));
        let mut value =
            HeaderValue::try_from(value).map_err(|_| unusable("contains no user:password"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    fn failed(&self, problem: String) -> FetchError {
        FetchError::Proxy {
            proxy: self.name(),
            problem,
        }
    }

    fn refused(&self, target: &str, status: StatusCode) -> FetchError {
        FetchError::ProxyStatus {
            proxy: self.name(),
            target: target.to_owned(),
            status: status.as_u16(),
            has_credentials: self.proxy.credentials_file.is_some(),
        }
    }
}

/// A call with this target in the request line.
fn request(target: &str, url: &Url, call: &Outgoing) -> Result<Request<Full<Bytes>>, FetchError> {
    let unfit = |error: String| FetchError::Document(format!("{url}: {error}"));
    let uri: Uri = target
        .parse()
        .map_err(|error: http::uri::InvalidUri| unfit(error.to_string()))?;
    let host = match url.port() {
        Some(_) => authority(url),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let mut request = Request::builder()
        .method(call.method())
        .uri(uri)
        .header(HOST, host)
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "application/json");
    if let Some(value) = &call.authorization {
        request = request.header(AUTHORIZATION, value);
    }
    if let Some(posted) = &call.posted {
        request = request.header(CONTENT_TYPE, posted.media_type);
    }
    let body = call.posted.as_ref().map(|posted| posted.body.clone());
    request
        .body(Full::new(body.unwrap_or_default()))
        .map_err(|error| unfit(error.to_string()))
}

/// Host and port, the default port included.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{host}:{port}")
}

/// TLS that is verified with the certificates in `ca_file`, or the system's.
fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, FetchError> {
    let roots = match ca_file {
        Some(path) => files::roots(path)
            .map_err(|error| FetchError::Authority(format!("{} {error}", path.display())))?,
        None => system_roots(),
    };
    Ok(tls(roots))
}

#[cfg(test)]
mod tests {
    use mcp_gateway_core::http::{
        authority::Authority,
        outbound::no_proxy::{NoProxy, NoProxyEntry},
    };

    use super::*;

    fn client(no_proxy: &[&str]) -> ProxyClient {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let entries = no_proxy
            .iter()
            .map(|entry| NoProxyEntry::parse(entry).unwrap());
        let proxy = ForwardProxy {
            scheme: Scheme::Http,
            authority: Authority::parse("proxy.example:3128").unwrap(),
            credentials_file: None,
            no_proxy: NoProxy::new(entries.collect()),
            ca_file: None,
        };
        ProxyClient::new(&proxy, None).unwrap()
    }

    #[test]
    fn loopback_and_excluded_destinations_are_reached_directly() {
        let client = client(&["10.0.0.0/8", ".corp.example:8443"]);
        for (url, expected) in [
            ("https://issuer.example/keys", true),
            ("http://issuer.example/keys", true),
            ("https://10.1.2.3/keys", false),
            // The URL parser reads this as 10.0.0.1.
            ("https://0xA.1/keys", false),
            ("https://keys.corp.example:8443/", false),
            ("https://keys.corp.example/", true),
            ("https://localhost/keys", false),
            ("http://127.1:9/keys", false),
            ("http://[::1]:9/keys", false),
            ("http://[::ffff:127.0.0.1]:9/keys", false),
            ("https://169.254.169.254/keys", true),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(client.is_used_for(&url), expected, "{url}");
        }
    }

    #[test]
    fn hosts_are_written_as_http_requires() {
        for (url, tunnel, host) in [
            ("https://a.example/", "a.example:443", "a.example"),
            (
                "https://a.example:8443/",
                "a.example:8443",
                "a.example:8443",
            ),
            (
                "https://[2001:db8::1]/",
                "[2001:db8::1]:443",
                "[2001:db8::1]",
            ),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(authority(&url), tunnel);
            let request = request("/x", &url, &Outgoing::get(None)).unwrap();
            assert_eq!(request.headers()[HOST], host);
        }
    }
}

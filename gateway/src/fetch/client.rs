//! A hardened HTTP client for one issuer: it GETs a small JSON document, or returns why it could not. [`Fetcher::call`] also POSTs forms.

use std::{path::Path, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderValue, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use mcp_gateway_core::http::{authority::Authority, outbound::host::Host};
use reqwest::{Certificate, Client, Url, redirect};

use super::{
    bearer::Bearer,
    call::{Answered, Outgoing},
    environment::proxy_variable,
    error::{FetchError, Via},
    http1::AGENT,
    proxy::ProxyClient,
};
use crate::{
    config::{Issuer, Jwks, Route},
    error_source::root_cause,
};

/// Fetches documents of one issuer.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    direct: Client,
    proxy: Option<ProxyClient>,
    /// Neither the issuer nor `outbound` says anything about proxies.
    is_unset: bool,
    bearer: Option<Bearer>,
    deadline: Duration,
    max_bytes: usize,
    allow_http: bool,
}

/// An answer, whichever way it came.
type Answer = Response<UnsyncBoxBody<Bytes, String>>;

impl Fetcher {
    /// A client that trusts the system's CA certificates, or only those in the issuer's file.
    ///
    /// # Errors
    /// A CA file cannot be used.
    pub(crate) fn new(issuer: &Issuer, settings: Jwks) -> Result<Self, FetchError> {
        Self::of_busy_issuer(issuer, settings, 1)
    }

    /// The same for an issuer that is asked often, with at most so many idle connections.
    ///
    /// # Errors
    /// A CA file cannot be used.
    pub(crate) fn of_busy_issuer(
        issuer: &Issuer,
        settings: Jwks,
        idle_connections: usize,
    ) -> Result<Self, FetchError> {
        let ca_file = issuer.ca_file.as_deref();
        Ok(Self {
            direct: direct(ca_file, idle_connections)?,
            proxy: proxy(&issuer.route, ca_file)?,
            is_unset: issuer.route == Route::Unset,
            bearer: Bearer::of(issuer),
            deadline: settings.fetch,
            max_bytes: settings.bytes,
            allow_http: issuer.allow_http,
        })
    }

    /// A client for a service that is called often, with at most so many idle connections.
    ///
    /// # Errors
    /// A CA file cannot be used.
    pub(crate) fn of_service(
        (ca_file, route): (Option<&Path>, &Route),
        idle_connections: usize,
        deadline: Duration,
        max_bytes: usize,
    ) -> Result<Self, FetchError> {
        Ok(Self {
            direct: direct(ca_file, idle_connections)?,
            proxy: proxy(route, ca_file)?,
            is_unset: *route == Route::Unset,
            bearer: None,
            deadline,
            max_bytes,
            allow_http: false,
        })
    }

    /// The same client with other limits.
    pub(crate) fn within(&self, deadline: Duration, max_bytes: usize) -> Self {
        Self {
            deadline,
            max_bytes,
            ..self.clone()
        }
    }

    /// That a fetch took too long.
    pub(crate) fn late(&self, deadline: Duration) -> FetchError {
        let via = self.proxy.as_ref().map(ProxyClient::via);
        FetchError::Deadline(deadline, via.unwrap_or_default())
    }

    /// A hint where `error` may come from a proxy that is not configured here: other programs use that of the environment.
    pub(crate) fn hint(&self, error: &FetchError) -> Option<String> {
        let variable = proxy_variable().filter(|_| self.is_unset && error.is_unanswered())?;
        Some(format!(
            "the environment names a proxy ({variable}), which the gateway ignores: to use it, set outbound.proxy, or proxy on the issuer"
        ))
    }

    /// Checks a URL that a document named and not the operator: an internal address is not asked of the proxy, which may
    /// reach more than the gateway. The issuer's own host is what the operator named.
    ///
    /// # Errors
    /// [`FetchError::Internal`].
    pub(crate) fn check_found(&self, url: &str, issuer: &str) -> Result<(), FetchError> {
        let host = |url: &Url| url.host_str().map(Host::parse);
        let (Some(proxy), Ok(found)) = (&self.proxy, Url::parse(url)) else {
            return Ok(());
        };
        let own = Url::parse(issuer).ok().as_ref().and_then(host);
        let is_foreign = |host: &Host| host.is_internal_address() && own.as_ref() != Some(host);
        if proxy.is_used_for(&found) && host(&found).as_ref().is_some_and(is_foreign) {
            return Err(FetchError::Internal(url.to_owned()));
        }
        Ok(())
    }

    /// The whole body of a 200 answer to `GET url`, within the deadline.
    pub(crate) async fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        self.within_deadline(url, self.fetch(url)).await
    }

    /// The answer to a call, whatever its status but a redirect, within the deadline.
    pub(crate) async fn call(&self, url: &str, call: &Outgoing) -> Result<Answered, FetchError> {
        self.within_deadline(url, self.answered(url, call)).await
    }

    async fn within_deadline<T>(
        &self,
        url: &str,
        work: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        if !self.allow_http && is_insecure(url) {
            return Err(FetchError::Insecure(url.to_owned()));
        }
        tokio::time::timeout(self.deadline, work)
            .await
            .unwrap_or_else(|_| Err(self.late(self.deadline)))
    }

    async fn fetch(&self, address: &str) -> Result<Bytes, FetchError> {
        let url = parsed(address)?;
        let get = Outgoing::get(self.authorization(&url)?);
        let (answer, via) = self.send(&url, &get).await?;
        let url_shown = address.to_owned();
        match answer.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => return Err(FetchError::Redirect(url_shown)),
            status => {
                return Err(FetchError::Status {
                    note: format!("{via}{}", self.note(&url, status)),
                    url: url_shown,
                    status: status.as_u16(),
                });
            }
        }
        self.body(url_shown, answer.into_body(), via).await
    }

    async fn answered(&self, address: &str, call: &Outgoing) -> Result<Answered, FetchError> {
        let (answer, via) = self.send(&parsed(address)?, call).await?;
        let (url, (head, body)) = (address.to_owned(), answer.into_parts());
        if head.status.is_redirection() {
            return Err(FetchError::Redirect(url));
        }
        Ok(Answered {
            status: head.status.as_u16(),
            headers: head.headers,
            body: self.body(url, body, via).await?,
        })
    }

    async fn send(&self, url: &Url, call: &Outgoing) -> Result<(Answer, Via), FetchError> {
        let proxy = self.proxy.as_ref().filter(|proxy| proxy.is_used_for(url));
        let answer = match proxy {
            Some(proxy) => send_through(proxy, url, call).await?,
            None => self.send_directly(url, call).await?,
        };
        Ok((answer, proxy.map(ProxyClient::via).unwrap_or_default()))
    }

    async fn send_directly(&self, url: &Url, call: &Outgoing) -> Result<Answer, FetchError> {
        let mut request = self
            .direct
            .request(call.method(), url.clone())
            .header(ACCEPT, "application/json");
        if let Some(value) = &call.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(posted) = &call.posted {
            request = request
                .header(CONTENT_TYPE, posted.media_type)
                .body(posted.body.clone());
        }
        let answer = request.send().await;
        let answer = answer.map_err(|error| failed(url, &error))?;
        let answer = Response::<reqwest::Body>::from(answer);
        Ok(answer.map(|body| body.map_err(|error| root_cause(&error)).boxed_unsync()))
    }

    async fn body(
        &self,
        url: String,
        mut body: UnsyncBoxBody<Bytes, String>,
        via: Via,
    ) -> Result<Bytes, FetchError> {
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let chunk = match frame {
                Ok(frame) => frame.into_data().unwrap_or_default(),
                Err(problem) => return Err(FetchError::Broken { url, problem, via }),
            };
            if read.len() + chunk.len() > self.max_bytes {
                let limit = self.max_bytes;
                return Err(FetchError::TooLarge { url, limit });
            }
            read.extend_from_slice(&chunk);
        }
        Ok(read.freeze())
    }

    fn authorization(&self, url: &Url) -> Result<Option<HeaderValue>, FetchError> {
        let is_local = !is_insecure(url.as_str());
        let bearer = self.bearer.as_ref();
        bearer.map_or(Ok(None), |bearer| bearer.authorization(url, is_local))
    }

    /// What an operator should know of an answer with this status.
    fn note(&self, url: &Url, status: StatusCode) -> String {
        let is_refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        match &self.bearer {
            Some(bearer) if is_refused => bearer.note(url),
            None if is_refused => "; it may require a token (issuers.*.bearer_file)".to_owned(),
            _ => String::new(),
        }
    }
}

fn parsed(address: &str) -> Result<Url, FetchError> {
    Url::parse(address)
        .map_err(|error| FetchError::Document(format!("{address} is not a URL: {error}")))
}

/// A request that failed without a proxy, before or after it was sent.
fn failed(url: &Url, error: &reqwest::Error) -> FetchError {
    let (url, problem) = (url.as_str().to_owned(), root_cause(error));
    let via = Via::default();
    match error.is_connect() {
        true => FetchError::Connection { url, problem, via },
        false => FetchError::Broken { url, problem, via },
    }
}

async fn send_through(
    proxy: &ProxyClient,
    url: &Url,
    call: &Outgoing,
) -> Result<Answer, FetchError> {
    let answer = proxy.send(url, call).await?;
    Ok(answer.map(|body| body.map_err(|error| root_cause(&error)).boxed_unsync()))
}

/// A client that trusts the system's CA certificates, or only those in the file.
fn direct(ca_file: Option<&Path>, idle_connections: usize) -> Result<Client, FetchError> {
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .user_agent(AGENT)
        .pool_max_idle_per_host(idle_connections);
    if let Some(path) = ca_file {
        builder = builder.tls_certs_only(authorities(path)?);
    }
    builder
        .build()
        .map_err(|error| FetchError::Authority(root_cause(&error)))
}

fn proxy(route: &Route, ca_file: Option<&Path>) -> Result<Option<ProxyClient>, FetchError> {
    match route {
        Route::Proxy(proxy) => ProxyClient::new(proxy, ca_file).map(Some),
        Route::Unset | Route::Direct => Ok(None),
    }
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, FetchError> {
    let bad = |error: String| FetchError::Authority(format!("{}: {error}", path.display()));
    let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|error| bad(root_cause(&error)))?;
    if certificates.is_empty() {
        return Err(bad("no certificate in it".into()));
    }
    Ok(certificates)
}

/// Plain HTTP is allowed to loopback addresses only.
fn is_insecure(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else {
        return true;
    };
    match uri.scheme_str() {
        Some("https") => false,
        Some("http") => !uri
            .authority()
            .and_then(|authority| Authority::parse(authority.as_str()).ok())
            .is_some_and(|authority| authority.is_loopback()),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for (url, insecure) in [
            ("https://issuer.example/keys", false),
            ("http://127.0.0.1:9/keys", false),
            ("http://[::1]:9/keys", false),
            ("http://localhost/keys", false),
            ("http://issuer.example/keys", true),
            ("http://127.0.0.1.example/keys", true),
            ("file:///etc/passwd", true),
        ] {
            assert_eq!(is_insecure(url), insecure, "{url}");
        }
    }

    /// Reads a request, and sends `answer`, of which more may have been announced.
    async fn answering(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        format!("http://{address}/")
    }

    fn fetcher() -> Fetcher {
        let service = (None, &Route::Direct);
        Fetcher::of_service(service, 1, Duration::from_secs(10), 1 << 10).unwrap()
    }

    #[tokio::test]
    async fn a_request_that_was_sent_is_no_failed_connection() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        for answer in [
            "",
            "not HTTP at all\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut",
        ] {
            let url = answering(answer).await;
            let failed = fetcher().get(&url).await.unwrap_err();
            assert!(matches!(failed, FetchError::Broken { .. }), "{failed:?}");
        }
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", closed.local_addr().unwrap());
        drop(closed);
        let failed = fetcher().get(&url).await.unwrap_err();
        assert!(
            matches!(failed, FetchError::Connection { .. }),
            "{failed:?}"
        );
    }
}

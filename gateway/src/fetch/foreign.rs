//! Documents at URLs that strangers choose: a small JSON document from a server on the internet, or why there is none.
//!
//! The connection goes to an address that was judged after resolution, and the name is not resolved again. Nothing is sent that
//! the server could use: no credentials, no cookies, no referrer. No redirect is followed, nothing is decompressed, no
//! connection is kept. A proxy is used where one is configured, and none that the environment names. The proxy resolves the
//! name, so its own rules must keep it from internal hosts: the gateway refuses addresses and names of private networks
//! ([`ForeignUrl`]) before it asks the proxy.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, Request, Response, StatusCode,
    header::{
        ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT,
    },
};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::rt::TokioIo;
use mcp_gateway_core::http::outbound::{
    foreign_url::ForeignUrl,
    host::{Host, PublicAddress},
};
use thiserror::Error;
use tokio::{task::JoinSet, time::timeout};
use tokio_rustls::TlsConnector;

use super::{
    error::FetchError,
    http1::{self, AGENT, Stream},
    internet::{Internet, Outside, PORT},
    proxy::ProxyClient,
};
use crate::{config::ForwardProxy, error_source::root_cause};

/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;

/// The longest time for a connection to one of them.
const CONNECT: Duration = Duration::from_millis(1500);

/// The most characters of a header that an error shows.
const MAX_SHOWN: usize = 64;

/// What a fetch may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ForeignLimits {
    /// From the resolution of the name to the last byte.
    pub(crate) deadline: Duration,
    /// The largest document, in bytes.
    pub(crate) bytes: usize,
}

impl Default for ForeignLimits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            bytes: 64 * 1024,
        }
    }
}

/// Fetches documents at URLs that strangers choose.
pub(crate) struct ForeignClient {
    internet: Arc<dyn Internet>,
    tls: TlsConnector,
    proxy: Option<ProxyClient>,
    limits: ForeignLimits,
}

/// A document, and the headers that it came with.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) body: Bytes,
    pub(crate) headers: HeaderMap,
}

/// Why there is no document. For the operator: a stranger who learned it could look into the network of the gateway.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum ForeignError {
    #[error("the name cannot be resolved: {0}")]
    Unresolved(String),
    #[error("the name resolves to {0}, which is not an address on the internet")]
    Internal(IpAddr),
    #[error("the connection failed: {0}")]
    Connection(String),
    #[error("there was no complete answer within {0:?}")]
    Deadline(Duration),
    #[error("{0}")]
    Proxy(#[from] FetchError),
    #[error("the answer is a redirect (status {0}), which is not followed")]
    Redirect(u16),
    #[error("the answer has status {0}, expected 200")]
    Status(u16),
    #[error("the answer has content type {0}, expected application/json")]
    ContentType(String),
    #[error("the answer has content coding {0}, which was not asked for")]
    ContentCoding(String),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl ForeignError {
    /// The metric label.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Unresolved(_) => "name",
            Self::Internal(_) => "internal",
            Self::Connection(_) => "connection",
            Self::Deadline(_) => "timeout",
            Self::Proxy(_) => "proxy",
            Self::Redirect(_) => "redirect",
            Self::Status(_) => "status",
            Self::ContentType(_) => "content_type",
            Self::ContentCoding(_) => "content_coding",
            Self::TooLarge(_) => "too_large",
        }
    }

    /// Whether the server answered, with something that is no document.
    pub(crate) const fn is_wrong_document(&self) -> bool {
        matches!(
            self,
            Self::ContentType(_) | Self::ContentCoding(_) | Self::TooLarge(_)
        )
    }
}

impl ForeignClient {
    /// A client of this internet.
    ///
    /// # Errors
    /// The CA file of the proxy cannot be used.
    pub(crate) fn new(
        outside: &Outside,
        proxy: Option<&ForwardProxy>,
        limits: ForeignLimits,
    ) -> Result<Self, FetchError> {
        let proxy = proxy.map(|proxy| ProxyClient::new(proxy, None));
        Ok(Self {
            internet: outside.internet.clone(),
            tls: http1::tls(outside.roots()),
            proxy: proxy.transpose()?,
            limits,
        })
    }

    /// The document at `url`.
    ///
    /// # Errors
    /// [`ForeignError`].
    pub(crate) async fn get(&self, url: &ForeignUrl) -> Result<Document, ForeignError> {
        let deadline = self.limits.deadline;
        timeout(deadline, Box::pin(self.fetch(url)))
            .await
            .unwrap_or(Err(ForeignError::Deadline(deadline)))
    }

    async fn fetch(&self, url: &ForeignUrl) -> Result<Document, ForeignError> {
        let host = Host::Name(url.host().to_owned());
        let proxy = self.proxy.as_ref();
        match proxy.filter(|proxy| proxy.is_used_for_host(&host, PORT)) {
            Some(proxy) => {
                let tunnel = proxy.tunnel(&format!("{}:{PORT}", url.host())).await?;
                self.exchange(url, TokioIo::new(tunnel)).await
            }
            None => {
                let stream = self.connect(url.host()).await?;
                self.exchange(url, stream).await
            }
        }
    }

    /// A connection to one of the addresses of this name, all of which are on the internet.
    async fn connect(&self, host: &str) -> Result<tokio::net::TcpStream, ForeignError> {
        let mut problem = "the name has no address".to_owned();
        for address in self.addresses(host).await?.into_iter().take(MAX_ADDRESSES) {
            match timeout(CONNECT, self.internet.connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => problem = error.to_string(),
                Err(_) => problem = format!("no connection within {CONNECT:?}"),
            }
        }
        Err(ForeignError::Connection(problem))
    }

    async fn addresses(&self, host: &str) -> Result<Vec<PublicAddress>, ForeignError> {
        let found = self.internet.resolve(host).await;
        let found = found.map_err(|error| ForeignError::Unresolved(error.to_string()))?;
        PublicAddress::all(&found).map_err(ForeignError::Internal)
    }

    /// One request and its answer. The task of the connection ends with this future, whatever the server does.
    async fn exchange<S: Stream + 'static>(
        &self,
        url: &ForeignUrl,
        stream: S,
    ) -> Result<Document, ForeignError> {
        let stream = http1::secured(&self.tls, url.host(), stream).await;
        let opened = http1::begin(stream.map_err(ForeignError::Connection)?).await;
        let (mut sender, connection) = opened.map_err(ForeignError::Connection)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let answer = sender.send_request(request(url)?).await.map_err(failed)?;
        check(&answer)?;
        let (head, body) = answer.into_parts();
        Ok(Document {
            body: self.read(body).await?,
            headers: head.headers,
        })
    }

    async fn read(&self, mut body: Incoming) -> Result<Bytes, ForeignError> {
        let most = self.limits.bytes;
        if usize::try_from(body.size_hint().lower()).is_ok_and(|length| length > most) {
            return Err(ForeignError::TooLarge(most));
        }
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let chunk = frame.map_err(failed)?.into_data().unwrap_or_default();
            if read.len().saturating_add(chunk.len()) > most {
                return Err(ForeignError::TooLarge(most));
            }
            read.extend_from_slice(&chunk);
        }
        Ok(read.freeze())
    }
}

impl fmt::Debug for ForeignClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ForeignClient")
            .field("proxy", &self.proxy)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

fn request(url: &ForeignUrl) -> Result<Request<Full<Bytes>>, ForeignError> {
    Request::get(url.target())
        .header(HOST, url.host())
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "application/json")
        .header(ACCEPT_ENCODING, "identity")
        .header(CONNECTION, "close")
        .body(Full::default())
        .map_err(|error| ForeignError::Connection(error.to_string()))
}

fn failed(error: hyper::Error) -> ForeignError {
    ForeignError::Connection(root_cause(&error))
}

/// Whether an answer is a JSON document.
fn check<B>(answer: &Response<B>) -> Result<(), ForeignError> {
    let (status, headers) = (answer.status(), answer.headers());
    if status.is_redirection() {
        return Err(ForeignError::Redirect(status.as_u16()));
    }
    if status != StatusCode::OK {
        return Err(ForeignError::Status(status.as_u16()));
    }
    let coding = shown(headers, &CONTENT_ENCODING);
    if coding
        .as_deref()
        .is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"))
    {
        return Err(ForeignError::ContentCoding(coding.unwrap_or_default()));
    }
    let content_type = shown(headers, &CONTENT_TYPE);
    match content_type {
        Some(content_type) if is_json(&content_type) => Ok(()),
        other => Err(ForeignError::ContentType(
            other.unwrap_or_else(|| "none".to_owned()),
        )),
    }
}

/// The values of a header, as far as an error shows them.
fn shown(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().unwrap_or("(not text)");
    if values.next().is_some() {
        return Some("(several)".to_owned());
    }
    Some(first.chars().take(MAX_SHOWN).collect())
}

/// `application/json` or `application/…+json` (RFC 6839 §3.1), with any parameters.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/");
    subtype.is_some_and(|subtype| {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        (subtype == "json" || (subtype.ends_with("+json") && subtype.len() > 5))
            && subtype.bytes().all(is_token)
    })
}

#[cfg(test)]
mod tests;

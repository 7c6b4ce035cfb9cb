//! Where an endpoint of an issuer is: as it is known, or as the issuer's metadata says.
//!
//! A discovered endpoint that failed may have moved, so one question looks it up again; the others go where it was, and so does this one where
//! the metadata cannot be fetched. So a token at which the endpoint fails does not make the others depend on the metadata.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::discovery;
use crate::fetch::{client::Fetcher, error::FetchError};

/// An endpoint that metadata names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sought {
    /// Where tokens are introspected (RFC 7662).
    Introspection,
    /// Where tokens are issued (RFC 6749 §3.2).
    Token,
}

/// Where an endpoint is.
#[derive(Debug)]
pub(crate) struct Location {
    sought: Sought,
    issuer: String,
    /// What needs no discovery.
    known: Option<String>,
    discovered: Mutex<Discovered>,
}

#[derive(Clone, Debug, Default)]
struct Discovered {
    /// What discovery last returned.
    url: Option<String>,
    may_have_moved: bool,
}

impl Location {
    /// The endpoint of this issuer; `known` needs no discovery.
    pub(crate) fn new(sought: Sought, issuer: &str, known: Option<String>) -> Self {
        Self {
            sought,
            issuer: issuer.to_owned(),
            known,
            discovered: Mutex::default(),
        }
    }

    /// The URL.
    ///
    /// # Errors
    /// It has to be discovered, and cannot be.
    pub(crate) async fn url(&self, fetcher: &Fetcher) -> Result<String, FetchError> {
        if let Some(known) = &self.known {
            return Ok(known.clone());
        }
        let last = self.take();
        match last.url {
            Some(url) if !last.may_have_moved => Ok(url),
            last => self
                .discover(fetcher)
                .await
                .or_else(|error| last.ok_or(error)),
        }
    }

    /// What was discovered last. Only one question looks up an endpoint that may have moved.
    fn take(&self) -> Discovered {
        let mut discovered = self.lock();
        let last = discovered.clone();
        discovered.may_have_moved = false;
        last
    }

    async fn discover(&self, fetcher: &Fetcher) -> Result<String, FetchError> {
        let url = match self.sought {
            Sought::Introspection => {
                discovery::introspection_endpoint(fetcher, &self.issuer).await?
            }
            Sought::Token => discovery::token_endpoint(fetcher, &self.issuer).await?,
        };
        fetcher.check_found(&url, &self.issuer)?;
        self.lock().url = Some(url.clone());
        Ok(url)
    }

    /// The next question looks up a discovered endpoint again.
    pub(crate) fn may_have_moved(&self) {
        self.lock().may_have_moved = true;
    }

    /// Cuts the query of the endpoint, which may have a secret.
    pub(crate) fn without_query(&self, text: String) -> String {
        let discovered = self.lock().url.clone();
        let url = self.known.as_ref().or(discovered.as_ref());
        match url.and_then(|url| url.split_once('?')) {
            Some((_, query)) if !query.is_empty() => text.replace(&format!("?{query}"), "?..."),
            _ => text,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Discovered> {
        self.discovered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Environment, parse};

    /// Nothing listens there.
    const CONFIG: &str = "public_url: http://127.0.0.1:1\nlisten: [{ address: '127.0.0.1:1' }]\n\
        issuers: { a: { issuer: 'http://127.0.0.1:9', introspection: { client_auth: none } } }\n\
        resources: [{ path: /mcp, upstream: 'http://127.0.0.1:9/mcp', issuers: [a], policy: { default: allow } }]\n";

    #[tokio::test]
    async fn an_endpoint_that_failed_is_asked_where_it_was_while_there_is_no_metadata() {
        let config = parse(CONFIG, Path::new(""), &Environment::default()).unwrap();
        let issuer = &config.issuers["a"];
        let fetcher = Fetcher::of_busy_issuer(issuer, config.jwks, 1).unwrap();
        let location = Location::new(Sought::Introspection, &issuer.issuer, None);
        assert!(location.url(&fetcher).await.is_err());
        let place = "http://127.0.0.1:9/introspect";
        location.lock().url = Some(place.to_owned());
        for _ in 0..2 {
            location.may_have_moved();
            assert_eq!(location.url(&fetcher).await.unwrap(), place);
            // One question looked it up.
            assert!(!location.lock().may_have_moved);
        }
    }
}

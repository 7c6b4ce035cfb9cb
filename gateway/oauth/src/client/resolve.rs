//! Which client an id names: one of the configuration, one that registered itself, the URL of a metadata document, or none.

use std::collections::BTreeMap;

use mcp_gateway_core::time::UnixTime;

use crate::store::rows::{Rows, StoreError};

use super::{
    document::{DocumentUrl, DocumentUrlError, Domains, looks_like_url},
    foreign_url::MAX_FOREIGN_URL_BYTES,
    model::Client,
    provisional::ProvisionalRules,
    stored,
};

/// What the operator says of clients.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// Clients of the configuration, by id.
    pub configured: BTreeMap<String, Client>,
    /// The domains whose metadata documents are accepted; none where documents are switched off.
    pub documents: Option<Domains>,
    /// What clients that nobody knows may do; none where they may do nothing.
    pub provisional: Option<ProvisionalRules>,
}

/// What an id names.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// This client.
    Client(Box<Client>),
    /// The client of the document at this URL, which has to be fetched, or of its shipped copy.
    Document(DocumentUrl),
    /// No client.
    Nobody(Nobody),
}

/// Why an id names no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nobody {
    /// Nobody registered it.
    #[error("no client with this id is configured or registered")]
    Unknown,
    /// It is longer than any id.
    #[error("the client id is longer than {MAX_FOREIGN_URL_BYTES} bytes")]
    TooLong,
    /// It is meant as the URL of a document and is none.
    #[error(transparent)]
    NotADocument(#[from] DocumentUrlError),
    /// Documents are switched off.
    #[error("client metadata documents are switched off")]
    DocumentsOff,
    /// The operator does not accept documents of its host.
    #[error("client metadata documents of this host are not accepted")]
    HostNotAccepted,
}

/// Looks up a client id. `redirect_uri` is that of the request, if it has one. A configured client comes first: the operator
/// can overrule a document.
///
/// # Errors
/// [`StoreError`].
pub fn resolve(
    directory: &Directory,
    rows: &dyn Rows,
    client_id: &str,
    redirect_uri: Option<&str>,
    now: UnixTime,
) -> Result<Lookup, StoreError> {
    if client_id.len() > MAX_FOREIGN_URL_BYTES {
        return Ok(Lookup::Nobody(Nobody::TooLong));
    }
    if let Some(client) = directory.configured.get(client_id) {
        return Ok(Lookup::Client(Box::new(client.clone())));
    }
    if looks_like_url(client_id) {
        return Ok(directory.document(client_id));
    }
    if let Some(stored) = stored::find(rows, client_id, now)? {
        return Ok(Lookup::Client(Box::new(stored.client)));
    }
    let provisional = directory.provisional.as_ref();
    let client = provisional.and_then(|rules| rules.client(client_id, redirect_uri));
    Ok(client.map_or(Lookup::Nobody(Nobody::Unknown), |client| {
        Lookup::Client(Box::new(client))
    }))
}

impl Directory {
    fn document(&self, client_id: &str) -> Lookup {
        let Some(domains) = &self.documents else {
            return Lookup::Nobody(Nobody::DocumentsOff);
        };
        match DocumentUrl::parse(client_id) {
            Ok(url) if domains.accept(url.host()) => Lookup::Document(url),
            Ok(_) => Lookup::Nobody(Nobody::HostNotAccepted),
            Err(error) => Lookup::Nobody(error.into()),
        }
    }
}

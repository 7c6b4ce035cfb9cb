//! What the authorization server fetches from elsewhere: the documents and keys of clients, by the rules of the configuration.

use std::sync::Arc;

use mcp_gateway_oauth::redirect_uri::RedirectRules;

use super::{
    documents::{DocumentLimits, DocumentRules, Documents},
    error::ServerError,
};
use crate::{
    config::{AuthorizationServer, Route},
    fetch::{
        foreign::{ForeignClient, ForeignLimits},
        internet::Outside,
    },
};

/// Documents, and what of the configuration they were made of.
pub(super) struct Fetched {
    pub(super) documents: Documents,
    of: (AuthorizationServerDocuments, Route, Vec<String>),
}

type AuthorizationServerDocuments = crate::config::authorization_server::MetadataDocuments;

/// `previous`, with all that it keeps, if nothing changed about it; else new ones.
///
/// # Errors
/// The CA file of the proxy cannot be used.
pub(super) fn reuse_or_new(
    previous: Option<&Arc<Fetched>>,
    (own, outbound): (&AuthorizationServer, &Route),
    outside: &Outside,
    redirects: &RedirectRules,
) -> Result<Arc<Fetched>, ServerError> {
    let of = (
        own.metadata_documents.clone(),
        outbound.clone(),
        redirects.private_schemes.clone(),
    );
    if let Some(previous) = previous.filter(|previous| previous.of == of) {
        return Ok(previous.clone());
    }
    let proxy = match outbound {
        Route::Proxy(proxy) => Some(proxy),
        Route::Unset | Route::Direct => None,
    };
    let limits = ForeignLimits::default();
    let client = || ForeignClient::new(outside, proxy, limits);
    let source = own.metadata_documents.fetch.then(client).transpose()?;
    let rules = DocumentRules {
        redirects: redirects.clone(),
        shipped: own.metadata_documents.shipped,
    };
    let documents = Documents::new(rules, source, DocumentLimits::default());
    Ok(Arc::new(Fetched { documents, of }))
}

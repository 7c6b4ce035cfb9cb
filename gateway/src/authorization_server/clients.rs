//! Who a client is: found by its id, and authenticated where it comes itself.

use http::{StatusCode, header::WWW_AUTHENTICATE};
use mcp_gateway_core::token::key_set::KeySet;
use mcp_gateway_oauth::{
    client::{
        authentication::{
            self, Authenticated, ClientFault, Parameters, Presented, authenticate,
            authenticate_unknown, keys_wanted, presented,
        },
        model::Client,
        resolve::{Lookup, Nobody, resolve},
    },
    form::Form,
    store::rows::{Rows, StoreError},
};

use super::{answers, documents::fault::DocumentFault, server::Server, store::Freshness};
use crate::{
    clock,
    local::service::{LocalAnswer, LocalRequest},
};

/// Why there is no client.
#[derive(Debug)]
pub(super) enum NoClient {
    /// Nobody has this id.
    Nobody(Nobody),
    /// Its document cannot be had, or is not valid.
    Document {
        /// The host of the document.
        host: String,
        /// Why.
        fault: DocumentFault,
    },
    /// The store does not answer.
    Store(StoreError),
}

/// The client with this id. `redirect_uri` is that of an authorization request.
pub(super) async fn find(
    server: &Server,
    id: &str,
    redirect_uri: Option<&str>,
) -> Result<Client, NoClient> {
    find_as(server, id, redirect_uri, Freshness::Latest).await
}

async fn find_as(
    server: &Server,
    id: &str,
    redirect_uri: Option<&str>,
    freshness: Freshness,
) -> Result<Client, NoClient> {
    let directory = &server.settings.directory;
    let resolve = |rows: &dyn Rows| resolve(directory, rows, id, redirect_uri, clock::now());
    let found = server.runtime.store.read_as(resolve, freshness).await;
    match found.map_err(NoClient::Store)? {
        Lookup::Client(client) => Ok(*client),
        Lookup::Nobody(nobody) => Err(NoClient::Nobody(nobody)),
        Lookup::Document(url) => {
            let fetched = server.settings.documents.documents.client(&url).await;
            fetched
                .map(|client| (*client).clone())
                .map_err(|fault| NoClient::Document {
                    host: url.host().to_owned(),
                    fault,
                })
        }
    }
}

/// A client that is not authenticated: who it says it is, and why not.
pub(super) struct NotAuthenticated {
    /// The client id, if the request has one.
    pub(super) client: Option<String>,
    /// Why.
    pub(super) fault: ClientFault,
    /// What was found, for the operator.
    pub(super) found: String,
}

impl NotAuthenticated {
    pub(super) fn new(client: Option<&str>, fault: ClientFault) -> Self {
        Self {
            client: client.map(str::to_owned),
            found: fault.to_string(),
            fault,
        }
    }

    /// The answer (RFC 6749 §5.2).
    pub(super) fn answer(&self, request: &LocalRequest) -> LocalAnswer {
        let fault = &self.fault;
        let mut answer = answers::error(fault.status(), fault.code(), fault.description());
        if fault.status() == StatusCode::UNAUTHORIZED {
            let challenge = authentication::challenge(&request.headers);
            answer
                .headers
                .extend(challenge.map(|value| (WWW_AUTHENTICATE, value)));
            answer.counts_against_address = matches!(
                fault,
                ClientFault::WrongSecret | ClientFault::Assertion(_) | ClientFault::UnknownClient
            );
        }
        answer.with_found(&self.found)
    }
}

/// The client that comes to the endpoint at this URL. It may have changed in the store since this process saw it last: who gives it
/// something looks again in the same change ([`is_still`](mcp_gateway_oauth::client::stored::is_still)).
pub(super) async fn authenticated(
    server: &Server,
    request: &LocalRequest,
    form: &Form,
    endpoint: &str,
) -> Result<(Client, Authenticated), NotAuthenticated> {
    let remembered = authenticated_as(server, request, (form, endpoint), Freshness::Remembered);
    match remembered.await {
        Err(_) if server.runtime.store.is_shared() => {
            authenticated_as(server, request, (form, endpoint), Freshness::Latest).await
        }
        authenticated => authenticated,
    }
}

async fn authenticated_as(
    server: &Server,
    request: &LocalRequest,
    (form, endpoint): (&Form, &str),
    freshness: Freshness,
) -> Result<(Client, Authenticated), NotAuthenticated> {
    let presented = presented(&request.headers, &Parameters::of(|name| form.get(name)));
    let presented =
        presented.map_err(|fault| NotAuthenticated::new(form.get("client_id"), fault))?;
    let id = presented.client_id();
    let client = match find_as(server, id, None, freshness).await {
        Ok(client) => client,
        Err(why) => return Err(no_client(server, &presented, why)),
    };
    let documents = &server.settings.documents.documents;
    let wanted = keys_wanted(&client, &presented);
    let judged = match wanted {
        None => judge(server, &client, &presented, None, endpoint),
        Some(url) => {
            let unavailable = |fault: DocumentFault| NotAuthenticated {
                found: format!("the keys of the client cannot be used: {fault}"),
                ..NotAuthenticated::new(Some(id), ClientFault::KeysUnavailable)
            };
            let keys = documents.keys(url).await.map_err(unavailable)?;
            match judge(server, &client, &presented, Some(&keys), endpoint) {
                Err(fault) if fault.may_have_new_keys() => {
                    let keys = documents.newer_keys(url).await.map_err(unavailable)?;
                    judge(server, &client, &presented, Some(&keys), endpoint)
                }
                judged => judged,
            }
        }
    };
    match judged {
        Ok(authenticated) => Ok((client, authenticated)),
        Err(fault) => Err(NotAuthenticated::new(Some(id), fault)),
    }
}

fn judge(
    server: &Server,
    client: &Client,
    presented: &Presented,
    fetched: Option<&KeySet>,
    endpoint: &str,
) -> Result<Authenticated, ClientFault> {
    let settings = &server.settings;
    let audiences = [settings.profile.issuer.clone(), endpoint.to_owned()];
    authenticate(
        client,
        presented,
        &settings.keys,
        fetched,
        &audiences,
        clock::now(),
    )
}

fn no_client(server: &Server, presented: &Presented, why: NoClient) -> NotAuthenticated {
    let id = Some(presented.client_id());
    match why {
        NoClient::Nobody(nobody) => NotAuthenticated {
            found: nobody.to_string(),
            ..NotAuthenticated::new(id, authenticate_unknown(presented, &server.settings.keys))
        },
        NoClient::Document { fault, .. } if fault.is_temporary() => NotAuthenticated {
            found: fault.to_string(),
            ..NotAuthenticated::new(id, ClientFault::KeysUnavailable)
        },
        NoClient::Document { fault, .. } => NotAuthenticated {
            found: fault.to_string(),
            ..NotAuthenticated::new(id, ClientFault::UnknownClient)
        },
        NoClient::Store(error) => NotAuthenticated {
            found: error.to_string(),
            ..NotAuthenticated::new(id, ClientFault::Busy)
        },
    }
}

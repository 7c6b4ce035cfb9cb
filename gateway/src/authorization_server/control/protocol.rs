//! Requests and answers of the control socket.

use mcp_gateway_oauth::{
    client::model::{Client, ClientOrigin},
    grant::{EndedBy, Grant},
    id::Id,
};
use serde::{Deserialize, Serialize};

/// The most bytes of a request, with its end of line.
pub(super) const MAX_REQUEST_BYTES: u64 = 4 * 1024;

/// The most bytes of an answer.
pub(super) const MAX_ANSWER_BYTES: u64 = 8 * 1024 * 1024;

/// The most clients or grants of an answer.
pub(crate) const PAGE: usize = 200;

/// What is listed or revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Clients that registered themselves.
    Clients,
    /// Grants.
    Grants,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Some of them, in the order of their ids.
    List {
        /// Clients or grants.
        kind: Kind,
        /// The last id of the page before; none for the first page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
    /// Ends one.
    Revoke {
        /// A client or a grant.
        kind: Kind,
        /// Its id.
        id: String,
    },
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Clients.
    Clients(Page<ClientLine>),
    /// Grants.
    Grants(Page<GrantLine>),
    /// It is revoked, and durably so.
    Revoked {
        /// The grants that ended with it.
        grants: usize,
    },
    /// There is none with this id.
    Unknown,
    /// The request could not be carried out.
    Failed(String),
}

/// Some of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Page<T> {
    /// At most [`PAGE`].
    pub(crate) lines: Vec<T>,
    /// Where the next page begins; none after the last one. A page may be empty and not the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// A client, as operators see it. What it says of itself may be anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClientLine {
    /// Its `client_id`.
    pub(crate) id: String,
    /// The name that it gave itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// How it came: `registered`, `machine`.
    pub(crate) origin: String,
    /// How it authenticates.
    pub(crate) method: String,
    /// Where answers may go.
    pub(crate) redirect_uris: Vec<String>,
    /// When it registered, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) registered: Option<i64>,
    /// Whether it ever got a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) is_used: Option<bool>,
}

impl From<&Client> for ClientLine {
    fn from(client: &Client) -> Self {
        let (origin, registered, is_used) = match &client.origin {
            ClientOrigin::Configured => ("configured", None, None),
            ClientOrigin::Registered { at, is_used } => {
                ("registered", Some(i64::from(*at)), Some(*is_used))
            }
            ClientOrigin::Machine { at } => ("machine", Some(i64::from(*at)), None),
            ClientOrigin::Document { .. } => ("document", None, None),
            ClientOrigin::Provisional => ("provisional", None, None),
        };
        Self {
            id: client.id.clone(),
            name: client.name.clone(),
            origin: origin.to_owned(),
            method: client.method.name().to_owned(),
            redirect_uris: client.redirect_uris.clone(),
            registered,
            is_used,
        }
    }
}

/// A grant, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GrantLine {
    /// Its id: the `grant` claim of its access tokens.
    pub(crate) id: String,
    /// The client.
    pub(crate) client: String,
    /// Who allowed it: the `sub` of its tokens.
    pub(crate) subject: String,
    /// The `aud` of its tokens.
    pub(crate) resource: String,
    /// What was allowed.
    pub(crate) scopes: String,
    /// When, in seconds.
    pub(crate) created: i64,
    /// When it ends, or ended.
    pub(crate) ends: i64,
    /// Why it ended early; none while it is alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended_by: Option<EndedBy>,
}

impl From<(&Id, &Grant)> for GrantLine {
    fn from((id, grant): (&Id, &Grant)) -> Self {
        let ended = grant.ended.as_ref();
        let ends = grant.idle_end.min(grant.end);
        Self {
            id: id.to_string(),
            client: grant.client.clone(),
            subject: grant.subject.clone(),
            resource: grant.resource.clone(),
            scopes: grant.scopes.clone().into(),
            created: grant.created.into(),
            ends: ended.map_or(ends, |ended| ended.at).into(),
            ended_by: ended.map(|ended| ended.why),
        }
    }
}

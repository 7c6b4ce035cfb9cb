//! The page on which people allow or deny: who asks and how far that is verified, where the answer goes, and what would be allowed.

use askama::Template;
use mcp_gateway_core::scope::{OFFLINE_ACCESS, ScopeSet};

use super::{
    branding::Branding,
    layout::Layout,
    shown::{MAX_DESCRIPTION, MAX_NAME, MAX_TEXT, shown, shown_text},
};
use crate::{
    client::model::{Client, ClientOrigin, DocumentSource},
    profile::ResourceProfile,
    redirect_uri::ShownDestination,
};

/// What the consent page needs.
#[derive(Clone, Copy, Debug)]
pub struct Consent<'a> {
    /// How the pages look.
    pub branding: &'a Branding,
    /// Who asks.
    pub client: &'a Client,
    /// Where the answer goes.
    pub destination: &'a ShownDestination,
    /// What it asks for access to.
    pub resource: &'a ResourceProfile,
    /// What it would be allowed.
    pub scopes: &'a ScopeSet,
    /// Whether it gets refresh tokens.
    pub stays_connected: bool,
    /// Who is signed in.
    pub user: &'a str,
    /// Path and query of the same request, with `prompt=login`.
    pub another_account: &'a str,
    /// The sealed interaction (`interaction`).
    pub interaction: &'a str,
}

/// How far people can believe what a client says of itself.
pub(super) enum Standing {
    Configured,
    Document { host: String },
    Shipped { host: String, since: String },
    Registered,
    Unknown,
}

impl Standing {
    pub(super) fn of(client: &Client) -> Self {
        match &client.origin {
            ClientOrigin::Configured => Self::Configured,
            ClientOrigin::Registered { .. } | ClientOrigin::Machine { .. } => Self::Registered,
            ClientOrigin::Provisional => Self::Unknown,
            ClientOrigin::Document { host, source } => {
                let host = shown_text(host, MAX_TEXT);
                match source {
                    DocumentSource::Fetched => Self::Document { host },
                    DocumentSource::Shipped(since) => {
                        let since = since.clone();
                        Self::Shipped { host, since }
                    }
                }
            }
        }
    }

    /// In a sentence.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Configured => "Set up by the operator of this server".to_owned(),
            Self::Document { host } => format!("{host} says that this is its application"),
            Self::Shipped { host, .. } => format!("Known as an application of {host}"),
            Self::Registered => "Not verified: anybody can register under this name".to_owned(),
            Self::Unknown => "Not verified: this server does not know it".to_owned(),
        }
    }

    pub(super) const fn is_verified(&self) -> bool {
        !matches!(self, Self::Registered | Self::Unknown)
    }

    const fn class(&self) -> &'static str {
        if self.is_verified() {
            "good"
        } else {
            "unverified"
        }
    }

    const fn sign(&self) -> &'static str {
        if self.is_verified() { "✓" } else { "?" }
    }
}

/// A scope on the page.
struct ShownScope {
    words: Option<String>,
    token: String,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct Page<'a> {
    page: Layout<'a>,
    client: String,
    id: String,
    standing: Standing,
    has_hidden_name: bool,
    destination: &'a ShownDestination,
    needs_care: bool,
    resource: String,
    uri: String,
    scopes: Vec<ShownScope>,
    stays_connected: bool,
    user: String,
    another_account: &'a str,
    interaction: &'a str,
}

/// The consent page.
pub fn consent(view: &Consent<'_>) -> String {
    let name = view.client.name.as_deref();
    let name = name.and_then(|name| shown(name, MAX_NAME));
    let standing = Standing::of(view.client);
    let has_hidden_name = name.as_ref().is_some_and(|name| name.has_hidden);
    let page = Page {
        page: Layout::new(view.branding, "Allow access?"),
        needs_care: has_hidden_name || needs_care(&standing, view.destination),
        has_hidden_name,
        client: name.map_or_else(
            || "An application without a name".to_owned(),
            |name| name.text,
        ),
        id: shown_text(&view.client.id, MAX_TEXT),
        standing,
        destination: view.destination,
        resource: resource_name(view.resource),
        uri: shown_text(&view.resource.uri, MAX_TEXT),
        scopes: scopes(view),
        stays_connected: view.stays_connected,
        user: shown_text(view.user, MAX_NAME),
        another_account: view.another_account,
        interaction: view.interaction,
    };
    page.render().unwrap_or_default()
}

fn resource_name(resource: &ResourceProfile) -> String {
    let name = resource.name.as_deref();
    let name = name.and_then(|name| shown(name, MAX_NAME));
    name.map_or_else(|| shown_text(&resource.uri, MAX_TEXT), |name| name.text)
}

/// The scopes in the order of the configuration. [`OFFLINE_ACCESS`] has words of its own in the template.
fn scopes(view: &Consent<'_>) -> Vec<ShownScope> {
    let asked = view.scopes.iter().filter(|scope| *scope != OFFLINE_ACCESS);
    let place = |scope: &str| {
        view.resource
            .scopes
            .iter()
            .position(|own| own.scope == scope)
    };
    let mut asked: Vec<_> = asked.map(|scope| (place(scope), scope)).collect();
    asked.sort_by_key(|(place, _)| place.unwrap_or(usize::MAX));
    let shown_scope = |(place, scope): &(Option<usize>, &str)| {
        let known = place.and_then(|place| view.resource.scopes.get(place));
        let words = known.and_then(|known| known.description.as_deref());
        ShownScope {
            words: words.map(|words| shown_text(words, MAX_DESCRIPTION)),
            token: shown_text(scope, MAX_TEXT),
        }
    };
    asked.iter().map(shown_scope).collect()
}

/// Whether somebody else may be behind the request: nobody has checked who asks, or any program on the device may get the answer.
const fn needs_care(standing: &Standing, destination: &ShownDestination) -> bool {
    !standing.is_verified() || destination.is_loopback || destination.is_private_scheme
}

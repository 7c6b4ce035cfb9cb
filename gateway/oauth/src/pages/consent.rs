//! The page on which people allow or deny: who asks and how far that is verified, where the answer goes, and what would be allowed.

use askama::Template;
use mcp_gateway_core::scope::{OFFLINE_ACCESS, ScopeSet};

use super::{
    branding::Branding,
    layout::Layout,
    shown::{MAX_DESCRIPTION, MAX_NAME, MAX_TEXT, Shown, shown, shown_text},
};
use crate::{
    client::model::{Client, ClientOrigin, DocumentSource},
    profile::ResourceProfile,
};

/// What the consent page needs.
#[derive(Clone, Copy, Debug)]
pub struct Consent<'a> {
    /// How the pages look.
    pub branding: &'a Branding,
    /// Who asks.
    pub client: &'a Client,
    /// Where the answer goes.
    pub destination: &'a Destination,
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

/// Where an answer goes, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The scheme of the redirect URI.
    pub scheme: String,
    /// Its host, with its port if it has one.
    pub host: String,
    /// Whether the host is the loopback interface.
    pub is_loopback: bool,
    /// Whether the scheme is neither http nor https: then a host means nothing and is not shown.
    pub is_private_scheme: bool,
}

/// How far people can believe what a client says of itself.
enum Standing {
    Configured,
    Document { host: String },
    Shipped { host: String, since: String },
    Registered,
    Unknown,
}

impl Standing {
    fn of(client: &Client) -> Self {
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

    const fn is_verified(&self) -> bool {
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
    destination: &'a Destination,
    warnings: Vec<String>,
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
    let page = Page {
        page: Layout::new(view.branding, "Allow access?"),
        warnings: warnings(&standing, view.destination, name.as_ref()),
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

fn warnings(standing: &Standing, destination: &Destination, name: Option<&Shown>) -> Vec<String> {
    let mut warnings = Vec::new();
    match standing {
        Standing::Registered => warnings.push(
            "Nobody has checked who this is. Anybody can register an application with this name."
                .to_owned(),
        ),
        Standing::Unknown => warnings.push(
            "Nobody has checked who this is. The application is not known to this server."
                .to_owned(),
        ),
        _ => {}
    }
    if name.is_some_and(|name| name.has_hidden) {
        warnings.push(
            "The name of the application has characters that cannot be seen. They are shown as [U+…]."
                .to_owned(),
        );
    }
    if destination.is_private_scheme {
        warnings.push(
            "The answer goes to an app on this device. Another app could pretend to be this one."
                .to_owned(),
        );
    } else if destination.is_loopback {
        warnings.push(
            "The answer goes to a program on this computer. Another program on it could pretend to be this one."
                .to_owned(),
        );
    }
    warnings
}

//! The page on which people sign in: with name and password, with a provider, or with one of several. Where there are providers, it also
//! says who asks, before anybody leaves for one.

use askama::Template;
use serde::{Deserialize, Serialize};

use super::{
    branding::Branding,
    consent::Standing,
    layout::Layout,
    shown::{self, MAX_TEXT, shown, shown_text, shown_time},
};
use crate::{
    client::model::Client,
    redirect_uri::ShownDestination,
    session::user::{MAX_NAME, is_visible},
};

/// What the sign-in page needs.
#[derive(Clone, Copy, Debug)]
pub struct SignIn<'a> {
    /// How the pages look.
    pub branding: &'a Branding,
    /// What the client calls itself.
    pub client: Option<&'a str>,
    /// Who asks, where people should know before they leave for a provider.
    pub asked_by: Option<&'a AskedBy>,
    /// The providers that people can sign in with.
    pub providers: &'a [ProviderButton<'a>],
    /// Whether people can sign in with name and password.
    pub has_password: bool,
    /// The sealed interaction (`interaction`).
    pub interaction: &'a str,
    /// The user name that is filled in: what was typed before.
    pub user: &'a str,
    /// A password that is filled in, by the demo only.
    pub demo_password: Option<&'a str>,
    /// What was wrong with the last attempt.
    pub error: Option<SignInError>,
}

/// A provider that people can sign in with.
#[derive(Clone, Copy, Debug)]
pub struct ProviderButton<'a> {
    /// Its name in the configuration.
    pub name: &'a str,
    /// What people call it.
    pub label: &'a str,
}

/// Who asks, and where the answer goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedBy {
    id: String,
    standing: String,
    is_verified: bool,
    scheme: String,
    host: String,
}

impl AskedBy {
    /// Of this client, whose answer goes there.
    pub fn new(client: &Client, destination: &ShownDestination) -> Self {
        let standing = Standing::of(client);
        Self {
            id: shown_text(&client.id, MAX_TEXT),
            standing: standing.sentence(),
            is_verified: standing.is_verified(),
            scheme: match destination.is_private_scheme {
                true => format!("{}:", destination.scheme),
                false => format!("{}://", destination.scheme),
            },
            host: match destination.is_private_scheme {
                true => String::new(),
                false => destination.host.clone(),
            },
        }
    }
}

/// What was wrong with the last attempt to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInError {
    /// Name or password is wrong. The page does not say which.
    Wrong,
    /// There were too many attempts; the next one may be in so many seconds.
    Throttled(u64),
    /// The server has too many passwords to check; it may have fewer in so many seconds.
    Busy(u64),
    /// The page was open for too long.
    TooOld,
}

impl SignInError {
    fn sentence(self) -> String {
        match self {
            Self::Wrong => {
                "The user name or the password is not correct. Please try again.".to_owned()
            }
            Self::Throttled(seconds) => {
                let time = shown_time(seconds);
                format!("There were too many attempts. Please wait {time}, then try again.")
            }
            Self::Busy(seconds) => {
                let time = shown_time(seconds);
                format!("The server is busy at the moment. Please try again in {time}.")
            }
            Self::TooOld => "The page was open for too long. Please sign in again.".to_owned(),
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Wrong => "Error: user name or password not correct",
            Self::Throttled(_) => "Error: too many attempts",
            Self::Busy(_) => "Error: server busy",
            Self::TooOld => "Error: page open for too long",
        }
    }
}

/// A button on the page.
struct Button {
    name: String,
    label: String,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page<'a> {
    page: Layout<'a>,
    client: Option<String>,
    asked_by: Option<&'a AskedBy>,
    providers: Vec<Button>,
    has_password: bool,
    interaction: &'a str,
    user: String,
    password: &'a str,
    is_demo: bool,
    error: Option<String>,
    is_wrong: bool,
    described: Option<&'static str>,
}

/// The sign-in page.
pub fn sign_in(view: &SignIn<'_>) -> String {
    let begin = view
        .error
        .map_or(String::new(), |error| format!("{} – ", error.title()));
    let client = view
        .client
        .and_then(|client| shown(client, shown::MAX_NAME));
    let page = Page {
        page: Layout::new(view.branding, &format!("{begin}Sign in")),
        client: client.map(|client| client.text),
        asked_by: view.asked_by,
        providers: view.providers.iter().map(button).collect(),
        has_password: view.has_password,
        interaction: view.interaction,
        user: visible(view.user),
        password: view.demo_password.unwrap_or_default(),
        is_demo: view.demo_password.is_some(),
        error: view.error.map(SignInError::sentence),
        is_wrong: view.error == Some(SignInError::Wrong),
        described: match (view.error, view.demo_password) {
            (Some(_), _) => Some("error"),
            (None, Some(_)) => Some("demo"),
            (None, None) => None,
        },
    };
    page.render().unwrap_or_default()
}

fn button(provider: &ProviderButton<'_>) -> Button {
    Button {
        name: provider.name.to_owned(),
        label: shown_text(provider.label, shown::MAX_NAME),
    }
}

/// What is filled in again of a user name: no more than a name can be.
fn visible(name: &str) -> String {
    let visible = name.chars().filter(|character| is_visible(*character));
    visible.take(MAX_NAME).collect()
}

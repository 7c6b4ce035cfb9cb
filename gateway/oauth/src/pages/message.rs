//! Pages that say something: where the way ends, what went wrong and what to do, and the question whether to sign out.

use askama::Template;
use http::StatusCode;

use super::{
    branding::Branding,
    layout::Layout,
    shown::{MAX_DETAIL, MAX_NAME, shown_text, shown_time},
};

/// What went wrong with a request for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client's request is wrong, and there is no redirect URI that its error could go to. The text is for the client's makers.
    Request(String),
    /// The form is of another browser or another sign-in, or the browser keeps no cookies.
    OtherBrowser,
    /// The page was open for too long.
    TooOld,
    /// The form is incomplete.
    Form,
}

impl Fault {
    /// The status of the page.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Request(_) | Self::TooOld | Self::Form => StatusCode::BAD_REQUEST,
            Self::OtherBrowser => StatusCode::FORBIDDEN,
        }
    }

    const fn heading(&self) -> &'static str {
        match self {
            Self::Request(_) => "The application’s request cannot be used",
            Self::OtherBrowser => "Please start again",
            Self::TooOld => "That took too long",
            Self::Form => "The form was incomplete",
        }
    }

    const fn paragraphs(&self) -> &'static [&'static str] {
        match self {
            Self::Request(_) => &[
                "An application sent you here, but its request has a mistake. You did nothing wrong, and nothing was allowed.",
                "You can close this window. If it happens again, send the details below to the makers of the application.",
            ],
            Self::OtherBrowser => &[
                "This page does not belong to the sign-in of this browser. Perhaps you signed out or used another account in another tab, or cookies are blocked.",
                "Nothing was allowed. Go back to the application and connect again. If you see this again, allow cookies for this site.",
            ],
            Self::TooOld => &[
                "For your safety a request ends after some minutes. Nothing was allowed.",
                "Go back to the application and connect again.",
            ],
            Self::Form => &[
                "Something that the page should have sent is missing. Nothing was allowed.",
                "Go back to the application and connect again.",
            ],
        }
    }
}

/// What the page of a fault needs.
#[derive(Clone, Copy, Debug)]
pub struct FaultView<'a> {
    /// How the pages look.
    pub branding: &'a Branding,
    /// What went wrong.
    pub fault: &'a Fault,
    /// The request's id in the server's log.
    pub request_id: Option<&'a str>,
}

/// The page of a fault.
pub fn fault(view: &FaultView<'_>) -> String {
    let mut page = Page::new(view.branding, view.fault.heading(), view.fault.paragraphs());
    page.page.title = format!("Error: {}", page.page.title);
    if let Fault::Request(text) = view.fault {
        page.fact("What is wrong", text);
    }
    page.request_id(view.request_id);
    page.text()
}

/// What the page for a user who may allow nothing needs.
#[derive(Clone, Copy, Debug)]
pub struct NothingToAllow<'a> {
    /// How the pages look.
    pub branding: &'a Branding,
    /// Who is signed in.
    pub user: &'a str,
    /// Path and query of the same request, with `prompt=login`.
    pub another_account: &'a str,
    /// The request's id in the server's log.
    pub request_id: Option<&'a str>,
}

/// The page for a user who may allow none of what the client asks for, and so is not asked (403).
pub fn nothing_to_allow(view: &NothingToAllow<'_>) -> String {
    let mut page = Page::new(view.branding, "You may not allow this", &[]);
    page.page.title = format!("Error: {}", page.page.title);
    let user = shown_text(view.user, MAX_NAME);
    page.paragraphs = vec![
        format!(
            "You are signed in as {user}. The application asks for access that this account does not have. Nothing was allowed."
        ),
        "Use another account, or ask the operator of this server for the access.".to_owned(),
    ];
    page.link = Some(Link {
        target: view.another_account,
        label: "Use another account",
    });
    page.request_id(view.request_id);
    page.text()
}

/// What the page of an unknown client needs.
#[derive(Clone, Copy, Debug)]
pub struct ClientUnknown<'a> {
    /// How the pages look.
    pub branding: &'a Branding,
    /// The `client_id` that nobody knows.
    pub client_id: &'a str,
    /// The request's id in the server's log.
    pub request_id: Option<&'a str>,
}

/// The page for a `client_id` that nobody knows (400). It says how to make the client register again.
pub fn client_unknown(view: &ClientUnknown<'_>) -> String {
    let mut page = Page::new(
        view.branding,
        "This application is not known here",
        &[
            "The application uses an ID that this server does not know. Perhaps it was not used for a long time and its registration ended. Nothing was allowed.",
            "What you can do:",
        ],
    );
    page.page.title = format!("Error: {}", page.page.title);
    page.steps = &[
        "In the application, remove this server and add it again. It then registers anew.",
        "In Visual Studio Code, run the command “Authentication: Remove Dynamic Authentication Providers”, remove this server, and connect again.",
        "If this does not help, ask the operator of this server to add the application.",
    ];
    page.fact("ID of the application (client_id)", view.client_id);
    page.request_id(view.request_id);
    page.text()
}

/// Why the server cannot answer now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is starting, another process takes over, or its store failed.
    Server,
    /// There are too many requests.
    Busy,
    /// The client's metadata document on this host cannot be fetched.
    Document(String),
    /// Metadata documents are not fetched, and the program has no copy of the one on this host.
    NotFetched(String),
}

/// What the page of an unavailable server needs.
#[derive(Clone, Copy, Debug)]
pub struct Unavailable<'a> {
    /// How the pages look.
    pub branding: &'a Branding,
    /// Why.
    pub why: &'a Why,
    /// After how many seconds it may work (`Retry-After`); none if it will not before the operator changes something.
    pub retry_after: Option<u64>,
    /// Path and query of the same page, if it can be asked for again.
    pub again: Option<&'a str>,
    /// The request's id in the server's log.
    pub request_id: Option<&'a str>,
}

/// The page of a server that cannot answer now (503).
pub fn unavailable(view: &Unavailable<'_>) -> String {
    let (heading, reason) = reason(view.why);
    let mut page = Page::new(view.branding, heading, &[]);
    page.page.title = format!("Error: {}", page.page.title);
    page.paragraphs = vec![reason, what_to_do(view)];
    page.link = view.again.map(|target| Link {
        target,
        label: "Try again",
    });
    page.request_id(view.request_id);
    page.text()
}

fn reason(why: &Why) -> (&'static str, String) {
    const CHECKED: &str = "The application cannot be checked";
    match why {
        Why::Server => (
            "Not available at the moment",
            "The server cannot do this at the moment. Nothing was allowed.".to_owned(),
        ),
        Why::Busy => (
            "Busy at the moment",
            "Many people use this server right now. Nothing was allowed.".to_owned(),
        ),
        Why::Document(host) => {
            let host = shown_text(host, MAX_NAME);
            let reason = format!(
                "This server could not ask {host} about the application. Nothing was allowed."
            );
            (CHECKED, reason)
        }
        Why::NotFetched(host) => {
            let host = shown_text(host, MAX_NAME);
            let reason = format!(
                "This server does not know the application, and does not ask {host} about it. Nothing was allowed."
            );
            (CHECKED, reason)
        }
    }
}

fn what_to_do(view: &Unavailable<'_>) -> String {
    match view.retry_after {
        Some(seconds) => format!("Please try again in {}.", shown_time(seconds)),
        None => "Ask the operator of this server to add the application to its clients, or to let it fetch such descriptions (metadata_documents.fetch).".to_owned(),
    }
}

/// The page for a request that was answered before: the way ends here.
pub fn completed(branding: &Branding) -> String {
    let paragraphs = [
        "You have answered this request already, and the application has your answer.",
        "You can close this window and go back to the application.",
    ];
    Page::new(branding, "Already answered", &paragraphs).text()
}

/// The page after signing out. `stays_connected`: whether applications do.
pub fn signed_out(branding: &Branding, stays_connected: bool) -> String {
    let paragraphs = [
        "You are signed out of this server in this browser.",
        match stays_connected {
            true => "Applications that you allowed stay connected. You can close this window.",
            false => {
                "Applications that you allowed in this browser are disconnected. You can close this window."
            }
        },
    ];
    Page::new(branding, "Signed out", &paragraphs).text()
}

/// The question whether to sign out, with the sealed interaction of its form. `user` is none where nobody is signed in.
pub fn sign_out(branding: &Branding, user: Option<&str>, interaction: &str) -> String {
    let Some(user) = user else {
        return Page::new(
            branding,
            "You are not signed in",
            &["You can close this window."],
        )
        .text();
    };
    let mut page = Page::new(branding, "Sign out?", &[]);
    let user = shown_text(user, MAX_NAME);
    page.paragraphs = vec![format!("You are signed in as {user}.")];
    page.sign_out = Some(interaction);
    page.text()
}

/// A detail for the operator or the makers of a client.
struct Fact {
    label: &'static str,
    value: String,
}

/// A link that looks like a button.
pub(super) struct Link<'a> {
    pub(super) target: &'a str,
    pub(super) label: &'static str,
}

#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct Page<'a> {
    pub(super) page: Layout<'a>,
    heading: &'a str,
    pub(super) paragraphs: Vec<String>,
    steps: &'a [&'a str],
    pub(super) link: Option<Link<'a>>,
    sign_out: Option<&'a str>,
    facts: Vec<Fact>,
}

impl<'a> Page<'a> {
    pub(super) fn new(branding: &'a Branding, heading: &'a str, paragraphs: &[&str]) -> Self {
        Self {
            page: Layout::new(branding, heading),
            heading,
            paragraphs: paragraphs.iter().map(|text| (*text).to_owned()).collect(),
            steps: &[],
            link: None,
            sign_out: None,
            facts: Vec::new(),
        }
    }

    fn fact(&mut self, label: &'static str, value: &str) {
        let value = shown_text(value, MAX_DETAIL);
        if !value.is_empty() {
            self.facts.push(Fact { label, value });
        }
    }

    pub(super) fn request_id(&mut self, id: Option<&str>) {
        self.fact("Request ID", id.unwrap_or_default());
    }

    pub(super) fn text(&self) -> String {
        self.render().unwrap_or_default()
    }
}

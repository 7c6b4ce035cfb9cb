//! The page for a sign-in with a provider that did not succeed. It says what the person can do; why it failed is in the log, found by the
//! request's id. Nothing that the provider wrote is on it.

use http::StatusCode;

use super::{
    branding::Branding,
    message::{Link, Page},
    shown::{MAX_NAME, shown_text},
};

/// What went wrong with a sign-in with a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The provider cannot be reached or cannot answer now.
    Unavailable,
    /// What the provider says cannot be used.
    Wrong,
    /// The person or the provider refused.
    Denied,
    /// The account may not sign in here.
    NotAllowed,
    /// The provider left out the account's groups: there are too many.
    LeftOut,
    /// The application's request is too long.
    TooLong,
}

impl Problem {
    /// The status of the page.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Wrong => StatusCode::BAD_GATEWAY,
            Self::Denied | Self::NotAllowed | Self::LeftOut => StatusCode::FORBIDDEN,
            Self::TooLong => StatusCode::BAD_REQUEST,
        }
    }

    const fn heading(self) -> &'static str {
        match self {
            Self::Unavailable => "Sign-in is not available at the moment",
            Self::Wrong => "Sign-in failed",
            Self::Denied => "Sign-in was cancelled",
            Self::NotAllowed | Self::LeftOut => "You cannot sign in here",
            Self::TooLong => "The application’s request cannot be used",
        }
    }

    fn sentences(self, provider: &str) -> [String; 2] {
        match self {
            Self::Unavailable => [
                format!("{provider} does not answer at the moment. Nothing was allowed."),
                "Please try again in a few minutes.".to_owned(),
            ],
            Self::Wrong => [
                format!("The answer of {provider} could not be used. Nothing was allowed."),
                "Try again. If it happens again, send the details below to the operator of this server.".to_owned(),
            ],
            Self::Denied => [
                format!("{provider} did not sign you in. Perhaps you cancelled it. Nothing was allowed."),
                "You can try again, or close this window.".to_owned(),
            ],
            Self::NotAllowed => [
                format!("{provider} signed you in, but this account has no access to this server. Nothing was allowed."),
                "Use another account, or ask the operator of this server for access.".to_owned(),
            ],
            Self::LeftOut => [
                format!("{provider} did not say to which groups this account belongs, because there are too many. Nothing was allowed."),
                format!("Send the details below to the operator of this server: {provider} must give this server only the groups that are assigned to it, or app roles."),
            ],
            Self::TooLong => [
                "The application sent more than can be kept while you sign in. Nothing was allowed.".to_owned(),
                "If it happens again, send the details below to the developers of the application.".to_owned(),
            ],
        }
    }

    const fn link(self) -> &'static str {
        match self {
            Self::NotAllowed | Self::LeftOut => "Use another account",
            _ => "Try again",
        }
    }

    /// Whether it can help to sign in again with another account.
    pub const fn wants_another_account(self) -> bool {
        matches!(self, Self::NotAllowed | Self::LeftOut)
    }
}

/// What the page needs.
#[derive(Clone, Copy, Debug)]
pub struct SignInFailed<'a> {
    /// How the pages look.
    pub branding: &'a Branding,
    /// What people call the provider.
    pub provider: &'a str,
    /// What went wrong.
    pub problem: Problem,
    /// Path and query with which people try again; none where that cannot help.
    pub again: Option<&'a str>,
    /// The request's id in the server's log.
    pub request_id: Option<&'a str>,
}

/// The page for a sign-in with a provider that did not succeed.
pub fn sign_in_failed(view: &SignInFailed<'_>) -> String {
    let provider = shown_text(view.provider, MAX_NAME);
    let mut page = Page::new(view.branding, view.problem.heading(), &[]);
    page.page.title = format!("Error: {}", page.page.title);
    page.paragraphs = view.problem.sentences(&provider).into();
    page.link = view.again.map(|target| Link {
        target,
        label: view.problem.link(),
    });
    page.request_id(view.request_id);
    page.text()
}

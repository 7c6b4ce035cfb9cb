//! A fault of a request whose redirect URI is the client's: the client gets it as an error there, or the person sees it on a page.
//!
//! Strangers register redirect URIs of any https host. A link to `/authorize` with a wrong parameter would send the browser that
//! follows it there, before any page was seen (RFC 9700 §4.11.2). So an error goes to such a client only after the
//! person saw where it goes and answered.

use std::fmt::Display;

use super::{
    error::{AuthorizationError, ErrorCode},
    location::error_location,
    page_fault::PageFault,
    request::AuthorizationRequest,
};
use crate::{
    client::model::{Client, ClientOrigin, DocumentSource},
    redirect_uri::RedirectUri,
};

/// A request that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// With a page (400). Nothing is sent to a redirect URI.
    Page(PageFault),
    /// With a redirect that takes the error to the client.
    Redirect(AuthorizationError),
}

impl From<PageFault> for Refused {
    fn from(fault: PageFault) -> Self {
        Self::Page(fault)
    }
}

/// A fault that the client gets as an error.
pub(super) struct Fault {
    code: ErrorCode,
    description: &'static str,
    detail: String,
}

/// Where an error would go.
pub(super) struct SentBack<'a> {
    pub(super) client: &'a Client,
    pub(super) redirect: &'a RedirectUri,
    pub(super) state: Option<&'a str>,
    pub(super) issuer: &'a str,
}

impl Fault {
    pub(super) fn new(code: ErrorCode, detail: impl Display) -> Self {
        Self {
            code,
            description: code.description(),
            detail: detail.to_string(),
        }
    }

    /// A wrong parameter: the client learns which.
    pub(super) fn invalid(description: &'static str, detail: impl Display) -> Self {
        Self {
            description,
            ..Self::new(ErrorCode::InvalidRequest, detail)
        }
    }

    /// The refusal, before the person has seen a page.
    pub(super) fn refused(self, to: &SentBack<'_>) -> Refused {
        if to.client.is_sent_back_unseen(to.redirect) {
            return Refused::Redirect(AuthorizationError {
                code: self.code,
                description: self.description.to_owned(),
                detail: self.detail,
                location: error_location(
                    to.redirect,
                    self.code,
                    self.description,
                    to.state,
                    to.issuer,
                ),
            });
        }
        Refused::Page(PageFault::NotSentBack {
            client: to.client.id.clone(),
            host: to.redirect.shown().host,
            code: self.code,
            description: self.description,
            detail: self.detail,
        })
    }
}

impl AuthorizationRequest {
    /// The refusal of a request that was accepted, before the person has answered it: nobody is signed in where no page may be
    /// shown. `client` is the one that asks.
    pub fn refused_unseen(&self, client: &Client, code: ErrorCode, issuer: &str) -> Refused {
        let to = SentBack {
            client,
            redirect: &self.redirect_uri,
            state: self.state.as_deref(),
            issuer,
        };
        Fault::new(code, code.description()).refused(&to)
    }
}

impl Client {
    /// Whether a browser may be sent to this redirect URI of the client before a person has seen where it goes: a program on the
    /// person's own device gets it, or the operator or the makers of this program know the client. A private-use scheme is one
    /// that the operator lists.
    fn is_sent_back_unseen(&self, redirect: &RedirectUri) -> bool {
        let shown = redirect.shown();
        let is_known = match &self.origin {
            ClientOrigin::Configured | ClientOrigin::Provisional => true,
            ClientOrigin::Document { source, .. } => matches!(source, DocumentSource::Shipped(_)),
            ClientOrigin::Registered { .. } | ClientOrigin::Machine { .. } => false,
        };
        is_known || shown.is_loopback || shown.is_private_scheme
    }
}

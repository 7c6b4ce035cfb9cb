//! What several endpoints need: forms, the browser's cookie and session, random bytes.

use aws_lc_rs::rand;
use http::{
    HeaderMap, StatusCode,
    header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, COOKIE},
};
use mcp_gateway_core::token::bearer::BearerToken;
use mcp_gateway_oauth::{
    authorize::AuthorizationRequest,
    form::Form,
    id::{ID_BYTES, Id},
    pages::message::Fault,
    secret::Secret,
    session::{
        self, Session,
        cookie::{Browser, COOKIE_BYTES, Cookie},
        interaction::is_sent_by_another_site,
        user::User,
    },
    store::rows::StoreError,
};
use serde::{Deserialize, Serialize};

use super::super::{
    answers::{self, Answered},
    server::Server,
};
use crate::{
    clock,
    local::service::{LocalAnswer, LocalRequest},
    telemetry::authorization_event::{EventKind, EventSubject},
};

/// The media type of forms.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// The longest bearer token of a registration, in bytes.
const MAX_BEARER_BYTES: usize = 1024;

/// Random bytes.
///
/// # Errors
/// The system has none: 503.
pub(super) fn random<const BYTES: usize>() -> Answered<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| {
        let answer = answers::error(
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
            "The server cannot answer now.",
        );
        Box::new(answer.with_found("the system has no random bytes"))
    })?;
    Ok(bytes)
}

/// A random id.
///
/// # Errors
/// As [`random`].
pub(super) fn random_id() -> Answered<Id> {
    Ok(Id::new(random::<ID_BYTES>()?))
}

/// A new cookie.
///
/// # Errors
/// As [`random`].
pub(super) fn new_cookie(server: &Server) -> Answered<Cookie> {
    Ok(Cookie::new(
        &server.settings.keys,
        random::<COOKIE_BYTES>()?,
    ))
}

/// Whether the body is of this media type, and not encoded.
pub(super) fn is_body_of(headers: &HeaderMap, media_type: &str) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(sent), None) = (types.next(), types.next()) else {
        return false;
    };
    let sent = sent.to_str().unwrap_or_default();
    let sent = sent.split(';').next().unwrap_or_default().trim();
    sent.eq_ignore_ascii_case(media_type) && !headers.contains_key(CONTENT_ENCODING)
}

/// The form that a program posts, or what is wrong with it.
pub(super) fn posted_form(request: &LocalRequest) -> Result<Form, String> {
    if !is_body_of(&request.headers, FORM) {
        return Err(format!("the body must be {FORM}"));
    }
    Form::parse(&request.body).map_err(|error| error.to_string())
}

/// The form that a page of the server posts.
///
/// # Errors
/// A page: another site sent it, or it cannot be read.
pub(super) fn page_form(server: &Server, request: &LocalRequest) -> Answered<Form> {
    if is_sent_by_another_site(&request.headers) {
        let found = "the browser says that another site sent the form (Sec-Fetch-Site)";
        let fault = answers::fault(server, request, &Fault::OtherBrowser, found.to_owned());
        return Err(Box::new(fault));
    }
    posted_form(request)
        .map_err(|found| Box::new(answers::fault(server, request, &Fault::Form, found)))
}

/// The bearer token of a request, if it has one.
pub(super) fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return None;
    };
    let (scheme, token) = line.to_str().ok()?.split_once(' ')?;
    let token = BearerToken::parse(token.trim(), MAX_BEARER_BYTES)?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| Secret::new(token.expose()))
}

/// What travels with the consent form.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    /// The `sub` of the user who was asked. Nobody else answers: the browser may have been given to another account since, or brought
    /// along a page of somebody who wants its user to allow it.
    pub(super) subject: String,
    /// What was asked.
    pub(super) request: AuthorizationRequest,
}

/// A browser, and who is signed in.
pub(super) struct Visitor {
    /// Its cookie, if it has one.
    pub(super) cookie: Option<Cookie>,
    /// Who is signed in: the session and its user, who is still in the file with the same password.
    pub(super) signed_in: Option<(Session, User)>,
}

impl Visitor {
    /// The names that the browser has for a form: that of its cookie, and those from before it signed in.
    ///
    /// A form is bound to one of these. Nobody else has them: a cookie is 32 random bytes that no page and no redirect shows, and the
    /// list of earlier ones is in the row of the present cookie, where only sign-ins with that cookie write. So another browser has no
    /// form of this one, also where the same person is signed in there. Somebody who brought a cookie of their own into this browser
    /// (session fixation) has forms of its earlier names; those forms belong to nobody, or to another user, and the form of a signed-in
    /// user is for that user alone ([`Asked`]).
    pub(super) fn browsers(&self) -> Vec<Browser> {
        let own = self.cookie.as_ref().map(|cookie| *cookie.browser());
        let session = self.signed_in.as_ref().map(|(session, _)| session);
        let earlier = session.into_iter().flat_map(Session::earlier);
        own.into_iter().chain(earlier).collect()
    }

    /// Its name.
    pub(super) fn browser(&self) -> Option<&Browser> {
        self.cookie.as_ref().map(Cookie::browser)
    }
}

/// Who comes.
///
/// # Errors
/// A page: the store does not answer.
pub(super) async fn visitor(server: &Server, request: &LocalRequest) -> Answered<Visitor> {
    let fields = request.headers.get_all(COOKIE).iter();
    let fields = fields.map(http::HeaderValue::as_bytes);
    let cookie = Cookie::parse(fields, server.settings.transport, &server.settings.keys);
    let session = match &cookie {
        None => None,
        Some(cookie) => session_of(server, cookie.browser())
            .await
            .map_err(|error| Box::new(answers::no_store(server, request, &error)))?,
    };
    let signed_in = session.and_then(|session| {
        let user = server.runtime.passwords.with_subject(&session.subject)?;
        session.is_of(&user).then_some((session, user))
    });
    Ok(Visitor { cookie, signed_in })
}

async fn session_of(server: &Server, browser: &Browser) -> Result<Option<Session>, StoreError> {
    let store = &server.runtime.store;
    store.wait_until_open().await?;
    store.read(|rows| session::find(rows, browser, clock::now()))
}

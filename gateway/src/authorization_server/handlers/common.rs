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
    owner::ResourceOwner,
    pages::message::Fault,
    secret::Secret,
    session::{
        self, Session,
        cookie::{Browser, COOKIE_BYTES, Cookie},
        interaction::is_sent_by_another_site,
    },
    store::rows::StoreError,
    token::error::{Refused, TokenError},
};
use serde::{Deserialize, Serialize};

use super::super::{
    answers::{self, Answered},
    clients::NotAuthenticated,
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

/// The most ids that are drawn for one that does not begin with a hyphen. One in 64 begins with one.
const MAX_DRAWS: usize = 16;

/// A random id. It does not begin with a hyphen, which operators could write only after `--`.
///
/// # Errors
/// As [`random`].
pub(super) fn random_id() -> Answered<Id> {
    let mut id = Id::new(random::<ID_BYTES>()?);
    for _ in 1..MAX_DRAWS {
        if !id.begins_with_hyphen() {
            break;
        }
        id = Id::new(random::<ID_BYTES>()?);
    }
    Ok(id)
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

/// The refusals of an endpoint for programs, each with its event.
#[derive(Clone, Copy)]
pub(super) struct Refusals<'a> {
    /// The request.
    pub(super) request: &'a LocalRequest,
    /// What was asked for.
    pub(super) kind: EventKind,
}

impl Refusals<'_> {
    /// The form that was posted.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn form(&self) -> Answered<Form> {
        posted_form(self.request).map_err(|found| {
            let refused = Refused::of(TokenError::RequestMalformed).found(found);
            self.refused(None, &refused)
        })
    }

    /// The parameter `token` (RFC 7009 §2.1, RFC 7662 §2.1).
    ///
    /// # Errors
    /// It is missing.
    pub(super) fn token<'f>(&self, form: &'f Form, client: &str) -> Answered<&'f str> {
        let missing = || self.refused(Some(client), &TokenError::TokenMissing.into());
        form.get("token").ok_or_else(missing)
    }

    /// The answer to a caller that is not authenticated.
    pub(super) fn not_authenticated(&self, why: &NotAuthenticated) -> Box<LocalAnswer> {
        let answer = why.answer(self.request);
        self.with_event(answer, why.fault.code(), why.client.as_deref())
    }

    /// The answer that refuses.
    pub(super) fn refused(&self, client: Option<&str>, refused: &Refused) -> Box<LocalAnswer> {
        let answer = answers::refused(&self.request.headers, refused);
        self.with_event(answer, refused.error.code(), client)
    }

    /// The answer of a server whose store does not answer.
    pub(super) fn no_store(&self, client: &str, error: &StoreError) -> Box<LocalAnswer> {
        let refused = Refused::of(TokenError::StoreUnavailable).found(error);
        self.refused(Some(client), &refused)
    }

    fn with_event(
        &self,
        answer: LocalAnswer,
        code: &'static str,
        client: Option<&str>,
    ) -> Box<LocalAnswer> {
        let about = EventSubject {
            client: client.map(str::to_owned),
            ..EventSubject::default()
        };
        Box::new(answer.with_event(self.kind, code, about))
    }
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
    /// Who is signed in: the session, and its user, who is still in the file with the same password, or its account at a provider, which
    /// is still there and may sign in.
    pub(super) signed_in: Option<(Session, ResourceOwner)>,
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
        let owner = owner(server, &session)?;
        Some((session, owner))
    });
    Ok(Visitor { cookie, signed_in })
}

/// Whose session it is, if that is still so.
fn owner(server: &Server, session: &Session) -> Option<ResourceOwner> {
    match &session.vouched {
        Some(vouched) => {
            let vouched = server.settings.providers.still_vouch(vouched)?;
            Some(session.account(vouched))
        }
        None => {
            let user = server.runtime.passwords.with_subject(&session.subject)?;
            session.is_of(&user).then(|| user.owner())
        }
    }
}

async fn session_of(server: &Server, browser: &Browser) -> Result<Option<Session>, StoreError> {
    let store = &server.runtime.store;
    store
        .read(|rows| session::find(rows, browser, clock::now()))
        .await
}

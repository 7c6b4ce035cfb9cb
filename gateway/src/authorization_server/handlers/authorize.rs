//! The authorization endpoint (RFC 6749 §3.1): from a client's request to the sign-in page, and then to the consent page.

use http::{Method, StatusCode, header::SET_COOKIE};
use mcp_gateway_oauth::{
    authorize::{self, AuthorizationRequest, ErrorCode, MOST_QUERY_BYTES, PageFault, Refused},
    client::model::Client,
    discovery::paths,
    form::{Form, encoded},
    owner::ResourceOwner,
    pages::{
        self, AskedBy, Consent, NothingToAllow, PageKind,
        message::{self, ClientUnknown, Fault, Why},
    },
    session::{
        self, Session,
        cookie::Cookie,
        interaction::{Interaction, Step},
    },
};
use serde::Serialize;

use super::{
    super::{
        answers::{self, Answered},
        clients::{self, NoClient},
        documents::fault::{DocumentFault, RETRY_AFTER},
        server::Server,
    },
    common::{Asked, FORM, Visitor, is_body_of, new_cookie, random_id, visitor},
    sign_in::{FilledIn, SignInRequest, page_of},
};
use crate::{
    clock,
    local::service::{LocalAnswer, LocalRequest},
    telemetry::authorization_event::{EventKind, EventSubject},
};

/// Answers an authorization request.
pub(crate) async fn answer(server: &Server, request: &LocalRequest) -> Answered {
    if request.method == Method::POST {
        return posted(server, request);
    }
    let query = request.query.as_deref().unwrap_or_default();
    let form = Form::parse_ambiguous(query.as_bytes());
    let form = form.map_err(|error| page_fault(server, request, None, &error.into()))?;
    let id = authorize::client_id(&form);
    let id = id.map_err(|error| page_fault(server, request, None, &error))?;
    let client = clients::find(server, id, form.get("redirect_uri")).await;
    let client = client.map_err(|why| no_client(server, request, id, &why))?;
    let settings = &server.settings;
    let judged = authorize::judge(&form, &client, &settings.profile, &settings.redirects);
    let asked = judged.map_err(|why| refused(server, request, id, &why))?;
    let visitor = visitor(server, request).await?;
    match &visitor.signed_in {
        Some((session, owner)) if !asked.prompt.login => {
            let browser = visitor.cookie.as_ref();
            consent_page(
                server,
                request,
                (&client, &asked),
                (session, owner),
                browser,
            )
            .await
        }
        _ if asked.prompt.none => Err(unseen(
            server,
            request,
            (&client, &asked),
            ErrorCode::LoginRequired,
        )),
        _ => sign_in(server, &client, asked, &visitor),
    }
}

/// An authorization request that a form posted (OpenID Connect Core §3.1.2.1): the browser asks again with the same parameters in
/// the query. The form comes from another site, so the browser sends no cookie with it (`SameSite=Lax`), and does with what follows.
fn posted(server: &Server, request: &LocalRequest) -> Answered {
    let text = std::str::from_utf8(&request.body).unwrap_or_default();
    let is_query = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if !is_body_of(&request.headers, FORM) || text.is_empty() || !text.bytes().all(is_query) {
        let found = format!("the body must be {FORM} with at least one parameter");
        let fault = answers::fault(server, request, &Fault::Form, found);
        return Err(Box::new(fault));
    }
    if text.len() > MOST_QUERY_BYTES {
        let (found, most) = (text.len(), MOST_QUERY_BYTES);
        let fault = PageFault::TooLong { found, most };
        return Err(page_fault(server, request, None, &fault));
    }
    Ok(answers::redirect(&format!("{}?{text}", request.path)))
}

/// Somebody signs in. Where there are providers, the page says who asks, for every client: the gateway is one client there, which may
/// have been allowed everything before, so nobody leaves without a decision here (MCP security best practices, confused deputy).
fn sign_in(
    server: &Server,
    client: &Client,
    asked: AuthorizationRequest,
    visitor: &Visitor,
) -> Answered {
    let leads_away = !server.settings.providers.is_empty();
    let asked_by = AskedBy::new(client, &asked.redirect_uri.shown());
    let sign_in = SignInRequest {
        query: asked.query,
        client: client.name.clone(),
        asked_by: leads_away.then_some(asked_by),
        wants_another_account: asked.prompt.login,
    };
    sign_in_page(server, &sign_in, visitor)
}

/// The sign-in page, for the browser of this cookie or of a new one.
fn sign_in_page(server: &Server, asked: &SignInRequest, visitor: &Visitor) -> Answered {
    let (cookie, is_new) = match &visitor.cookie {
        Some(cookie) => (cookie.clone(), false),
        None => (new_cookie(server)?, true),
    };
    let sealed = sealed(server, Step::SignIn, &cookie, asked)?;
    let demo = server.settings.demo.as_ref();
    let filled_in = FilledIn {
        user: demo.map_or("", |demo| &demo.user),
        demo_password: demo.map(|demo| demo.password.as_str()),
        error: None,
    };
    let html = page_of(server, asked, &sealed, &filled_in);
    let mut answer = answers::page(StatusCode::OK, PageKind::SignIn, html);
    if is_new {
        let set = cookie.set(server.settings.transport);
        answer.headers.push((SET_COOKIE, set));
    }
    Ok(answer)
}

/// The consent page. Consent is never remembered: every authorization request is decided by its user.
async fn consent_page(
    server: &Server,
    request: &LocalRequest,
    (client, asked): (&Client, &AuthorizationRequest),
    (session, owner): (&Session, &ResourceOwner),
    cookie: Option<&Cookie>,
) -> Answered {
    let allowed = owner.allowed(&asked.scopes.0);
    if allowed.is_empty() && !asked.scopes.0.is_empty() {
        return Ok(nothing_to_allow(server, request, asked, owner));
    }
    if asked.prompt.none {
        let code = ErrorCode::ConsentRequired;
        return Err(unseen(server, request, (client, asked), code));
    }
    let profile = &server.settings.profile;
    let mut resources = profile.resources.iter();
    let (Some(cookie), Some(resource)) = (
        cookie,
        resources.find(|resource| resource.uri == asked.resource),
    ) else {
        let code = ErrorCode::ServerError;
        return Err(unseen(server, request, (client, asked), code));
    };
    touch(server, session, cookie).await;
    let travels = Asked {
        subject: session.subject.clone(),
        request: AuthorizationRequest {
            scopes: mcp_gateway_oauth::store::text::ScopeSetText(allowed),
            ..asked.clone()
        },
    };
    let sealed = sealed(server, Step::Consent, cookie, &travels)?;
    let asked = &travels.request;
    let html = pages::consent(&Consent {
        branding: &server.settings.branding,
        client,
        destination: &asked.redirect_uri.shown(),
        resource,
        scopes: &asked.scopes.0,
        stays_connected: asked.wants_refresh,
        user: &owner.name,
        another_account: &another_account(asked),
        interaction: &sealed,
    });
    Ok(answers::page(StatusCode::OK, PageKind::Consent, html))
}

/// The page for a user who may allow none of what is asked for.
fn nothing_to_allow(
    server: &Server,
    request: &LocalRequest,
    asked: &AuthorizationRequest,
    owner: &ResourceOwner,
) -> LocalAnswer {
    let html = pages::nothing_to_allow(&NothingToAllow {
        branding: &server.settings.branding,
        user: &owner.name,
        another_account: &another_account(asked),
        request_id: Some(&request.request_id),
    });
    let (name, scopes) = (&owner.name, &asked.scopes.0);
    let page = answers::page(StatusCode::FORBIDDEN, PageKind::Message, html)
        .with_found(format_args!("the user {name} may allow none of {scopes}"));
    *refused_event(page, ErrorCode::AccessDenied.as_str(), &asked.client_id)
}

/// The same request, with which the browser signs in again.
fn another_account(asked: &AuthorizationRequest) -> String {
    let prompt = match asked.prompt.consent {
        true => "consent login",
        false => "login",
    };
    let form = Form::parse(asked.query.as_bytes());
    let query = form.map_or_else(|_| asked.query.clone(), |form| form.to_query(&["prompt"]));
    let path = paths::AUTHORIZE;
    format!("{path}?{query}&prompt={}", encoded(prompt))
}

/// A session that is used ends later. If that cannot be written down, it ends when it would have.
async fn touch(server: &Server, session: &Session, cookie: &Cookie) {
    let now = clock::now();
    if session.is_touch_due(now) {
        let (browser, lifetimes) = (*cookie.browser(), server.settings.profile.lifetimes);
        let touch = move |rows: &mut dyn mcp_gateway_oauth::store::rows::Rows| {
            session::touch(rows, &browser, &lifetimes, now)
        };
        let _ = server.runtime.store.write(touch).await;
    }
}

/// What travels with the form of a page.
fn sealed<T: Clone + Serialize + serde::de::DeserializeOwned>(
    server: &Server,
    step: Step,
    cookie: &Cookie,
    travels: &T,
) -> Answered<String> {
    let interaction = Interaction {
        id: random_id()?,
        began: clock::now().into(),
        request: travels.clone(),
    };
    let sealed = interaction.seal(&server.settings.keys, step, cookie.browser());
    sealed.map_err(|error| {
        let answer = LocalAnswer::new(StatusCode::INTERNAL_SERVER_ERROR);
        Box::new(answer.with_found(error))
    })
}

/// The answer to a request that is refused: a page, or the redirect that takes the error to the client.
fn refused(server: &Server, request: &LocalRequest, id: &str, why: &Refused) -> Box<LocalAnswer> {
    match why {
        Refused::Page(fault) => page_fault(server, request, Some(id), fault),
        Refused::Redirect(error) => {
            let answer = answers::redirect(&error.location).with_found(&error.detail);
            refused_event(answer, error.code.as_str(), id)
        }
    }
}

/// The answer with an error that is found after the judgement, before the person has answered.
fn unseen(
    server: &Server,
    request: &LocalRequest,
    (client, asked): (&Client, &AuthorizationRequest),
    code: ErrorCode,
) -> Box<LocalAnswer> {
    let why = asked.refused_unseen(client, code, &server.settings.profile.issuer);
    refused(server, request, &client.id, &why)
}

fn refused_event(answer: LocalAnswer, code: &'static str, client: &str) -> Box<LocalAnswer> {
    let about = EventSubject {
        client: Some(client.to_owned()),
        ..EventSubject::default()
    };
    Box::new(answer.with_event(EventKind::Authorization, code, about))
}

pub(super) fn page_fault(
    server: &Server,
    request: &LocalRequest,
    client: Option<&str>,
    fault: &PageFault,
) -> Box<LocalAnswer> {
    let shown = Fault::Request(fault.shown().into_owned());
    let page = answers::fault(server, request, &shown, fault.to_string());
    refused_event(page, fault.reason(), client.unwrap_or_default())
}

/// The page for a client that is not known or cannot be checked.
pub(super) fn no_client(
    server: &Server,
    request: &LocalRequest,
    id: &str,
    why: &NoClient,
) -> Box<LocalAnswer> {
    match why {
        NoClient::Store(error) => Box::new(answers::no_store(server, request, error)),
        NoClient::Document { host, fault } if fault.is_temporary() => {
            let why = match fault {
                DocumentFault::Off => (Why::NotFetched(host.clone()), None),
                _ => (Why::Document(host.clone()), Some(RETRY_AFTER.as_secs())),
            };
            let page = answers::unavailable(server, request, (&why.0, why.1), fault.to_string());
            refused_event(page, "client_unavailable", id)
        }
        NoClient::Document { fault, .. } => {
            let shown = Fault::Request(fault.shown().to_owned());
            let page = answers::fault(server, request, &shown, fault.to_string());
            refused_event(page, "client_document", id)
        }
        NoClient::Nobody(nobody) => {
            let html = message::client_unknown(&ClientUnknown {
                branding: &server.settings.branding,
                client_id: id,
                request_id: Some(&request.request_id),
            });
            let page = answers::page(StatusCode::BAD_REQUEST, PageKind::Message, html);
            refused_event(page.with_found(nobody), "client_unknown", id)
        }
    }
}

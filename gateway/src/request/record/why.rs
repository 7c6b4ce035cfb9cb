//! What was found in a refused request, for its access line. The client learns none of it.
//!
//! Phases return a [`Reason`] alone. Where none of them noted a detail, it is found here from the request, when the refusal is
//! answered: an ordinary request costs nothing.

use http::{HeaderMap, HeaderValue, Method, header::ORIGIN, uri};
use mcp_gateway_core::{
    http::authority::{self, Authority},
    mcp::{headers::SESSION_ID, message::Message},
    refusal::{
        found::{Found, Listed},
        reason::Reason,
    },
    seal::{SealedForm, Sealer},
    token::{
        api_key::{presented::credential, text::is_api_key},
        evidence::possession::Way,
    },
    why::{
        api_key::{self, Asked},
        credentials, message, request,
        token::{self, Accepted, AcceptedIssuer, TokensOf},
    },
};

use crate::{
    client_session::ClientSession,
    clock,
    local::documents::Documents,
    request::exchange::Exchange,
    snapshot::{ProtectedResource, Snapshot},
};

/// What was found. `allowed` are the methods that the client may use here.
pub(crate) fn found(
    exchange: &Exchange<'_>,
    reason: Reason,
    allowed: &HeaderValue,
) -> Option<String> {
    let head = exchange.session.req_header();
    let headers = &head.headers;
    match reason {
        Reason::BadFraming if head.method == Method::POST => {
            Some("a chunk of the body is invalid".to_owned())
        }
        Reason::BadFraming => Some(format!("a body with {}", head.method)),
        Reason::MethodNotAllowed => {
            let allowed = allowed.to_str().unwrap_or_default();
            Some(request::method(head.method.as_str(), allowed))
        }
        Reason::NotFound => Some(no_such_path(exchange)),
        Reason::Origin => Some(origin(headers, &exchange.snapshot)),
        Reason::UnsupportedMediaType => Some(request::media_type(headers)),
        Reason::HeaderMismatch => message::found_without_body(headers),
        Reason::SessionRequired => Some(request::fields(headers, &SESSION_ID)),
        Reason::SessionUnknown | Reason::SessionMismatch => {
            Some(session(headers, exchange.snapshot.sealer(), reason))
        }
        _ => {
            let resource = exchange.resource.as_ref();
            resource
                .and_then(|resource| in_key_header(headers, resource, reason))
                .or_else(|| credentials::found(headers, reason, schemes(exchange)))
                .or_else(|| token(headers, resource?, reason))
        }
    }
}

/// The schemes that the resource accepts.
fn schemes(exchange: &Exchange<'_>) -> &'static str {
    let mut resource = exchange.resource.iter();
    match resource.any(|resource| resource.constraint.accepts(Way::Dpop)) {
        true => "Bearer, DPoP",
        false => "Bearer",
    }
}

/// What was found in a token that this resource refuses.
pub(crate) fn token(
    headers: &HeaderMap,
    resource: &ProtectedResource,
    reason: Reason,
) -> Option<String> {
    let keys = resource.verifiers.api_keys();
    let token = credential(headers, None, &resource.accepts(), usize::MAX)
        .ok()?
        .token;
    let asked = Asked {
        ring: keys.ring(),
        path: &resource.path,
        now: clock::now(),
    };
    if is_api_key(token.expose()) {
        return api_key::found(token.expose(), reason, &asked);
    }
    let states: Vec<_> = resource
        .verifiers
        .issuers()
        .iter()
        .map(|trusted| (trusted, trusted.keys.usable()))
        .collect();
    let issuers = states.iter().map(|(trusted, state)| AcceptedIssuer {
        name: trusted.keys.name(),
        profile: &trusted.profile,
        keys: state.as_ref().map(|state| state.keys()),
    });
    let asked = resource.verifiers.asked_issuer();
    let asked = asked.map(|(name, profile)| AcceptedIssuer {
        name,
        profile,
        keys: None,
    });
    let issuers = issuers.chain(asked);
    let accepted = Accepted {
        tokens: TokensOf::Resource,
        issuers: issuers.collect(),
        audience: resource.verifiers.audience(),
        now: clock::now(),
    };
    token::found(token.expose(), reason, &accepted)
}

/// What was found where a resource accepts API keys in a header of their own.
fn in_key_header(
    headers: &HeaderMap,
    resource: &ProtectedResource,
    reason: Reason,
) -> Option<String> {
    let header = resource.verifiers.api_keys().header()?;
    api_key::in_header(headers, header, reason)
}

/// What was found in a sealed value of the message: `requestState` or the id of a task.
pub(crate) fn sealed(exchange: &Exchange<'_>, read: &Message, reason: Reason) -> Option<String> {
    let body = read.body.as_deref()?;
    let sealer = exchange.snapshot.sealer();
    let form = |member| message::param(body, member).map(|value| sealer.form_of(&value));
    match reason {
        Reason::TaskUnknown | Reason::TaskMismatch => {
            let form = form("taskId").unwrap_or(SealedForm::Foreign);
            Some(owner_text("task id", form, reason == Reason::TaskMismatch))
        }
        Reason::RequestState => {
            let form = form("requestState").unwrap_or(SealedForm::Foreign);
            Some(match form {
                SealedForm::Own => format!(
                    "the requestState is of another call or caller, was altered, or is older than {:?} (timeouts.request_state)",
                    exchange.snapshot.timeouts.request_state
                ),
                form => owner_text("requestState", form, false),
            })
        }
        Reason::TasksMethod => {
            let method = read.method_name().unwrap_or_default();
            Some(format!(
                "method {} with resources.tasks: seal",
                Found(method)
            ))
        }
        Reason::TasksUndeclared => {
            let method = read.method_name().unwrap_or_default();
            Some(format!(
                "method {}; params._meta declares no io.modelcontextprotocol/tasks",
                Found(method)
            ))
        }
        _ => {
            let headers = &exchange.session.req_header().headers;
            message::found(body, headers, &exchange.snapshot.json, reason)
        }
    }
}

fn session(headers: &HeaderMap, sealer: &Sealer, reason: Reason) -> String {
    let mut sent = headers.get_all(SESSION_ID).iter();
    let form = match (sent.next().map(HeaderValue::to_str), sent.next()) {
        (Some(Ok(id)), None) => sealer.form_of(id),
        _ => return request::fields(headers, &SESSION_ID),
    };
    owner_text("session id", form, reason == Reason::SessionMismatch)
}

/// What is known about a sealed value. Its owner is only known to be another one.
fn owner_text(what: &str, form: SealedForm, is_of_another: bool) -> String {
    match (is_of_another, form) {
        (true, _) => format!("the {what} belongs to another caller, resource or MCP server"),
        (false, SealedForm::Foreign) => {
            format!("the {what} was not sealed by a gateway (an id of the MCP server itself?)")
        }
        (false, SealedForm::OtherKey) => {
            format!(
                "the {what} was sealed with a key that this process does not have (sessions.key_files)"
            )
        }
        (false, SealedForm::Own) => format!("the {what} was altered, or is another kind of value"),
    }
}

fn origin(headers: &HeaderMap, snapshot: &Snapshot) -> String {
    let accepted = snapshot.origins.accepted();
    let sent: Vec<_> = headers.get_all(ORIGIN).iter().map(request::text).collect();
    format!(
        "origin {}; accepted: {} (public_url, origins)",
        Listed(sent.iter().map(String::as_str)),
        Listed(accepted.iter().map(String::as_str))
    )
}

fn no_such_path(exchange: &Exchange<'_>) -> String {
    if Documents::claims(exchange.session.req_header().uri.path()) {
        return "no document at this path".to_owned();
    }
    match host(exchange.session, &exchange.snapshot) {
        Some(host) => format!(
            "no resource at this path; host {host} has {}",
            Listed(exchange.snapshot.paths(&host).into_iter())
        ),
        None => "no resource at this path".to_owned(),
    }
}

/// The host that a request names.
pub(crate) fn host(session: &ClientSession, snapshot: &Snapshot) -> Option<Authority> {
    let head = session.req_header();
    let pseudo = head.uri.authority().filter(|_| session.is_http2());
    let pseudo = pseudo.map(uri::Authority::as_str);
    authority::requested(&head.headers, pseudo, snapshot.scheme).ok()
}

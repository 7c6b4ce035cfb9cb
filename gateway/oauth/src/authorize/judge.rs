//! The judgement of an authorization request whose client is known: first where answers may go, then everything else.

use mcp_gateway_core::refusal::found::Found;

use super::{
    error::ErrorCode,
    fault::{Fault, Refused, SentBack},
    page_fault::{MOST_STATE_BYTES, PageFault, client_id},
    prompt::Prompt,
    request::{AuthorizationRequest, query_after_sign_in},
    resource::find_resource,
    scopes::granted_for,
};
use crate::{
    client::model::Client,
    form::Form,
    profile::ServerProfile,
    proof_key::ProofKey,
    redirect_uri::{RedirectRules, RedirectUri, fits},
    store::text::ScopeSetText,
};

/// Characters of a PKCE challenge: SHA-256 in base64url without padding (RFC 7636 §4.2).
const CHALLENGE_LENGTH: usize = 43;

/// Judges the request of a client. `form` is its query, read by [`Form::parse_ambiguous`].
///
/// # Errors
/// [`Refused::Page`] until the redirect URI is known to be the client's. Afterwards [`Refused::Redirect`], unless nobody vouches for
/// where it goes ([`PageFault::NotSentBack`]).
pub fn judge(
    form: &Form,
    client: &Client,
    server: &ServerProfile,
    rules: &RedirectRules,
) -> Result<AuthorizationRequest, Refused> {
    client_id(form)?;
    let redirect_uri = redirect_uri(form, client, rules)?;
    let state = form.get("state");
    if state.is_some_and(|state| state.len() > MOST_STATE_BYTES) {
        return Err(Refused::Page(PageFault::LongState));
    }
    let query = query_after_sign_in(form)?;
    let judged = judge_rest(form, client, server);
    let judged = judged.map_err(|fault| {
        let to = SentBack {
            client,
            redirect: &redirect_uri,
            state,
            issuer: &server.issuer,
        };
        fault.refused(&to)
    })?;
    Ok(AuthorizationRequest {
        client_id: client.id.clone(),
        standing: client.standing(),
        redirect_uri,
        was_redirect_sent: form.get("redirect_uri").is_some(),
        state: state.map(str::to_owned),
        code_challenge: judged.code_challenge,
        key: judged.key,
        resource: judged.resource,
        scopes: ScopeSetText(judged.scopes),
        wants_refresh: client.grant_types.refresh_token,
        prompt: judged.prompt,
        query,
    })
}

/// The redirect URI, which is the client's.
fn redirect_uri(
    form: &Form,
    client: &Client,
    rules: &RedirectRules,
) -> Result<RedirectUri, PageFault> {
    if form.repeated().any(|name| name == "redirect_uri") {
        return Err(PageFault::RepeatedRedirectUri);
    }
    let Some(sent) = form.get("redirect_uri") else {
        return only_redirect_uri(client, rules);
    };
    let uri = parsed(sent, rules)?;
    let registered = client.redirect_uris.iter();
    let mut registered = registered.filter_map(|text| RedirectUri::parse(text, rules).ok());
    if registered.any(|registered| fits(&registered, &uri)) {
        return Ok(uri);
    }
    Err(PageFault::RedirectUriNotRegistered {
        client: client.id.clone(),
        sent: sent.to_owned(),
        registered: client.redirect_uris.clone(),
    })
}

/// The redirect URI of a request without one: the only one that is registered (RFC 6749 §3.1.2.3), unless it leaves the port open.
fn only_redirect_uri(client: &Client, rules: &RedirectRules) -> Result<RedirectUri, PageFault> {
    let [registered] = client.redirect_uris.as_slice() else {
        return Err(PageFault::NoRedirectUri {
            client: client.id.clone(),
            registered: client.redirect_uris.len(),
        });
    };
    let uri = parsed(registered, rules)?;
    if uri.is_port_free() && uri.port().is_none() {
        return Err(PageFault::NoPort {
            client: client.id.clone(),
            registered: registered.clone(),
        });
    }
    Ok(uri)
}

fn parsed(text: &str, rules: &RedirectRules) -> Result<RedirectUri, PageFault> {
    RedirectUri::parse(text, rules).map_err(|error| PageFault::RedirectUri {
        sent: text.to_owned(),
        error,
    })
}

/// What is judged after the redirect URI.
struct Judged {
    code_challenge: String,
    key: Option<ProofKey>,
    resource: String,
    scopes: mcp_gateway_core::scope::ScopeSet,
    prompt: Prompt,
}

fn judge_rest(form: &Form, client: &Client, server: &ServerProfile) -> Result<Judged, Fault> {
    check_once(form)?;
    check_kind(form)?;
    if !client.grant_types.authorization_code {
        let detail = "the client's grant types do not have authorization_code";
        return Err(Fault::new(ErrorCode::UnauthorizedClient, detail));
    }
    let code_challenge = code_challenge(form)?;
    let resource = find_resource(server, form.all("resource"))
        .map_err(|fault| Fault::new(ErrorCode::InvalidTarget, fault))?;
    let scopes = granted_for(client, resource, form.get("scope").unwrap_or_default());
    let scopes = scopes.ok_or_else(|| {
        let detail = format!("the client's scopes have none of {}", resource.uri);
        Fault::new(ErrorCode::InvalidScope, detail)
    })?;
    Ok(Judged {
        code_challenge,
        key: key(form)?,
        resource: resource.uri.clone(),
        scopes,
        prompt: prompt(form)?,
    })
}

/// Every parameter once (RFC 6749 §3.1).
fn check_once(form: &Form) -> Result<(), Fault> {
    form.repeated().next().map_or(Ok(()), |name| {
        let detail = format!("the parameter {} was sent more than once", Found(name));
        Err(Fault::invalid(
            "A parameter was sent more than once.",
            detail,
        ))
    })
}

/// The kind of request and answer: a code in a query, and no request objects.
fn check_kind(form: &Form) -> Result<(), Fault> {
    if form.get("request").is_some() {
        return Err(Fault::new(
            ErrorCode::RequestNotSupported,
            "the request has a request object",
        ));
    }
    if form.get("request_uri").is_some() {
        return Err(Fault::new(
            ErrorCode::RequestUriNotSupported,
            "the request has a request_uri",
        ));
    }
    match form.get("response_type") {
        Some("code") => {}
        None => {
            let detail = "the request has no response_type, code is expected";
            return Err(Fault::invalid(
                "The response_type is missing: it must be code.",
                detail,
            ));
        }
        Some(other) => {
            let detail = format!("the response_type is {}, code is expected", Found(other));
            return Err(Fault::new(ErrorCode::UnsupportedResponseType, detail));
        }
    }
    match form.get("response_mode") {
        None | Some("query") => Ok(()),
        Some(other) => {
            let detail = format!("the response_mode is {}, query is expected", Found(other));
            Err(Fault::invalid("The response_mode must be query.", detail))
        }
    }
}

/// The PKCE challenge; S256 only (RFC 7636 §4.3, OAuth 2.1 §4.1.1).
fn code_challenge(form: &Form) -> Result<String, Fault> {
    let Some(challenge) = form.get("code_challenge") else {
        let detail = "the request has no code_challenge";
        return Err(Fault::invalid(
            "The code_challenge is missing: PKCE is required.",
            detail,
        ));
    };
    if form.get("code_challenge_method") != Some("S256") {
        let detail = match form.get("code_challenge_method") {
            Some(found) => format!(
                "the code_challenge_method is {}, S256 is expected",
                Found(found)
            ),
            None => {
                "the code_challenge_method is missing and so plain, S256 is expected".to_owned()
            }
        };
        return Err(Fault::invalid(
            "The code_challenge_method must be S256.",
            detail,
        ));
    }
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if challenge.len() != CHALLENGE_LENGTH || !challenge.bytes().all(is_base64url) {
        let detail = format!(
            "the code_challenge has {} bytes, or others than base64url",
            challenge.len()
        );
        return Err(Fault::invalid(
            "The code_challenge must be a SHA-256 in base64url without padding: 43 characters.",
            detail,
        ));
    }
    Ok(challenge.to_owned())
}

/// The key that has to redeem the code.
fn key(form: &Form) -> Result<Option<ProofKey>, Fault> {
    let Some(text) = form.get("dpop_jkt") else {
        return Ok(None);
    };
    let key = ProofKey::parse(text);
    let fault = || {
        let detail = format!("the dpop_jkt is {}", Found(text));
        let text = "The dpop_jkt must be the thumbprint of a key: a SHA-256 in base64url.";
        Fault::invalid(text, detail)
    };
    key.map(Some).ok_or_else(fault)
}

fn prompt(form: &Form) -> Result<Prompt, Fault> {
    let text = form.get("prompt").unwrap_or_default();
    Prompt::parse(text).ok_or_else(|| {
        let detail = format!("the prompt is {}", Found(text));
        Fault::invalid("The prompt none must stand alone.", detail)
    })
}

//! The consent form: the user allows or denies, and the browser goes back to the client.

use http::StatusCode;
use mcp_gateway_oauth::{
    authorize::{self, AuthorizationRequest, ErrorCode, success_location},
    discovery::paths,
    owner::ResourceOwner,
    pages::{
        PageKind,
        message::{self, Fault},
    },
    session::{
        Session,
        interaction::{Interaction, InteractionError, Step},
    },
    store::rows::Rows,
    token::code::{self, Denial, Draft, Outcome},
};

use super::{
    super::{
        answers::{self, Answered},
        clients,
        server::Server,
    },
    authorize::{no_client, page_fault},
    common::{Asked, Visitor, page_form, visitor},
};
use crate::{
    clock,
    local::service::{LocalAnswer, LocalRequest},
    telemetry::authorization_event::{EventKind, EventSubject},
};

/// Answers a consent form.
pub(crate) async fn answer(server: &Server, request: &LocalRequest) -> Answered {
    let form = page_form(server, request)?;
    let visitor = visitor(server, request).await?;
    let incomplete = || {
        let found = "the consent form has no decision, or another than allow and deny".to_owned();
        Box::new(answers::fault(server, request, &Fault::Form, found))
    };
    // A form without it was not made for this browser either.
    let sealed = form.get("interaction").unwrap_or_default();
    let interaction = opened(server, request, sealed, &visitor)?;
    let Some((session, owner)) = &visitor.signed_in else {
        // The session ended while the page was open.
        let path = paths::AUTHORIZE;
        let query = &interaction.request.request.query;
        return Ok(answers::redirect(&format!("{path}?{query}")));
    };
    if interaction.request.subject != session.subject {
        let found = "the form was made for another user than the one who is signed in".to_owned();
        let fault = answers::fault(server, request, &Fault::OtherBrowser, found);
        return Err(Box::new(fault));
    }
    match form.get("decision") {
        Some("allow") => allowed(server, request, &interaction, (session, owner)).await,
        Some("deny") => denied(server, request, &interaction, owner).await,
        _ => Err(incomplete()),
    }
}

fn opened(
    server: &Server,
    request: &LocalRequest,
    sealed: &str,
    visitor: &Visitor,
) -> Answered<Interaction<Asked>> {
    let lifetime = server.settings.profile.lifetimes.interaction;
    let browsers = visitor.browsers();
    let keys = &server.settings.keys;
    let opened = Interaction::open(
        sealed,
        keys,
        Step::Consent,
        &browsers,
        lifetime,
        clock::now(),
    );
    opened.map_err(|error| {
        let fault = match error {
            InteractionError::NotOfThisBrowser => Fault::OtherBrowser,
            InteractionError::TooOld => Fault::TooOld,
        };
        Box::new(answers::fault(server, request, &fault, error.to_string()))
    })
}

async fn allowed(
    server: &Server,
    request: &LocalRequest,
    interaction: &Interaction<Asked>,
    (session, owner): (&Session, &ResourceOwner),
) -> Answered {
    let asked = &judged_again(server, request, &interaction.request.request).await?;
    let draft = Draft {
        client: asked.client_id.clone(),
        standing: asked.standing,
        redirect_uri: asked.redirect_uri.as_str().to_owned(),
        code_challenge: asked.code_challenge.clone(),
        key: asked.key.clone(),
        resource: asked.resource.clone(),
        // What the user may allow may have changed since the page was made.
        scopes: owner.allowed(&asked.scopes.0),
        subject: session.subject.clone(),
        identity: owner.identity.clone(),
        vouched: owner.vouched.clone(),
        signed_in: session.signed_in.0,
        is_refreshable: asked.wants_refresh,
    };
    let about = about(asked, owner, draft.scopes.to_string());
    let (keys, id) = (server.settings.keys.clone(), interaction.id);
    let (lifetimes, now) = (server.settings.profile.lifetimes, clock::now());
    let issue = move |rows: &mut dyn Rows| code::issue(rows, &keys, id, &draft, &lifetimes, now);
    let issued = server.runtime.store.write(issue).await;
    match issued.map_err(|error| Box::new(answers::no_store(server, request, &error)))? {
        Outcome::Issued(code) => {
            let location = success_location(asked, &code, &server.settings.profile.issuer);
            let answer = answers::redirect(&location);
            Ok(answer.with_event(EventKind::Consent, "allowed", about))
        }
        Outcome::AlreadyRedeemed => Ok(completed(server)),
    }
}

/// The request as it is allowed now: its client may have changed since the page was made, or gone.
async fn judged_again(
    server: &Server,
    request: &LocalRequest,
    asked: &AuthorizationRequest,
) -> Answered<AuthorizationRequest> {
    let id = asked.client_id.as_str();
    let sent = asked.was_redirect_sent.then(|| asked.redirect_uri.as_str());
    let client = clients::find(server, id, sent).await;
    let client = client.map_err(|why| no_client(server, request, id, &why))?;
    let settings = &server.settings;
    let again = authorize::judge_again(asked, &client, &settings.profile, &settings.redirects);
    again.map_err(|fault| page_fault(server, request, Some(id), &fault))
}

/// The page for a form that was answered before, with a code that was redeemed.
fn completed(server: &Server) -> LocalAnswer {
    let html = message::completed(&server.settings.branding);
    answers::page(StatusCode::OK, PageKind::Message, html)
}

async fn denied(
    server: &Server,
    request: &LocalRequest,
    interaction: &Interaction<Asked>,
    owner: &ResourceOwner,
) -> Answered {
    let (asked, id) = (&interaction.request.request, interaction.id);
    let deny = move |rows: &mut dyn Rows| code::deny(rows, id);
    let denial = server.runtime.store.write(deny).await;
    let denial = denial.map_err(|error| Box::new(answers::no_store(server, request, &error)))?;
    if denial == Denial::AlreadyRedeemed {
        return Ok(completed(server));
    }
    let location = asked.refused(ErrorCode::AccessDenied, &server.settings.profile.issuer);
    let about = about(asked, owner, asked.scopes.0.to_string());
    Ok(answers::redirect(&location).with_event(EventKind::Consent, "denied", about))
}

fn about(asked: &AuthorizationRequest, owner: &ResourceOwner, scopes: String) -> EventSubject {
    EventSubject {
        client: Some(asked.client_id.clone()),
        subject: Some(owner.subject.clone()),
        resource: Some(asked.resource.clone()),
        scopes: Some(scopes),
        grant: None,
        ..EventSubject::default()
    }
}

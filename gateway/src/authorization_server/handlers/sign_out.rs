//! Signing out: the question, and the form that ends the session of the browser.

use http::{Method, StatusCode, header::SET_COOKIE};
use mcp_gateway_oauth::{
    grant::{self, EndedBy, Grant},
    pages::{
        PageKind,
        message::{self, Fault},
    },
    session::{
        self,
        cookie::{self, Browser},
        interaction::{Interaction, Step},
    },
    store::rows::Rows,
};

use super::{
    super::{
        answers::{self, Answered},
        server::Server,
    },
    common::{Visitor, page_form, random_id, visitor},
};
use crate::{
    clock,
    local::service::{LocalAnswer, LocalRequest},
    telemetry::authorization_event::{EventKind, EventSubject},
};

/// Answers the question, or the form.
pub(crate) async fn answer(server: &Server, request: &LocalRequest) -> Answered {
    let visitor = visitor(server, request).await?;
    match request.method {
        Method::POST => ended(server, request, &visitor).await,
        _ => question(server, &visitor),
    }
}

fn question(server: &Server, visitor: &Visitor) -> Answered {
    let user = visitor.signed_in.as_ref().map(|(_, owner)| &*owner.name);
    let sealed = match visitor.browser() {
        Some(browser) => sealed(server, browser)?,
        None => String::new(),
    };
    let html = message::sign_out(&server.settings.branding, user, &sealed);
    Ok(answers::page(StatusCode::OK, PageKind::Message, html))
}

fn sealed(server: &Server, browser: &Browser) -> Answered<String> {
    let interaction = Interaction {
        id: random_id()?,
        began: clock::now().into(),
        request: (),
    };
    let sealed = interaction.seal(&server.settings.keys, Step::SignOut, browser);
    sealed.map_err(|error| {
        Box::new(LocalAnswer::new(StatusCode::INTERNAL_SERVER_ERROR).with_found(error))
    })
}

/// Whose grants end with the sessions of this browser, and the names that it has: those of an account whose grants rest on a session.
fn resting(visitor: &Visitor) -> Option<(String, Vec<String>)> {
    let (_, owner) = visitor.signed_in.as_ref()?;
    owner.vouched.as_ref()?.grants_end()?;
    let names = visitor.browsers().into_iter().map(Browser::to_text);
    Some((owner.subject.clone(), names.collect()))
}

async fn ended(server: &Server, request: &LocalRequest, visitor: &Visitor) -> Answered {
    let form = page_form(server, request)?;
    let settings = &server.settings;
    let browsers: Vec<_> = visitor.browser().copied().into_iter().collect();
    let sealed = form.get("interaction").unwrap_or_default();
    let lifetime = settings.profile.lifetimes.interaction;
    let (keys, now) = (&settings.keys, clock::now());
    Interaction::<()>::open(sealed, keys, Step::SignOut, &browsers, lifetime, now).map_err(
        |error| {
            let fault = Fault::OtherBrowser;
            Box::new(answers::fault(server, request, &fault, error.to_string()))
        },
    )?;
    let resting = resting(visitor);
    let stays_connected = resting.is_none();
    let end = move |rows: &mut dyn Rows| {
        browsers
            .iter()
            .try_for_each(|browser| session::end(rows, browser))?;
        let Some((subject, names)) = &resting else {
            return Ok(Vec::new());
        };
        let which = |grant: &Grant| {
            let vouched = grant.vouched.as_ref();
            vouched.is_some_and(|vouched| names.iter().any(|name| vouched.rests_on_browser(name)))
        };
        grant::end_all_that(rows, subject, which, EndedBy::SignedOut, now)
    };
    let ended = server.runtime.store.write(end).await;
    let ended = ended.map_err(|error| Box::new(answers::no_store(server, request, &error)))?;
    server.runtime.revoke(ended);
    let html = message::signed_out(&settings.branding, stays_connected);
    let answer = answers::page(StatusCode::OK, PageKind::Message, html)
        .with_header(SET_COOKIE, cookie::clear(settings.transport));
    let subject = visitor
        .signed_in
        .as_ref()
        .map(|(_, owner)| owner.subject.clone());
    let about = EventSubject {
        subject,
        ..EventSubject::default()
    };
    Ok(answer.with_event(EventKind::SignOut, "signed_out", about))
}

//! The sign-in form: name and password, once for each attempt that the throttle lets through.

use http::{StatusCode, header::SET_COOKIE};
use mcp_gateway_oauth::{
    discovery::paths,
    pages::{self, PageKind, SignIn, SignInError, message::Fault},
    secret::Secret,
    session::{
        self,
        interaction::{Interaction, InteractionError, Step},
        throttle::{Attempt, Throttled},
        user::User,
    },
    store::rows::Rows,
};
use serde::{Deserialize, Serialize};

use super::{
    super::{
        answers::{self, Answered},
        server::Server,
    },
    common::{Visitor, new_cookie, page_form, visitor},
};
use crate::{
    clock,
    local::service::{LocalAnswer, LocalRequest},
    telemetry::authorization_event::{EventKind, EventSubject},
};

/// What travels with the sign-in form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SignInRequest {
    /// The query of the authorization request for after the sign-in.
    pub(super) query: String,
    /// What its client calls itself.
    pub(super) client: Option<String>,
}

/// Answers a sign-in form.
pub(crate) async fn answer(server: &Server, request: &LocalRequest) -> Answered {
    let form = page_form(server, request)?;
    let visitor = visitor(server, request).await?;
    let (Some(sealed), Some(name), Some(password)) = (
        form.get("interaction"),
        form.get("username"),
        form.get("password"),
    ) else {
        let found = "the sign-in form lacks interaction, username or password".to_owned();
        return Err(Box::new(answers::fault(
            server,
            request,
            &Fault::Form,
            found,
        )));
    };
    let asked = opened(server, request, sealed, &visitor)?;
    let again = Again {
        asked: &asked,
        sealed,
        name,
    };
    let users = server.settings.users.clone();
    let user = users.named(name);
    let attempt = begun(server, request, name, user.is_some());
    let attempt = attempt.map_err(|throttled| again.throttled(server, throttled))?;
    let hash = user.map_or(&server.settings.dummy_hash, User::hash);
    let (password, hash) = (Secret::new(password), hash.clone());
    let passwords = &server.runtime.passwords;
    let verified = passwords
        .verify(password, hash, request.client.counted())
        .await;
    match (verified, user) {
        (Err(busy), _) => {
            server.runtime.throttle().give_back(attempt);
            Err(again.busy(server, busy.retry_after))
        }
        (Ok(true), Some(user)) => {
            server.runtime.throttle().succeeded(attempt);
            signed_in(server, request, &visitor, user, &asked.query).await
        }
        (Ok(_), _) => Err(again.wrong(server)),
    }
}

fn opened(
    server: &Server,
    request: &LocalRequest,
    sealed: &str,
    visitor: &Visitor,
) -> Answered<SignInRequest> {
    let lifetime = server.settings.profile.lifetimes.interaction;
    let browsers = visitor.browsers();
    let keys = &server.settings.keys;
    let opened = Interaction::open(
        sealed,
        keys,
        Step::SignIn,
        &browsers,
        lifetime,
        clock::now(),
    );
    let opened: Result<Interaction<SignInRequest>, _> = opened;
    opened
        .map(|interaction| interaction.request)
        .map_err(|error| {
            let fault = match error {
                InteractionError::NotOfThisBrowser => Fault::OtherBrowser,
                InteractionError::TooOld => Fault::TooOld,
            };
            Box::new(answers::fault(server, request, &fault, error.to_string()))
        })
}

fn begun(
    server: &Server,
    request: &LocalRequest,
    name: &str,
    is_known: bool,
) -> Result<Attempt, Throttled> {
    let now = server.runtime.intake.elapsed();
    let address = request.client.counted();
    server
        .runtime
        .throttle()
        .begin(name, is_known, address, now)
}

/// Signs the browser in: it gets a new cookie, and goes on with the authorization request.
async fn signed_in(
    server: &Server,
    request: &LocalRequest,
    visitor: &Visitor,
    user: &User,
    query: &str,
) -> Answered {
    let cookie = new_cookie(server)?;
    let (browser, before) = (*cookie.browser(), visitor.browser().copied());
    let (owner, lifetimes, now) = (
        user.clone(),
        server.settings.profile.lifetimes,
        clock::now(),
    );
    let start = move |rows: &mut dyn Rows| {
        session::start(rows, &browser, before.as_ref(), &owner, &lifetimes, now)
    };
    let started = server.runtime.store.write(start).await;
    started.map_err(|error| Box::new(answers::no_store(server, request, &error)))?;
    let path = paths::AUTHORIZE;
    let answer = answers::redirect(&format!("{path}?{query}"))
        .with_header(SET_COOKIE, cookie.set(server.settings.transport));
    let about = EventSubject {
        subject: Some(user.subject()),
        ..EventSubject::default()
    };
    Ok(answer.with_event(EventKind::SignIn, "signed_in", about))
}

/// The sign-in page again, after an attempt that did not succeed.
struct Again<'a> {
    asked: &'a SignInRequest,
    sealed: &'a str,
    name: &'a str,
}

impl Again<'_> {
    fn wrong(&self, server: &Server) -> Box<LocalAnswer> {
        let page = self.page(server, StatusCode::FORBIDDEN, SignInError::Wrong);
        let mut page = self.event(page, "wrong_password", "no user has this name and password");
        page.counts_against_address = true;
        page
    }

    fn throttled(&self, server: &Server, throttled: Throttled) -> Box<LocalAnswer> {
        let wait = throttled.retry_after();
        let error = SignInError::Throttled(wait);
        let mut page = self.page(server, StatusCode::TOO_MANY_REQUESTS, error);
        page.headers.push(answers::retry_after(wait));
        let by = format!("too many attempts ({:?}), {wait} s to wait", throttled.by);
        self.event(page, "throttled", &by)
    }

    fn busy(&self, server: &Server, wait: u64) -> Box<LocalAnswer> {
        let error = SignInError::Busy(wait);
        let mut page = self.page(server, StatusCode::SERVICE_UNAVAILABLE, error);
        page.headers.push(answers::retry_after(wait));
        let found =
            "too many passwords wait to be checked (authorization_server.limits.hashing_queue)";
        self.event(page, "busy", found)
    }

    fn page(&self, server: &Server, status: StatusCode, error: SignInError) -> LocalAnswer {
        let html = pages::sign_in(&SignIn {
            branding: &server.settings.branding,
            client: self.asked.client.as_deref(),
            interaction: self.sealed,
            user: self.name,
            demo_password: None,
            error: Some(error),
        });
        answers::page(status, PageKind::SignIn, html)
    }

    fn event(&self, page: LocalAnswer, outcome: &'static str, found: &str) -> Box<LocalAnswer> {
        let about = EventSubject {
            subject: Some(self.name.to_owned()),
            ..EventSubject::default()
        };
        Box::new(
            page.with_found(found)
                .with_event(EventKind::SignIn, outcome, about),
        )
    }
}

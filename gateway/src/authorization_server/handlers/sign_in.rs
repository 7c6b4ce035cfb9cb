//! The sign-in form: name and password, once for each attempt that the throttle lets through; or a provider.

use http::{StatusCode, header::SET_COOKIE};
use mcp_gateway_core::refusal::found::Found;
use mcp_gateway_oauth::{
    discovery::paths,
    pages::{self, AskedBy, PageKind, ProviderButton, SignIn, SignInError, message::Fault},
    secret::Secret,
    session::{
        self, Newcomer,
        cookie::Cookie,
        interaction::{Interaction, InteractionError, Step},
        user::User,
    },
    store::rows::Rows,
};
use serde::{Deserialize, Serialize};

use super::{
    super::{
        answers::{self, Answered},
        server::Server,
        users::sign_in::SignInFault,
    },
    common::{Visitor, new_cookie, page_form, visitor},
    federation::leave::{Leaving, leave},
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
    /// Who asks, for people who leave for a provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) asked_by: Option<AskedBy>,
    /// Whether somebody wants to sign in again, perhaps with another account.
    #[serde(default)]
    pub(super) wants_another_account: bool,
}

impl SignInRequest {
    /// What somebody leaves with who goes on with a provider.
    pub(super) fn leaving(&self) -> Leaving<'_> {
        Leaving {
            query: &self.query,
            wants_another_account: self.wants_another_account,
        }
    }
}

/// What stands in the fields of the form.
pub(super) struct FilledIn<'a> {
    /// The user name.
    pub(super) user: &'a str,
    /// The password, in the demo only.
    pub(super) demo_password: Option<&'a str>,
    /// What was wrong with the last attempt.
    pub(super) error: Option<SignInError>,
}

/// The sign-in page for this request, with its sealed form.
pub(super) fn page_of(
    server: &Server,
    asked: &SignInRequest,
    sealed: &str,
    filled_in: &FilledIn<'_>,
) -> String {
    let settings = &server.settings;
    let providers = settings.providers.iter().map(|provider| ProviderButton {
        name: &provider.profile.name,
        label: &provider.profile.label,
    });
    let providers: Vec<_> = providers.collect();
    pages::sign_in(&SignIn {
        branding: &settings.branding,
        client: asked.client.as_deref(),
        asked_by: asked.asked_by.as_ref(),
        has_password: settings.has_passwords || providers.is_empty(),
        providers: &providers,
        interaction: sealed,
        user: filled_in.user,
        demo_password: filled_in.demo_password,
        error: filled_in.error,
    })
}

/// Answers a sign-in form.
pub(crate) async fn answer(server: &Server, request: &LocalRequest) -> Answered {
    let form = page_form(server, request)?;
    let visitor = visitor(server, request).await?;
    // A form without it was not made for this browser either.
    let sealed = form.get("interaction").unwrap_or_default();
    let asked = opened(server, request, sealed, &visitor)?;
    if let Some(provider) = form.get("provider") {
        let known = server.settings.providers.named(provider);
        let gone = || {
            let found = format!("there is no provider {}", Found(provider));
            Box::new(answers::fault(server, request, &Fault::Form, found))
        };
        let provider = known.ok_or_else(gone)?;
        return leave(server, request, &visitor, provider, asked.leaving()).await;
    }
    let (Some(name), Some(password)) = (form.get("username"), form.get("password")) else {
        let found = "the sign-in form lacks username or password".to_owned();
        let fault = answers::fault(server, request, &Fault::Form, found);
        return Err(Box::new(fault));
    };
    let again = Again {
        asked: &asked,
        sealed,
        name,
    };
    let (password, address) = (Secret::new(password), request.client.counted());
    let signed_in = server
        .runtime
        .passwords
        .sign_in(name, password, address)
        .await;
    match signed_in {
        Ok(user) => go_on(server, request, &visitor, &user, &asked.query).await,
        Err(fault) => Err(again.after(server, &fault)),
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

/// Signs the browser in: it gets a new cookie, and goes on with the authorization request.
async fn go_on(
    server: &Server,
    request: &LocalRequest,
    visitor: &Visitor,
    user: &User,
    query: &str,
) -> Answered {
    let cookie = new_cookie(server)?;
    let (browser, before) = (*cookie.browser(), visitor.browser().copied());
    let most = server.settings.max_sessions_of_user;
    let (newcomer, lifetimes, now) = (
        Newcomer::from(user),
        server.settings.profile.lifetimes,
        clock::now(),
    );
    let start = move |rows: &mut dyn Rows| {
        let bounds = (&lifetimes, most);
        session::start(rows, &browser, before.as_ref(), &newcomer, bounds, now)
    };
    let started = server.runtime.store.write(start).await;
    started.map_err(|error| Box::new(answers::no_store(server, request, &error)))?;
    Ok(signed_in(server, &cookie, user.subject(), query))
}

/// The answer to somebody who has signed in.
pub(super) fn signed_in(
    server: &Server,
    cookie: &Cookie,
    subject: String,
    query: &str,
) -> LocalAnswer {
    let path = paths::AUTHORIZE;
    let answer = answers::redirect(&format!("{path}?{query}"))
        .with_header(SET_COOKIE, cookie.set(server.settings.transport));
    let about = EventSubject {
        subject: Some(subject),
        ..EventSubject::default()
    };
    answer.with_event(EventKind::SignIn, "signed_in", about)
}

/// The sign-in page again, after an attempt that did not succeed.
struct Again<'a> {
    asked: &'a SignInRequest,
    sealed: &'a str,
    name: &'a str,
}

impl Again<'_> {
    fn after(&self, server: &Server, fault: &SignInFault) -> Box<LocalAnswer> {
        let (status, error, outcome) = match fault {
            SignInFault::Wrong { .. } => {
                (StatusCode::FORBIDDEN, SignInError::Wrong, "wrong_password")
            }
            SignInFault::Throttled(throttled) => {
                let wait = throttled.retry_after();
                let error = SignInError::Throttled(wait);
                (StatusCode::TOO_MANY_REQUESTS, error, "throttled")
            }
            SignInFault::Busy(busy) => {
                let error = SignInError::Busy(busy.retry_after);
                (StatusCode::SERVICE_UNAVAILABLE, error, "busy")
            }
        };
        let mut page = self.page(server, status, error);
        if let SignInError::Throttled(wait) | SignInError::Busy(wait) = error {
            page.headers.push(answers::retry_after(wait));
        }
        page.counts_against_address = outcome == "wrong_password";
        let about = EventSubject {
            // A name that nobody has may be a password in the wrong field.
            subject: server.settings.users.named(self.name).map(User::subject),
            ..EventSubject::default()
        };
        Box::new(
            page.with_found(fault)
                .with_event(EventKind::SignIn, outcome, about),
        )
    }

    fn page(&self, server: &Server, status: StatusCode, error: SignInError) -> LocalAnswer {
        let filled_in = FilledIn {
            user: self.name,
            demo_password: None,
            error: Some(error),
        };
        let html = page_of(server, self.asked, self.sealed, &filled_in);
        answers::page(status, PageKind::SignIn, html)
    }
}

//! A browser comes back from a provider (OpenID Connect Core §3.1.2.5): only the one that left with this state, and once. The code is
//! redeemed, the account is judged, and the browser is signed in.

use std::sync::Arc;

use http::header::SET_COOKIE;
use mcp_gateway_oauth::{
    discovery::paths,
    federation::{
        account::{self, Account},
        arrival::{self, Arrival, Entering},
        protocol::{
            callback,
            cookie::{self, Found},
            departure::Departure,
            token_answer::ProviderTokens,
        },
        provider::RefreshRule,
        sign_in::{Credential, CredentialKind},
    },
    form::Form,
    id::Id,
    pages::message::Fault,
    session::interaction::InteractionError,
    store::rows::Rows,
};

use super::{failed::failed, leave::departures};
use crate::{
    authorization_server::{
        answers::{self, Answered},
        handlers::{
            common::{Visitor, new_cookie, random_id, visitor},
            sign_in::signed_in,
        },
        providers::{Provider, ProviderFault},
        server::Server,
    },
    clock,
    local::service::{LocalAnswer, LocalRequest},
    telemetry::authorization_event::EventSubject,
};

/// Answers a browser that comes back.
pub(crate) async fn answer(server: &Server, request: &LocalRequest) -> Answered {
    let named = paths::provider_of(&request.path).unwrap_or_default();
    let Some(provider) = server.settings.providers.named(named) else {
        let found = "there is no provider with the name in the path of the callback".to_owned();
        return Err(fault(server, request, &Fault::OtherBrowser, found));
    };
    let query = request.query.as_deref().unwrap_or_default();
    let form = Form::parse(callback::readable(query).as_bytes())
        .map_err(|error| fault(server, request, &Fault::Form, error.to_string()))?;
    let visitor = visitor(server, request).await?;
    let found = departure(server, request, &visitor, provider, &form)?;
    let departure = &found.interaction.request;
    let address = server.settings.intake.addresses.counted(request.client);
    // Before the state is used up: the browser can come back with it.
    let place = provider.sign_in_place(address);
    let _place = place.map_err(|fault| {
        Box::new(failed(
            server,
            request,
            provider,
            Some(&departure.query),
            &fault,
        ))
    })?;
    use_state(server, request, departure).await?;
    let mut about = EventSubject {
        provider: Some(provider.profile.name.clone()),
        ..EventSubject::default()
    };
    let arrived = arrive(provider, random_id()?, &form, departure, &mut about).await;
    let answered = match arrived {
        Ok(arrival) => {
            let arrived = (arrival, departure.query.as_str());
            enter(server, request, &visitor, provider, arrived).await?
        }
        Err(fault) => LocalAnswer {
            counts_against_address: fault.may_be_a_guess(),
            ..failed(server, request, provider, Some(&departure.query), &fault)
        },
    };
    let transport = server.settings.transport;
    let answered = answered.about(&about);
    Ok(answered.with_header(SET_COOKIE, cookie::clear(transport, found.place)))
}

/// What this browser left with for this provider.
fn departure(
    server: &Server,
    request: &LocalRequest,
    visitor: &Visitor,
    provider: &Provider,
    form: &Form,
) -> Answered<Found> {
    let settings = &server.settings;
    let state = form.get("state").unwrap_or_default();
    let lifetime = settings.profile.lifetimes.interaction;
    let (keys, browsers) = (&settings.keys, visitor.browsers());
    let found = departures(server, request).find(state, keys, &browsers, (lifetime, clock::now()));
    let found =
        found.and_then(
            |found| match found.interaction.request.provider == provider.profile.name {
                true => Ok(found),
                false => Err(InteractionError::NotOfThisBrowser),
            },
        );
    found.map_err(|error| match error {
        InteractionError::NotOfThisBrowser => {
            let found = "this browser did not leave for this provider with this state";
            fault(server, request, &Fault::OtherBrowser, found.to_owned())
        }
        InteractionError::TooOld => fault(server, request, &Fault::TooOld, error.to_string()),
    })
}

/// Uses up the state before the provider is asked: who presents a code twice may end what came of it (RFC 6749 §4.1.2).
async fn use_state(server: &Server, request: &LocalRequest, departure: &Departure) -> Answered<()> {
    let state = departure.state.clone();
    let ends = clock::now().plus(server.settings.profile.lifetimes.interaction);
    let by = random_id()?;
    let use_it = move |rows: &mut dyn Rows| arrival::use_state(rows, &state, ends, by);
    let store = &server.runtime.store;
    let used = store.write_or_undo(use_it, arrival::give_state_back).await;
    match used.map_err(|error| Box::new(answers::no_store(server, request, &error)))? {
        Some(_) => Ok(()),
        None => {
            let found = "the browser came back with this state before".to_owned();
            Err(fault(server, request, &Fault::OtherBrowser, found))
        }
    }
}

/// The account that signed in at the provider, judged by its rules. Who it is stands in `about`, also where it is refused.
async fn arrive(
    provider: &Provider,
    id: Id,
    form: &Form,
    departure: &Departure,
    about: &mut EventSubject,
) -> Result<Arrival, ProviderFault> {
    let known = provider.known().await?;
    let metadata = known.as_ref().map(|known| &known.metadata);
    let code = callback::code(form, &provider.profile, metadata)?;
    let (account, tokens) = provider.account(known.as_deref(), &code, departure).await?;
    about.subject = Some(account.our_subject());
    about.account = Some(account.subject.clone());
    about.name = Some(account::name(&account));
    let admitted = account::judge(&provider.profile, &account)?;
    about.scopes = admitted.scopes.as_ref().map(ToString::to_string);
    log_unmet(provider, &account, &admitted.subject);
    Ok(Arrival {
        id,
        admitted,
        is_of_id_token: account.is_of_id_token,
        account: account.subject,
        credential: credential(provider, tokens),
    })
}

/// Says why somebody gets fewer scopes than others: a claim that is missing or misspelled looks the same to the person.
fn log_unmet(provider: &Provider, account: &Account, subject: &str) {
    let rules = provider.profile.scope_rules.as_ref();
    if let Some(found) = rules.and_then(|rules| rules.unmet(&account.claims)) {
        tracing::info!(
            provider = provider.profile.name,
            subject,
            "some rules of grants.by_claim do not fit the account: {found}"
        );
    }
}

/// With what the provider is asked again. Without it, grants end with the session.
fn credential(provider: &Provider, tokens: ProviderTokens) -> Option<Credential> {
    if provider.profile.refresh == RefreshRule::Session {
        return None;
    }
    let refresh_token = tokens.refresh_token.map(|token| Credential {
        kind: CredentialKind::RefreshToken,
        token,
    });
    // GitHub's access tokens do not expire.
    let access_token = (!provider.profile.preset.is_openid()).then_some(Credential {
        kind: CredentialKind::AccessToken,
        token: tokens.access_token,
    });
    let credential = refresh_token.or(access_token);
    if credential.is_none() {
        tracing::warn!(
            provider = provider.profile.name,
            "the provider gave no refresh token: the grants of this sign-in end with its session (refresh)"
        );
    }
    credential
}

/// Signs the browser in, and goes on with its authorization request.
async fn enter(
    server: &Server,
    request: &LocalRequest,
    visitor: &Visitor,
    provider: &Arc<Provider>,
    (arrival, query): (Arrival, &str),
) -> Answered {
    let own = new_cookie(server)?;
    let settings = &server.settings;
    let entering = Entering {
        browser: *own.browser(),
        before: visitor.browser().copied(),
        most: settings.max_sessions_of_user,
    };
    let subject = arrival.admitted.subject.clone();
    let (provider, keys) = (provider.clone(), settings.keys.clone());
    let (lifetimes, now) = (settings.profile.lifetimes, clock::now());
    let enter = move |rows: &mut dyn Rows| {
        let who = (&provider.profile, &arrival);
        arrival::enter(rows, &keys, who, &entering, &lifetimes, now)
    };
    let entered = server.runtime.store.write(enter).await;
    entered.map_err(|error| Box::new(answers::no_store(server, request, &error)))?;
    Ok(signed_in(server, &own, subject, query))
}

fn fault(
    server: &Server,
    request: &LocalRequest,
    fault: &Fault,
    found: String,
) -> Box<LocalAnswer> {
    Box::new(answers::fault(server, request, fault, found))
}

//! The answer to a sign-in with a provider that does not succeed: a page for the person, and what was found for the operator.

use mcp_gateway_oauth::{
    discovery::paths,
    form::{Form, encoded},
    pages::{PageKind, SignInFailed, sign_in_failed},
};

use crate::{
    authorization_server::{
        answers,
        providers::{Provider, ProviderFault},
        server::Server,
    },
    local::service::{LocalAnswer, LocalRequest},
    telemetry::authorization_event::{EventKind, EventSubject},
};

/// When to try again with a provider that did not answer, in seconds.
const RETRY_AFTER_SECONDS: u64 = 5;

/// The answer to a sign-in that does not succeed. `query` is that of the authorization request, with which the person can try again.
pub(super) fn failed(
    server: &Server,
    request: &LocalRequest,
    provider: &Provider,
    query: Option<&str>,
    fault: &ProviderFault,
) -> LocalAnswer {
    let problem = fault.problem();
    let again = query.map(|query| try_again(query, problem.wants_another_account()));
    let html = sign_in_failed(&SignInFailed {
        branding: &server.settings.branding,
        provider: &provider.profile.label,
        problem,
        again: again.as_deref(),
        request_id: Some(&request.request_id),
    });
    let mut answer = answers::page(problem.status(), PageKind::Message, html);
    if matches!(fault, ProviderFault::Unavailable(_)) {
        answer
            .headers
            .push(answers::retry_after(RETRY_AFTER_SECONDS));
    }
    let name = &provider.profile.name;
    tracing::warn!(
        provider = name,
        request_id = request.request_id,
        "sign-in with a provider failed: {fault}"
    );
    answer
        .with_found(format_args!("provider {name}: {fault}"))
        .with_event(
            EventKind::SignIn,
            fault.outcome(),
            EventSubject {
                provider: Some(name.clone()),
                ..EventSubject::default()
            },
        )
}

/// Path and query of the same authorization request.
fn try_again(query: &str, with_another_account: bool) -> String {
    let path = paths::AUTHORIZE;
    if !with_another_account {
        return format!("{path}?{query}");
    }
    let form = Form::parse(query.as_bytes()).unwrap_or_default();
    let consent = form
        .get("prompt")
        .is_some_and(|prompt| prompt.contains("consent"));
    let prompt = if consent { "consent login" } else { "login" };
    format!(
        "{path}?{}&prompt={}",
        form.to_query(&["prompt"]),
        encoded(prompt)
    )
}

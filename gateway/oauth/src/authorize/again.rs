//! The judgement of an authorization request that was shown to a person, before it is answered with a code: its client may have
//! changed since, or gone.

use super::{fault::Refused, judge::judge, page_fault::PageFault, request::AuthorizationRequest};
use crate::{
    client::model::Client, form::Form, profile::ServerProfile, redirect_uri::RedirectRules,
    store::text::ScopeSetText,
};

/// The request `asked` as it is allowed now: with the scopes that the person saw and the client may still have. `client` is the one
/// that its id names now.
///
/// # Errors
/// [`PageFault`]. Nothing is sent to the client, since it may be another one than the person saw.
pub fn judge_again(
    asked: &AuthorizationRequest,
    client: &Client,
    server: &ServerProfile,
    rules: &RedirectRules,
) -> Result<AuthorizationRequest, PageFault> {
    let changed = |detail: String| PageFault::ClientChanged {
        client: asked.client_id.clone(),
        detail,
    };
    let form = Form::parse_ambiguous(asked.query.as_bytes())?;
    let again = judge(&form, client, server, rules).map_err(|refused| match refused {
        Refused::Page(fault) => changed(fault.to_string()),
        Refused::Redirect(error) => changed(error.detail),
    })?;
    if !client.is_successor_of(&asked.client_id, asked.standing) {
        let (now, then) = (again.standing.name(), asked.standing.name());
        return Err(changed(format!("it is {now} now, and was {then}")));
    }
    if again.redirect_uri != asked.redirect_uri || again.resource != asked.resource {
        let detail = "its redirect URI or its resource is another one now";
        return Err(changed(detail.to_owned()));
    }
    let (shown, now) = (&asked.scopes.0, &again.scopes.0);
    let scopes = shown.difference(&shown.difference(now));
    if scopes.is_empty() && !shown.is_empty() {
        return Err(changed("it may have none of the scopes now".to_owned()));
    }
    Ok(AuthorizationRequest {
        scopes: ScopeSetText(scopes),
        ..again
    })
}

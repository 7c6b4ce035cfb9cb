//! A token as one resource judges it.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use mcp_gateway_core::{
    principal::Principal,
    refusal::{found::Listed, reason::Reason},
    time::UnixTime,
    token::{
        api_key::text::is_api_key,
        bearer::BearerToken,
        evidence::Evidence,
        jwt::{Unverified, form::TokenForm},
    },
    why::{
        checks::{
            api_key::{AtResource, of_api_key},
            binding,
            check::{Check, Decision},
            introspection::of_answer,
            jwt::of_jwt,
            presented::of_text,
        },
        token::{Accepted, AcceptedIssuer, TokensOf},
    },
};

use crate::{
    config::{BUILT_IN, Config, KeySource, Resource},
    limits::accounts::Accounts,
    telemetry::metrics::Metrics,
    verify::{
        ApiKeys, TrustedIssuer, Verifiers,
        introspection::{asked_issuer, endpoints_by_issuer},
        keys_by_issuer,
        question::Question,
    },
};

/// A token as one resource judges it.
pub(super) struct Judged<'a> {
    pub(super) resource: &'a Resource,
    /// What kind of token it is.
    pub(super) kind: &'static str,
    pub(super) checks: Vec<Check>,
    /// The caller, or the reason of the gateway.
    pub(super) outcome: Result<Arc<Principal>, Reason>,
    /// Why the keys of the issuer cannot be had, if they cannot.
    pub(super) keys_error: Option<String>,
}

impl Judged<'_> {
    /// Whether the gateway accepts it.
    pub(super) const fn is_accepted(&self) -> bool {
        self.outcome.is_ok()
    }

    /// Whether nobody can say, because something else is missing.
    pub(super) fn is_undecided(&self) -> bool {
        self.outcome.as_ref().is_err_and(is_outage)
    }
}

/// Whether a reason is no judgement of the token.
pub(super) fn is_outage(reason: &Reason) -> bool {
    reason.status() >= 500
}

/// Judges a token with the verifiers of the gateway, and makes each check by itself.
///
/// # Errors
/// A file of the configuration cannot be used any more.
pub(super) async fn judge<'a>(
    config: &Config,
    resource: &'a Resource,
    text: &str,
    now: UnixTime,
) -> Result<Judged<'a>, String> {
    let limit = config.limits.token_bytes;
    let mut checks = of_text(text, limit);
    let refused = checks.iter().find_map(Check::refusal);
    let token = BearerToken::parse(text, limit);
    let (Some(token), None) = (token, refused) else {
        return Ok(Judged {
            resource,
            kind: "unknown",
            checks,
            outcome: Err(refused.unwrap_or(Reason::MalformedCredentials)),
            keys_error: None,
        });
    };
    // Before the keys are fetched: they are then known to be newer than the question.
    let accounts = Arc::new(Accounts::default());
    let question = Question::new(token, (now, Instant::now()), &accounts);
    let verifiers = verifiers(config, resource)?;
    let keys_error = fetch_keys(&verifiers, &token).await;
    let judged = verifiers.verify(&question).await;
    let answered = judged.as_ref().map(drop);
    let (kind, of_kind) = match verifiers.asked_about(&token) {
        Some((name, _)) => (
            "opaque",
            vec![of_answer(name, verifiers.audience(), answered)],
        ),
        None => checks_of(&token, &verifiers, resource, now),
    };
    let outcome = judged.map_err(|refusal| refusal.reason);
    let constraint = resource.sender_constraint.constraint();
    let outcome = outcome.and_then(|verdict| {
        // The proof or certificate comes with each request, and not here.
        binding::accepts(&constraint, verdict.evidence.binding.as_ref())?;
        Ok(verdict.evidence)
    });
    checks.extend(of_kind);
    checks.extend(unexplained(&checks, &outcome));
    Ok(Judged {
        resource,
        kind,
        checks,
        outcome: outcome.map(|Evidence { principal, .. }| principal),
        keys_error,
    })
}

/// The issuers, of all these resources, that would be asked about a token: by their names in the configuration, in order.
pub(super) fn asked<'a>(
    config: &'a Config,
    resources: &[&'a Resource],
    text: &str,
) -> BTreeSet<&'a str> {
    let token = BearerToken::parse(text, config.limits.token_bytes);
    let is_opaque = token.is_some_and(|token| {
        TokenForm::of(&token) == TokenForm::Opaque && !is_api_key(token.expose())
    });
    let named = resources.iter().filter(|_| is_opaque);
    let named = named.flat_map(|resource| &resource.issuers);
    let issuers = named.filter_map(|name| config.issuers.get(name));
    let asked = issuers.filter(|issuer| issuer.introspection.is_some());
    asked.map(|issuer| &*issuer.name).collect()
}

/// The verifiers of the resource. The keys of the built-in authorization server are those that the running gateway publishes.
fn verifiers(config: &Config, resource: &Resource) -> Result<Verifiers, String> {
    let mut fetching = config.clone();
    fetching.authorization_server = None;
    if let Some(built_in) = fetching.issuers.get_mut(BUILT_IN) {
        built_in.keys = KeySource::Discovery;
    }
    let metrics = Arc::new(Metrics::new().map_err(|error| error.to_string())?);
    let unusable = |(name, error)| format!("issuer {name}: {error}");
    let keys = keys_by_issuer(&fetching, &metrics, None, &BTreeSet::new()).map_err(unusable)?;
    let endpoints = endpoints_by_issuer(&fetching, &metrics, None, &BTreeSet::new());
    let endpoints = endpoints.map_err(unusable)?;
    // The profiles are those of the gateway.
    let issuers = TrustedIssuer::all_of(config, resource, &keys);
    let api_keys = ApiKeys::reuse_or_new(None, config, resource);
    let audience = resource.audience.clone().into();
    let asked = asked_issuer(config, resource, &endpoints);
    Ok(Verifiers::reuse_or_new(
        None, issuers, audience, api_keys, asked, 1,
    ))
}

/// Fetches the keys of the issuer that a token names; returns why they cannot be had.
async fn fetch_keys(verifiers: &Verifiers, token: &BearerToken<'_>) -> Option<String> {
    if is_api_key(token.expose()) {
        return None;
    }
    let token = Unverified::parse(token).ok()?;
    let mut issuers = verifiers.issuers().iter();
    let named = issuers.find(|own| *own.profile.issuer == *token.issuer())?;
    let error = named.keys.fetch_once().await.err()?;
    Some(format!("{}: {error}", named.keys.name()))
}

fn checks_of(
    token: &BearerToken<'_>,
    verifiers: &Verifiers,
    resource: &Resource,
    now: UnixTime,
) -> (&'static str, Vec<Check>) {
    if is_api_key(token.expose()) {
        let at = AtResource {
            is_accepted: resource.api_keys.is_some(),
            path: &resource.path,
            uri: &resource.uri,
            constraint: &resource.sender_constraint.constraint(),
        };
        return (
            "API key",
            of_api_key(token, verifiers.api_keys().ring(), at, now),
        );
    }
    let states: Vec<_> = verifiers
        .issuers()
        .iter()
        .map(|trusted| (trusted, trusted.keys.usable()))
        .collect();
    let issuers = states.iter().map(|(trusted, state)| AcceptedIssuer {
        name: trusted.keys.name(),
        profile: &trusted.profile,
        keys: state.as_ref().map(|state| state.keys()),
    });
    let accepted = Accepted {
        tokens: TokensOf::Resource,
        issuers: issuers.collect(),
        audience: verifiers.audience(),
        now,
    };
    let constraint = resource.sender_constraint.constraint();
    let mut checks = of_jwt(token, &accepted, &constraint);
    if TokenForm::of(token) == TokenForm::Opaque {
        // It has nothing else of a JWT that could be checked.
        checks.truncate(1);
        return ("opaque", checks);
    }
    for check in checks.iter_mut().filter(|check| check.name == "issuer") {
        check.expected = issuers_of_jwts(verifiers);
    }
    ("JWT", checks)
}

/// The issuers whose JWTs the resource accepts: those whose keys verify them, and the one that is asked about them.
fn issuers_of_jwts(verifiers: &Verifiers) -> String {
    let own = verifiers.issuers().iter();
    let own = own.map(|trusted| &*trusted.profile.issuer);
    let asked = verifiers
        .asked_issuer()
        .map(|(_, profile)| &*profile.issuer);
    let names: Vec<_> = own.chain(asked).collect();
    match names.is_empty() {
        true => "no JWT: the resource has no issuers (resources[].issuers)".to_owned(),
        false => Listed(names.into_iter()).to_string(),
    }
}

/// The reason of the gateway, where no check has it.
fn unexplained(checks: &[Check], outcome: &Result<Evidence, Reason>) -> Option<Check> {
    let reason = *outcome.as_ref().err()?;
    let is_named = checks.iter().any(|check| check.refusal() == Some(reason));
    (!is_named).then(|| Check {
        name: "gateway",
        expected: "a token that passes".to_owned(),
        found: reason.row().description.to_owned(),
        decision: Decision::Refused(reason),
    })
}

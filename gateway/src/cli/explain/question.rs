//! Checks the options of `check --explain`: the resource, the issuer and the method exist, and their options are complete.

use std::{borrow::Cow, io, path::PathBuf};

use mcp_gateway_core::{
    http::path::other_spelling,
    json::{self, JsonLimits},
    mcp::{envelope::has_control, method::McpMethod, operation::Reference},
    refusal::{found::escaped, reason::Reason},
    token::api_key::entry,
};

use crate::config::{
    Config, Issuer, IssuerName, Resource,
    methods::{self, MethodKind},
};

/// Bytes read from a token file at most.
pub(in crate::cli) const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// What is wrong with the options of `check --explain`, and how to fix it.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum QuestionError {
    #[error("there are several resources: add --resource with one of {0}")]
    WhichResource(String),
    #[error("unknown resource {0}: use one of {1}")]
    NoResource(String, String),
    #[error("the resource has several issuers: add --issuer with one of {0}, or iss to the claims")]
    WhichIssuer(String),
    #[error("the issuer {0} has several tenants: add iss to the claims, one of {1}")]
    WhichTenant(String, String),
    #[error("{0} is not an issuer of the resource: use one of {1}")]
    NoIssuer(String, String),
    #[error("--issuer {0} does not match iss in the claims: remove one of them")]
    TwoIssuers(String),
    #[error("--claims are invalid ({}{}): write a JSON object with the claims of a token", .0.label(), .1)]
    Claims(Reason, String),
    #[error(
        "--claims has no subject: add the claim {0} to --claims (subject_claim of the issuer names it)"
    )]
    NoSubject(String),
    #[error("cannot read the token file {}: {error}", file.display())]
    TokenFile { file: PathBuf, error: io::Error },
    #[error("unknown MCP method {0}: did you mean {1}?")]
    Method(String, &'static str),
    #[error("{0} needs a name: add --name")]
    NoName(String),
    #[error("{0} has no name: remove --name")]
    Name(String),
    #[error("--name has a control character: the gateway refuses such names (ambiguous_name)")]
    ControlInName,
    #[error("{0} is sent by servers, not by clients: use a method that clients call")]
    FromServer(String),
    #[error("{0} has no arguments that rules read: remove --arguments")]
    Arguments(String),
    #[error("--arguments are invalid ({0}): write a JSON object")]
    ArgumentsJson(String),
    #[error("{0} has no references: remove --reference")]
    Reference(String),
    #[error("subscriptions/listen accepts only resources: write --reference resource:URI")]
    Followed,
    #[error("completion/complete needs one reference: add one --reference")]
    Completed,
}

/// The resource with this path or URI, its final slash aside unless there is one with exactly this one, or the only resource.
pub(in crate::cli) fn find_resource<'a>(
    config: &'a Config,
    asked: Option<&str>,
) -> Result<&'a Resource, QuestionError> {
    let known = || {
        join_names(
            config
                .resources
                .iter()
                .map(|resource| resource.uri.as_str()),
        )
    };
    let is_called = |resource: &Resource, name: &str| resource.path == name || resource.uri == name;
    let exact = |name: &str| config.resources.iter().any(|one| is_called(one, name));
    let asked_for = asked.map(|asked| match exact(asked) {
        true => Cow::Borrowed(asked),
        false => other_spelling(asked),
    });
    let mut fitting = config.resources.iter().filter(|resource| {
        let name = asked_for.as_deref();
        name.is_none_or(|name| is_called(resource, name))
    });
    match (fitting.next(), fitting.next(), asked) {
        (Some(one), None, _) => Ok(one),
        (None, _, Some(asked)) => Err(QuestionError::NoResource(asked.to_owned(), known())),
        _ => Err(QuestionError::WhichResource(known())),
    }
}

/// The issuers that a resource trusts.
pub(super) fn trusted_issuers<'a>(
    config: &'a Config,
    resource: &'a Resource,
) -> impl Iterator<Item = &'a Issuer> {
    resource
        .issuers
        .iter()
        .filter_map(|name| config.issuers.get(name))
}

/// Whether the claims stand for an API key: by `--issuer`, by `iss`, or because the resource has no issuer.
pub(super) fn means_api_keys(
    resource: &Resource,
    name: Option<&str>,
    iss: Option<&str>,
) -> Result<bool, QuestionError> {
    let is_keys = |text: &str| text == entry::ISSUER;
    let named = name.or(iss);
    let means = resource.api_keys.is_some() && named.map_or(resource.issuers.is_empty(), is_keys);
    match (means, iss) {
        (true, Some(iss)) if !is_keys(iss) => {
            Err(QuestionError::TwoIssuers(entry::ISSUER.to_owned()))
        }
        _ => Ok(means),
    }
}

/// The issuer of the claims, and its name in them: by its name in the configuration, by `iss`, or the only issuer.
pub(super) fn find_issuer<'a>(
    config: &'a Config,
    resource: &Resource,
    name: Option<&str>,
    iss: Option<&str>,
) -> Result<(&'a Issuer, &'a IssuerName), QuestionError> {
    let trusted: Vec<&Issuer> = resource
        .issuers
        .iter()
        .filter_map(|name| config.issuers.get(name))
        .collect();
    let keys = resource.api_keys.as_ref().map(|_| entry::ISSUER);
    let names = || {
        let issuers = trusted.iter().map(|issuer| issuer.name.as_str());
        join_names(issuers.chain(keys))
    };
    let identifiers = || join_names(trusted.iter().flat_map(|issuer| all_names(issuer)));
    let found = match (name, iss, &*trusted) {
        (Some(name), _, _) => {
            let found = trusted.iter().find(|issuer| issuer.name == name);
            found.ok_or_else(|| QuestionError::NoIssuer(name.to_owned(), names()))?
        }
        (None, Some(iss), _) => {
            let found = trusted.iter().find(|issuer| issuer.named(iss).is_some());
            found.ok_or_else(|| QuestionError::NoIssuer(escaped(iss).to_string(), identifiers()))?
        }
        (None, None, [one]) => one,
        (None, None, _) => return Err(QuestionError::WhichIssuer(names())),
    };
    let several = || QuestionError::WhichTenant(found.name.clone(), join_names(all_names(found)));
    let name = match iss {
        Some(iss) => found.named(iss),
        None if found.has_several_tenants() => return Err(several()),
        None => found.names.first(),
    };
    let name = name.ok_or_else(|| QuestionError::TwoIssuers(found.name.clone()))?;
    Ok((found, name))
}

fn all_names(issuer: &Issuer) -> impl Iterator<Item = &str> {
    issuer.names.iter().map(|name| &*name.issuer)
}

/// Checks that methods with a name have one, and other methods have none.
pub(super) fn check_name(method: &str, name: Option<&str>) -> Result<(), QuestionError> {
    if let Some(near) = methods::mistyped(method) {
        return Err(QuestionError::Method(method.to_owned(), near));
    }
    if name.is_some_and(has_control) {
        return Err(QuestionError::ControlInName);
    }
    match (methods::kind(method), name) {
        (Some(MethodKind::FromServer), _) => Err(QuestionError::FromServer(method.to_owned())),
        (Some(MethodKind::Named), None) => Err(QuestionError::NoName(method.to_owned())),
        (Some(MethodKind::Named), Some(_)) | (_, None) => Ok(()),
        (_, Some(_)) => Err(QuestionError::Name(method.to_owned())),
    }
}

/// Checks that the references fit the method.
pub(super) fn check_references(
    method: &str,
    references: &[Reference],
) -> Result<(), QuestionError> {
    let follows = |one: &Reference| matches!(one, Reference::Resource(_));
    let called = McpMethod::of(method);
    match references {
        all if called.listens() => all
            .iter()
            .all(follows)
            .then_some(())
            .ok_or(QuestionError::Followed),
        [_] if called.completes() => Ok(()),
        _ if called.completes() => Err(QuestionError::Completed),
        [] => Ok(()),
        _ => Err(QuestionError::Reference(method.to_owned())),
    }
}

/// Checks that the method has arguments, and that the gateway would accept them.
pub(super) fn check_arguments(
    method: &str,
    text: &str,
    limits: &JsonLimits,
) -> Result<(), QuestionError> {
    if !McpMethod::of(method).takes_arguments() {
        return Err(QuestionError::Arguments(method.to_owned()));
    }
    json::check(text.as_bytes(), limits).map_err(|error| {
        let problem = limits.explain(error, json::CONFIGURED);
        QuestionError::ArgumentsJson(problem)
    })
}

/// Reads `resource:URI` or `prompt:NAME`.
pub(super) fn parse_reference(text: &str) -> Result<Reference, &'static str> {
    match text.split_once(':') {
        Some((_, name)) if has_control(name) => Err("has a control character (ambiguous_name)"),
        Some(("resource", uri)) if !uri.is_empty() => Ok(Reference::Resource(uri.into())),
        Some(("prompt", name)) if !name.is_empty() => Ok(Reference::Prompt(name.into())),
        _ => Err("must be resource:URI or prompt:NAME"),
    }
}

fn join_names<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

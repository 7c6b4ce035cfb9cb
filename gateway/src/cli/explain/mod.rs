//! `check --explain`: shows which rule decides a call, and why, without a running gateway.
//!
//! A token or claims identify the caller. Both are read in the same way as by the gateway. A token comes from a file or from
//! stdin, never from the command line, which is visible in the process list and in the shell history.

mod output;
mod question;
mod vouching;

use std::{
    fs::File,
    io::{self, Read, Write},
    net::IpAddr,
    path::{Path, PathBuf},
};

use clap::{ArgGroup, Args};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use mcp_gateway_core::{
    cel::RequestFacts,
    json::JsonLimits,
    mcp::operation::{Operation, Reference},
    policy::{Caller, decision_point::asker::Asker},
    refusal::reason::Reason,
    time::UnixTime,
    token::{
        api_key::text::is_api_key,
        bearer::bearer,
        issuer_profile::IssuerProfile,
        jwt::Unverified,
        unproven::{self, Unproven},
    },
    why::{
        api_key::{self, Asked},
        checks::binding,
        credentials,
        token::{self, Accepted, AcceptedIssuer, TokensOf},
    },
};

pub(super) use self::question::{MAX_FILE_BYTES, find_resource};
use self::{
    question::QuestionError,
    vouching::{Vouching, caller_of_key, profile_of_keys},
};
use super::exit::WRONG;
use crate::{
    config::{Config, Resource},
    snapshot, verify,
};

/// Exit code: the call would be allowed.
const ALLOWED: u8 = 0;

/// Exit code: the call would be refused.
const REFUSED: u8 = 1;

/// A call and its caller.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Explain a call")]
#[command(group = ArgGroup::new("caller").args(["claims", "token_file"]))]
pub(super) struct Question {
    /// Show which rule decides a call, and why. Exit code: 0 allowed, 1 refused, 2 invalid configuration or options.
    #[arg(long, requires_all = ["method", "caller"])]
    pub(super) explain: bool,
    /// Path or URI of the called resource. Required if there are several resources.
    #[arg(long, value_name = "PATH", requires = "explain")]
    resource: Option<String>,
    /// Claims of the caller's token as JSON, such as {"sub":"alice","scope":"tasks:read"}.
    #[arg(long, value_name = "JSON", requires = "explain")]
    claims: Option<String>,
    /// File with the caller's token, or - for stdin. The signature is not verified.
    #[arg(long, value_name = "FILE", requires = "explain")]
    token_file: Option<PathBuf>,
    /// Name of the issuer in the configuration, or api-keys. Required if there are several issuers and the claims have no iss.
    #[arg(long, value_name = "NAME", requires = "claims")]
    issuer: Option<String>,
    /// MCP method, such as tools/call.
    #[arg(long, requires = "explain")]
    method: Option<String>,
    /// Name of the tool or prompt, resource URI or task id.
    #[arg(long, requires = "explain")]
    name: Option<String>,
    /// Arguments of the tool or prompt as JSON.
    #[arg(long, value_name = "JSON", requires = "explain")]
    arguments: Option<String>,
    /// Target of subscriptions/listen or completion/complete: resource:URI or prompt:NAME. Can be repeated.
    #[arg(long, value_name = "KIND:NAME", requires = "explain", value_parser = question::parse_reference)]
    reference: Vec<Reference>,
    /// Protocol version of the call, for conditions that read it.
    #[arg(long, value_name = "VERSION", requires = "explain")]
    protocol_version: Option<String>,
    /// Address of the client, for conditions that read it. Without it, the address is unknown.
    #[arg(long, value_name = "ADDRESS", requires = "explain")]
    client_address: Option<IpAddr>,
}

/// What identifies the caller, as it was given.
enum Given<'q> {
    /// The text of a token.
    Token(String),
    /// Claims as JSON.
    Claims(&'q str),
}

/// The caller, or why the token is refused.
enum CallerFound<'a> {
    /// The caller, and what vouches for it.
    Caller(Vouching<'a>, Unproven),
    /// Why the token is refused.
    Refused(Reason),
}

/// Explains one call. Returns the exit code.
///
/// # Errors
/// `out` or `errors` cannot be written.
pub(super) fn explain(
    config: &Config,
    question: &Question,
    now: UnixTime,
    stdin: &mut dyn Read,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> io::Result<u8> {
    match answer(config, question, now, stdin, out) {
        Ok(code) => code,
        Err(wrong) => {
            writeln!(errors, "mcp-gateway: {wrong}")?;
            Ok(WRONG)
        }
    }
}

fn answer(
    config: &Config,
    question: &Question,
    now: UnixTime,
    stdin: &mut dyn Read,
    out: &mut dyn Write,
) -> Result<io::Result<u8>, QuestionError> {
    let resource = find_resource(config, question.resource.as_deref())?;
    let operation = operation(question, config)?;
    let given = given(question, stdin)?;
    let found = |reason| found(&given, config, resource, reason, now);
    let (vouching, unproven) = match find_caller(config, resource, question, now, &given)? {
        CallerFound::Caller(vouching, unproven) => (vouching, judged(unproven, resource)),
        CallerFound::Refused(reason) => {
            let written = output::write_refused_token(resource, reason, found(reason), out);
            return Ok(written.map(|()| REFUSED));
        }
    };
    let host = resource
        .host
        .as_ref()
        .unwrap_or(&config.public_url.authority);
    let caller = Caller {
        principal: &unproven.principal,
        claims: &unproven.claims,
        asker: &Asker::default(),
        request: RequestFacts {
            http_method: "POST",
            path: &resource.path,
            host: host.host(),
            client_address: question.client_address,
            now,
        },
    };
    let explanation = resource.policy.explain(&caller, &operation);
    let is_allowed = explanation.decision.is_ok() && unproven.refusals.is_empty();
    let call = output::ExplainedCall {
        resource,
        vouching,
        unproven: &unproven,
        operation: &operation,
        explanation: &explanation,
        challenger: &snapshot::challenger(config, resource, &resource.path),
        found: &found,
    };
    let code = if is_allowed { ALLOWED } else { REFUSED };
    Ok(call.write(out).map(|()| code))
}

/// The call, in the form that the gateway reads from a message.
fn operation<'q>(question: &'q Question, config: &Config) -> Result<Operation<'q>, QuestionError> {
    let method = question.method.as_deref().unwrap_or_default();
    question::check_name(method, question.name.as_deref())?;
    question::check_references(method, &question.reference)?;
    if let Some(arguments) = &question.arguments {
        let limits = JsonLimits {
            depth: config.limits.json_depth,
            members: config.limits.json_members,
        };
        question::check_arguments(method, arguments, &limits)?;
    }
    Ok(Operation {
        method: Some(method),
        name: question.name.as_deref(),
        references: &question.reference,
        params_without_argument: &[],
        arguments: question
            .arguments
            .as_deref()
            .map(|text| text.trim().as_bytes()),
        version: question.protocol_version.as_deref(),
    })
}

fn find_caller<'a>(
    config: &'a Config,
    resource: &'a Resource,
    question: &Question,
    now: UnixTime,
    given: &Given<'_>,
) -> Result<CallerFound<'a>, QuestionError> {
    let claims = match given {
        Given::Token(token) => {
            let found = caller_of_token(token, config, resource, now);
            return Ok(found.unwrap_or_else(CallerFound::Refused));
        }
        Given::Claims(claims) => claims.as_bytes(),
    };
    let invalid = |reason| {
        let found = found(given, config, resource, reason, now);
        QuestionError::Claims(
            reason,
            found.map_or_else(String::new, |found| format!(", {found}")),
        )
    };
    let named = unproven::issuer_of(claims).map_err(invalid)?;
    if question::means_api_keys(resource, question.issuer.as_deref(), named.as_deref())? {
        let profile = profile_of_keys(resource);
        let unproven = unproven::of_claims(claims, &profile, &resource.audience, now);
        return match unproven {
            Ok(unproven) => Ok(CallerFound::Caller(Vouching::ApiKeys, unproven)),
            Err(Reason::MissingClaim) => {
                Err(QuestionError::NoSubject(profile.subject_claim.to_string()))
            }
            Err(reason) => Err(invalid(reason)),
        };
    }
    let (issuer, name) = question::find_issuer(
        config,
        resource,
        question.issuer.as_deref(),
        named.as_deref(),
    )?;
    let profile = IssuerProfile {
        // Claims on the command line are those that rules read.
        names_grants: false,
        takes_id_tokens: false,
        ..verify::profile(issuer, name, resource)
    };
    let unproven = unproven::of_claims(claims, &profile, &resource.audience, now);
    match unproven {
        Ok(unproven) => Ok(CallerFound::Caller(Vouching::Issuer(issuer), unproven)),
        Err(Reason::MissingClaim) => {
            Err(QuestionError::NoSubject(issuer.subject_claim.to_string()))
        }
        Err(reason) => Err(invalid(reason)),
    }
}

/// The same with what the resource demands of the sender. The proof or certificate comes with each request, and not here.
fn judged(mut unproven: Unproven, resource: &Resource) -> Unproven {
    let constraint = resource.sender_constraint.constraint();
    let is_unreadable = unproven.refusals.contains(&Reason::SenderConstrained);
    let accepted = binding::accepts(&constraint, unproven.binding.as_ref());
    if let Err(reason) = accepted
        && !is_unreadable
    {
        unproven.refusals.push(reason);
    }
    unproven
}

/// What was found in the token or the claims, and what is accepted.
fn found(
    given: &Given<'_>,
    config: &Config,
    resource: &Resource,
    reason: Reason,
    now: UnixTime,
) -> Option<String> {
    let issuers: Vec<_> = question::trusted_issuers(config, resource)
        .flat_map(|issuer| issuer.names.iter().map(move |name| (issuer, name)))
        .map(|(issuer, name)| (issuer, verify::profile(issuer, name, resource)))
        .collect();
    let issuers = issuers.iter().map(|(issuer, profile)| AcceptedIssuer {
        name: &issuer.name,
        profile,
        keys: None,
    });
    let accepted = Accepted {
        tokens: TokensOf::Resource,
        issuers: issuers.collect(),
        audience: &resource.audience,
        now,
    };
    match given {
        Given::Token(text) => credentials::found(&authorization(text), reason, "Bearer")
            .or_else(|| {
                let asked = Asked {
                    ring: &config.api_keys.ring,
                    path: &resource.path,
                    now,
                };
                api_key::found(text, reason, &asked)
            })
            .or_else(|| token::found(text, reason, &accepted)),
        Given::Claims(claims) => token::found_in_claims(claims.as_bytes(), reason, &accepted),
    }
}

/// The header with which a client sends this token. It is empty for a text that no header can hold.
fn authorization(token: &str) -> HeaderMap {
    let line = HeaderValue::try_from(format!("Bearer {token}"));
    HeaderMap::from_iter(line.map(|line| (AUTHORIZATION, line)))
}

fn given<'q>(question: &'q Question, stdin: &mut dyn Read) -> Result<Given<'q>, QuestionError> {
    match &question.token_file {
        Some(file) => read_token(file, stdin).map(Given::Token),
        None => Ok(Given::Claims(
            question.claims.as_deref().unwrap_or_default(),
        )),
    }
}

/// Reads a token in the same way as from a request.
fn caller_of_token<'a>(
    token: &str,
    config: &'a Config,
    resource: &'a Resource,
    now: UnixTime,
) -> Result<CallerFound<'a>, Reason> {
    let headers = authorization(token);
    if headers.is_empty() {
        return Err(Reason::MalformedCredentials);
    }
    let token = bearer(&headers, None, config.limits.token_bytes)?;
    if is_api_key(token.expose()) {
        let unproven = caller_of_key(&token, config, resource, now)?;
        return Ok(CallerFound::Caller(Vouching::ApiKeys, unproven));
    }
    let token = Unverified::parse(&token)?;
    let mut trusted = question::trusted_issuers(config, resource);
    let named = trusted.find_map(|own| Some((own, own.named(token.issuer())?)));
    let (issuer, name) = named.ok_or(Reason::WrongIssuer)?;
    let profile = verify::profile(issuer, name, resource);
    let unproven = unproven::of_token(&token, &profile, &resource.audience, now)?;
    Ok(CallerFound::Caller(Vouching::Issuer(issuer), unproven))
}

/// The token from a file or from stdin, without the line end.
fn read_token(file: &Path, stdin: &mut dyn Read) -> Result<String, QuestionError> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        stdin.take(MAX_FILE_BYTES).read_to_string(&mut text)
    } else {
        File::open(file).and_then(|opened| {
            let mut opened = opened.take(MAX_FILE_BYTES);
            opened.read_to_string(&mut text)
        })
    };
    let file = file.to_owned();
    read.map_err(|error| QuestionError::TokenFile { file, error })?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests;

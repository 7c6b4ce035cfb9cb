//! `check --explain`: which rule decides a call, and why, without a running gateway.
//!
//! A token or claims say who calls, and both are read as the gateway reads them. A token comes from a file or
//! from stdin, never from the command line: that stands in the list of processes and in the shell's history.

mod output;
mod question;

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
    policy::Caller,
    refusal::reason::Reason,
    time::UnixTime,
    token::{
        bearer::bearer,
        issuer_profile::IssuerProfile,
        jwt::Unverified,
        unproven::{self, Unproven},
    },
};

use self::question::QuestionError;
use super::exit::WRONG;
use crate::{
    config::{Config, Issuer, Resource},
    snapshot,
};

/// Exit code: the call would be allowed.
const ALLOWED: u8 = 0;

/// Exit code: the call would be refused.
const REFUSED: u8 = 1;

/// A call, and who makes it.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Explaining a call")]
#[command(group = ArgGroup::new("caller").args(["claims", "token_file"]))]
pub(super) struct Question {
    /// Say which rule decides a call and why. Exit code: 0 allowed, 1 refused, 2 wrong configuration or question.
    #[arg(long, requires_all = ["method", "caller"])]
    pub(super) explain: bool,
    /// The resource that is called, by its path or URI; needed where there are several.
    #[arg(long, value_name = "PATH", requires = "explain")]
    resource: Option<String>,
    /// Claims of the caller's token, as JSON: {"sub":"alice","scope":"tasks:read"}.
    #[arg(long, value_name = "JSON", requires = "explain")]
    claims: Option<String>,
    /// A file with the caller's token; - reads it from stdin. Its signature is not verified.
    #[arg(long, value_name = "FILE", requires = "explain")]
    token_file: Option<PathBuf>,
    /// The issuer of the claims, by its name in the configuration; needed where there are several and no iss.
    #[arg(long, value_name = "NAME", requires = "claims")]
    issuer: Option<String>,
    /// The MCP method, such as tools/call.
    #[arg(long, requires = "explain")]
    method: Option<String>,
    /// The tool, prompt, resource URI or task.
    #[arg(long, requires = "explain")]
    name: Option<String>,
    /// The arguments of the tool or prompt, as JSON.
    #[arg(long, value_name = "JSON", requires = "explain")]
    arguments: Option<String>,
    /// What subscriptions/listen follows or completion/complete completes: resource:URI or prompt:NAME. Repeatable.
    #[arg(long, value_name = "KIND:NAME", requires = "explain", value_parser = question::parse_reference)]
    reference: Vec<Reference>,
    /// The protocol version of the call, for conditions that read it.
    #[arg(long, value_name = "VERSION", requires = "explain")]
    protocol_version: Option<String>,
    /// The address the call comes from, for conditions that read it.
    #[arg(long, value_name = "ADDRESS", requires = "explain")]
    client_address: Option<IpAddr>,
}

/// Who makes the call, as far as that is known.
enum CallerFound<'a> {
    /// Somebody, by this issuer.
    Caller(&'a Issuer, Unproven),
    /// Refused: this is what the token is refused for.
    Refused(Reason),
}

/// Explains one call. Gives the exit code.
///
/// # Errors
/// `out` or `errors` takes nothing.
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
            writeln!(errors, "mcp-gateway: {wrong}.")?;
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
    let resource = question::find_resource(config, question.resource.as_deref())?;
    let operation = operation(question, config)?;
    let (issuer, unproven) = match find_caller(config, resource, question, now, stdin)? {
        CallerFound::Caller(issuer, unproven) => (issuer, unproven),
        CallerFound::Refused(reason) => {
            let written = output::write_refused_token(resource, reason, out);
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
        issuer,
        unproven: &unproven,
        operation: &operation,
        explanation: &explanation,
        challenger: &snapshot::challenger(config, resource),
    };
    let code = if is_allowed { ALLOWED } else { REFUSED };
    Ok(call.write(out).map(|()| code))
}

/// The call, as the gateway would read it from a message.
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
    stdin: &mut dyn Read,
) -> Result<CallerFound<'a>, QuestionError> {
    if let Some(file) = &question.token_file {
        let token = read_token(file, stdin)?;
        let found = caller_of_token(&token, config, resource, now);
        return Ok(found.unwrap_or_else(CallerFound::Refused));
    }
    let claims = question.claims.as_deref().unwrap_or_default().as_bytes();
    let named = unproven::issuer_of(claims).map_err(QuestionError::Claims)?;
    let issuer = question::find_issuer(
        config,
        resource,
        question.issuer.as_deref(),
        named.as_deref(),
    )?;
    let profile = profile(issuer, resource);
    let unproven = unproven::of_claims(claims, &profile, &resource.audience, now);
    match unproven {
        Ok(unproven) => Ok(CallerFound::Caller(issuer, unproven)),
        Err(Reason::MissingClaim) => Err(QuestionError::NoSubject(issuer.subject_claim.clone())),
        Err(reason) => Err(QuestionError::Claims(reason)),
    }
}

/// Reads a token as a request brings it.
fn caller_of_token<'a>(
    token: &str,
    config: &'a Config,
    resource: &'a Resource,
    now: UnixTime,
) -> Result<CallerFound<'a>, Reason> {
    let line = HeaderValue::try_from(format!("Bearer {token}"));
    let line = line.map_err(|_| Reason::MalformedCredentials)?;
    let headers = HeaderMap::from_iter([(AUTHORIZATION, line)]);
    let token = bearer(&headers, None, config.limits.token_bytes)?;
    let token = Unverified::parse(&token)?;
    let issuer =
        question::trusted_issuers(config, resource).find(|own| own.issuer == token.issuer());
    let issuer = issuer.ok_or(Reason::WrongIssuer)?;
    let profile = profile(issuer, resource);
    let unproven = unproven::of_token(&token, &profile, &resource.audience, now)?;
    Ok(CallerFound::Caller(issuer, unproven))
}

fn profile(issuer: &Issuer, resource: &Resource) -> IssuerProfile {
    snapshot::profile(issuer, resource.policy.claims_read())
}

/// The token in a file, or on stdin; what ends the line is no part of it.
fn read_token(file: &Path, stdin: &mut dyn Read) -> Result<String, QuestionError> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        stdin
            .take(question::MAX_FILE_BYTES)
            .read_to_string(&mut text)
    } else {
        File::open(file).and_then(|opened| {
            let mut opened = opened.take(question::MAX_FILE_BYTES);
            opened.read_to_string(&mut text)
        })
    };
    let file = file.to_owned();
    read.map_err(|error| QuestionError::TokenFile { file, error })?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests;

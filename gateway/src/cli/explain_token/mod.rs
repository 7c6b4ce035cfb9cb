//! `explain-token`: every check that the gateway makes of a token, with what was expected, found and decided.
//!
//! The token comes from standard input, never from the command line, which is visible in the process list and in the shell history.
//! Keys are fetched as the gateway fetches them, and the decision is the gateway's own: the same verifiers are asked. A token that only its
//! issuer can read is sent to that issuer, and to no other one. Neither the token nor its signature is printed.

mod judged;
mod output;

use std::{
    fmt::Display,
    io::{self, Read, Write},
};

use clap::Args;
use mcp_gateway_core::time::UnixTime;
use tokio::runtime;

use self::judged::{Judged, judge};
use super::{
    exit::WRONG,
    explain::{self, MAX_FILE_BYTES},
};
use crate::{
    app::install_crypto,
    config::{Config, Resource},
};

/// Exit code: the token is accepted, by one of several resources at least.
const ACCEPTED: u8 = 0;

/// Exit code: the token is refused.
const REFUSED: u8 = 1;

/// What is asked about a token.
#[derive(Args, Debug, Default)]
pub(super) struct Question {
    /// Path or URI of the resource. Without it, every resource judges the token. A token that only its issuer can read is sent to the
    /// issuer of the resource (issuers.*.introspection); it is needed where several issuers would be asked.
    #[arg(long, value_name = "PATH")]
    resource: Option<String>,
    /// Print JSON, one object in each line for each resource.
    #[arg(long)]
    json: bool,
}

/// Explains the token on standard input. Returns the exit code: 0 accepted, 1 refused, 2 nobody can say, or the options are wrong.
///
/// # Errors
/// `out` or `errors` cannot be written.
pub(super) fn explain_token(
    config: &Config,
    question: &Question,
    now: UnixTime,
    stdin: &mut dyn Read,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> io::Result<u8> {
    let wrong = |problem: &dyn Display, errors: &mut dyn Write| {
        writeln!(errors, "mcp-gateway: {problem}").map(|()| WRONG)
    };
    let resources: Vec<&Resource> = match &question.resource {
        None => config.resources.iter().collect(),
        Some(_) => match explain::find_resource(config, question.resource.as_deref()) {
            Ok(resource) => vec![resource],
            Err(error) => return wrong(&error, errors),
        },
    };
    let mut text = String::new();
    if let Err(error) = stdin.take(MAX_FILE_BYTES).read_to_string(&mut text) {
        return wrong(&format_args!("cannot read the token: {error}"), errors);
    }
    let asked = judged::asked(config, &resources, text.trim());
    if asked.len() > 1 {
        let names = asked.into_iter().collect::<Vec<_>>().join(", ");
        let problem = format!(
            "only its issuer can read this token, and several issuers would be asked about it ({names}): say which resource it is for, with --resource"
        );
        return wrong(&problem, errors);
    }
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return wrong(&format_args!("cannot start: {error}"), errors),
    };
    install_crypto();
    let judged = runtime.block_on(all(config, &resources, text.trim(), now));
    match judged {
        Ok(judged) => {
            output::write(&judged, question.json, out)?;
            Ok(exit_code(&judged))
        }
        Err(error) => wrong(&error, errors),
    }
}

async fn all<'a>(
    config: &Config,
    resources: &[&'a Resource],
    text: &str,
    now: UnixTime,
) -> Result<Vec<Judged<'a>>, String> {
    let mut all = Vec::with_capacity(resources.len());
    for resource in resources {
        all.push(judge(config, resource, text, now).await?);
    }
    Ok(all)
}

fn exit_code(judged: &[Judged<'_>]) -> u8 {
    if judged.iter().any(Judged::is_accepted) {
        return ACCEPTED;
    }
    match judged.iter().any(Judged::is_undecided) {
        true => WRONG,
        false => REFUSED,
    }
}

#[cfg(test)]
mod tests;

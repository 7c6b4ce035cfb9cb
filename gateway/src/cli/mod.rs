//! The commands: `run`, `check`, `explain-token`, `schema`, `hash-password`, `key`, `oauth`, `demo`.
//!
//! Exit codes: 0 success; 1 the gateway cannot run, or `check --explain` shows a refused call, or `explain-token` a refused token; 2
//! invalid configuration or options, or nobody can say whether a token is accepted.

mod check;
#[cfg(feature = "demo")]
mod demo;
mod exit;
mod explain;
mod explain_token;
mod hash_password;
mod key;
mod oauth;
mod start;
mod table;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use self::exit::exit_code;
use crate::{app::Start, clock, fetch::internet::Outside};

/// Reverse proxy and OAuth resource server for MCP servers.
#[derive(Debug, Parser)]
#[command(name = "mcp-gateway", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Run {
        #[command(flatten)]
        source: SourceArguments,
        /// Take over the listening sockets of the running process with the same upgrade_socket. That process then drains and
        /// exits.
        #[arg(long)]
        upgrade: bool,
    },
    /// Check a configuration and report all errors. With --explain, show how it decides one call.
    Check {
        #[command(flatten)]
        source: SourceArguments,
        #[command(flatten)]
        question: Box<explain::Question>,
    },
    /// Explain a token from standard input: every check, what was expected, found and decided. Fetches keys as the gateway does. Exit
    /// code: 0 accepted, 1 refused, 2 nobody can say (no keys), or invalid configuration or options.
    ExplainToken {
        #[command(flatten)]
        source: SourceArguments,
        #[command(flatten)]
        question: explain_token::Question,
    },
    /// Print the JSON Schema of the configuration for editors.
    Schema,
    /// Hash a password for the users file. Asks for it, or reads it from standard input.
    HashPassword,
    /// Make, list and remove API keys in a key file. A running gateway follows its file.
    #[command(subcommand)]
    Key(key::Action),
    /// List and revoke clients and grants of the built-in authorization server of the running gateway.
    #[command(subcommand)]
    Oauth(oauth::Subject),
    /// Run a demo without any setup: a task server, the gateway in front of it, and a token.
    #[cfg(feature = "demo")]
    Demo(demo::Options),
}

/// Where the configuration comes from.
#[derive(Args, Debug)]
struct SourceArguments {
    /// Configuration file. It has precedence over --config and MCP_GATEWAY_CONFIG.
    #[arg(value_name = "FILE", required_unless_present = "config")]
    file: Option<PathBuf>,
    /// Configuration file.
    #[arg(long, short, value_name = "FILE", env = "MCP_GATEWAY_CONFIG")]
    config: Option<PathBuf>,
    /// File of NAME=VALUE lines for `${NAME}` in the configuration. Environment variables have precedence.
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
}

impl SourceArguments {
    fn path(&self) -> PathBuf {
        let named = self.file.as_ref().or(self.config.as_ref());
        named.cloned().unwrap_or_default()
    }
}

/// Runs the command of the command line and returns its exit code. The gateway fetches the documents of strangers from `outside`: a
/// program of tests has an internet of its own.
pub fn run(outside: Outside) -> ExitCode {
    Arguments::parse().execute(outside)
}

impl Arguments {
    fn execute(self, outside: Outside) -> ExitCode {
        let (mut out, mut errors) = (io::stdout(), io::stderr());
        match self.command {
            Command::Run { source, upgrade } => start::run(
                &source.path(),
                source.env_file.as_deref(),
                Start::of(upgrade),
                outside,
                &mut errors,
            ),
            Command::Check { source, question } if question.explain => {
                exit_code(explain_call(&source, &question, &mut out, &mut errors))
            }
            Command::Check { source, .. } => exit_code(check::check(
                &source.path(),
                source.env_file.as_deref(),
                &mut out,
            )),
            Command::ExplainToken { source, question } => {
                exit_code(explain_token(&source, &question, &mut out, &mut errors))
            }
            Command::Schema => exit_code(check::write_schema(&mut out)),
            Command::HashPassword => exit_code(hash_password::run(&mut out, &mut errors)),
            Command::Key(action) => exit_code(action.execute(clock::now(), &mut out, &mut errors)),
            Command::Oauth(subject) => exit_code(subject.execute(&mut out, &mut errors)),
            #[cfg(feature = "demo")]
            Command::Demo(options) => demo::demo(&options, &mut out, &mut errors),
        }
    }
}

/// Explains a call with a configuration, or reports the findings of the configuration.
fn explain_call(
    source: &SourceArguments,
    question: &explain::Question,
    out: &mut impl Write,
    errors: &mut dyn Write,
) -> io::Result<u8> {
    let file = source.path();
    match check::load(&file, source.env_file.as_deref()) {
        Ok(loaded) => {
            let mut stdin = io::stdin().lock();
            explain::explain(
                &loaded.config,
                question,
                clock::now(),
                &mut stdin,
                out,
                errors,
            )
        }
        Err(findings) => check::report(&file, &findings, out).map(|()| exit::WRONG),
    }
}

/// Explains a token with a configuration, or reports the findings of the configuration.
fn explain_token(
    source: &SourceArguments,
    question: &explain_token::Question,
    out: &mut impl Write,
    errors: &mut impl Write,
) -> io::Result<u8> {
    let file = source.path();
    match check::load(&file, source.env_file.as_deref()) {
        Ok(loaded) => {
            let mut stdin = io::stdin().lock();
            let now = clock::now();
            explain_token::explain_token(&loaded.config, question, now, &mut stdin, out, errors)
        }
        Err(findings) => check::report(&file, &findings, errors).map(|()| exit::WRONG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_on_the_command_line_wins() {
        let cases: [(&[&str], &str); 3] = [
            (&["a.yaml"], "a.yaml"),
            (&["--config", "b.yaml"], "b.yaml"),
            (&["--config", "b.yaml", "a.yaml"], "a.yaml"),
        ];
        for (typed, expected) in cases {
            let line = ["mcp-gateway", "check"].iter().chain(typed);
            let Command::Check { source, .. } = Arguments::try_parse_from(line).unwrap().command
            else {
                panic!("{typed:?} is another command");
            };
            assert_eq!(source.path(), PathBuf::from(expected), "{typed:?}");
        }
    }

    #[test]
    fn an_id_may_begin_with_a_hyphen() {
        let ids = ["-7fgv_8hruhvtTgasVu4Yg", "--fgv_8hruhvtTgasVu4Yg", "abc"];
        for id in ids {
            for typed in [
                ["--json", "--config", "b.yaml", id],
                [id, "--json", "--config", "b.yaml"],
                ["--config", "b.yaml", id, "--json"],
            ] {
                let line = ["mcp-gateway", "oauth", "grants", "revoke"];
                let parsed = Arguments::try_parse_from(line.iter().chain(&typed));
                let shown = format!("{:?}", parsed.unwrap().command);
                for part in [&format!("id: {id:?}"), "json: true", "b.yaml"] {
                    assert!(shown.contains(part), "{shown}");
                }
            }
        }
    }
}

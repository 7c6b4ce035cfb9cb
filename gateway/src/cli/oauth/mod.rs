//! `mcp-gateway oauth`: clients and grants of the built-in authorization server, listed and revoked in the running gateway.

mod table;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    check,
    exit::{CANNOT_RUN, OK, WRONG},
};
use crate::{
    authorization_server::control::{
        caller::{self, CallError},
        protocol::{Answer, Kind, Request},
    },
    clock,
};

/// What is listed or revoked.
#[derive(Debug, Subcommand)]
pub(super) enum Subject {
    /// Clients that registered themselves.
    #[command(subcommand)]
    Clients(Action),
    /// Grants: what users allowed clients.
    #[command(subcommand)]
    Grants(Action),
}

/// What is done.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// List all of them.
    List {
        #[command(flatten)]
        gateway: RunningGateway,
    },
    /// Revoke one. A client's grants end with it, and tokens of an ended grant are refused at once.
    Revoke {
        /// The id, as `list` prints it.
        // One in 64 begins with a hyphen.
        #[arg(value_name = "ID", allow_hyphen_values = true)]
        id: String,
        #[command(flatten)]
        gateway: RunningGateway,
    },
}

/// Which gateway is asked, and how it answers.
#[derive(Args, Debug)]
pub(super) struct RunningGateway {
    /// Configuration file of the running gateway.
    #[arg(long, short, value_name = "FILE", env = "MCP_GATEWAY_CONFIG")]
    config: PathBuf,
    /// File of NAME=VALUE lines for `${NAME}` in the configuration. Environment variables have precedence.
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Print JSON, one object in each line.
    #[arg(long)]
    json: bool,
}

impl Subject {
    /// Asks the running gateway and prints the answer. Returns the exit code.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub(super) fn execute(self, out: &mut dyn Write, errors: &mut dyn Write) -> io::Result<u8> {
        let (kind, action) = match self {
            Self::Clients(action) => (Kind::Clients, action),
            Self::Grants(action) => (Kind::Grants, action),
        };
        let (Action::List { gateway } | Action::Revoke { gateway, .. }) = &action;
        let loaded = match check::load(&gateway.config, gateway.env_file.as_deref()) {
            Ok(loaded) => loaded,
            Err(findings) => {
                let mut printed = Vec::new();
                check::report(&gateway.config, &findings, &mut printed)?;
                errors.write_all(&printed)?;
                return Ok(WRONG);
            }
        };
        let Some(own) = &loaded.config.authorization_server else {
            writeln!(
                errors,
                "mcp-gateway: {} has no authorization server (authorization_server)",
                gateway.config.display()
            )?;
            return Ok(WRONG);
        };
        let mut printer = Printer {
            directory: &own.directory,
            is_json: gateway.json,
            out,
            errors,
        };
        match &action {
            Action::List { .. } => printer.list(kind),
            Action::Revoke { id, .. } => printer.revoke(kind, id),
        }
    }
}

/// Asks, and prints answers.
struct Printer<'p> {
    directory: &'p Path,
    is_json: bool,
    out: &'p mut dyn Write,
    errors: &'p mut dyn Write,
}

impl Printer<'_> {
    fn list(&mut self, kind: Kind) -> io::Result<u8> {
        let mut after = None;
        let mut is_first = true;
        loop {
            let request = Request::List { kind, after };
            let next = match caller::ask(self.directory, &request) {
                Ok(Answer::Clients(page)) => {
                    self.print(&page.lines, table::of_clients(&page.lines, is_first))?;
                    page.next
                }
                Ok(Answer::Grants(page)) => {
                    self.print(
                        &page.lines,
                        table::of_grants(&page.lines, is_first, clock::now()),
                    )?;
                    page.next
                }
                other => return self.fail(other),
            };
            if next.is_none() {
                return Ok(OK);
            }
            (after, is_first) = (next, false);
        }
    }

    fn print(&mut self, lines: &[impl Serialize], table: String) -> io::Result<()> {
        if !self.is_json {
            return self.out.write_all(table.as_bytes());
        }
        for line in lines {
            serde_json::to_writer(&mut *self.out, line)?;
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn revoke(&mut self, kind: Kind, id: &str) -> io::Result<u8> {
        let id = id.to_owned();
        let answer = caller::ask(self.directory, &Request::Revoke { kind, id });
        match answer {
            Ok(Answer::Revoked { grants }) if self.is_json => {
                writeln!(self.out, "{{\"revoked\":{{\"grants\":{grants}}}}}")?;
            }
            Ok(Answer::Revoked { grants }) => {
                let plural = if grants == 1 { "" } else { "s" };
                writeln!(self.out, "revoked: {grants} grant{plural} ended")?;
            }
            other => return self.fail(other),
        }
        Ok(OK)
    }

    fn fail(&mut self, answer: Result<Answer, CallError>) -> io::Result<u8> {
        let problem = match answer {
            Ok(Answer::Unknown) => "there is none with this id".to_owned(),
            Ok(Answer::Failed(problem)) => problem,
            Ok(_) => "the gateway answered another question".to_owned(),
            Err(error) => error.to_string(),
        };
        writeln!(self.errors, "mcp-gateway: {problem}")?;
        Ok(CANNOT_RUN)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{BufRead, BufReader},
        os::unix::net::UnixListener,
        thread,
    };

    use clap::Parser;
    use mcp_gateway_oauth::grant::EndedBy;

    use super::*;
    use crate::authorization_server::control::protocol::{ClientLine, GrantLine, Page};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        subject: Subject,
    }

    /// What is printed on stdout and stderr, and the exit code, when the gateway answers so.
    fn printed(
        answers: Vec<Answer>,
        is_json: bool,
        ask: impl FnOnce(&mut Printer<'_>) -> io::Result<u8>,
    ) -> (String, String, u8) {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("control.sock")).unwrap();
        let answering = thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut line = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                reader.read_line(&mut line).unwrap();
                serde_json::to_writer(&mut stream, &answer).unwrap();
                stream.write_all(b"\n").unwrap();
            }
        });
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let code = ask(&mut Printer {
            directory: folder.path(),
            is_json,
            out: &mut out,
            errors: &mut errors,
        });
        answering.join().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(out), text(errors), code.unwrap())
    }

    fn client(id: &str, name: Option<&str>) -> ClientLine {
        ClientLine {
            id: id.to_owned(),
            name: name.map(str::to_owned),
            origin: "registered".to_owned(),
            method: "none".to_owned(),
            redirect_uris: vec!["http://127.0.0.1/callback".to_owned()],
            registered: Some(1_764_460_800),
            is_used: Some(true),
        }
    }

    fn clients(lines: Vec<ClientLine>, next: Option<&str>) -> Answer {
        let next = next.map(str::to_owned);
        Answer::Clients(Page { lines, next })
    }

    fn grant(ended_by: Option<EndedBy>) -> GrantLine {
        GrantLine {
            id: "g1".to_owned(),
            client: "c1".to_owned(),
            subject: "u:anna".to_owned(),
            resource: "https://mcp.example/mcp".to_owned(),
            scopes: "read write".to_owned(),
            created: 1_764_460_800,
            ends: 9_999_999_999,
            ended_by,
        }
    }

    #[test]
    fn people_get_a_table_with_one_head() {
        let answers = vec![
            clients(vec![client("c1", Some("Anna's client"))], Some("c1")),
            clients(vec![client("c2", None)], None),
        ];
        let (out, errors, code) = printed(answers, false, |printer| printer.list(Kind::Clients));
        let expected = "\
ID  NAME           ORIGIN      METHOD  REGISTERED            USED  REDIRECT URIS
c1  Anna's client  registered  none    2025-11-30T00:00:00Z  yes   http://127.0.0.1/callback
c2  -     registered  none    2025-11-30T00:00:00Z  yes   http://127.0.0.1/callback
";
        let squeezed = |text: &str| {
            let lines = text.lines().map(|line| {
                let words: Vec<_> = line.split("  ").map(str::trim).collect();
                words
                    .into_iter()
                    .filter(|word| !word.is_empty())
                    .collect::<Vec<_>>()
                    .join("|")
            });
            lines.collect::<Vec<_>>()
        };
        assert_eq!(squeezed(&out), squeezed(expected));
        assert_eq!((errors.as_str(), code), ("", OK));

        let (ended, alive) = (Some(EndedBy::Operator), None);
        let next = None;
        let page = |ended_by| {
            Answer::Grants(Page {
                lines: vec![grant(ended_by)],
                next: next.clone(),
            })
        };
        for (ended_by, state) in [(ended, "ended: operator"), (alive, "alive")] {
            let (out, ..) = printed(vec![page(ended_by)], false, |printer| {
                printer.list(Kind::Grants)
            });
            let line = out.lines().nth(1).unwrap();
            assert!(line.ends_with(state), "{out}");
            assert!(line.contains("2025-11-30T00:00:00Z"), "{out}");
        }
    }

    #[test]
    fn programs_get_a_line_of_json_for_each() {
        let all = vec![client("c1", Some("one\ntwo")), client("c2", None)];
        let answers = vec![
            clients(all[..1].to_vec(), Some("c1")),
            clients(all[1..].to_vec(), None),
        ];
        let (out, ..) = printed(answers, true, |printer| printer.list(Kind::Clients));
        let found: Vec<ClientLine> = out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(found, all);
        let revoked = vec![Answer::Revoked { grants: 2 }];
        let (out, ..) = printed(revoked, true, |printer| printer.revoke(Kind::Clients, "c1"));
        assert_eq!(out, "{\"revoked\":{\"grants\":2}}\n");
    }

    #[test]
    fn what_a_client_says_of_itself_does_not_reach_the_terminal_raw() {
        let name = "\u{1b}[2J\rfake\u{202e}\nline";
        let answers = vec![clients(vec![client("c1", Some(name))], None)];
        let (out, ..) = printed(answers, false, |printer| printer.list(Kind::Clients));
        assert_eq!(out.lines().count(), 2, "{out}");
        assert!(out.contains("\\u{1b}[2J\\rfake\\u{202e}\\nline"), "{out}");
    }

    #[test]
    fn a_revocation_says_what_came_of_it() {
        let cases = [
            (
                Answer::Revoked { grants: 1 },
                "revoked: 1 grant ended\n",
                "",
                OK,
            ),
            (
                Answer::Revoked { grants: 0 },
                "revoked: 0 grants ended\n",
                "",
                OK,
            ),
            (
                Answer::Unknown,
                "",
                "mcp-gateway: there is none with this id\n",
                CANNOT_RUN,
            ),
            (
                Answer::Failed("no".to_owned()),
                "",
                "mcp-gateway: no\n",
                CANNOT_RUN,
            ),
        ];
        for (answer, out, errors, code) in cases {
            let expected = (out.to_owned(), errors.to_owned(), code);
            let found = printed(vec![answer], false, |printer| {
                printer.revoke(Kind::Grants, "g1")
            });
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_configuration_without_the_section_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("g.yaml");
        fs::write(
            &file,
            "public_url: https://mcp.example.com\n\
             listen: [{ address: '0.0.0.0:8080', plain_http: true }]\n\
             issuers: { corporate: { issuer: 'https://login.example.com/' } }\n\
             resources:\n  - path: /mcp\n    upstream: http://127.0.0.1:9000/mcp\n    \
             issuers: [corporate]\n    policy: { default: allow }\n",
        )
        .unwrap();
        for words in [["clients", "list"], ["grants", "list"]] {
            let line = ["oauth", words[0], words[1], "--config"];
            let line = line.iter().map(|word| (*word).to_owned());
            let line = Line::try_parse_from(line.chain([file.display().to_string()])).unwrap();
            let (mut out, mut errors) = (Vec::new(), Vec::new());
            let code = line.subject.execute(&mut out, &mut errors).unwrap();
            let errors = String::from_utf8(errors).unwrap();
            assert!(errors.contains("has no authorization server"), "{errors}");
            assert_eq!((code, out.len()), (WRONG, 0));
        }
    }
}

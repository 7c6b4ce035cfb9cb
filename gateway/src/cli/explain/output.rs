//! Prints an explained call for a terminal: one fact per line, with a label in front.

use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, Write},
};

use mcp_gateway_core::{
    mcp::{envelope::has_control, operation::Operation},
    policy::{
        Answer, Argument, DecisionSource, DefaultDecision, Identity, Methods, Pattern, Reading,
        Rule, Unmet, Value,
        explain::{Explanation, Said, Step, Touched},
    },
    refusal::{Refusal, challenge::Challenger, found::escaped, reason::Reason},
    scope::ScopeSet,
    token::{evidence::binding::Binding, unproven::Unproven},
};

use super::vouching::Vouching;
use crate::config::{Resource, methods};

/// An explanation, and the call that it explains.
pub(super) struct ExplainedCall<'a> {
    pub(super) resource: &'a Resource,
    pub(super) vouching: Vouching<'a>,
    pub(super) unproven: &'a Unproven,
    pub(super) operation: &'a Operation<'a>,
    pub(super) explanation: &'a Explanation<'a>,
    pub(super) challenger: &'a Challenger,
    /// What was found in the token or the claims that are refused for a reason.
    pub(super) found: &'a dyn Fn(Reason) -> Option<String>,
}

/// Writes why a token is refused.
///
/// # Errors
/// `out` cannot be written.
pub(super) fn write_refused_token(
    resource: &Resource,
    reason: Reason,
    found: Option<String>,
    out: &mut dyn Write,
) -> io::Result<()> {
    write_line(out, "resource", &resource.uri)?;
    write_line(out, "outcome", refusal_text(&reason.into()))?;
    write_found(found, out)?;
    write_cure(reason, out)
}

fn write_found(found: Option<String>, out: &mut dyn Write) -> io::Result<()> {
    found.map_or(Ok(()), |found| write_line(out, "found", found))
}

/// How to fix it, as in `docs/why.md`.
fn write_cure(reason: Reason, out: &mut dyn Write) -> io::Result<()> {
    write_line(out, "cure", reason.causes().cure)
}

impl ExplainedCall<'_> {
    /// Writes everything.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write_caller(out)?;
        self.write_call(out)?;
        writeln!(out)?;
        if self.explanation.touched.is_empty() {
            write_line(
                out,
                "rules",
                "not checked: this method needs only the required scopes",
            )?;
        }
        for touched in &self.explanation.touched {
            if self.explanation.touched.len() > 1 {
                write_line(out, "target", target_text(touched))?;
            }
            self.write_rules(touched, out)?;
        }
        writeln!(out)?;
        self.write_outcome(out)
    }

    fn write_caller(&self, out: &mut dyn Write) -> io::Result<()> {
        let principal = &self.unproven.principal;
        write_line(out, "resource", &self.resource.uri)?;
        write_line(
            out,
            "issuer",
            format_args!("{} = {}", self.vouching.name(), principal.issuer),
        )?;
        write_line(out, "subject", visible(&principal.subject))?;
        write_line(
            out,
            "client",
            principal
                .client
                .as_deref()
                .map_or_else(|| "none".into(), visible),
        )?;
        write_line(out, "scopes", scopes(&principal.scopes))?;
        let point = self.resource.decision_point.as_ref();
        let point = point.map_or_else(String::new, |name| format!(", the decision point {name}"));
        write_line(
            out,
            "offline",
            format_args!(
                "not checked: {}{}rate_limits, tasks, protocol_versions{point}",
                self.vouching.not_checked(),
                self.not_proved()
            ),
        )
    }

    /// What the sender of each request proves.
    fn not_proved(&self) -> &'static str {
        match self.unproven.binding {
            Some(Binding::Key(_)) => "the proof of its key (DPoP), ",
            Some(Binding::Certificate(_)) => "the certificate of its client, ",
            None => "",
        }
    }

    fn write_call(&self, out: &mut dyn Write) -> io::Result<()> {
        let operation = self.operation;
        let method = operation.method.unwrap_or_default();
        write_line(out, "call", call_text(method, operation.name))?;
        if methods::kind(method).is_none() {
            write_line(
                out,
                "note",
                "unknown MCP method: only rules for \"*\" and the default apply to it",
            )?;
        }
        if let Some(arguments) = operation.arguments {
            let text = String::from_utf8_lossy(arguments);
            write_line(out, "arguments", visible(&text))?;
        }
        Ok(())
    }

    fn write_rules(&self, touched: &Touched<'_>, out: &mut dyn Write) -> io::Result<()> {
        for step in &touched.steps {
            let about = format!("rules[{}]", step.at);
            write_line(out, &about, self.step_text(step))?;
        }
        if let Some(fault) = touched.uri_fault {
            let text = format!("not checked: programs could resolve this URI differently: {fault}");
            return write_line(out, "rules", text);
        }
        match &touched.decision {
            _ if touched.by == DecisionSource::Default => match self.resource.policy.default {
                DefaultDecision::Allow => write_line(out, "default", "decides: allow"),
                DefaultDecision::Deny => write_line(out, "default", "decides: deny"),
            },
            _ => Ok(()),
        }
    }

    fn step_text(&self, step: &Step<'_>) -> String {
        let rule = step.rule;
        match &step.said {
            Said::OtherMethod => format!("skipped: applies to {}", for_methods(&rule.methods)),
            Said::OtherName => format!("skipped: applies to {}", names(&rule.names)),
            Said::OtherArguments(asked) => {
                format!("skipped: applies to calls with {}", arguments(asked))
            }
            Said::Answers(Answer::PassedOver(unmet)) => {
                format!("skipped: denies only {}", self.unmet_text(rule, *unmet))
            }
            Said::Answers(Answer::Allows) if rule.scopes.is_empty() => "decides: allows".into(),
            Said::Answers(Answer::Allows) => {
                format!("decides: allows, requires {}", scopes(&rule.scopes))
            }
            Said::Answers(Answer::Denies(text)) => format!("decides: denies, \"{text}\""),
            Said::Answers(Answer::Refuses(unmet)) => {
                format!(
                    "decides: denies, because it allows only {}",
                    self.unmet_text(rule, *unmet)
                )
            }
            Said::Answers(Answer::Unreadable(fault)) => format!("decides: denies, {fault}"),
            Said::Answers(Answer::Fails(fault)) => {
                format!("decides: denies, {fault}: {}", condition(rule))
            }
        }
    }

    /// The part of a rule that the call does not meet.
    fn unmet_text(&self, rule: &Rule, unmet: Unmet) -> String {
        match unmet {
            Unmet::Arguments => arguments(&rule.arguments.iter().collect::<Vec<_>>()),
            Unmet::Principal => format!(
                "the principals {}",
                self.identities(&rule.callers.principals)
            ),
            Unmet::Client => format!("the clients {}", self.identities(&rule.callers.clients)),
            Unmet::Condition => format!("when this is true: {}", condition(rule)),
        }
    }

    /// The ids, with their issuer where it is not the issuer of the caller.
    fn identities(&self, identities: &[Identity]) -> String {
        let one = |identity: &Identity| match identity.issuer == self.unproven.principal.issuer {
            true => visible(&identity.id).into_owned(),
            false => format!("{} of {}", visible(&identity.id), identity.issuer),
        };
        identities.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn write_outcome(&self, out: &mut dyn Write) -> io::Result<()> {
        let Explanation {
            takes,
            missing,
            decision,
            ..
        } = self.explanation;
        if let Some(takes) = takes {
            write_line(out, "requires", scopes(takes))?;
            let prefixes = &self.resource.scope_prefixes;
            if !prefixes.is_empty() && !takes.is_empty() {
                write_line(out, "published", prefixes.all_with_prefix(takes))?;
            }
        }
        for scope in missing.iter() {
            let broader = self.resource.policy.implies.broader(scope);
            match broader.len() {
                0 => write_line(out, "missing", scope)?,
                1 => write_line(
                    out,
                    "missing",
                    format_args!("{scope} ({broader} implies it)"),
                )?,
                _ => write_line(
                    out,
                    "missing",
                    format_args!("{scope} (any of {broader} implies it)"),
                )?,
            }
        }
        let of_policy = match decision {
            Ok(()) => "allowed".to_owned(),
            Err(refusal) => refusal_text(refusal),
        };
        let Some((first, others)) = self.unproven.refusals.split_first() else {
            write_line(out, "outcome", of_policy)?;
            return match decision {
                Ok(()) => Ok(()),
                Err(refusal) => {
                    write_cure(refusal.reason, out)?;
                    self.write_challenge(refusal, out)
                }
            };
        };
        write_line(out, "policy", of_policy)?;
        let refusal = Refusal::from(*first);
        write_line(out, "outcome", refusal_text(&refusal))?;
        write_found((self.found)(*first), out)?;
        write_cure(*first, out)?;
        for other in others {
            write_line(out, "also", refusal_text(&(*other).into()))?;
            write_found((self.found)(*other), out)?;
            write_cure(*other, out)?;
        }
        self.write_challenge(&refusal, out)
    }

    /// Writes the scopes that the challenge names for the client.
    fn write_challenge(&self, refusal: &Refusal, out: &mut dyn Write) -> io::Result<()> {
        let headers = self.challenger.headers(refusal, None);
        let header = headers.first().and_then(|header| header.to_str().ok());
        let scope = header.and_then(|header| header.split_once("scope=\""));
        match scope.and_then(|(_, rest)| rest.split_once('"')) {
            Some((scope, _)) => write_line(out, "challenge", format_args!("scope=\"{scope}\"")),
            None => Ok(()),
        }
    }
}

fn call_text(method: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{} {}", visible(method), visible(name)),
        None => visible(method).into_owned(),
    }
}

/// One thing that a call touches, with the reader that sees its name so.
fn target_text(touched: &Touched<'_>) -> String {
    let text = call_text(&touched.method, touched.name.as_deref());
    match touched.reading {
        Reading::Sent => text,
        Reading::Parsed => format!("{text} (as a URL parser writes it)"),
        Reading::Decoded => format!("{text} (as a server reads it that decodes it)"),
        Reading::Trimmed => format!("{text} (without whitespace at its ends)"),
    }
}

fn write_line(out: &mut dyn Write, about: &str, value: impl Display) -> io::Result<()> {
    writeln!(out, "{about:<9} {value}")
}

/// `403 policy_denied: the text for the client`
fn refusal_text(refusal: &Refusal) -> String {
    let row = refusal.reason.row();
    let words = refusal.text.as_deref().unwrap_or(row.description);
    format!("refused with {} {}: {words}", row.status, row.label)
}

fn condition(rule: &Rule) -> Cow<'_, str> {
    let source = rule.condition.as_ref().map(|condition| condition.source());
    visible(source.unwrap_or_default())
}

fn for_methods(methods: &Methods) -> String {
    match methods {
        Methods::Any => "every method".to_owned(),
        Methods::Of(methods) => methods.join(", "),
    }
}

fn names(names: &[Pattern]) -> String {
    let names: Vec<_> = names.iter().map(Pattern::as_str).collect();
    names.join(", ")
}

fn arguments(asked: &[&Argument]) -> String {
    let value = |value: &Value| match value {
        Value::Text(pattern) => format!("\"{}\"", pattern.as_str()),
        Value::Number(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
    };
    let one = |argument: &&Argument| {
        let values: Vec<_> = argument.values.iter().map(value).collect();
        format!("{} {}", argument.name, values.join(" or "))
    };
    asked.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn scopes(scopes: &ScopeSet) -> String {
    match scopes.is_empty() {
        true => "none".to_owned(),
        false => scopes.to_string(),
    }
}

/// Text with control characters escaped, because a terminal could run them as commands, or show what follows in another order.
fn visible(text: &str) -> Cow<'_, str> {
    match has_control(text) {
        true => escaped(text).to_string().into(),
        false => text.into(),
    }
}

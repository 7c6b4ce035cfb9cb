//! An explained call, as an operator reads it at a terminal: one thing a line, what it is about in front.

use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, Write},
};

use mcp_gateway_core::{
    mcp::operation::Operation,
    policy::{
        Answer, Argument, By, DefaultDecision, Identity, Methods, Pattern, Rule, Unmet, Value,
        explain::{Explanation, Said, Step, Touched},
    },
    refusal::{Refusal, challenge::Challenger, reason::Reason},
    scope::ScopeSet,
    token::unproven::Unproven,
};

use crate::config::{Issuer, Resource, methods};

/// What is told, and what it is told of.
pub(super) struct Shown<'a> {
    pub(super) resource: &'a Resource,
    pub(super) issuer: &'a Issuer,
    pub(super) unproven: &'a Unproven,
    pub(super) operation: &'a Operation<'a>,
    pub(super) explanation: &'a Explanation<'a>,
    pub(super) challenger: &'a Challenger,
}

/// A token that names no caller.
///
/// # Errors
/// `out` takes nothing.
pub(super) fn nobody(resource: &Resource, reason: Reason, out: &mut dyn Write) -> io::Result<()> {
    line(out, "resource", &resource.uri)?;
    line(out, "outcome", refused(&reason.into()))
}

impl Shown<'_> {
    /// Writes everything.
    ///
    /// # Errors
    /// `out` takes nothing.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.caller(out)?;
        self.call(out)?;
        writeln!(out)?;
        if self.explanation.touched.is_empty() {
            line(
                out,
                "rules",
                "none is asked: the required scopes suffice for this method",
            )?;
        }
        for touched in &self.explanation.touched {
            if self.explanation.touched.len() > 1 {
                line(
                    out,
                    "touched",
                    what(&touched.method, touched.name.as_deref()),
                )?;
            }
            self.rules(touched, out)?;
        }
        writeln!(out)?;
        self.outcome(out)
    }

    fn caller(&self, out: &mut dyn Write) -> io::Result<()> {
        let principal = &self.unproven.principal;
        line(out, "resource", &self.resource.uri)?;
        line(
            out,
            "issuer",
            format_args!("{} = {}", self.issuer.name, self.issuer.issuer),
        )?;
        line(out, "subject", visible(&principal.subject))?;
        line(
            out,
            "client",
            principal
                .client
                .as_deref()
                .map_or_else(|| "none".into(), visible),
        )?;
        line(out, "scopes", scopes(&principal.scopes))?;
        line(
            out,
            "offline",
            "neither the token's signature nor rate_limits, tasks and protocol_versions are checked",
        )
    }

    fn call(&self, out: &mut dyn Write) -> io::Result<()> {
        let operation = self.operation;
        let method = operation.method.unwrap_or_default();
        line(out, "call", what(method, operation.name))?;
        if methods::kind(method).is_none() {
            line(
                out,
                "note",
                "this is no MCP method: only rules for \"*\" and the default speak of it",
            )?;
        }
        if let Some(arguments) = operation.arguments {
            let text = String::from_utf8_lossy(arguments);
            line(out, "arguments", visible(&text))?;
        }
        Ok(())
    }

    fn rules(&self, touched: &Touched<'_>, out: &mut dyn Write) -> io::Result<()> {
        for step in &touched.steps {
            let about = format!("rules[{}]", step.at);
            line(out, &about, self.said(step))?;
        }
        match &touched.decision {
            Err(refusal) if refusal.reason == Reason::AmbiguousUri => line(
                out,
                "rules",
                "none is asked: two readers could resolve the URI differently",
            ),
            _ if touched.by == By::Default => match self.resource.policy.default {
                DefaultDecision::Allow => line(out, "default", "decides: allow"),
                DefaultDecision::Deny => line(out, "default", "decides: deny"),
            },
            _ => Ok(()),
        }
    }

    fn said(&self, step: &Step<'_>) -> String {
        let rule = step.rule;
        match &step.said {
            Said::OtherMethod => format!("passed over: it is for {}", for_methods(&rule.methods)),
            Said::OtherName => format!("passed over: it is for {}", names(&rule.names)),
            Said::OtherArguments(asked) => {
                format!("passed over: it asks for {}", arguments(asked))
            }
            Said::Answers(Answer::PassedOver(unmet)) => {
                format!("passed over: it denies {}", self.asks(rule, *unmet))
            }
            Said::Answers(Answer::Allows) if rule.scopes.is_empty() => "decides: allows".into(),
            Said::Answers(Answer::Allows) => format!("decides: takes {}", scopes(&rule.scopes)),
            Said::Answers(Answer::Denies(text)) => format!("decides: denies, \"{text}\""),
            Said::Answers(Answer::Refuses(unmet)) => {
                format!("decides: refuses, it allows {}", self.asks(rule, *unmet))
            }
            Said::Answers(Answer::Unreadable(reason)) => {
                format!("decides: refuses the arguments, {}", reason.label())
            }
            Said::Answers(Answer::Fails(fault)) => {
                format!("decides: refuses, {fault}: {}", condition(rule))
            }
        }
    }

    /// What of a rule is not met: whom or when it is for.
    fn asks(&self, rule: &Rule, unmet: Unmet) -> String {
        match unmet {
            Unmet::Arguments => arguments(&rule.arguments.iter().collect::<Vec<_>>()),
            Unmet::Principal => format!(
                "the principals {}",
                self.identities(&rule.callers.principals)
            ),
            Unmet::Client => format!("the clients {}", self.identities(&rule.callers.clients)),
            Unmet::Condition => format!("where this holds: {}", condition(rule)),
        }
    }

    /// The issuer is told where it is another than the caller's.
    fn identities(&self, identities: &[Identity]) -> String {
        let one = |identity: &Identity| match *identity.issuer == *self.issuer.issuer {
            true => visible(&identity.id).into_owned(),
            false => format!("{} of {}", visible(&identity.id), identity.issuer),
        };
        identities.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn outcome(&self, out: &mut dyn Write) -> io::Result<()> {
        let Explanation {
            takes,
            missing,
            decision,
            ..
        } = self.explanation;
        if let Some(takes) = takes {
            line(out, "takes", scopes(takes))?;
        }
        for scope in missing.iter() {
            let broader = self.resource.policy.implies.broader(scope);
            match broader.len() {
                0 => line(out, "missing", scope)?,
                1 => line(
                    out,
                    "missing",
                    format_args!("{scope} ({broader} implies it)"),
                )?,
                _ => line(
                    out,
                    "missing",
                    format_args!("{scope} (each of {broader} implies it)"),
                )?,
            }
        }
        let of_policy = match decision {
            Ok(()) => "allowed".to_owned(),
            Err(refusal) => refused(refusal),
        };
        let Some((first, others)) = self.unproven.refusals.split_first() else {
            line(out, "outcome", of_policy)?;
            return match decision {
                Ok(()) => Ok(()),
                Err(refusal) => self.challenge(refusal, out),
            };
        };
        line(out, "policy", of_policy)?;
        let refusal = Refusal::from(*first);
        line(out, "outcome", refused(&refusal))?;
        for other in others {
            line(out, "also", refused(&(*other).into()))?;
        }
        self.challenge(&refusal, out)
    }

    /// What the client is told to ask for.
    fn challenge(&self, refusal: &Refusal, out: &mut dyn Write) -> io::Result<()> {
        let header = self.challenger.header(refusal);
        let header = header.as_ref().and_then(|header| header.to_str().ok());
        let scope = header.and_then(|header| header.split_once("scope=\""));
        match scope.and_then(|(_, rest)| rest.split_once('"')) {
            Some((scope, _)) => line(out, "challenge", format_args!("scope=\"{scope}\"")),
            None => Ok(()),
        }
    }
}

fn what(method: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{} {}", visible(method), visible(name)),
        None => visible(method).into_owned(),
    }
}

fn line(out: &mut dyn Write, about: &str, told: impl Display) -> io::Result<()> {
    writeln!(out, "{about:<9} {told}")
}

/// `403 policy_denied: the words the client reads`
fn refused(refusal: &Refusal) -> String {
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

/// What a terminal could take for a command is escaped.
fn visible(text: &str) -> Cow<'_, str> {
    match text.chars().any(char::is_control) {
        true => text.escape_debug().to_string().into(),
        false => text.into(),
    }
}

//! Prints a judged token: a line for each check, or JSON.

use std::{
    fmt::Display,
    io::{self, Write},
};

use mcp_gateway_core::{
    principal::Principal,
    refusal::{found::escaped, reason::Reason},
    why::checks::check::{Check, Decision},
};
use serde_json::{Value, json};

use super::judged::{Judged, is_outage};

/// Writes all of them.
///
/// # Errors
/// `out` cannot be written.
pub(super) fn write(judged: &[Judged<'_>], is_json: bool, out: &mut dyn Write) -> io::Result<()> {
    for (index, one) in judged.iter().enumerate() {
        match (is_json, index) {
            (true, _) => writeln!(out, "{}", to_json(one))?,
            (false, 0) => write_text(one, out)?,
            (false, _) => {
                writeln!(out)?;
                write_text(one, out)?;
            }
        }
    }
    Ok(())
}

fn write_text(judged: &Judged<'_>, out: &mut dyn Write) -> io::Result<()> {
    line(out, "resource", &judged.resource.uri)?;
    line(out, "token", judged.kind)?;
    writeln!(out)?;
    let names = judged.checks.iter().map(|check| check.name.len());
    let width = names.max().unwrap_or_default().max(10);
    for check in &judged.checks {
        writeln!(
            out,
            "{:<width$} {:<11} {}; expected: {}",
            check.name,
            shown(check.decision),
            escaped(&check.found),
            escaped(&check.expected)
        )?;
    }
    writeln!(out)?;
    match &judged.outcome {
        Ok(principal) => write_caller(principal, out),
        Err(reason) => write_refusal(judged, *reason, out),
    }
}

fn write_caller(principal: &Principal, out: &mut dyn Write) -> io::Result<()> {
    line(out, "outcome", "accepted")?;
    line(out, "issuer", escaped(&principal.issuer))?;
    line(out, "subject", escaped(&principal.subject))?;
    line(
        out,
        "client",
        escaped(principal.client.as_deref().unwrap_or("none")),
    )?;
    let scopes = principal.scopes.to_string();
    line(
        out,
        "scopes",
        if scopes.is_empty() { "none" } else { &scopes },
    )?;
    line(
        out,
        "calls",
        "not checked: check --explain shows what the policy allows",
    )
}

fn write_refusal(judged: &Judged<'_>, reason: Reason, out: &mut dyn Write) -> io::Result<()> {
    let row = reason.row();
    let outcome = if is_outage(&reason) {
        "nobody can say"
    } else {
        "refused"
    };
    line(
        out,
        "outcome",
        format_args!(
            "{outcome}: {} {}: {}",
            row.status, row.label, row.description
        ),
    )?;
    if let Some(error) = &judged.keys_error {
        line(out, "keys", escaped(error))?;
    }
    line(out, "cure", reason.causes().cure)
}

fn line(out: &mut dyn Write, about: &str, value: impl Display) -> io::Result<()> {
    writeln!(out, "{about:<10} {value}")
}

/// The same for people: where something else does not work, the token is not refused.
fn shown(decision: Decision) -> &'static str {
    match decision {
        Decision::Refused(reason) if is_outage(&reason) => "not known",
        other => word(other),
    }
}

const fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Passed => "passed",
        Decision::Refused(_) => "refused",
        Decision::NotReached => "not reached",
    }
}

fn to_json(judged: &Judged<'_>) -> Value {
    let reason = judged.outcome.as_ref().err();
    let outcome = match reason {
        None => "accepted",
        Some(reason) if is_outage(reason) => "unknown",
        Some(_) => "refused",
    };
    json!({
        "resource": judged.resource.uri,
        "kind": judged.kind,
        "outcome": outcome,
        "status": reason.map(|reason| reason.status()),
        "reason": reason.map(|reason| reason.label()),
        "keys_error": judged.keys_error,
        "principal": judged.outcome.as_ref().ok().map(|principal| principal_json(principal)),
        "checks": judged.checks.iter().map(check_json).collect::<Vec<_>>(),
    })
}

fn principal_json(principal: &Principal) -> Value {
    json!({
        "issuer": &*principal.issuer,
        "subject": &*principal.subject,
        "client": principal.client.as_deref(),
        "scopes": principal.scopes.iter().collect::<Vec<_>>(),
    })
}

fn check_json(check: &Check) -> Value {
    json!({
        "name": check.name,
        "decision": word(check.decision).replace(' ', "_"),
        "reason": check.refusal().map(Reason::label),
        "expected": check.expected,
        "found": check.found,
    })
}

//! Conditions: any text is refused or compiled, and a compiled condition, evaluated with any input, holds, does not hold or
//! fails. It never panics, and a failure never allows a call.

use std::time::{Duration, Instant};

use mcp_gateway_core::{
    cel::{Condition, ConditionFault, Facts, RequestFacts, kept_claims::KeptClaims},
    json::{self, JsonLimits},
    principal::Principal,
    scope::ScopeSet,
    time::UnixTime,
};

use crate::oracle::Members;

/// Far above the time any condition needs, so that a busy machine does not fail the test.
const LONG: Duration = Duration::from_secs(5);

/// The value of a claim, which must not appear in the text of a failure.
const SECRET: &str = "dont-say-this";

/// Lines: the condition's source, the claims, the arguments. In the source, ¶ means an end of line.
pub fn condition(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else {
        return;
    };
    let mut lines = input.splitn(3, '\n');
    let source = lines.next().unwrap_or_default().replace('¶', "\n");
    let (claims, arguments) = (lines.next().unwrap_or("{}"), lines.next());
    let began = Instant::now();
    match Condition::compile(&source) {
        Ok(condition) => evaluated(&condition, claims, arguments),
        Err(error) => {
            assert!(error.line > 0 && error.column > 0, "{error}");
            assert!(error.line <= source.split('\n').count(), "{error}");
            assert!(!error.problem.is_empty() && !error.fix.is_empty());
        }
    }
    assert!(began.elapsed() < LONG, "{source}");
}

fn evaluated(condition: &Condition, claims: &str, arguments: Option<&str>) {
    let again = Condition::compile(condition.source());
    assert_eq!(again.as_ref(), Ok(condition));
    let is_object = |text: &&str| {
        json::check(text.as_bytes(), &JsonLimits::default()).is_ok() && Members::of(text).is_some()
    };
    let claims = Some(claims).filter(is_object).unwrap_or("{}");
    let object = json::object(claims.as_bytes()).expect("an object");
    let kept = KeptClaims::of(&object, condition.claims_read());
    let arguments =
        arguments.filter(|text| json::check(text.as_bytes(), &JsonLimits::default()).is_ok());
    let evaluate = |arguments: Option<&str>, claims: &KeptClaims| {
        let facts = Facts {
            principal: &Principal {
                issuer: "https://issuer.example".into(),
                subject: "alice".into(),
                client: Some("agent".into()),
                scopes: ScopeSet::default(),
            },
            claims,
            method: "tools/call",
            name: Some("report_daily"),
            arguments: arguments.map(str::as_bytes),
            version: Some("2025-11-25"),
            request: RequestFacts {
                http_method: "POST",
                path: "/mcp",
                host: "mcp.example.com",
                client_address: Some([192, 0, 2, 7].into()),
                now: UnixTime::new(1_800_000_000),
            },
        };
        condition.judge(&facts)
    };
    let first = evaluate(arguments, &kept);
    assert_ne!(first, Err(ConditionFault::Panic), "{condition:?}");
    assert_eq!(
        evaluate(arguments, &kept),
        first,
        "the same facts, evaluated again"
    );
    // Inputs that it does not read do not change the result.
    if !condition.reads_arguments() {
        assert_eq!(evaluate(None, &kept), first, "{condition:?}");
        assert_eq!(condition.argument_names().count(), 0);
    }
    if condition.claims_read().is_empty() {
        assert_eq!(evaluate(arguments, &KeptClaims::none()), first);
    }
    let said = format!("{first:?} {kept:?}");
    assert!(
        !said.contains(SECRET) || condition.source().contains(SECRET),
        "{said}"
    );
}

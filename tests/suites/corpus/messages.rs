//! Messages: a body and its headers, read as the gateway reads them. Where a case has the scopes of the caller, policy decides
//! too.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use libtest_mimic::{Failed, Trial};
use mcp_gateway_core::{
    cel::{RequestFacts, kept_claims::KeptClaims},
    http::{
        forwarding::copies::{self, Folded, Joined},
        media_type,
    },
    json::JsonLimits,
    mcp::{
        envelope::{Envelope, MessageKind},
        headers,
        operation::Operation,
        version::Era,
    },
    policy::{
        Argument, Caller, DefaultDecision, Hierarchy, Methods, Pattern, Policy, Rule, Rules, Value,
        decision_point::asker::Asker, hide::Hide,
    },
    principal::Principal,
    refusal::reason::Reason,
    scope::ScopeSet,
    time::UnixTime,
};
use serde::Deserialize;

use crate::{suite, text};

/// How many cases there must be.
const PROMISED: usize = 270;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Header lines, `Name: value`. `Content-Type: application/json` is there unless one of them is a content type.
    #[serde(default)]
    headers: Vec<String>,
    /// Without a content type.
    #[serde(default)]
    untyped: bool,
    body: String,
    /// `legacy` or `modern` where it is accepted, or the label of the reason.
    expect: String,
    /// `request`, `notification` or `response`.
    kind: Option<String>,
    method: Option<String>,
    /// What the method acts on, as policy sees it.
    acts_on: Option<String>,
    /// The id, as JSON; that of the error where the message is refused. `none` where there must be none.
    id: Option<String>,
    /// Scopes of the caller, for a policy: `mcp` for every call; the tool `run_sql` without, `drop_sql` with `DROP` in its argument
    /// `query`, `five` with 5 there; and also `write` for the tools `add` and `größe` and for
    /// `resources/read` of `file:///secret`; every other tool is denied.
    granted: Option<String>,
    #[serde(rename = "source")]
    _source: Option<String>,
}

pub(crate) fn trials() -> Vec<Trial> {
    suite::trials::<Case>("messages", PROMISED)
}

pub(crate) fn write_seeds(into: &Path) {
    suite::write_seeds::<Case>("messages", into);
}

impl suite::Case for Case {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self) -> Result<(), Failed> {
        let body = text::bytes(&self.body);
        let (outcome, id) = self.check(&body)?;
        let outcome = match outcome {
            Ok(Era::Legacy) => "legacy",
            Ok(Era::Modern) => "modern",
            Err(reason) => reason.label(),
        };
        suite::expect_equal("outcome", outcome, self.expect.as_str())?;
        let Some(expected) = &self.id else {
            return Ok(());
        };
        let id = id.unwrap_or_else(|| "none".to_owned());
        suite::expect_equal("id", id, text::text(expected))
    }

    fn seeds(&self) -> Vec<(&'static str, Vec<u8>)> {
        let body = text::bytes(&self.body);
        let name = self
            .headers
            .iter()
            .find_map(|line| line.strip_prefix("Mcp-Name: "));
        let mut seeds = vec![("envelope", body.clone()), ("json", body)];
        seeds.extend(name.map(|value| ("mcp_headers", text::bytes(value))));
        seeds
    }
}

impl Case {
    /// The outcome, and the id that the answer carries.
    fn check(&self, body: &[u8]) -> Result<(Result<Era, Reason>, Option<String>), Failed> {
        let mut headers = self.header_map();
        fold(&mut headers, copies::equal_lines);
        let is_json = agreeing(&mut headers, Reason::UnsupportedMediaType, |headers| {
            media_type::json_body(headers)
        });
        if let Err(reason) = is_json {
            return Ok((Err(reason), None));
        }
        match Envelope::read(body, &JsonLimits::default()) {
            Err(unreadable) => {
                let id = unreadable.id.map(|id| id.to_string());
                Ok((Err(unreadable.fault.reason), id))
            }
            Ok(envelope) => {
                let id = envelope.id().map(ToString::to_string);
                let era = agreeing(&mut headers, Reason::HeaderMismatch, |headers| {
                    headers::agree(&envelope, headers)
                });
                self.compare(&envelope)?;
                Ok((
                    era.and_then(|era| self.allowed(&envelope).map(|()| era)),
                    id,
                ))
            }
        }
    }

    fn header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for line in &self.headers {
            let line = text::bytes(line);
            let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
            let name = HeaderName::from_bytes(&line[..colon]).expect("a name");
            let value = line[colon + 1..].trim_ascii();
            map.append(name, HeaderValue::from_bytes(value).expect("a value"));
        }
        if !self.untyped && !map.contains_key("content-type") {
            map.insert("content-type", HeaderValue::from_static("application/json"));
        }
        map
    }

    fn compare(&self, envelope: &Envelope<'_>) -> Result<(), Failed> {
        let kind = match envelope.kind() {
            MessageKind::Request => "request",
            MessageKind::Notification => "notification",
            MessageKind::Response => "response",
        };
        if let Some(expected) = &self.kind {
            suite::expect_equal("kind", kind, expected.as_str())?;
        }
        if let Some(expected) = &self.method {
            suite::expect_equal("method", envelope.method(), Some(&*text::text(expected)))?;
        }
        if let Some(expected) = &self.acts_on {
            suite::expect_equal("acts_on", envelope.name(), Some(&*text::text(expected)))?;
        }
        Ok(())
    }

    fn allowed(&self, envelope: &Envelope<'_>) -> Result<(), Reason> {
        let Some(granted) = &self.granted else {
            return Ok(());
        };
        let principal = Principal {
            issuer: "https://issuer.example".into(),
            subject: "alice".into(),
            client: None,
            scopes: ScopeSet::parse(granted).expect("scopes"),
        };
        let operation = Operation {
            params_without_argument: &[],
            method: envelope.method(),
            name: envelope.name(),
            references: envelope.references(),
            arguments: envelope.arguments(),
            version: envelope.meta_version(),
        };
        let caller = Caller {
            principal: &Arc::new(principal),
            claims: &KeptClaims::none(),
            asker: &Asker::default(),
            request: RequestFacts {
                http_method: "POST",
                path: "/mcp",
                host: "mcp.example.com",
                client_address: None,
                now: UnixTime::new(0),
            },
        };
        let decided = POLICY.authorize(&caller, &operation);
        decided.decision.map(drop).map_err(|refusal| refusal.reason)
    }
}

/// Reads headers as the gateway does: where they do not agree as they were sent, their equal copies are one.
fn agreeing<T>(
    headers: &mut HeaderMap,
    refused: Reason,
    read: impl Fn(&HeaderMap) -> Result<T, Reason>,
) -> Result<T, Reason> {
    let mut outcome = read(headers);
    for joined in [Joined::Words, Joined::Texts] {
        if outcome.as_ref().is_err_and(|reason| *reason == refused) {
            fold(headers, |headers| copies::equal_values(headers, joined));
            outcome = read(headers);
        }
    }
    outcome
}

fn fold(headers: &mut HeaderMap, found: impl Fn(&HeaderMap) -> Vec<Folded>) {
    for (name, value) in found(headers) {
        headers.insert(name, value);
    }
}

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let scopes = |text| ScopeSet::parse(text).expect("scopes");
    let rule = |method: &str, names: &[&str]| Rule {
        methods: Methods::Of(vec![method.to_owned()]),
        names: names
            .iter()
            .map(|name| Pattern::parse(name).expect("a name"))
            .collect(),
        scopes: scopes("write"),
        ..Rule::default()
    };
    let asking = |name: &str, value: Value| Rule {
        arguments: vec![Argument {
            name: "query".into(),
            values: vec![value],
        }],
        scopes: ScopeSet::default(),
        ..rule("tools/call", &[name])
    };
    let drop = || Value::Text(Pattern::parse("**DROP**").expect("a pattern"));
    Policy {
        required: scopes("mcp"),
        supported: ScopeSet::default(),
        implies: Hierarchy::default(),
        default: DefaultDecision::Deny,
        rules: Rules::new(vec![
            rule("tools/call", &["add", "größe"]),
            rule("resources/read", &["file:///secret"]),
            Rule {
                deny: Some("No.".into()),
                ..asking("run_sql", drop())
            },
            Rule {
                scopes: ScopeSet::default(),
                ..rule("tools/call", &["run_sql"])
            },
            asking("drop_sql", drop()),
            asking("five", Value::Number(5)),
        ]),
        hide: Hide::Nothing,
        asked: None,
    }
});

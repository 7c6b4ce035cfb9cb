//! Answers of introspection endpoints, judged as the gateway judges them, and what the operator reads about them.

use std::collections::{BTreeMap, HashSet};
use std::sync::{LazyLock, Mutex};

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use libtest_mimic::{Failed, Trial};
use mcp_gateway_core::{
    time::UnixTime,
    token::{
        evidence::{Evidence, binding::Binding},
        introspection::{
            answer::{Answer, NotAccepted},
            endpoint::{Expected, Kind},
            judge::judge,
        },
        issuer_profile::IssuerProfile,
    },
    why::introspection,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use test_support::fixtures::{NOW, RESOURCE};
use test_support::with_members;

use crate::{suite, text};

/// How many cases there must be.
const PROMISED: usize = 150;

const ISSUER: &str = "https://issuer.example";

/// Our client id at the services that know no resources.
const OURS: &str = "ours";

/// What was said about an answer, with its kind: no two cases may say the same.
static SAID: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// Everything but the name and the expectation is optional: the default is a good answer of RFC 7662.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// `accepted`, `unusable`, or the label of the reason.
    expect: String,
    /// A part of what the operator reads; before it, `google: ` or `github: ` stands for the words that all of these answers have.
    says: Option<String>,
    #[serde(default)]
    kind: Protocol,
    status: Option<u16>,
    /// The content type; none if empty.
    #[serde(rename = "type")]
    content_type: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The body, as written.
    body: Option<String>,
    /// Members of a good answer that are different; null removes one.
    #[serde(default)]
    change: Map<String, Value>,
    subject: Option<String>,
    client: Option<String>,
    scopes: Option<String>,
    bound: Option<String>,
    #[serde(rename = "source")]
    _source: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    #[default]
    Rfc7662,
    Google,
    GitHub,
}

pub(crate) fn trials() -> Vec<Trial> {
    suite::trials::<Case>("introspection", PROMISED)
}

pub(crate) fn write_seeds(into: &std::path::Path) {
    suite::write_seeds::<Case>("introspection", into);
}

impl suite::Case for Case {
    fn name(&self) -> &str {
        &self.name
    }

    fn seeds(&self) -> Vec<(&'static str, Vec<u8>)> {
        vec![("introspection_answer", self.body())]
    }

    fn run(&self) -> Result<(), Failed> {
        let (headers, body) = (self.headers(), self.body());
        let answer = Answer {
            status: self.status.unwrap_or(200),
            headers: &headers,
            body: &body,
        };
        let profile = IssuerProfile::new(ISSUER);
        let (resource, client_ids) = ([RESOURCE.to_owned()], [OURS.to_owned()]);
        let expected = Expected {
            kind: self.kind.into(),
            profile: &profile,
            resource: &resource,
            client_ids: &client_ids,
        };
        let now = UnixTime::new(NOW);
        match judge(&answer, &expected, now) {
            Ok(evidence) => self.is_accepted(&evidence),
            Err(why) => {
                let outcome = match &why {
                    NotAccepted::Inactive => "token_inactive",
                    NotAccepted::Refused(reason) => reason.label(),
                    NotAccepted::Unusable(_) => "unusable",
                };
                suite::expect_equal("outcome", outcome, &*self.expect)?;
                let found = introspection::found(&answer, &why, ("corporate", &expected), now);
                self.is_said(&found)
            }
        }
    }
}

impl Case {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let content_type = self.content_type.as_deref().unwrap_or("application/json");
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        }
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.insert(name, HeaderValue::from_str(&text::text(value)).unwrap());
        }
        headers
    }

    fn body(&self) -> Vec<u8> {
        if let Some(body) = &self.body {
            return text::bytes(body);
        }
        let good = serde_json::json!({
            "active": true,
            "iss": ISSUER,
            "aud": RESOURCE,
            "sub": "alice",
            "client_id": "mcp",
            "scope": "mcp:read",
            "iat": NOW,
            "exp": NOW + 600,
        });
        let change = Value::Object(self.change.clone());
        text::bytes(&numbers(&with_members(good, change).to_string()))
    }

    fn is_accepted(&self, evidence: &Evidence) -> Result<(), Failed> {
        suite::expect_equal("outcome", "accepted", &*self.expect)?;
        let principal = &evidence.principal;
        if let Some(subject) = &self.subject {
            suite::expect_equal("subject", &*principal.subject, &**subject)?;
        }
        if let Some(client) = &self.client {
            suite::expect_equal("client", principal.client.as_deref(), Some(&**client))?;
        }
        if let Some(scopes) = &self.scopes {
            suite::expect_equal("scopes", principal.scopes.to_string(), scopes.clone())?;
        }
        let bound = evidence.binding.map(|binding| match binding {
            Binding::Key(_) => "key",
            Binding::Certificate(_) => "certificate",
        });
        suite::expect_equal("binding", bound, self.bound.as_deref())
    }

    fn is_said(&self, found: &str) -> Result<(), Failed> {
        let says = self.says.as_deref().ok_or("a refusal says something")?;
        if !SAID.lock().unwrap().insert(says.to_owned()) {
            return Err(format!("another case says the same: {says}").into());
        }
        let says = says.strip_prefix("google: ").unwrap_or(says);
        let says = says.strip_prefix("github: ").unwrap_or(says);
        let says = match says.starts_with("not active") {
            true => "says that the token is not active",
            false => says,
        };
        match found.contains(says) {
            true => Ok(()),
            false => Err(format!("{found:?} does not say {says:?}").into()),
        }
    }
}

/// Seconds of the corpus' own clock are numbers, even where YAML reads a text.
fn numbers(document: &str) -> String {
    let mut parts = document.split("\"⟨now");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |read, part| {
        format!("{read}⟨now{}", part.replacen("⟩\"", "⟩", 1))
    })
}

impl From<Protocol> for Kind {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Rfc7662 => Self::Rfc7662,
            Protocol::Google => Self::Google,
            Protocol::GitHub => Self::GitHub,
        }
    }
}

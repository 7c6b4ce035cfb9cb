//! The questions about one call, or about entries of lists, as a decision point reads them (Authorization API 1.0, *Access Evaluation
//! API*).
//!
//! Their text has one form, so the digest of a question is its key in a cache: two calls have the same key only if nothing that the
//! decision point learns differs. What touches several things, or has a name with several readings, is several questions.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use super::asked::Asked;
use super::values::write_members;
use super::written::Written;
use crate::cel::call_arguments::CallArguments;
use crate::cel::kept_claims::MemberNames;
use crate::mcp::listed::Listed;
use crate::mcp::method::McpMethod;
use crate::mcp::operation::Operation;
use crate::policy::caller::{Caller, RuleTarget};
use crate::policy::readings::TargetReadings;
use crate::policy::rule::arguments::{ArgumentCause, ArgumentFault};
use crate::policy::uri::{Reading, UriFault};
use crate::refusal::reason::Reason;

/// The key of a question in a cache: the SHA-256 of its text, which names the principal.
pub type QuestionKey = [u8; SHA256_OUTPUT_LEN];

/// What opens a list of questions, and what closes it.
const LIST: [&[u8]; 2] = [b",\"evaluations\":[", b"]}"];

/// Questions of one caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Questions {
    /// The text of each: who asks and the context, then what is to be done with what.
    texts: Vec<Vec<u8>>,
    /// How many bytes at the beginning of a text say who asks, and the context.
    shared: usize,
}

/// Questions about entries of lists, and the entry of each question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryQuestions {
    /// The questions.
    pub questions: Questions,
    /// For each question, the position of its entry.
    pub entries: Vec<usize>,
}

/// Why a decision point cannot be asked about a call, so that it is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionFault {
    /// Readers could read the URI differently.
    #[error("{0}")]
    Uri(UriFault),
    /// Readers could read the arguments differently.
    #[error("{0}")]
    Argument(ArgumentFault),
    /// An argument that is sent is too long, too deep, or a number that readers round differently.
    #[error("an argument for the decision point: {0}")]
    Value(String),
    /// A claim that is sent was too large to be kept, or is not a value that readers agree on.
    #[error(
        "a claim for the decision point is too large, or a number that readers round differently"
    )]
    Claim,
    /// The client's address is sent, and is unknown.
    #[error("the client's address, which the decision point receives, is unknown")]
    Address,
}

impl QuestionFault {
    /// The reason for the client.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Uri(_) => Reason::AmbiguousUri,
            Self::Argument(fault) => fault.reason(),
            Self::Value(_) | Self::Claim | Self::Address => Reason::QuestionUnreadable,
        }
    }
}

impl Questions {
    /// The questions about a call that touches this.
    ///
    /// # Errors
    /// [`QuestionFault`].
    pub(in crate::policy) fn about<'a>(
        asked: &Asked,
        caller: &Caller<'_>,
        operation: &Operation<'_>,
        touched: impl Iterator<Item = RuleTarget<'a>>,
    ) -> Result<Self, QuestionFault> {
        let shared = shared(asked, caller, Some(operation))?;
        let mut texts = Vec::with_capacity(1);
        for target in touched {
            push(&mut texts, &shared, asked, &target).map_err(QuestionFault::Uri)?;
        }
        let shared = shared.len();
        Ok(Self { texts, shared })
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The key of each, in order.
    pub fn keys(&self) -> impl Iterator<Item = QuestionKey> {
        self.texts.iter().map(|text| {
            let mut key = [0; SHA256_OUTPUT_LEN];
            key.copy_from_slice(digest(&SHA256, text).as_ref());
            key
        })
    }

    /// The text of the question at this position.
    pub fn one(&self, at: usize) -> Option<Vec<u8>> {
        self.texts.get(at).cloned()
    }

    /// The text of the questions at these positions, for one call.
    pub fn several(&self, at: &[usize]) -> Vec<u8> {
        let [open, close] = LIST;
        let chosen = at.iter().filter_map(|at| self.texts.get(*at));
        let mut split = chosen.filter_map(|text| text.split_at_checked(self.shared));
        let mut whole = Vec::new();
        for (shared, own) in split.by_ref().take(1) {
            whole.extend_from_slice(shared);
            whole.extend_from_slice(open);
            push_own(&mut whole, own);
        }
        for (_, own) in split {
            whole.push(b',');
            push_own(&mut whole, own);
        }
        whole.extend_from_slice(close);
        whole
    }
}

impl EntryQuestions {
    /// Whether this caller can use each of these entries. Nothing is known of the arguments of a later call. An entry with a name that
    /// readers could read differently has no question.
    ///
    /// # Errors
    /// [`QuestionFault`].
    pub(in crate::policy) fn about<'a>(
        asked: &Asked,
        caller: &Caller<'_>,
        listed: impl Iterator<Item = (Listed, &'a str)>,
    ) -> Result<Self, QuestionFault> {
        let shared = shared(asked, caller, None)?;
        let (mut texts, mut entries) = (Vec::new(), Vec::new());
        for (at, (listed, name)) in listed.enumerate() {
            let target = RuleTarget {
                method: listed.used_by().name(),
                name: Some(name),
                reading: Reading::Sent,
            };
            if push(&mut texts, &shared, asked, &target).is_ok() {
                entries.resize(texts.len(), at);
            }
        }
        let shared = shared.len();
        Ok(Self {
            questions: Questions { texts, shared },
            entries,
        })
    }
}

/// Adds what one question of a list says itself: its text after what all of them share, which begins with a comma.
fn push_own(whole: &mut Vec<u8>, own: &[u8]) {
    whole.push(b'{');
    whole.extend_from_slice(own.strip_prefix(b",").unwrap_or(own));
}

/// Adds the question about a target, one for each reading of its name.
fn push(
    texts: &mut Vec<Vec<u8>>,
    shared: &Written,
    asked: &Asked,
    target: &RuleTarget<'_>,
) -> Result<(), UriFault> {
    let readings = TargetReadings::all(target)?;
    let targets = readings.targets();
    texts.extend(targets.map(|target| about(shared.clone(), asked, &target)));
    Ok(())
}

/// The whole text: after what is shared, what is to be done with what.
fn about(mut written: Written, asked: &Asked, target: &RuleTarget<'_>) -> Vec<u8> {
    written.raw(",\"action\":{");
    written.member("name", target.method);
    written.raw("},\"resource\":{");
    written.member("type", kind(target));
    written.member("id", target.name.unwrap_or(&asked.server));
    written.name("properties");
    written.raw("{");
    written.member("server", &asked.server);
    written.raw("}}}");
    written.into_bytes()
}

/// What a target is.
fn kind(target: &RuleTarget<'_>) -> &'static str {
    let method = McpMethod::of(target.method);
    match target.name {
        None => "mcp_server",
        Some(_) if method.is_about_resources() => "resource",
        Some(_) if method.is_about_tasks() => "task",
        Some(_) if method.calls_a_tool() => "tool",
        Some(_) if method == McpMethod::GetPrompt => "prompt",
        Some(_) => "other",
    }
}

/// The beginning of a text: who asks, and the context.
fn shared(
    asked: &Asked,
    caller: &Caller<'_>,
    operation: Option<&Operation<'_>>,
) -> Result<Written, QuestionFault> {
    let mut written = Written::new();
    written.raw("{");
    subject(&mut written, asked, caller)?;
    written.raw(",\"context\":{");
    if let Some(operation) = operation {
        arguments(&mut written, asked, operation)?;
    }
    if asked.client_address {
        let address: Option<IpAddr> = caller.request.client_address;
        let address = address.ok_or(QuestionFault::Address)?;
        written.member("client_address", &address.to_string());
    }
    written.raw("}");
    Ok(written)
}

fn subject(written: &mut Written, asked: &Asked, caller: &Caller<'_>) -> Result<(), QuestionFault> {
    let principal = caller.principal;
    written.raw("\"subject\":{\"type\":\"user\"");
    written.member("id", &principal.subject);
    written.name("properties");
    written.raw("{");
    written.member("issuer", &principal.issuer);
    if let Some(client) = &principal.client {
        written.member("client_id", client);
    }
    written.name("scopes");
    written.raw("[");
    for scope in principal.scopes.iter() {
        written.comma();
        written.text(scope);
    }
    written.raw("]");
    if !asked.claims.is_empty() {
        claims(written, asked, caller)?;
    }
    written.raw("}}");
    Ok(())
}

fn claims(written: &mut Written, asked: &Asked, caller: &Caller<'_>) -> Result<(), QuestionFault> {
    if caller
        .claims
        .misses(&MemberNames::These(asked.claims.clone()))
    {
        return Err(QuestionFault::Claim);
    }
    let kept = caller.claims.map();
    write_members(written, "claims", kept, asked.claims.iter());
    Ok(())
}

/// Members that a lenient reader takes for one that is sent are refused: the MCP server might read them.
fn arguments(
    written: &mut Written,
    asked: &Asked,
    operation: &Operation<'_>,
) -> Result<(), QuestionFault> {
    let is_sent = |name: &str| {
        asked
            .arguments
            .iter()
            .any(|own| own.eq_ignore_ascii_case(name))
    };
    let mut mirrored = operation.params_without_argument.iter();
    if let Some(name) = mirrored.find(|name| is_sent(name)) {
        return Err(QuestionFault::Argument(ArgumentFault {
            name: Some(name.clone()),
            cause: ArgumentCause::HeaderOnly,
        }));
    }
    let Some(raw) = operation.arguments.filter(|_| !asked.arguments.is_empty()) else {
        return Ok(());
    };
    let sent = CallArguments::of_call(Some(raw), true);
    let known: Vec<&str> = asked.arguments.iter().map(String::as_str).collect();
    let alike = sent.refuse_look_alikes_within(&known);
    alike.map_err(|reason| QuestionFault::Argument(reason.into()))?;
    let values = sent.values(&MemberNames::These(asked.arguments.clone()), 1);
    let values = values.map_err(|error| QuestionFault::Value(error.to_string()))?;
    write_members(written, "arguments", &values, asked.arguments.iter());
    Ok(())
}

//! The questions about one call, or about entries of lists, as a decision point reads them (Authorization API 1.0, *Access Evaluation
//! API*).
//!
//! Their text has one form, so the digest of a question is its key in a cache: two calls have the same key only if nothing that the
//! decision point learns differs. The beginning says who asks, and is digested before ([`asker`](super::asker)): the key is the digest
//! of that digest, which has a fixed length, and of the rest. What touches several things, or has a name with several readings, is several questions.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use super::asked::Asked;
use super::asker::Beginning;
use super::values::write_members;
use super::written::Written;
use crate::cel::call_arguments::CallArguments;
use crate::mcp::listed::Listed;
use crate::mcp::method::McpMethod;
use crate::mcp::operation::Operation;
use crate::policy::caller::{Caller, RuleTarget};
use crate::policy::readings::TargetReadings;
use crate::policy::rule::arguments::{ArgumentCause, ArgumentFault};
use crate::policy::uri::{Reading, UriFault};
use crate::refusal::reason::Reason;

/// The key of a question in a cache: the SHA-256 of the SHA-256 of its beginning, which names the principal, and of the rest of its text.
pub type QuestionKey = [u8; SHA256_OUTPUT_LEN];

/// What opens a list of questions, and what closes it.
const LIST: [&[u8]; 2] = [b",\"evaluations\":[", b"]}"];

/// Questions of one caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Questions {
    /// Who asks: how the text of each begins.
    beginning: Arc<Beginning>,
    /// The digest of the beginning, and the rest of each text: claims and context, then what is to be done with what.
    rests: Vec<Vec<u8>>,
    /// How many bytes of each rest are the same: the digest, claims and context.
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
        let mut texts = Texts::of(asked, caller, Some(operation), 1)?;
        for target in touched {
            texts.push(asked, &target).map_err(QuestionFault::Uri)?;
        }
        Ok(texts.questions)
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.rests.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.rests.is_empty()
    }

    /// The key of each, in order.
    pub fn keys(&self) -> impl Iterator<Item = QuestionKey> {
        self.rests.iter().map(|rest| {
            let mut key = [0; SHA256_OUTPUT_LEN];
            key.copy_from_slice(digest(&SHA256, rest).as_ref());
            key
        })
    }

    /// The text of the question at this position.
    pub fn one(&self, at: usize) -> Option<Vec<u8>> {
        let rest = self.rests.get(at)?.get(SHA256_OUTPUT_LEN..)?;
        Some([self.beginning.text(), rest].concat())
    }

    /// The text of the questions at these positions, for one call.
    pub fn several(&self, at: &[usize]) -> Vec<u8> {
        let [open, close] = LIST;
        let chosen = at.iter().filter_map(|at| self.rests.get(*at));
        let mut split = chosen.filter_map(|rest| rest.split_at_checked(self.shared));
        let mut whole = self.beginning.text().to_vec();
        for (shared, own) in split.by_ref().take(1) {
            whole.extend(shared.iter().skip(SHA256_OUTPUT_LEN));
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
        let mut texts = Texts::of(asked, caller, None, listed.size_hint().0)?;
        let mut entries = Vec::new();
        for (at, (listed, name)) in listed.enumerate() {
            let target = RuleTarget {
                method: listed.used_by().name(),
                name: Some(name),
                reading: Reading::Sent,
            };
            if texts.push(asked, &target).is_ok() {
                entries.resize(texts.questions.len(), at);
            }
        }
        Ok(Self {
            questions: texts.questions,
            entries,
        })
    }
}

/// Adds what one question of a list says itself: its text after what all of them share, which begins with a comma.
fn push_own(whole: &mut Vec<u8>, own: &[u8]) {
    whole.push(b'{');
    whole.extend_from_slice(own.strip_prefix(b",").unwrap_or(own));
}

/// Questions that are being written.
struct Texts {
    /// What their rests begin with, until the first one has it: nearly always there is only one, which is not copied.
    shared: Option<Written>,
    questions: Questions,
}

impl Texts {
    /// About so many questions of this caller.
    fn of(
        asked: &Asked,
        caller: &Caller<'_>,
        operation: Option<&Operation<'_>>,
        count: usize,
    ) -> Result<Self, QuestionFault> {
        let beginning = caller.asker.beginning(caller.principal);
        let mut written = Written::after(beginning.digest());
        shared(&mut written, asked, caller, operation)?;
        Ok(Self {
            questions: Questions {
                beginning,
                rests: Vec::with_capacity(count),
                shared: written.len(),
            },
            shared: Some(written),
        })
    }

    /// Adds the question about a target, one for each reading of its name.
    fn push(&mut self, asked: &Asked, target: &RuleTarget<'_>) -> Result<(), UriFault> {
        let readings = TargetReadings::all(target)?;
        for target in readings.targets() {
            let shared = self.shared.take();
            let written = shared.unwrap_or_else(|| self.copied_shared());
            self.questions.rests.push(about(written, asked, &target));
        }
        Ok(())
    }

    fn copied_shared(&self) -> Written {
        let Questions { rests, shared, .. } = &self.questions;
        let first = rests.first().and_then(|first| first.get(..*shared));
        Written::after(first.unwrap_or_default())
    }
}

/// The whole rest: after what is shared, what is to be done with what.
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

/// What follows after the last scope of who asks, and is the same in every question of one call: claims and context.
fn shared(
    written: &mut Written,
    asked: &Asked,
    caller: &Caller<'_>,
    operation: Option<&Operation<'_>>,
) -> Result<(), QuestionFault> {
    written.raw("]");
    if !asked.claims.is_empty() {
        claims(written, asked, caller)?;
    }
    written.raw("}},\"context\":{");
    if let Some(operation) = operation {
        arguments(written, asked, operation)?;
    }
    if asked.client_address {
        let address: Option<IpAddr> = caller.request.client_address;
        let address = address.ok_or(QuestionFault::Address)?;
        written.member("client_address", &address.to_string());
    }
    written.raw("}");
    Ok(())
}

fn claims(written: &mut Written, asked: &Asked, caller: &Caller<'_>) -> Result<(), QuestionFault> {
    if caller.claims.misses_one_of(&asked.claims) {
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
    let values = sent.values_of(&asked.arguments, 1);
    let values = values.map_err(|error| QuestionFault::Value(error.to_string()))?;
    write_members(written, "arguments", &values, asked.arguments.iter());
    Ok(())
}

//! A rule's condition: one expression of CEL (the Common Expression Language) over the caller, the call and the request.
//!
//! | variable | what |
//! |---|---|
//! | `claims` | the token's claims, by name; one that is missing makes the condition fail unless `has()` asked for it |
//! | `client.id`, `client.address` | the token's client, the address the request comes from |
//! | `mcp.method`, `mcp.name`, `mcp.version` | the JSON-RPC method, the tool, prompt or resource, the protocol's version |
//! | `mcp.arguments` | the call's arguments, by name; without any, an empty map |
//! | `request.method`, `.path`, `.host`, `.time` | the HTTP request; the time is a timestamp in UTC |
//!
//! What is text and missing is empty text.
//!
//! **What is refused when it is compiled:** what is no CEL; names and functions that there are not; operations on facts
//! of known type that can never work or never be true (`request.path > 3`, `mcp.name == 3`); a constant that fails
//! (`timestamp("noon")`); a result that is known to be anything but true or false. **What is not:** whatever depends on the
//! type of a claim or an argument, for only a request tells it. There it counts as [`ConditionFault`] and denies.
//!
//! **How much it can cost.** A condition is at most [`Condition::MAX_BYTES`] long and has no loops, no regular expressions
//! and no functions of ours: its time is bounded by its length times the size of what it reads.

mod check;
mod environment;
mod error;
mod facts;
mod fault;
mod functions;
mod slots;
pub(super) mod value;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::common::types::CelBool;
use cel::parser::Expression;
use cel::{Context, Value};

use super::kept_claims::ClaimNames;
use check::Reads;
use environment::environment;
use error::Spot;
use facts::Variables;
pub use facts::{Facts, RequestFacts};
use slots::Slot;

/// A condition, compiled.
#[derive(Clone)]
pub struct Condition(Arc<Compiled>);

struct Compiled {
    source: String,
    expression: Expression,
    slots: Vec<Slot>,
    reads: Reads,
}

/// What is wrong with a condition's source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {problem}. {mend}")]
pub struct ConditionError {
    /// Line of the source, from 1.
    pub line: usize,
    /// Character of that line, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
    /// How to mend it, one sentence or two.
    pub mend: String,
}

/// Why a condition could not be judged, which denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionFault {
    /// It failed, and how, without the values.
    #[error("the condition failed: {0}")]
    Error(&'static str),
    /// It is neither true nor false.
    #[error("the condition is neither true nor false")]
    NotBoolean,
    /// Its evaluation panicked, which is a defect.
    #[error("the condition could not be evaluated")]
    Panic,
}

impl ConditionFault {
    /// The metric label.
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Error(_) => "error",
            Self::NotBoolean => "not_boolean",
            Self::Panic => "panic",
        }
    }
}

impl Condition {
    /// Bytes of a condition's source.
    pub const MAX_BYTES: usize = 1024;

    /// Reads and checks a condition.
    ///
    /// # Errors
    /// What is wrong with it, where, and how to mend it.
    pub fn compile(source: &str) -> Result<Self, ConditionError> {
        if source.len() > Self::MAX_BYTES {
            return Err(ConditionError::new(
                Spot::START,
                format!("is {} bytes long", source.len()),
                format!("At most {} are allowed.", Self::MAX_BYTES),
            ));
        }
        catch_unwind(|| Self::read(source)).unwrap_or_else(|_| {
            Err(ConditionError::new(
                Spot::START,
                "makes CEL's parser fail",
                "Say it in another way.",
            ))
        })
    }

    fn read(source: &str) -> Result<Self, ConditionError> {
        let program = environment().compile(source);
        let program = program.map_err(|errors| ConditionError::syntax(&errors))?;
        let reads = check::check(&program)?;
        let mut expression = program.expression().clone();
        let slots = slots::assign(&mut expression);
        Ok(Self(Arc::new(Compiled {
            source: source.to_owned(),
            expression,
            slots,
            reads,
        })))
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Whether it reads arguments of the call.
    pub fn reads_arguments(&self) -> bool {
        !self.0.reads.arguments.is_empty()
    }

    /// Whether it reads what the call is about: the tool, prompt or resource.
    pub fn reads_name(&self) -> bool {
        self.0.reads.name
    }

    /// Every name by which it reads arguments, or members of what is in them. Where it reads all arguments there may be
    /// none.
    pub fn argument_names(&self) -> impl Iterator<Item = &str> {
        self.0.reads.argument_names.iter().map(String::as_str)
    }

    /// The claims it reads.
    pub fn claims_read(&self) -> &ClaimNames {
        &self.0.reads.claims
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// It is not known whether it holds, which must deny.
    pub fn judge(&self, facts: &Facts<'_>) -> Result<bool, ConditionFault> {
        // The interpreter is a dependency, and what it evaluates comes from clients.
        catch_unwind(AssertUnwindSafe(|| self.evaluate(facts)))
            .unwrap_or(Err(ConditionFault::Panic))
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Result<bool, ConditionFault> {
        let variables = Variables::new(facts, &self.0.reads, &self.0.slots)?;
        let mut context = Context::with_env(environment());
        context.set_variable_resolver(&variables);
        let value = Value::resolve_val(&self.0.expression, &context);
        let value = value.map_err(|error| ConditionFault::Error(fault::words(&error)))?;
        let holds = value.downcast_ref::<CelBool>();
        holds
            .map(|holds| *holds.inner())
            .ok_or(ConditionFault::NotBoolean)
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

impl Eq for Condition {}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.0.source).finish()
    }
}

#[cfg(test)]
mod tests;

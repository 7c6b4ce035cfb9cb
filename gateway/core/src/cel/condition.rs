//! A condition: compiled and checked when the configuration is read, evaluated for each request.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::common::types::{CelBool, CelMap};
use cel::parser::Expression;
use cel::{Context, Value};

use super::call_arguments::CallArguments;
use super::check::{self, Reads};
use super::environment::environment;
use super::error::{ConditionError, Spot};
use super::facts::{self, Facts, RequestFacts, Variables};
use super::fault::{self, ConditionFault};
use super::kept_claims::{ClaimNames, KeptClaims, MemberNames};
use super::slots::{self, Slot};
use crate::principal::Principal;
use crate::refusal::reason::Reason;
use crate::scope::ScopeSet;
use crate::time::UnixTime;

/// A condition, compiled.
#[derive(Clone)]
pub struct Condition(Arc<Compiled>);

struct Compiled {
    source: String,
    expression: Expression,
    slots: Vec<Slot>,
    reads: Reads,
}

impl Condition {
    /// Bytes of a condition's source.
    pub const MAX_BYTES: usize = 1024;

    /// Reads and checks a condition.
    ///
    /// # Errors
    /// What is wrong with it, where, and how to fix it.
    pub fn compile(source: &str) -> Result<Self, ConditionError> {
        if source.len() > Self::MAX_BYTES {
            return Err(ConditionError::new(
                Spot::START,
                format!("is {} bytes long", source.len()),
                format!("Use at most {} bytes.", Self::MAX_BYTES),
            ));
        }
        catch_unwind(|| Self::read(source)).unwrap_or_else(|_| {
            Err(ConditionError::new(
                Spot::START,
                "the CEL parser failed",
                "Write the condition in another way.",
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

    /// Whether it may read any argument.
    pub(crate) fn reads_all_arguments(&self) -> bool {
        self.0.reads.arguments == MemberNames::All
    }

    /// Whether it reads the tool, prompt or resource of the call.
    pub fn reads_name(&self) -> bool {
        self.0.reads.name
    }

    /// Whether it reads claims and nothing else, so that [`judge_claims`](Self::judge_claims) can judge it.
    pub fn reads_only_claims(&self) -> bool {
        let is_claim = |slot: &Slot| match slot {
            Slot::Constant(_) | Slot::Claims | Slot::Claim(_) => true,
            Slot::Arguments | Slot::Argument(_) | Slot::Fact(_) => false,
        };
        self.0.slots.iter().all(is_claim)
    }

    /// Every name by which it reads arguments or the members inside them. Where it reads all arguments there may be
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
    /// The condition could not be evaluated. The call must be refused.
    pub fn judge(&self, facts: &Facts<'_>) -> Result<bool, ConditionFault> {
        let arguments = CallArguments::new(facts.arguments, self.reads_arguments());
        self.refuse_look_alikes(&arguments)
            .map_err(|reason| match reason {
                Reason::AmbiguousJson => "the arguments have look-alike member names",
                _ => "the arguments are not an object",
            })
            .map_err(ConditionFault::Error)?;
        self.judge_with(facts, &arguments)
    }

    /// Evaluates the condition over claims alone, without a call. All other variables are empty.
    ///
    /// # Errors
    /// The condition could not be evaluated: it does not hold.
    pub fn judge_claims(&self, claims: &KeptClaims) -> Result<bool, ConditionFault> {
        let nobody = Principal {
            issuer: "".into(),
            subject: "".into(),
            client: None,
            scopes: ScopeSet::default(),
        };
        self.judge(&Facts {
            principal: &nobody,
            claims,
            method: "",
            name: None,
            arguments: None,
            version: None,
            request: RequestFacts {
                http_method: "",
                path: "",
                host: "",
                client_address: None,
                now: UnixTime::new(0),
            },
        })
    }

    /// Refuses arguments in which two readers may see different things, if the condition reads any.
    ///
    /// # Errors
    /// Those of [`CallArguments::refuse_look_alikes_within`].
    pub(crate) fn refuse_look_alikes(&self, arguments: &CallArguments<'_>) -> Result<(), Reason> {
        if !self.reads_arguments() {
            return Ok(());
        }
        let known: Vec<&str> = self.argument_names().collect();
        arguments.refuse_look_alikes_within(&known)
    }

    /// As [`judge`](Self::judge), with arguments that other conditions read too and that were not
    /// [refused](Self::refuse_look_alikes).
    pub(crate) fn judge_with(
        &self,
        facts: &Facts<'_>,
        arguments: &CallArguments<'_>,
    ) -> Result<bool, ConditionFault> {
        // The interpreter is a dependency, and what it evaluates comes from clients.
        catch_unwind(AssertUnwindSafe(|| self.evaluate(facts, arguments)))
            .unwrap_or(Err(ConditionFault::Panic))
    }

    fn evaluate(
        &self,
        facts: &Facts<'_>,
        arguments: &CallArguments<'_>,
    ) -> Result<bool, ConditionFault> {
        let reads = &self.0.reads;
        facts::refuse_missed_claims(facts.claims, reads)?;
        let none = CelMap::default();
        let arguments = facts::arguments(arguments, reads)?;
        let arguments = arguments.as_deref().unwrap_or(&none);
        let variables = Variables::new(facts, arguments, reads, &self.0.slots)?;
        let mut context = Context::with_env(environment());
        context.set_variable_resolver(&variables);
        let value = Value::resolve_val(&self.0.expression, &context);
        let value = value.map_err(|error| ConditionFault::Error(fault::description(&error)))?;
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

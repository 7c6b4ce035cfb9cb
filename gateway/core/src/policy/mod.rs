//! What a principal is allowed to call: the resource's required scopes, then rules; the first rule that matches decides.
//!
//! A rule matches calls by method, name and arguments. A rule that allows refuses every caller that does not meet its
//! callers, its condition and its scopes. A rule that denies refuses every caller that meets its callers and its condition;
//! for other callers the next rule is evaluated. So a mistake in either is a refusal. What a call touches in addition to its
//! name (the resources of a subscription, the object of a completion) is evaluated as well, and everything must be allowed. So is
//! every reading of a name: what a URL parser or a decoding server makes of a URI ([`uri`]).

mod caller;
pub mod decision_point;
pub mod explain;
pub mod hide;
mod hierarchy;
mod judged;
pub mod permit;
mod readings;
mod rule;
pub(crate) mod uri;

use std::sync::Arc;

pub use self::caller::Caller;
pub use self::hierarchy::Hierarchy;
pub use self::judged::{DecisionSource, Judged, Unmet};
pub(crate) use self::readings::trimmed;
pub use self::rule::arguments::{Argument, ArgumentCause, ArgumentFault, MAX_NUMBER, Value};
pub use self::rule::callers::{Callers, Identity};
pub use self::rule::index::Rules;
pub use self::rule::pattern::Pattern;
pub use self::rule::{Methods, Rule};
pub use self::uri::{Reading, UriFault};

use self::caller::RuleTarget;
use self::decision_point::asked::Asked;
use self::decision_point::asking::{Asking, Permitted};
use self::decision_point::question::{EntryQuestions, QuestionFault, Questions};
use self::hide::Hide;
use self::judged::Denied;
use self::permit::Permit;
use self::readings::TargetReadings;
use crate::cel::call_arguments::CallArguments;
use crate::cel::kept_claims::ClaimNames;
use crate::cel::{Condition, ConditionFault, Facts};
use crate::mcp::envelope::has_control;
use crate::mcp::listed::Listed;
use crate::mcp::method::McpMethod;
use crate::mcp::operation::Operation;
use crate::refusal::Refusal;
use crate::refusal::reason::Reason;
use crate::scope::{OFFLINE_ACCESS, ScopeSet};

/// The label of tools that no rule names.
const OTHER_TOOL: &str = "other";

/// The policy of one protected resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Scopes that every call requires.
    pub required: ScopeSet,
    /// Scopes that the resource has: published to clients, not required.
    pub supported: ScopeSet,
    /// Scopes that imply others.
    pub implies: Hierarchy,
    /// What happens to a call that no rule matches.
    pub default: DefaultDecision,
    /// First match decides.
    pub rules: Rules,
    /// Which entries of lists are hidden from callers that are not allowed to use them.
    pub hide: Hide,
    /// What its decision point is asked about calls that it permits; none without a decision point.
    pub asked: Option<Asked>,
}

/// What happens to a call that no rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultDecision {
    /// The required scopes suffice.
    Allow,
    /// Refused; no scope would help.
    Deny,
}

/// Whether a caller can use an entry of a list, and what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// The policy denies it; no scope would help.
    Denied,
    /// A scope is missing.
    StepUp,
    /// The caller is allowed to use it, with suitable arguments.
    Usable,
}

impl Policy {
    /// Decides one call.
    ///
    /// The decision's refusal is [`Reason::InsufficientScope`] with every scope that the call requires, so that the client steps
    /// up once; [`Reason::PolicyDenied`] when no scope would help, with the message of the rule that denied;
    /// [`Reason::ConditionFailed`] when a condition could not be evaluated; [`Reason::ArgumentUnreadable`] when an argument
    /// that a rule names could not be judged; [`Reason::AmbiguousUri`], [`Reason::AmbiguousJson`] or [`Reason::InvalidRequest`] when rules read a URI or arguments in which two readers
    /// could see different things.
    pub fn authorize(&self, caller: &Caller<'_>, operation: &Operation<'_>) -> Judged {
        let judged = self.judge(caller, operation);
        let (by, extra) = match judged {
            Ok(allowed) => allowed,
            Err(denied) => return denied.into(),
        };
        let granted = &caller.principal.scopes;
        let suffices = |scopes: &ScopeSet| self.implies.suffices(granted, scopes);
        let decision = if suffices(&self.required) && extra.iter().all(suffices) {
            self.permitted(caller, operation)
        } else {
            let all = |all: ScopeSet, scopes: &ScopeSet| all.union(scopes);
            return Judged::new(
                by,
                Err(Refusal {
                    scopes: Some(extra.iter().fold(self.required.clone(), all)),
                    ..Reason::InsufficientScope.into()
                }),
            );
        };
        match decision {
            Ok(permitted) => Judged::new(by, Ok(permitted)),
            Err(fault) => Judged {
                question: Some(fault.clone()),
                ..Judged::new(by, Err(fault.reason().into()))
            },
        }
    }

    /// What its decision point is asked about entries of lists; none without a decision point.
    ///
    /// # Errors
    /// [`QuestionFault`].
    pub fn ask_about_entries<'a>(
        &self,
        caller: &Caller<'_>,
        listed: impl Iterator<Item = (Listed, &'a str)>,
    ) -> Result<Option<EntryQuestions>, QuestionFault> {
        let asked = self.asked.as_ref();
        asked
            .map(|asked| EntryQuestions::about(asked, caller, listed))
            .transpose()
    }

    /// The permit of a call that the rules allow.
    fn permitted(
        &self,
        caller: &Caller<'_>,
        operation: &Operation<'_>,
    ) -> Result<Permitted, QuestionFault> {
        let permit = Permit::new(Arc::clone(caller.principal));
        let (Some(asked), Some(touched)) = (&self.asked, touched(operation)) else {
            return Ok(Permitted::Now(permit));
        };
        let questions = Questions::about(asked, caller, operation, touched)?;
        Ok(Permitted::If(Asking::new(permit, questions)))
    }

    /// Whether this caller can use an entry of a list. The arguments of a later call are not known. A name with control
    /// characters cannot be called.
    pub fn reach(&self, caller: &Caller<'_>, listed: Listed, name: &str) -> Reach {
        if has_control(name) {
            return Reach::Denied;
        }
        let target = RuleTarget {
            method: listed.used_by().name(),
            name: Some(name),
            reading: Reading::Sent,
        };
        let Ok(readings) = TargetReadings::of(&self.rules, &target) else {
            return Reach::Denied;
        };
        let reached = readings
            .targets()
            .map(|target| self.target_reach(caller, &target));
        reached.min().unwrap_or(Reach::Denied)
    }

    fn target_reach(&self, caller: &Caller<'_>, target: &RuleTarget<'_>) -> Reach {
        let mut best = Reach::Denied;
        for (_, rule) in self.rules.that_speak_of(target) {
            let reach = self.rule_reach(rule, caller, target);
            best = best.max(reach.unwrap_or(Reach::Denied));
            // A call with other arguments skips this rule and reaches the next one.
            if reach.is_some() && rule.arguments.is_empty() {
                return best;
            }
        }
        match self.default {
            DefaultDecision::Allow => best.max(self.scope_reach(caller, None)),
            DefaultDecision::Deny => best,
        }
    }

    /// Whether an entry of a list is shown to this caller.
    pub fn shows(&self, caller: &Caller<'_>, listed: Listed, name: &str) -> bool {
        match self.hide {
            Hide::Nothing => true,
            Hide::Denied => self.reach(caller, listed, name) > Reach::Denied,
            Hide::Unusable => self.reach(caller, listed, name) == Reach::Usable,
        }
    }

    /// The metric label of a tool: its name where a rule names it, else `other`, so that labels stay a closed set.
    pub fn tool_label<'a>(&'a self, name: &str) -> &'a str {
        self.rules.tool(name).unwrap_or(OTHER_TOOL)
    }

    /// The scopes named to a client without a token: the required scopes, else the supported ones, never
    /// `offline_access`.
    pub fn hinted_scopes(&self) -> ScopeSet {
        let required = self.required.without(OFFLINE_ACCESS);
        if required.is_empty() {
            return self.supported.without(OFFLINE_ACCESS);
        }
        required
    }

    /// The claims that its conditions read, and those that its decision point receives.
    pub fn claims_read(&self) -> ClaimNames {
        let mut names = ClaimNames::default();
        for rule in self.rules.all() {
            if let Some(condition) = &rule.condition {
                names.extend(condition.claims_read());
            }
        }
        if let Some(asked) = &self.asked {
            names.extend(&ClaimNames::These(asked.claims.clone()));
        }
        names
    }

    /// What decides everything that a call touches, with the scopes that this requires; or the first thing that is denied.
    fn judge<'p>(
        &'p self,
        caller: &Caller<'_>,
        operation: &Operation<'_>,
    ) -> Result<(DecisionSource, Needed<'p>), Denied> {
        let mut extra = Needed::default();
        let Some(touched) = touched(operation) else {
            return Ok((DecisionSource::Required, extra));
        };
        let call = self.call(caller, operation);
        let mut by = DecisionSource::Default;
        for target in touched {
            let readings = TargetReadings::of(&self.rules, &target)?;
            for target in readings.targets() {
                let judged = self.judge_target(&call, &target);
                let (decided_by, scopes) = judged.map_err(|denied| denied.of(&target))?;
                by = decided_by;
                extra.add(scopes);
            }
        }
        Ok((by, extra))
    }

    fn judge_target<'p>(
        &'p self,
        call: &Call<'_>,
        target: &RuleTarget<'_>,
    ) -> Result<(DecisionSource, Option<&'p ScopeSet>), Denied> {
        if !call.arguments.spend_on_names(self.rules.steps(target)) {
            let fault = ArgumentFault {
                name: None,
                cause: ArgumentCause::NameTooLong,
            };
            return Err(Denied {
                unreadable: Some(fault),
                ..Denied::new(DecisionSource::Default, Reason::ArgumentUnreadable)
            });
        }
        for (at, rule) in self.rules.that_speak_of(target) {
            let by = DecisionSource::Rule(at);
            match rule.answer(call, target) {
                Answer::PassedOver(_) => {}
                Answer::Allows => return Ok((by, Some(&rule.scopes))),
                Answer::Denies(text) => {
                    return Err(Denied {
                        text: Some(Arc::clone(text)),
                        ..Denied::new(by, Reason::PolicyDenied)
                    });
                }
                Answer::Refuses(unmet) => {
                    return Err(Denied {
                        unmet: Some(unmet),
                        ..Denied::new(by, Reason::PolicyDenied)
                    });
                }
                Answer::Unreadable(fault) => {
                    let denied = Denied::new(by, fault.reason());
                    return Err(Denied {
                        unreadable: Some(fault),
                        ..denied
                    });
                }
                Answer::Fails(fault) => {
                    return Err(Denied {
                        fault: Some(fault),
                        ..Denied::new(by, Reason::ConditionFailed)
                    });
                }
            }
        }
        match self.default {
            DefaultDecision::Allow => Ok((DecisionSource::Default, None)),
            DefaultDecision::Deny => {
                Err(Denied::new(DecisionSource::Default, Reason::PolicyDenied))
            }
        }
    }

    /// A call before the decision.
    fn call<'a>(&self, caller: &'a Caller<'a>, operation: &Operation<'a>) -> Call<'a> {
        let with_names = operation
            .method
            .is_some_and(|method| self.rules.read_arguments(method, operation.name));
        Call {
            caller,
            version: operation.version,
            params_without_argument: operation.params_without_argument,
            arguments: CallArguments::of_call(operation.arguments, with_names),
        }
    }

    /// The result of a rule for an entry; `None` where the rules after it decide.
    fn rule_reach(
        &self,
        rule: &Rule,
        caller: &Caller<'_>,
        target: &RuleTarget<'_>,
    ) -> Option<Reach> {
        if rule.unmet_caller(caller).is_some() {
            return rule.deny.is_none().then_some(Reach::Denied);
        }
        let condition = rule.condition.as_ref();
        let condition_asks = condition.is_some_and(Condition::reads_arguments);
        let call = Call {
            caller,
            version: None,
            params_without_argument: &[],
            arguments: CallArguments::new(None, false),
        };
        let holds = condition_asks
            || match rule.condition_holds(&call, target) {
                Ok(holds) => holds,
                Err(_) => return Some(Reach::Denied),
            };
        match &rule.deny {
            // With other arguments the call may be allowed.
            Some(_) if condition_asks || !rule.arguments.is_empty() => None,
            Some(_) => holds.then_some(Reach::Denied),
            None if holds => Some(self.scope_reach(caller, Some(&rule.scopes))),
            None => Some(Reach::Denied),
        }
    }

    fn scope_reach(&self, caller: &Caller<'_>, extra: Option<&ScopeSet>) -> Reach {
        let granted = &caller.principal.scopes;
        let suffices = |scopes: &ScopeSet| self.implies.suffices(granted, scopes);
        match suffices(&self.required) && extra.is_none_or(suffices) {
            true => Reach::Usable,
            false => Reach::StepUp,
        }
    }
}

/// The scopes that a call requires in addition to the required ones, by the rules that allow it: one rule for nearly every call.
#[derive(Default)]
struct Needed<'p> {
    first: Option<&'p ScopeSet>,
    others: Vec<&'p ScopeSet>,
}

impl<'p> Needed<'p> {
    fn add(&mut self, scopes: Option<&'p ScopeSet>) {
        match self.first {
            None => self.first = scopes,
            Some(_) => self.others.extend(scopes),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &'p ScopeSet> {
        self.first.into_iter().chain(self.others.iter().copied())
    }
}

/// One call, with its arguments as far as they have been read.
struct Call<'a> {
    caller: &'a Caller<'a>,
    version: Option<&'a str>,
    params_without_argument: &'a [Box<str>],
    arguments: CallArguments<'a>,
}

/// The answer of a rule to a call whose method and name it matches.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<'p> {
    /// None: the next rule is evaluated.
    PassedOver(Unmet),
    /// Allowed, with the rule's scopes.
    Allows,
    /// Denied, with the rule's message.
    Denies(&'p Arc<str>),
    /// Refused: the rule allows other callers only.
    Refuses(Unmet),
    /// The arguments cannot be judged: ambiguous, invalid, of another type, too long.
    Unreadable(ArgumentFault),
    /// The condition cannot be evaluated.
    Fails(ConditionFault),
}

impl Rule {
    fn answer<'p>(&'p self, call: &Call<'_>, target: &RuleTarget<'_>) -> Answer<'p> {
        // A rule that denies other callers has nothing to judge.
        if self.deny.is_some()
            && let Some(unmet) = self.unmet_caller(call.caller)
        {
            return Answer::PassedOver(unmet);
        }
        let mut params = call.params_without_argument.iter();
        if let Some(name) = params.find(|name| self.reads_argument(name)) {
            return Answer::Unreadable(ArgumentFault {
                name: Some(name.clone()),
                cause: ArgumentCause::HeaderOnly,
            });
        }
        if !self.arguments.is_empty() {
            match rule::arguments::are(&call.arguments, &self.arguments) {
                Ok(true) => {}
                Ok(false) => return Answer::PassedOver(Unmet::Arguments),
                Err(fault) => return Answer::Unreadable(fault),
            }
        }
        let unmet = match self.unmet(call, target) {
            Ok(unmet) => unmet,
            Err(answer) => return answer,
        };
        match (&self.deny, unmet) {
            (Some(text), None) => Answer::Denies(text),
            (Some(_), Some(unmet)) => Answer::PassedOver(unmet),
            (None, None) => Answer::Allows,
            (None, Some(unmet)) => Answer::Refuses(unmet),
        }
    }

    fn unmet(&self, call: &Call<'_>, target: &RuleTarget<'_>) -> Result<Option<Unmet>, Answer<'_>> {
        if let unmet @ Some(_) = self.unmet_caller(call.caller) {
            return Ok(unmet);
        }
        if let Some(condition) = &self.condition {
            let alike = condition.refuse_look_alikes(&call.arguments);
            alike.map_err(|reason| Answer::Unreadable(reason.into()))?;
        }
        let holds = self.condition_holds(call, target);
        Ok((!holds.map_err(Answer::Fails)?).then_some(Unmet::Condition))
    }

    /// Whether it reads an argument of this name, ASCII case aside.
    fn reads_argument(&self, name: &str) -> bool {
        let own = self.arguments.iter().map(|argument| &*argument.name);
        let condition = self.condition.as_ref();
        let read = condition.into_iter().flat_map(Condition::argument_names);
        condition.is_some_and(Condition::reads_all_arguments)
            || own.chain(read).any(|own| own.eq_ignore_ascii_case(name))
    }

    fn unmet_caller(&self, caller: &Caller<'_>) -> Option<Unmet> {
        if !self.callers.has_principal(caller.principal) {
            return Some(Unmet::Principal);
        }
        (!self.callers.has_client(caller.principal)).then_some(Unmet::Client)
    }

    fn condition_holds(
        &self,
        call: &Call<'_>,
        target: &RuleTarget<'_>,
    ) -> Result<bool, ConditionFault> {
        let Some(condition) = &self.condition else {
            return Ok(true);
        };
        let facts = Facts {
            principal: call.caller.principal,
            claims: call.caller.claims,
            method: target.method,
            name: target.name,
            arguments: call.arguments.raw(),
            version: call.version,
            request: call.caller.request,
        };
        condition.judge_with(&facts, &call.arguments)
    }
}

/// Everything that a call touches, itself first; empty where no rule applies.
fn touched<'a>(operation: &Operation<'a>) -> Option<impl Iterator<Item = RuleTarget<'a>>> {
    let judged = |method: &&str| !McpMethod::of(method).is_always_open();
    let method = operation.method.filter(judged)?;
    let itself = RuleTarget {
        method,
        name: operation.name,
        reading: Reading::Sent,
    };
    let references = operation.references.iter().map(RuleTarget::from);
    Some(std::iter::once(itself).chain(references))
}

#[cfg(test)]
mod tests;

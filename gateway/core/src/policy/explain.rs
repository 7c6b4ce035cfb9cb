//! Why a policy decides a call as it does, rule by rule, for `check --explain`. It is taken from the decision itself.

use super::super::scope::ScopeSet;
use super::caller::{Caller, RuleTarget};
use super::readings::TargetReadings;
use super::rule::Rule;
use super::{Answer, Call, DecisionSource, Denied, Policy, Reading, Unmet, UriFault, touched};
use crate::cel::call_arguments::CallArguments;
use crate::mcp::operation::Operation;
use crate::policy::rule::arguments::{self, Argument};
use crate::refusal::Refusal;
use crate::refusal::reason::Reason;

/// A decided call with its grounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation<'p> {
    /// What the call touches, itself first; empty where no rule applies.
    pub touched: Vec<Touched<'p>>,
    /// What decided; of several things that are touched, the first that was refused, else the last.
    pub by: DecisionSource,
    /// Every scope that the call requires; `None` where it is refused regardless of its scopes.
    pub takes: Option<ScopeSet>,
    /// Those of them that the caller's scopes neither contain nor imply.
    pub missing: ScopeSet,
    /// Whether it is allowed, or why not.
    pub decision: Result<(), Refusal>,
}

/// One thing that a call touches, and the answer of each rule to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Touched<'p> {
    /// The method whose rules apply.
    pub method: String,
    /// The tool, prompt, resource or task.
    pub name: Option<String>,
    /// Which reader sees this name.
    pub reading: Reading,
    /// What is wrong with a URI; then no rule was evaluated.
    pub uri_fault: Option<UriFault>,
    /// The rules in their order, up to the one that decides.
    pub steps: Vec<Step<'p>>,
    /// What decided about it.
    pub by: DecisionSource,
    /// The scopes that this requires in addition to the required ones, or why it is refused regardless of its scopes.
    pub decision: Result<ScopeSet, Refusal>,
}

/// One rule that was evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<'p> {
    /// Its position.
    pub at: usize,
    /// The rule.
    pub rule: &'p Rule,
    /// Its answer.
    pub said: Said<'p>,
}

/// The answer of a rule to one thing that a call touches.
#[derive(Clone, Debug, PartialEq)]
pub enum Said<'p> {
    /// It does not apply: it is for other methods.
    OtherMethod,
    /// It does not apply: it is for other names.
    OtherName,
    /// It does not apply: these arguments do not meet it.
    OtherArguments(Vec<&'p Argument>),
    /// Its answer.
    Answers(Answer<'p>),
}

impl Policy {
    /// Decides one call as [`authorize`](Self::authorize) does, and explains why.
    pub fn explain(&self, caller: &Caller<'_>, operation: &Operation<'_>) -> Explanation<'_> {
        // The steps are taken twice, and each call has a limited number of them.
        let (judged, shown) = (self.call(caller, operation), self.call(caller, operation));
        let touched: Vec<_> = touched(operation)
            .into_iter()
            .flatten()
            .flat_map(|target| self.explain_readings(&judged, &shown, &target))
            .collect();
        let takes = touched.iter().try_fold(self.required.clone(), |all, one| {
            Some(all.union(one.decision.as_ref().ok()?))
        });
        let missing = takes.as_ref().map(|takes| {
            let granted = &caller.principal.scopes;
            self.implies.missing(granted, takes)
        });
        let judged = self.authorize(caller, operation);
        Explanation {
            touched,
            by: judged.by,
            takes,
            missing: missing.unwrap_or_default(),
            decision: judged.decision.map(drop),
        }
    }

    fn explain_readings<'p>(
        &'p self,
        judged: &Call<'_>,
        shown: &Call<'_>,
        target: &RuleTarget<'_>,
    ) -> Vec<Touched<'p>> {
        match TargetReadings::of(&self.rules, target) {
            Ok(readings) => readings
                .targets()
                .map(|target| self.explain_target(judged, shown, &target))
                .collect(),
            Err(fault) => vec![Touched {
                method: target.method.to_owned(),
                name: target.name.map(str::to_owned),
                reading: target.reading,
                uri_fault: Some(fault),
                steps: Vec::new(),
                by: DecisionSource::Default,
                decision: Err(Denied::from(fault).refusal()),
            }],
        }
    }

    fn explain_target<'p>(
        &'p self,
        judged: &Call<'_>,
        shown: &Call<'_>,
        target: &RuleTarget<'_>,
    ) -> Touched<'p> {
        let (by, decision) = match self.judge_target(judged, target) {
            Ok((by, scopes)) => (by, Ok(scopes.cloned().unwrap_or_default())),
            Err(denied) => (denied.by, Err(denied.refusal())),
        };
        let asked = match by {
            DecisionSource::Rule(at) => at + 1,
            // A name that is too long is refused before any rule is evaluated.
            _ if refused_for(&decision, Reason::ArgumentUnreadable) => 0,
            DecisionSource::Default | DecisionSource::Required => self.rules.all().len(),
        };
        let speaking: Vec<usize> = self.rules.that_speak_of(target).map(|(at, _)| at).collect();
        let rules = self.rules.all().iter().enumerate().take(asked);
        let steps = rules.map(|(at, rule)| Step {
            at,
            rule,
            said: match speaking.contains(&at) {
                true => said(rule, shown, target),
                false if rule.methods.cover(target.method) => Said::OtherName,
                false => Said::OtherMethod,
            },
        });
        Touched {
            method: target.method.to_owned(),
            name: target.name.map(str::to_owned),
            reading: target.reading,
            uri_fault: None,
            steps: steps.collect(),
            by,
            decision,
        }
    }
}

fn refused_for<T>(decision: &Result<T, Refusal>, reason: Reason) -> bool {
    decision
        .as_ref()
        .is_err_and(|refusal| refusal.reason == reason)
}

fn said<'p>(rule: &'p Rule, call: &Call<'_>, target: &RuleTarget<'_>) -> Said<'p> {
    let answer = rule.answer(call, target);
    if answer != Answer::PassedOver(Unmet::Arguments) {
        return Said::Answers(answer);
    }
    let differs = |asked: &&Argument| {
        let again = CallArguments::new(call.arguments.raw(), false);
        arguments::are(&again, std::slice::from_ref(*asked)) == Ok(false)
    };
    Said::OtherArguments(rule.arguments.iter().filter(differs).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::principal::Principal;
    use super::super::hide::Hide;
    use super::super::{
        Callers, DefaultDecision, Hierarchy, Identity, Judged, Methods, Pattern, Rules, Value,
    };
    use super::*;
    use crate::cel::kept_claims::KeptClaims;
    use crate::cel::{Condition, RequestFacts};
    use crate::mcp::operation::Reference;
    use crate::policy::decision_point::asker::Asker;
    use crate::time::UnixTime;

    fn set(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    fn policy(default: DefaultDecision, rules: Vec<Rule>) -> Policy {
        let read = set("read");
        Policy {
            required: set("read"),
            supported: ScopeSet::default(),
            implies: Hierarchy::new([("write", &read)]),
            default,
            rules: Rules::new(rules),
            hide: Hide::Nothing,
            asked: None,
        }
    }

    fn with_caller<T>(scopes: &str, ask: impl FnOnce(&Caller<'_>) -> T) -> T {
        let principal = Arc::new(Principal {
            issuer: "https://issuer.example".into(),
            subject: "alice".into(),
            client: Some("app".into()),
            scopes: set(scopes),
        });
        ask(&Caller {
            principal: &principal,
            claims: &KeptClaims::none(),
            asker: &Asker::default(),
            request: RequestFacts {
                http_method: "POST",
                path: "/mcp",
                host: "mcp.example.com",
                client_address: None,
                now: UnixTime::new(0),
            },
        })
    }

    fn identity(id: &str) -> Identity {
        Identity {
            issuer: "https://issuer.example".into(),
            id: id.into(),
        }
    }

    /// Rules with every mixture of conditions and decisions.
    fn rules() -> Vec<Rule> {
        let methods = [
            Methods::Any,
            Methods::Of(vec!["tools/call".to_owned()]),
            Methods::Of(vec!["resources/read".to_owned()]),
        ];
        let patterns = |names: &[&str]| -> Vec<Pattern> {
            names
                .iter()
                .map(|name| Pattern::parse(name).unwrap())
                .collect()
        };
        let names = [
            patterns(&[]),
            patterns(&["create"]),
            patterns(&["c*", "a://**"]),
        ];
        let high = Argument {
            name: "priority".into(),
            values: vec![Value::Text(Pattern::parse("high").unwrap())],
        };
        let callers = [
            Callers::default(),
            Callers {
                principals: vec![identity("bob")],
                ..Callers::default()
            },
            Callers {
                clients: vec![identity("app")],
                ..Callers::default()
            },
        ];
        let conditions = [None, Some("client.id == 'x'"), Some("claims.missing == 1")];
        let mut rules = Vec::new();
        for methods in &methods {
            for names in &names {
                for arguments in [vec![], vec![high.clone()]] {
                    for callers in &callers {
                        for condition in conditions {
                            for deny in [None, Some("No.".into())] {
                                rules.push(Rule {
                                    methods: methods.clone(),
                                    names: names.clone(),
                                    arguments: arguments.clone(),
                                    scopes: if deny.is_some() {
                                        set("")
                                    } else {
                                        set("write")
                                    },
                                    callers: callers.clone(),
                                    condition: condition
                                        .map(|source| Condition::compile(source).unwrap()),
                                    deny,
                                });
                            }
                        }
                    }
                }
            }
        }
        rules
    }

    /// Invariants of every explanation.
    fn agree(explained: &Explanation<'_>, judged: Judged) {
        let allowed = judged.decision.map(drop);
        assert_eq!((explained.by, &explained.decision), (judged.by, &allowed));
        let refused = explained.touched.iter().find(|one| one.decision.is_err());
        let deciding = refused.or_else(|| explained.touched.last());
        assert_eq!(
            deciding.map_or(DecisionSource::Required, |one| one.by),
            explained.by
        );
        assert_eq!(explained.takes.is_none(), refused.is_some());
        let is_allowed = refused.is_none() && explained.missing.is_empty();
        assert_eq!(explained.decision.is_ok(), is_allowed);
        if let (Err(refusal), None) = (&explained.decision, refused) {
            assert_eq!(refusal.scopes, explained.takes);
        }
        for touched in &explained.touched {
            agrees(touched);
        }
    }

    /// The last rule that was looked at decides, and no other does.
    fn agrees(touched: &Touched<'_>) {
        let decides = |step: &Step<'_>| matches!(&step.said, Said::Answers(answer) if !matches!(answer, Answer::PassedOver(_)));
        let deciding: Vec<_> = touched.steps.iter().filter(|step| decides(step)).collect();
        let DecisionSource::Rule(at) = touched.by else {
            assert!(deciding.is_empty(), "{touched:?}");
            return;
        };
        let last = touched.steps.last().unwrap();
        assert_eq!((deciding.as_slice(), last.at), (&[last][..], at));
        let said = match &last.said {
            Said::Answers(Answer::Allows) => Ok(last.rule.scopes.clone()),
            Said::Answers(Answer::Denies(text)) => {
                Err((Reason::PolicyDenied, Some(Arc::clone(text))))
            }
            Said::Answers(Answer::Refuses(_)) => Err((Reason::PolicyDenied, None)),
            Said::Answers(Answer::Unreadable(fault)) => Err((fault.reason(), None)),
            _ => Err((Reason::ConditionFailed, None)),
        };
        let decision = touched.decision.clone();
        assert_eq!(
            said,
            decision.map_err(|refusal| (refusal.reason, refusal.text))
        );
    }

    #[test]
    fn an_explanation_agrees_with_the_decision() {
        let references = ["a://1", "a://../b"].map(|uri| Reference::Resource(uri.into()));
        let call = |method, name| Operation {
            method: Some(method),
            name,
            ..Operation::default()
        };
        let arguments = |raw: &'static str| Operation {
            arguments: Some(raw.as_bytes()),
            ..call("tools/call", Some("create"))
        };
        let listen = Operation {
            references: &references,
            ..call("subscriptions/listen", None)
        };
        let calls = [
            call("tools/call", Some("create")),
            call("tools/call", Some("other")),
            arguments(r#"{"priority":"high"}"#),
            arguments(r#"{"priority":"low"}"#),
            arguments(r#"{"Priority":"low"}"#),
            call("resources/subscribe", Some("a://1")),
            call("resources/read", Some("a://../1")),
            call("ping", None),
            Operation::default(),
            Operation {
                references: &references[..1],
                ..listen
            },
            listen,
        ];
        let rules = rules();
        // Each rule before one that lies far from it, so that every mixture is both evaluated and skipped.
        let pairs = rules.iter().zip(rules.iter().cycle().skip(101)).zip(0..);
        for ((first, second), at) in pairs {
            let default = match at % 2 {
                0 => DefaultDecision::Allow,
                _ => DefaultDecision::Deny,
            };
            let policy = policy(default, vec![first.clone(), second.clone()]);
            for scopes in ["", "read", "write"] {
                for call in &calls {
                    with_caller(scopes, |caller| {
                        agree(
                            &policy.explain(caller, call),
                            policy.authorize(caller, call),
                        );
                    });
                }
            }
        }
    }

    #[test]
    fn only_the_arguments_that_do_not_meet_the_rule_are_named() {
        let argument = |name: &str, value: &str| Argument {
            name: name.into(),
            values: vec![Value::Text(Pattern::parse(value).unwrap())],
        };
        let asks = Rule {
            arguments: vec![argument("a", "1"), argument("b", "2"), argument("c", "3")],
            ..Rule::default()
        };
        let policy = policy(DefaultDecision::Deny, vec![asks.clone()]);
        let operation = Operation {
            method: Some("tools/call"),
            name: Some("x"),
            arguments: Some(br#"{"a":"1","b":"1"}"#),
            ..Operation::default()
        };
        let explained = with_caller("read", |caller| policy.explain(caller, &operation));
        let said: Vec<_> = explained
            .touched
            .iter()
            .flat_map(|one| &one.steps)
            .map(|step| &step.said)
            .collect();
        let differing = asks.arguments.iter().skip(1).collect();
        assert_eq!(said, [&Said::OtherArguments(differing)]);
    }

    #[test]
    fn missing_scopes_are_those_that_no_granted_scope_implies() {
        let takes = Rule {
            scopes: set("write other"),
            ..Rule::default()
        };
        let policy = policy(DefaultDecision::Deny, vec![takes]);
        let operation = Operation {
            method: Some("tools/list"),
            ..Operation::default()
        };
        for (granted, missing) in [
            ("", "other read write"),
            ("write", "other"),
            ("write other", ""),
        ] {
            let explained = with_caller(granted, |caller| policy.explain(caller, &operation));
            assert_eq!(explained.takes, Some(set("read write other")));
            assert_eq!(explained.missing, set(missing), "{granted}");
        }
    }
}

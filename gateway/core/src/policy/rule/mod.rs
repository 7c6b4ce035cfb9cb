//! One rule: which calls it matches, and what it decides.
//!
//! A rule compares names with a [`pattern`], checks [`arguments`] and [`callers`]; the [`index`] finds the rules that may match
//! a call.

pub(crate) mod arguments;
pub(crate) mod callers;
pub(crate) mod index;
pub(crate) mod pattern;

use std::sync::Arc;

use crate::cel::Condition;
use crate::mcp::method::McpMethod;
use crate::policy::rule::arguments::Argument;
use crate::policy::rule::callers::Callers;
use crate::policy::rule::pattern::Pattern;
use crate::scope::ScopeSet;

/// A rule. `methods`, `names` and `arguments` say which calls it matches, the rest what it decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The methods. `resources/read` matches subscriptions to a resource too.
    pub methods: Methods,
    /// The names (tool, prompt, resource URI); none means any.
    pub names: Vec<Pattern>,
    /// What its arguments must be; none means any.
    pub arguments: Vec<Argument>,
    /// Scopes that a call requires in addition to the required scopes. A rule that denies has none.
    pub scopes: ScopeSet,
    /// The callers that it allows, or that it denies.
    pub callers: Callers,
    /// When it allows, or when it denies.
    pub condition: Option<Condition>,
    /// The message with which it denies; a rule without one allows.
    pub deny: Option<Arc<str>>,
}

/// The methods that a rule matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Methods {
    /// Every method that a policy decides.
    #[default]
    Any,
    /// Only these.
    Of(Vec<String>),
}

impl Methods {
    /// Whether these methods include `method`.
    pub fn cover(&self, method: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Of(own) => {
                let reads = |own: &str| own == McpMethod::ReadResource.name();
                let is_judged_as_reading = McpMethod::of(method).is_judged_as_reading();
                own.iter()
                    .any(|own| own == method || (is_judged_as_reading && reads(own)))
            }
        }
    }
}

impl Rule {
    /// Whether the rule has no names, or one that matches.
    pub(crate) fn names_match(&self, name: Option<&str>) -> bool {
        self.names.is_empty()
            || name.is_some_and(|name| self.names.iter().any(|own| own.matches(name)))
    }
}

//! One rule: which calls it speaks of, and what becomes of them.
//!
//! A rule compares names with a [`pattern`], looks at [`arguments`] and [`callers`]; the [`index`] finds the rules that may speak of
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

/// A rule. `methods`, `names` and `arguments` say which calls it speaks of, the rest what becomes of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The methods; what is said of `resources/read` holds for subscriptions to a resource too.
    pub methods: Methods,
    /// The names (tool, prompt, resource URI); none means any.
    pub names: Vec<Pattern>,
    /// What its arguments must be; none means any.
    pub arguments: Vec<Argument>,
    /// What a call takes besides the required scopes. A rule that denies has none.
    pub scopes: ScopeSet,
    /// Whom it lets pass, or whom it denies.
    pub callers: Callers,
    /// When it lets pass, or when it denies.
    pub condition: Option<Condition>,
    /// The words it denies with; a rule without them allows.
    pub deny: Option<Arc<str>>,
}

/// The methods that a rule speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Methods {
    /// Every method that a policy judges.
    #[default]
    Any,
    /// These alone.
    Of(Vec<String>),
}

impl Methods {
    /// Whether a call of `method` is meant.
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
    /// Whether its names leave out nothing, or not this one.
    pub(crate) fn names_match(&self, name: Option<&str>) -> bool {
        self.names.is_empty()
            || name.is_some_and(|name| self.names.iter().any(|own| own.matches(name)))
    }
}

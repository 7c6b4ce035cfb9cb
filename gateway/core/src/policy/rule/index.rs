//! Finds the rules that match a call without comparing every rule: by method, then by exact name.

use std::collections::{HashMap, HashSet};

use crate::cel::Condition;
use crate::mcp::method::McpMethod;
use crate::policy::caller::RuleTarget;
use crate::policy::rule::{Methods, Rule};

/// The rules of a policy, in their order.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    all: Vec<Rule>,
    /// The tools that are named exactly.
    tools: HashSet<Box<str>>,
    /// Whether a rule distinguishes resources by their URIs.
    name_resources: bool,
    by_method: HashMap<Box<str>, Slots>,
    /// For methods that no rule names.
    others: Slots,
}

/// Positions of the rules for one method, ascending.
#[derive(Clone, Debug, Default)]
struct Slots {
    /// Rules that have only exact names, by name.
    exact: HashMap<Box<str>, Vec<usize>>,
    /// Rules for any name, or with globs.
    scanned: Vec<usize>,
    /// Whether a condition of a rule in `scanned` reads arguments.
    scanned_read_arguments: bool,
    /// The names in `exact` that have a rule whose condition does.
    exact_read_arguments: HashSet<Box<str>>,
}

impl Eq for Rules {}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.all == other.all
    }
}

impl Rules {
    /// From rules in their order.
    pub fn new(all: Vec<Rule>) -> Self {
        let mut rules = Self {
            tools: tools(&all),
            name_resources: name_resources(&all),
            others: Slots::of(&all, |rule| rule.methods == Methods::Any),
            ..Self::default()
        };
        let named = all.iter().filter_map(|rule| match &rule.methods {
            Methods::Any => None,
            Methods::Of(methods) => Some(methods),
        });
        let mut methods: Vec<&str> = named.flatten().map(String::as_str).collect();
        if methods.contains(&McpMethod::ReadResource.name()) {
            let judged_as_reading = McpMethod::ALL
                .iter()
                .filter(|one| one.is_judged_as_reading());
            methods.extend(judged_as_reading.map(|method| method.name()));
        }
        for method in methods {
            let slots = Slots::of(&all, |rule| rule.methods.cover(method));
            rules.by_method.insert(method.into(), slots);
        }
        rules.all = all;
        rules
    }

    /// Every rule, in order.
    pub fn all(&self) -> &[Rule] {
        &self.all
    }

    /// This tool's name, where a rule names it exactly.
    pub(crate) fn tool(&self, name: &str) -> Option<&str> {
        self.tools.get(name).map(|name| &**name)
    }

    /// Whether a rule distinguishes resources by their URIs.
    pub(crate) const fn name_resources(&self) -> bool {
        self.name_resources
    }

    /// Whether a condition may read the arguments of this call. Then every name in them is checked.
    pub(crate) fn read_arguments(&self, method: &str, name: Option<&str>) -> bool {
        let slots = self.slots(method);
        let is_read = |name| slots.exact_read_arguments.contains(name);
        slots.scanned_read_arguments || name.is_some_and(is_read)
    }

    fn slots(&self, method: &str) -> &Slots {
        self.by_method.get(method).unwrap_or(&self.others)
    }

    /// The rules that match this method and name, with their positions, in order.
    pub(crate) fn that_speak_of<'p, 't>(
        &'p self,
        target: &'t RuleTarget<'_>,
    ) -> impl Iterator<Item = (usize, &'p Rule)> + use<'p, 't> {
        let slots = self.slots(target.method);
        let exact = target.name.and_then(|name| slots.exact.get(name));
        let mut exact = exact.map_or(&[][..], Vec::as_slice).iter().peekable();
        let mut scanned = slots.scanned.iter().peekable();
        let next = move || match (exact.peek(), scanned.peek()) {
            (Some(one), Some(other)) if one < other => exact.next(),
            (Some(_), None) => exact.next(),
            _ => scanned.next(),
        };
        let name = target.name;
        std::iter::from_fn(next)
            .filter_map(|at| Some((*at, self.all.get(*at)?)))
            .filter(move |(_, rule)| rule.names_match(name))
    }
}

impl Slots {
    fn of(all: &[Rule], covers: impl Fn(&Rule) -> bool) -> Self {
        let mut slots = Self::default();
        for (at, rule) in all.iter().enumerate().filter(|(_, rule)| covers(rule)) {
            if rule.names.is_empty() || !rule.names.iter().all(|name| name.is_exact()) {
                slots.scanned.push(at);
                slots.scanned_read_arguments |= reads_arguments(rule);
                continue;
            }
            for name in &rule.names {
                let under = slots.exact.entry(name.as_str().into()).or_default();
                if under.last() != Some(&at) {
                    under.push(at);
                }
                if reads_arguments(rule) {
                    slots.exact_read_arguments.insert(name.as_str().into());
                }
            }
        }
        slots
    }
}

fn tools(all: &[Rule]) -> HashSet<Box<str>> {
    let named = all
        .iter()
        .filter(|rule| rule.methods.cover(McpMethod::CallTool.name()));
    let names = named.flat_map(|rule| &rule.names);
    let exact = names.filter(|name| name.is_exact());
    exact.map(|name| name.as_str().into()).collect()
}

fn reads_arguments(rule: &Rule) -> bool {
    let condition = rule.condition.as_ref();
    condition.is_some_and(Condition::reads_arguments)
}

fn name_resources(all: &[Rule]) -> bool {
    let resources = |rule: &&Rule| match &rule.methods {
        Methods::Any => true,
        Methods::Of(methods) => methods
            .iter()
            .any(|method| McpMethod::of(method).is_about_resources()),
    };
    all.iter().filter(resources).any(|rule| {
        let condition = rule.condition.as_ref();
        !rule.names.is_empty() || condition.is_some_and(Condition::reads_name)
    })
}

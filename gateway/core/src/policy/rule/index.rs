//! Finds the rules that match a call without comparing every rule: by method, then by exact name.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::cel::Condition;
use crate::mcp::method::McpMethod;
use crate::policy::caller::RuleTarget;
use crate::policy::rule::pattern::Pattern;
use crate::policy::rule::{Methods, Rule};
use crate::policy::uri::spellings::{UriSpellings, has_scheme};

/// The rules of a policy, in their order.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    all: Vec<Rule>,
    /// What the names of each rule match as URIs.
    uris: Vec<UriSpellings>,
    /// The tools that are named exactly.
    tools: HashSet<Box<str>>,
    /// Whether a rule distinguishes resources by their URIs.
    name_resources: bool,
    /// Whether one of these URIs has a scheme.
    name_schemes: bool,
    /// Whether a rule matches more decoded readings than texts.
    decode_uris: bool,
    /// Few methods have rules: comparing them takes less than hashing.
    by_method: BTreeMap<Box<str>, Slots>,
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
    /// The most steps that comparing their patterns takes for one byte of a name.
    scanned_steps: usize,
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
        let uris: Vec<_> = all.iter().map(uris).collect();
        let slots = |method: Option<&str>| Slots::of(&all, &uris, method);
        let mut rules = Self {
            tools: tools(&all),
            name_resources: name_resources(&all),
            name_schemes: name_schemes(&all),
            decode_uris: uris.iter().any(UriSpellings::has_decoded),
            others: slots(None),
            ..Self::default()
        };
        let named = all.iter().filter_map(|rule| match &rule.methods {
            Methods::Any => None,
            Methods::Of(methods) => Some(methods),
        });
        // Each method once: an index takes as long as there are rules.
        let mut methods: HashSet<&str> = named.flatten().map(String::as_str).collect();
        if methods.contains(McpMethod::ReadResource.name()) {
            let judged_as_reading = McpMethod::ALL
                .iter()
                .filter(|one| one.is_judged_as_reading());
            methods.extend(judged_as_reading.map(|method| method.name()));
        }
        for method in methods {
            rules.by_method.insert(method.into(), slots(Some(method)));
        }
        rules.all = all;
        rules.uris = uris;
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

    /// Whether a rule distinguishes resources by URIs that have a scheme.
    pub(crate) const fn name_schemes(&self) -> bool {
        self.name_schemes
    }

    /// Whether a decoded reading can match more rules than the same text otherwise.
    pub(crate) const fn decode_uris(&self) -> bool {
        self.decode_uris
    }

    /// Whether a condition may read the arguments of this call. Then every name in them is checked.
    pub(crate) fn read_arguments(&self, method: &str, name: Option<&str>) -> bool {
        let slots = self.slots(method);
        let is_read = |name| slots.exact_read_arguments.contains(name);
        slots.scanned_read_arguments || name.is_some_and(is_read)
    }

    fn match_as_uri(&self, at: usize, target: &RuleTarget<'_>) -> bool {
        let Some(spellings) = self.uris.get(at).filter(|own| !own.is_empty()) else {
            return false;
        };
        let uri = target.name.filter(|_| target.is_resource());
        uri.is_some_and(|uri| spellings.matches(uri, target.reading))
    }

    /// The most steps that comparing the name with the names and patterns of all rules takes.
    pub(crate) fn steps(&self, target: &RuleTarget<'_>) -> usize {
        let length = target.name.unwrap_or_default().len();
        let slots = self.slots(target.method);
        let patterns = slots.scanned_steps.saturating_mul(length);
        patterns.saturating_add(slots.scanned.len())
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
        std::iter::from_fn(next)
            .filter_map(|at| Some((*at, self.all.get(*at)?)))
            .filter(|(at, rule)| rule.names_match(target.name) || self.match_as_uri(*at, target))
    }
}

impl Slots {
    /// The rules for this method, or for every method that no rule names.
    fn of(all: &[Rule], uris: &[UriSpellings], method: Option<&str>) -> Self {
        let mut slots = Self::default();
        let covers = |rule: &Rule| match method {
            Some(method) => rule.methods.cover(method),
            None => rule.methods == Methods::Any,
        };
        let about_resources =
            method.is_none_or(|method| McpMethod::of(method).is_about_resources());
        let all = all.iter().zip(uris).enumerate();
        for (at, (rule, uris)) in all.filter(|(_, (rule, _))| covers(rule)) {
            if rule.names.is_empty() || !rule.names.iter().all(|name| name.is_exact()) {
                slots.scanned.push(at);
                // An exact name is one comparison, however long the name is.
                let patterns = rule.names.iter().filter(|name| !name.is_exact());
                slots.scanned_steps += patterns.map(|name| name.steps(1)).sum::<usize>();
                slots.scanned_steps += uris.steps();
                slots.scanned_read_arguments |= reads_arguments(rule);
                continue;
            }
            let names = rule.names.iter().map(Pattern::as_str);
            let spellings = uris.exact().filter(|_| about_resources);
            for name in names.chain(spellings) {
                let under = slots.exact.entry(name.into()).or_default();
                if under.last() != Some(&at) {
                    under.push(at);
                }
                if reads_arguments(rule) {
                    slots.exact_read_arguments.insert(name.into());
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

/// What the names of a rule match as URIs. Names of tools and prompts are texts.
fn uris(rule: &Rule) -> UriSpellings {
    match is_about_resources(rule) {
        true => UriSpellings::of(&rule.names),
        false => UriSpellings::default(),
    }
}

fn name_resources(all: &[Rule]) -> bool {
    let mut resources = all.iter().filter(|rule| is_about_resources(rule));
    resources.any(|rule| !rule.names.is_empty() || reads_name(rule))
}

fn name_schemes(all: &[Rule]) -> bool {
    let mut resources = all.iter().filter(|rule| is_about_resources(rule));
    resources.any(|rule| rule.names.iter().any(has_scheme) || reads_name(rule))
}

fn reads_name(rule: &Rule) -> bool {
    let condition = rule.condition.as_ref();
    condition.is_some_and(Condition::reads_name)
}

fn is_about_resources(rule: &Rule) -> bool {
    match &rule.methods {
        Methods::Any => true,
        Methods::Of(methods) => methods
            .iter()
            .any(|method| McpMethod::of(method).is_about_resources()),
    }
}

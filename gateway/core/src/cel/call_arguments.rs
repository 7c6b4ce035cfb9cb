//! The arguments of one call, for all the rules and conditions that read them: walked over once at most, and each read as text
//! and as a CEL value once at most.
//!
//! They are read only where a rule requires it, and then strictly: members that a lenient reader takes for the same name are
//! refused, because the MCP server might read the other one (CVE-2026-27896). How much all rules together read is limited
//! ([`MAX_STEPS`]), for any number of rules.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use cel::common::types::CelMap;

use super::value::{ValueError, Values, key};
use crate::cel::kept_claims::MemberNames;
use crate::json::names::look_alike::Spellings;
use crate::json::{self, JsonError, JsonLimits, Names, Object};
use crate::refusal::reason::Reason;

/// Maximum number of values made of the arguments that the conditions of one call read; above it, a condition fails.
pub(crate) const MAX_VALUES: usize = 2_000;

/// The longest argument that rules and conditions read, in bytes of JSON.
pub(crate) const MAX_ARGUMENT: usize = 64 * 1024;

/// The most work that rules and conditions do with the arguments of one call. A step is the work for one byte: about a
/// nanosecond.
pub(crate) const MAX_STEPS: usize = 1024 * 1024;

/// Steps of comparing all names of a call with the patterns of rules; one name takes at most [`MAX_STEPS`]. Only a subscription
/// has more than a few names.
pub(crate) const MAX_NAME_STEPS: usize = 8 * MAX_STEPS;

/// Steps for one value that a condition reads.
const STEPS_PER_VALUE: usize = 64;

/// Up to this many arguments are compared one by one with a name. For more arguments their order by name is faster.
const FEW: usize = 16;

/// The message was checked before, within its own limits.
const ANY: JsonLimits = JsonLimits {
    depth: usize::MAX,
    members: usize::MAX,
};

/// The arguments of one call.
pub(crate) struct CallArguments<'a> {
    raw: Option<&'a [u8]>,
    /// Whether a condition may read every name in them: then one walk finds those and the members.
    with_names: bool,
    read: OnceCell<Result<Names<'a>, Reason>>,
    /// Names that were looked for among many arguments, with their positions.
    found: RefCell<BTreeMap<Box<str>, Option<usize>>>,
    /// The positions of the arguments in the order of their names, if they are many and many names were looked for.
    by_name: OnceCell<Box<[usize]>>,
    /// The names of the arguments themselves.
    own: OnceCell<Spellings>,
    /// Those and the names of all members inside them.
    all: OnceCell<Result<Spellings, Reason>>,
    made: RefCell<Made<'a>>,
    /// The texts that were read, by the position of the argument; none where it is not Unicode text.
    texts: RefCell<BTreeMap<usize, Option<Cow<'a, str>>>>,
    steps_left: Cell<usize>,
    name_steps_left: Cell<usize>,
}

/// One argument: its position, and its raw value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    at: usize,
    pub(crate) raw: &'a [u8],
}

/// The values that were made, and the result for each argument that was read, by its position.
#[derive(Default)]
struct Made<'a> {
    values: CelMap<'a>,
    /// Number of values in `values`.
    kept: usize,
    /// For each argument that was read, the steps that one use of it takes.
    outcomes: BTreeMap<usize, Result<usize, ValueError>>,
    /// The same for all arguments together.
    all: Option<Result<usize, ValueError>>,
}

impl<'a> CallArguments<'a> {
    /// A raw JSON value of a document that passed [`json::check()`].
    pub(crate) fn new(raw: Option<&'a [u8]>, with_names: bool) -> Self {
        Self {
            raw,
            with_names,
            read: OnceCell::new(),
            found: RefCell::default(),
            by_name: OnceCell::new(),
            own: OnceCell::new(),
            all: OnceCell::new(),
            made: RefCell::default(),
            texts: RefCell::default(),
            steps_left: Cell::new(MAX_STEPS),
            name_steps_left: Cell::new(MAX_NAME_STEPS),
        }
    }

    /// The arguments of a call, where null means none.
    pub(crate) fn of_call(raw: Option<&'a [u8]>, with_names: bool) -> Self {
        Self::new(raw.filter(|raw| *raw != b"null"), with_names)
    }

    /// The raw JSON.
    pub(crate) const fn raw(&self) -> Option<&'a [u8]> {
        self.raw
    }

    /// The argument with this name.
    ///
    /// # Errors
    /// [`Reason::InvalidRequest`] where the arguments are not an object.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Found<'a>>, Reason> {
        let object = &self.read()?.object;
        let at = match object.len() <= FEW {
            true => object.iter().position(|(own, _)| own == name),
            false => self.find_among_many(object, name),
        };
        Ok(at.and_then(|at| object.at(at).map(|(_, raw)| Found { at, raw })))
    }

    fn find_among_many(&self, object: &Object<'a>, name: &str) -> Option<usize> {
        if let Some(found) = self.found.borrow().get(name) {
            return *found;
        }
        let known = self.found.borrow().len();
        let at = match known < FEW {
            true => object.iter().position(|(own, _)| own == name),
            false => {
                let by_name = self.by_name.get_or_init(|| object.by_name());
                let own = |at: &usize| object.at(*at).map(|(own, _)| &**own);
                let found = by_name.binary_search_by(|at| own(at).cmp(&Some(name)));
                found.ok().and_then(|found| by_name.get(found).copied())
            }
        };
        self.found.borrow_mut().insert(name.into(), at);
        at
    }

    /// The text of an argument; `None` if it is not Unicode text.
    pub(crate) fn text(&self, found: Found<'a>) -> Option<Ref<'_, str>> {
        let mut texts = self.texts.borrow_mut();
        texts
            .entry(found.at)
            .or_insert_with(|| json::string(found.raw));
        drop(texts);
        let text = Ref::filter_map(self.texts.borrow(), |texts| {
            texts.get(&found.at)?.as_deref()
        });
        text.ok()
    }

    /// Takes so many steps; false if too few are left for this call.
    pub(crate) fn spend(&self, steps: usize) -> bool {
        let left = self.steps_left.get().checked_sub(steps);
        self.steps_left.set(left.unwrap_or_default());
        left.is_some()
    }

    /// Takes so many steps of comparing names; false if too few are left for this call.
    pub(crate) fn spend_on_names(&self, steps: usize) -> bool {
        let left = self.name_steps_left.get().checked_sub(steps);
        self.name_steps_left.set(left.unwrap_or_default());
        left.is_some() && steps <= MAX_STEPS
    }

    /// Refuses look-alikes of these names, and of each other, among the arguments themselves.
    ///
    /// # Errors
    /// [`Reason::AmbiguousJson`], or those of [`read`](Self::read).
    pub(crate) fn refuse_look_alikes(&self, known: &[&str]) -> Result<(), Reason> {
        // Nearly always all names are unambiguous, and then so are these.
        if self.with_names && self.refuse_look_alikes_within(known).is_ok() {
            return Ok(());
        }
        let object = &self.read()?.object;
        let own = || Spellings::of(object.iter().map(|(name, _)| (0, name)));
        refuse(self.own.get_or_init(own), known)
    }

    /// Refuses look-alikes of these names, and of each other, in every object of the arguments.
    ///
    /// # Errors
    /// As [`refuse_look_alikes`](Self::refuse_look_alikes).
    pub(crate) fn refuse_look_alikes_within(&self, known: &[&str]) -> Result<(), Reason> {
        let read = self.read()?;
        let all = self.all.get_or_init(|| {
            if self.with_names {
                return Ok(spellings(read));
            }
            self.read_names().map(|read| spellings(&read))
        });
        refuse(all.as_ref().map_err(|reason| *reason)?, known)
    }

    /// The values of the arguments that are read, possibly among others, for a condition that uses arguments so many times.
    ///
    /// # Errors
    /// The first error of the arguments that cannot be CEL values.
    pub(crate) fn values(
        &self,
        reads: &MemberNames,
        uses: usize,
    ) -> Result<Ref<'_, CelMap<'a>>, ValueError> {
        match reads {
            MemberNames::These(names) => self.values_of(names, uses),
            MemberNames::All => self.values_within(self.make_all()?, uses),
        }
    }

    /// The same for the arguments of these names.
    ///
    /// # Errors
    /// As [`values`](Self::values).
    pub(crate) fn values_of(
        &self,
        names: &BTreeSet<String>,
        uses: usize,
    ) -> Result<Ref<'_, CelMap<'a>>, ValueError> {
        let steps = names.iter().try_fold(0, |steps: usize, name| {
            let found = self.find(name).map_err(|_| ValueError::Syntax)?;
            let more = found.map_or(Ok(0), |found| self.make_value(found))?;
            Ok(steps.saturating_add(more))
        })?;
        self.values_within(steps, uses)
    }

    /// The values that were made, if so many uses of that many steps are left.
    fn values_within(&self, steps: usize, uses: usize) -> Result<Ref<'_, CelMap<'a>>, ValueError> {
        match self.spend(steps.saturating_mul(uses)) {
            true => Ok(Ref::map(self.made.borrow(), |made| &made.values)),
            false => Err(ValueError::TooMuch),
        }
    }

    /// Makes values of all arguments, and returns the steps that one use of them takes.
    fn make_all(&self) -> Result<usize, ValueError> {
        if let Some(all) = self.made.borrow().all {
            return all;
        }
        let object = &self.read().map_err(|_| ValueError::Syntax)?.object;
        let mut found = object.iter().enumerate();
        let all = found.try_fold(0, |steps: usize, (at, (_, raw))| {
            Ok(steps.saturating_add(self.make_value(Found { at, raw })?))
        });
        self.made.borrow_mut().all = Some(all);
        all
    }

    /// Makes a value of an argument unless that was done before, and returns the steps that one use of it takes.
    fn make_value(&self, found: Found<'a>) -> Result<usize, ValueError> {
        if let Some(outcome) = self.made.borrow().outcomes.get(&found.at) {
            return *outcome;
        }
        let outcome = self.make(found);
        let mut made = self.made.borrow_mut();
        made.outcomes.insert(found.at, outcome);
        outcome
    }

    fn make(&self, found: Found<'a>) -> Result<usize, ValueError> {
        if found.raw.len() > MAX_ARGUMENT {
            return Err(ValueError::TooMuch);
        }
        let name = self.read().ok().and_then(|read| read.object.at(found.at));
        let (name, _) = name.ok_or(ValueError::Syntax)?;
        let mut made = self.made.borrow_mut();
        let left = MAX_VALUES.saturating_sub(made.kept);
        let mut values = Values::borrowed(left, self.steps_left.get());
        let value = values.value(found.raw);
        self.steps_left.set(values.bytes_left());
        let used = left - values.left();
        made.kept += used;
        let mut all = std::mem::take(&mut made.values).into_inner();
        let value = value.map(|value| all.insert(key(name.clone()), value));
        made.values = all.into();
        value.map(|_| found.raw.len() + STEPS_PER_VALUE * used)
    }

    fn read(&self) -> Result<&Names<'a>, Reason> {
        let read = self.read.get_or_init(|| match self.raw {
            None => Ok(Names::default()),
            Some(_) if self.with_names => self.read_names(),
            Some(raw) => {
                let object = json::object(raw).map_err(|_| Reason::InvalidRequest)?;
                Ok(Names {
                    object,
                    all: Vec::new(),
                })
            }
        });
        read.as_ref().map_err(|reason| *reason)
    }

    fn read_names(&self) -> Result<Names<'a>, Reason> {
        let raw = self.raw.unwrap_or(b"{}");
        if !raw.trim_ascii_start().starts_with(b"{") {
            return Err(Reason::InvalidRequest);
        }
        json::names(raw, &ANY).map_err(|error| match error {
            JsonError::Duplicate | JsonError::NameNotText => Reason::AmbiguousJson,
            _ => Reason::InvalidRequest,
        })
    }
}

fn spellings(read: &Names<'_>) -> Spellings {
    Spellings::of(read.all.iter().map(|(at, name)| (*at, &**name)))
}

fn refuse(spellings: &Spellings, known: &[&str]) -> Result<(), Reason> {
    match spellings.ambiguous(known) {
        true => Err(Reason::AmbiguousJson),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn these(name: &str) -> MemberNames {
        MemberNames::These([name.to_owned()].into())
    }

    #[test]
    fn the_values_of_all_conditions_together_are_bounded() {
        let list = format!("[{}1]", "1,".repeat(MAX_VALUES / 2 + 100));
        let text = format!(r#"{{"a":{list},"b":{list},"c":1}}"#);
        let arguments = CallArguments::new(Some(text.as_bytes()), false);
        assert!(arguments.values(&these("a"), 1).is_ok());
        let too_many = arguments.values(&these("b"), 1).err();
        assert_eq!(too_many, Some(ValueError::TooMany));
        assert!(arguments.values(&these("a"), 1).is_ok());
        let all = arguments.values(&MemberNames::All, 1);
        assert_eq!(all.err(), Some(ValueError::TooMany));
    }

    #[test]
    fn an_argument_is_made_into_a_value_once() {
        let arguments = CallArguments::new(Some(br#"{"a":[1,2],"b":3}"#), false);
        for _ in 0..3 {
            let values = arguments.values(&these("a"), 1).unwrap();
            assert_eq!(values.len(), 1);
        }
        assert_eq!(arguments.made.borrow().outcomes.len(), 1);
    }

    #[test]
    fn a_long_argument_is_not_read() {
        let of = |length: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(length - 2));
        for (length, expected) in [
            (MAX_ARGUMENT, None),
            (MAX_ARGUMENT + 1, Some(ValueError::TooMuch)),
        ] {
            let text = of(length);
            let arguments = CallArguments::new(Some(text.as_bytes()), false);
            assert_eq!(arguments.values(&these("a"), 1).err(), expected, "{length}");
        }
    }

    #[test]
    fn all_conditions_together_take_a_bounded_number_of_steps() {
        let text = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_ARGUMENT / 2));
        for uses in [1, 3, 1000] {
            let arguments = CallArguments::new(Some(text.as_bytes()), false);
            let used = (0..1000).take_while(|_| arguments.values(&these("a"), uses).is_ok());
            let used = used.count();
            assert!(used * uses * MAX_ARGUMENT / 2 <= MAX_STEPS, "{used} {uses}");
            assert!(used > 0 || uses == 1000, "{used} {uses}");
        }
    }

    #[test]
    fn nested_values_cost_each_of_their_levels() {
        let (open, close) = ("[".repeat(60), "]".repeat(60));
        let spaces = " ".repeat(40_000);
        let values = format!("{open}{spaces}1{close}");
        let text = format!(r#"{{"a":{values}}}"#);
        let arguments = CallArguments::new(Some(text.as_bytes()), false);
        let read = arguments.values(&these("a"), 1);
        assert_eq!(read.err(), Some(ValueError::TooMuch));
    }

    #[test]
    fn an_argument_is_found_among_few_and_many() {
        for count in [0, 1, FEW, FEW + 1, 500] {
            let members: Vec<_> = (0..count).map(|n| format!(r#""m{n}":{n}"#)).collect();
            let text = format!("{{{}}}", members.join(","));
            let arguments = CallArguments::new(Some(text.as_bytes()), false);
            for n in 0..count {
                let found = arguments.find(&format!("m{n}")).unwrap().unwrap();
                assert_eq!(found.raw, n.to_string().as_bytes());
            }
            assert!(arguments.find("m").unwrap().is_none());
        }
    }
}

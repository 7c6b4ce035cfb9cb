//! The arguments of one call, for all the rules and conditions that read them: walked over once at most, and each converted to a
//! CEL value once at most.
//!
//! They are read only where a rule requires it, and then strictly: members that a lenient reader takes for the same name are
//! refused, because the MCP server might read the other one (CVE-2026-27896).

use std::borrow::Cow;
use std::cell::{OnceCell, Ref, RefCell};

use cel::common::types::CelMap;

use super::value::{ValueError, Values, key};
use crate::cel::kept_claims::MemberNames;
use crate::json::names::look_alike::Spellings;
use crate::json::{self, JsonError, JsonLimits, Names, Object};
use crate::refusal::reason::Reason;

/// Maximum number of values made of the arguments that one condition reads; above it, the condition fails. Values made for other
/// conditions are dropped where there are more.
const MAX_VALUES: usize = 10_000;

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
    /// The names of the arguments themselves.
    own: OnceCell<Spellings>,
    /// Those and the names of all members inside them.
    all: OnceCell<Result<Spellings, Reason>>,
    made: RefCell<Made<'a>>,
}

/// The values that were made, and the result for each argument that was read, by its position.
#[derive(Default)]
struct Made<'a> {
    values: CelMap<'a>,
    /// Number of values in `values`.
    kept: usize,
    outcomes: Vec<Option<Outcome>>,
}

#[derive(Clone, Copy)]
struct Outcome {
    /// Number of values in it, up to the one that failed.
    count: usize,
    failed: Option<ValueError>,
}

impl<'a> CallArguments<'a> {
    /// A raw JSON value of a document that passed [`json::check()`].
    pub(crate) fn new(raw: Option<&'a [u8]>, with_names: bool) -> Self {
        Self {
            raw,
            with_names,
            read: OnceCell::new(),
            own: OnceCell::new(),
            all: OnceCell::new(),
            made: RefCell::default(),
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

    /// Each argument by its name; none where there are no arguments.
    ///
    /// # Errors
    /// [`Reason::InvalidRequest`] where they are not an object.
    pub(crate) fn object(&self) -> Result<&Object<'a>, Reason> {
        Ok(&self.read()?.object)
    }

    /// Refuses look-alikes of these names, and of each other, among the arguments themselves.
    ///
    /// # Errors
    /// [`Reason::AmbiguousJson`], or those of [`object`](Self::object).
    pub(crate) fn refuse_look_alikes(&self, known: &[&str]) -> Result<(), Reason> {
        let object = self.object()?;
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

    /// The values of the arguments that are read, possibly among others.
    ///
    /// # Errors
    /// The first error of the arguments that cannot be CEL values, in their order.
    pub(crate) fn values(&self, reads: &MemberNames) -> Result<Ref<'_, CelMap<'a>>, ValueError> {
        let object = self.object().map_err(|_| ValueError::Syntax)?;
        let mut left = MAX_VALUES;
        self.made.borrow_mut().drop_too_many();
        let read = object.members().enumerate();
        for (at, (name, raw)) in read.filter(|(_, (name, _))| reads.contains(name)) {
            let outcome = self.made.borrow_mut().outcome(at, || (name.clone(), raw));
            left = left.checked_sub(outcome.count).ok_or(ValueError::TooMany)?;
            if let Some(failed) = outcome.failed {
                return Err(failed);
            }
        }
        Ok(Ref::map(self.made.borrow(), |made| &made.values))
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

impl<'a> Made<'a> {
    /// So one call never holds more than twice [`MAX_VALUES`], no matter how many conditions read arguments.
    fn drop_too_many(&mut self) {
        if self.kept > MAX_VALUES {
            *self = Self::default();
        }
    }

    /// The result for the argument at this position, which is converted now unless it was before.
    fn outcome(
        &mut self,
        at: usize,
        argument: impl FnOnce() -> (Cow<'a, str>, &'a [u8]),
    ) -> Outcome {
        if self.outcomes.len() <= at {
            self.outcomes.resize(at + 1, None);
        }
        if let Some(Some(outcome)) = self.outcomes.get(at) {
            return *outcome;
        }
        let (name, raw) = argument();
        let outcome = self.make(name, raw);
        if let Some(place) = self.outcomes.get_mut(at) {
            *place = Some(outcome);
        }
        outcome
    }

    fn make(&mut self, name: Cow<'a, str>, raw: &'a [u8]) -> Outcome {
        let mut values = Values::borrowed(MAX_VALUES);
        let made = values.value(raw);
        let used = MAX_VALUES - values.left();
        match made {
            Ok(value) => {
                let mut all = std::mem::take(&mut self.values).into_inner();
                all.insert(key(name), value);
                self.values = all.into();
                self.kept += used;
                Outcome {
                    count: used,
                    failed: None,
                }
            }
            Err(failed) => Outcome {
                // The one too many was not taken from what was left.
                count: used + usize::from(failed == ValueError::TooMany),
                failed: Some(failed),
            },
        }
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
    fn what_was_made_for_other_conditions_is_bounded() {
        let list = format!("[{}1]", "1,".repeat(6_000));
        let text = format!(r#"{{"a":{list},"b":{list},"c":{list},"d":{list}}}"#);
        let arguments = CallArguments::new(Some(text.as_bytes()), false);
        for name in ["a", "b", "c", "d", "a"] {
            assert!(arguments.values(&these(name)).is_ok(), "{name}");
            let kept = arguments.made.borrow().kept;
            assert!(kept <= 2 * MAX_VALUES, "{kept}");
        }
        let all = arguments.values(&MemberNames::All);
        assert_eq!(all.err(), Some(ValueError::TooMany));
    }

    #[test]
    fn an_argument_is_made_into_a_value_once() {
        let arguments = CallArguments::new(Some(br#"{"a":[1,2],"b":3}"#), false);
        for _ in 0..3 {
            let values = arguments.values(&these("a")).unwrap();
            assert_eq!(values.len(), 1);
        }
        assert_eq!(arguments.made.borrow().outcomes.len(), 1);
    }
}

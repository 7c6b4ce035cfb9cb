//! JSON as CEL values.
//!
//! A whole number is an `int`, or a `uint` where it is too large for one; any other number is a `double`. CEL compares the
//! three by value. A number that none of them can represent exactly is refused, not rounded.

use std::borrow::Cow;
use std::collections::HashMap;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;

use crate::json::{self, JsonError, number};

/// Objects and arrays within one another.
const MAX_DEPTH: usize = 64;

/// Why a JSON value cannot be a CEL value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ValueError {
    #[error("what it reads is nested too deeply")]
    TooDeep,
    #[error("what it reads has too many values")]
    TooMany,
    #[error("what it reads is too long")]
    TooMuch,
    #[error("it reads a number that is too large, or that readers round differently")]
    Number,
    #[error("it reads text that is not valid Unicode")]
    Text,
    #[error("what it reads is not JSON")]
    Syntax,
}

/// Makes values, up to a number of them, out of documents that passed [`json::check`](crate::json::check()).
pub(crate) struct Values<'a, 'v> {
    text: fn(Cow<'a, str>) -> Cow<'v, str>,
    left: usize,
    /// Bytes that may still be walked over: those of nested values once for each level.
    bytes_left: usize,
    depth: usize,
}

impl Values<'_, 'static> {
    /// Values that own their text.
    pub(crate) fn owned(most: usize) -> Self {
        Self::new(|text| Cow::Owned(text.into_owned()), most, usize::MAX)
    }
}

impl<'a> Values<'a, 'a> {
    /// Values that borrow their text.
    pub(crate) fn borrowed(most: usize, most_bytes: usize) -> Self {
        Self::new(|text| text, most, most_bytes)
    }
}

impl<'a, 'v> Values<'a, 'v> {
    fn new(text: fn(Cow<'a, str>) -> Cow<'v, str>, left: usize, bytes_left: usize) -> Self {
        Self {
            text,
            left,
            bytes_left,
            depth: 0,
        }
    }

    /// How many may still be made.
    pub(crate) const fn left(&self) -> usize {
        self.left
    }

    /// How many bytes may still be walked over.
    pub(crate) const fn bytes_left(&self) -> usize {
        self.bytes_left
    }

    /// One value.
    pub(crate) fn value(&mut self, raw: &'a [u8]) -> Result<Box<dyn Val + 'v>, ValueError> {
        self.left = self.left.checked_sub(1).ok_or(ValueError::TooMany)?;
        self.bytes_left = self
            .bytes_left
            .checked_sub(raw.len())
            .ok_or(ValueError::TooMuch)?;
        Ok(match raw.first() {
            Some(b'"') => Box::new(CelString::from((self.text)(
                json::string(raw).ok_or(ValueError::Text)?,
            ))),
            Some(b'{') => self.nested(|values| values.map(raw))?,
            Some(b'[') => self.nested(|values| values.list(raw))?,
            Some(b't') => Box::new(CelBool::from(true)),
            Some(b'f') => Box::new(CelBool::from(false)),
            Some(b'n') => Box::new(CelNull),
            _ => number_of(raw)?,
        })
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Box<dyn Val + 'v>, ValueError>,
    ) -> Result<Box<dyn Val + 'v>, ValueError> {
        if self.depth == MAX_DEPTH {
            return Err(ValueError::TooDeep);
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn list(&mut self, raw: &'a [u8]) -> Result<Box<dyn Val + 'v>, ValueError> {
        let elements = json::array_up_to(raw, self.left).map_err(|error| match error {
            JsonError::TooManyValues => ValueError::TooMany,
            _ => ValueError::Syntax,
        })?;
        let values = elements.into_iter().map(|raw| self.value(raw));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        Ok(Box::new(CelList::from(values)))
    }

    fn map(&mut self, raw: &'a [u8]) -> Result<Box<dyn Val + 'v>, ValueError> {
        let object = json::object(raw).map_err(|_| ValueError::Syntax)?;
        let mut map = HashMap::new();
        for (name, raw) in object.into_members() {
            map.insert(key((self.text)(name)), self.value(raw)?);
        }
        Ok(Box::new(CelMap::from(map)))
    }
}

/// A member's name as CEL looks it up.
pub(crate) fn key(name: Cow<'_, str>) -> CelMapKey<'_> {
    CelMapKey::String(CelString::from(name))
}

fn number_of<'v>(raw: &[u8]) -> Result<Box<dyn Val + 'v>, ValueError> {
    let text = std::str::from_utf8(raw).map_err(|_| ValueError::Syntax)?;
    if text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-')
    {
        return whole(text);
    }
    let number = number::exact(raw).ok_or(ValueError::Number)?;
    Ok(Box::new(CelDouble::from(number)))
}

fn whole<'v>(text: &str) -> Result<Box<dyn Val + 'v>, ValueError> {
    if let Ok(number) = text.parse::<i64>() {
        return Ok(Box::new(CelInt::from(number)));
    }
    let number: u64 = text.parse().map_err(|_| ValueError::Number)?;
    Ok(Box::new(CelUInt::from(number)))
}

//! `==`, `!=` and `in` for values that come from a client: a comparison of two types is an error, not false.
//!
//! CEL says that `"7" != 7` is true. A client could then send an argument of another type to pass a condition that is about the
//! value, and the MCP server might read the two as the same. So such a comparison fails, and the call is refused. Numbers of all
//! types compare by value, as in CEL. Whether a value is null can be asked: the literal `null` is compared as CEL does.

use cel::common::ast::operators;
use cel::common::types::{CelBool, CelList, CelMap, CelMapKey, DYN_TYPE, Kind};
use cel::common::value::{CowVal, Val};
use cel::parser::Expression;
use cel::{Env, ExecutionError};

/// The functions that stand for the operators after [`strict`]. Their names cannot be written in a condition.
const EQUALS: &str = "#equals";
const DIFFERS: &str = "#differs";
const IN: &str = "#in";

/// Adds the functions to an environment.
pub(super) fn add_to(environment: &mut Env) {
    for (name, function) in [
        (EQUALS, equals as cel::common::functions::Function),
        (DIFFERS, differs),
        (IN, is_in),
    ] {
        // They cannot be there already: nobody else uses such names.
        let _ = environment.add_overload(name, name, vec![DYN_TYPE, DYN_TYPE], function);
    }
}

/// The function that stands for an operator.
pub(super) fn strict(operator: &str) -> Option<&'static str> {
    match operator {
        operators::EQUALS => Some(EQUALS),
        operators::NOT_EQUALS => Some(DIFFERS),
        operators::IN => Some(IN),
        _ => None,
    }
}

/// Whether an expression is the literal `null`.
pub(super) fn is_null(expression: &Expression) -> bool {
    use cel::common::ast::{Expr, LiteralValue};
    matches!(&expression.expr, Expr::Literal(LiteralValue::Null))
}

fn equals<'b, 'v>(values: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (left, right) = pair(&values)?;
    are_equal(left, right).map(boolean)
}

fn differs<'b, 'v>(values: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (left, right) = pair(&values)?;
    are_equal(left, right).map(|equal| boolean(!equal))
}

fn is_in<'b, 'v>(values: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (value, container) = pair(&values)?;
    contains(container, value).map(boolean)
}

fn pair<'a, 'v>(
    values: &'a [CowVal<'_, 'v>],
) -> Result<(&'a (dyn Val + 'v), &'a (dyn Val + 'v)), ExecutionError> {
    match values {
        [left, right] => Ok((left.as_ref(), right.as_ref())),
        _ => Err(other_type()),
    }
}

fn boolean<'b, 'v>(value: bool) -> CowVal<'b, 'v> {
    CowVal::owned(CelBool::from(value))
}

/// Whether two values are equal.
///
/// # Errors
/// They, or parts of them at the same place, have different types, and no other part shows that they differ.
fn are_equal(left: &dyn Val, right: &dyn Val) -> Result<bool, ExecutionError> {
    if !are_comparable(left, right) {
        return Err(other_type());
    }
    if let (Some(left), Some(right)) = (list(left), list(right)) {
        return match left.len() == right.len() {
            true => all(left
                .iter()
                .zip(right.iter())
                .map(|(a, b)| are_equal(&**a, &**b))),
            false => Ok(false),
        };
    }
    if let (Some(left), Some(right)) = (map(left), map(right)) {
        let same = left.len() == right.len() && left.keys().all(|key| right.contains_key(key));
        let both = left
            .iter()
            .filter_map(|(key, value)| Some((value, right.get(key)?)));
        return match same {
            true => all(both.map(|(left, right)| are_equal(&**left, &**right))),
            false => Ok(false),
        };
    }
    Ok(left.equals(right))
}

/// Whether a list has the value, or a map the key.
///
/// # Errors
/// It does not, and an element or a key has another type than the value.
fn contains(container: &dyn Val, value: &dyn Val) -> Result<bool, ExecutionError> {
    if let Some(elements) = list(container) {
        let mut outcome = Ok(false);
        for element in elements.iter() {
            match are_equal(&**element, value) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => outcome = Err(error),
            }
        }
        return outcome;
    }
    let map = map(container).ok_or_else(other_type)?;
    if container
        .as_container()
        .is_some_and(|map| map.contains(value).unwrap_or(false))
    {
        return Ok(true);
    }
    let kind = value.get_type().kind();
    match map
        .keys()
        .all(|key| are_comparable_kinds(key_kind(key), kind))
    {
        true => Ok(false),
        false => Err(other_type()),
    }
}

/// True if all are; false if one is false, whatever the others are.
fn all(
    mut parts: impl Iterator<Item = Result<bool, ExecutionError>>,
) -> Result<bool, ExecutionError> {
    parts
        .try_fold(Ok(true), |so_far, part| match part {
            Ok(true) => Ok(so_far),
            Ok(false) => Err(()),
            Err(error) => Ok(Err(error)),
        })
        .unwrap_or(Ok(false))
}

fn are_comparable(left: &dyn Val, right: &dyn Val) -> bool {
    are_comparable_kinds(left.get_type().kind(), right.get_type().kind())
}

fn are_comparable_kinds(left: Kind, right: Kind) -> bool {
    left == right || (is_number(left) && is_number(right))
}

const fn key_kind(key: &CelMapKey<'_>) -> Kind {
    match key {
        CelMapKey::Bool(_) => Kind::Boolean,
        CelMapKey::Int(_) => Kind::Int,
        CelMapKey::UInt(_) => Kind::UInt,
        CelMapKey::String(_) => Kind::String,
    }
}

const fn is_number(kind: Kind) -> bool {
    matches!(kind, Kind::Int | Kind::UInt | Kind::Double)
}

fn list<'a, 'v>(value: &'a (dyn Val + 'v)) -> Option<&'a CelList<'v>> {
    value.downcast_ref()
}

fn map<'a, 'v>(value: &'a (dyn Val + 'v)) -> Option<&'a CelMap<'v>> {
    value.downcast_ref()
}

fn other_type() -> ExecutionError {
    ExecutionError::UnexpectedType {
        got: String::new(),
        want: String::new(),
    }
}

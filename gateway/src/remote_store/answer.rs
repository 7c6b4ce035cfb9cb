//! Reads what the server says. A value of another shape is none.

use redis::Value;

/// Values in turn.
pub(crate) fn pairs<A, B>(
    value: Value,
    first: impl Fn(Value) -> Option<A>,
    second: impl Fn(Value) -> Option<B>,
) -> Option<Vec<(A, B)>> {
    let mut values = list(value)?.into_iter();
    let mut found = Vec::with_capacity(values.len() / 2);
    while let Some(one) = values.next() {
        found.push((first(one)?, second(values.next()?)?));
    }
    Some(found)
}

/// The values of an array.
pub(crate) fn list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

/// A number, or its digits.
pub(crate) fn number(value: Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(number).ok(),
        Value::BulkString(digits) => std::str::from_utf8(&digits).ok()?.parse().ok(),
        _ => None,
    }
}

/// Bytes, or nothing.
pub(crate) fn row(value: Value) -> Option<Option<Vec<u8>>> {
    match value {
        Value::Nil => Some(None),
        Value::BulkString(bytes) => Some(Some(bytes)),
        _ => None,
    }
}

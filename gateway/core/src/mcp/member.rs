//! Reading one member of a message strictly.

use std::borrow::Cow;

use crate::json::Object;
use crate::json::names::look_alike;
use crate::refusal::reason::Reason;

/// The longest name, URI or task id that is accepted, in bytes: patterns are matched against them.
pub const MAX_NAME: usize = 8 * 1024;

/// A member that, if present, must be an object without look-alike names.
///
/// # Errors
/// [`Reason::InvalidRequest`] if it is not an object, [`Reason::AmbiguousJson`] if two readers could read it differently.
pub(crate) fn object<'o, 'a>(
    object: &'o Object<'a>,
    member: &str,
    known: &[&str],
) -> Result<Option<Cow<'o, Object<'a>>>, Reason> {
    let inner = object.object(member).map_err(|_| Reason::InvalidRequest)?;
    match &inner {
        Some(inner) if look_alike::ambiguous(inner, known) => Err(Reason::AmbiguousJson),
        _ => Ok(inner),
    }
}

//! Reading one member of a message strictly.

use std::borrow::Cow;

use crate::json::Object;
use crate::json::names::look_alike;
use crate::refusal::reason::Reason;

/// The longest name, URI or task id that is accepted, in bytes: patterns are matched against them.
pub const MAX_NAME: usize = 8 * 1024;

/// A member that must be an object without look-alikes where it is there.
///
/// # Errors
/// [`Reason::InvalidRequest`] where it is no object, [`Reason::AmbiguousJson`] where two readers could see different things in
/// it.
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

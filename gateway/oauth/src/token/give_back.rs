//! Gives back what was taken for an answer that could not be made: the client may present it again.

use super::{
    code,
    issued::{Issued, Taken},
    refresh,
};
use crate::{
    client::authentication::unuse,
    store::rows::{Rows, StoreError},
};

/// Gives back the code, the refresh token or the assertion that was taken for this, unless something happened to it meanwhile. If this fails too, a
/// refresh token can still be repeated for a while, and a code is lost.
///
/// # Errors
/// [`StoreError`].
pub fn give_back(rows: &mut dyn Rows, issued: &Issued) -> Result<(), StoreError> {
    match issued.taken {
        Taken::Code(interaction) => code::give_back(rows, interaction, issued.claims.grant),
        Taken::RefreshToken { made } => refresh::give_back(rows, issued.claims.grant, made),
        Taken::Assertion(key) => unuse(rows, &key),
        Taken::Nothing => Ok(()),
    }
}

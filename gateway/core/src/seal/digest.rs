//! SHA-256 over several parts with unambiguous borders.

use aws_lc_rs::digest::{Context, SHA256_OUTPUT_LEN};

/// Adds the length of a part, then the part.
pub(crate) fn hash_part(context: &mut Context, part: &[u8]) {
    context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    context.update(part);
}

/// The digest of all parts.
pub(crate) fn finish(context: Context) -> [u8; SHA256_OUTPUT_LEN] {
    let digest = context.finish();
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

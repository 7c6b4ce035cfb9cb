//! SHA-256 over parts that cannot run into one another.

use aws_lc_rs::digest::{Context, SHA256_OUTPUT_LEN};

/// Adds a part with its length before it.
pub(crate) fn hash_part(context: &mut Context, part: &[u8]) {
    context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    context.update(part);
}

/// The digest of what was added.
pub(crate) fn finish(context: Context) -> [u8; SHA256_OUTPUT_LEN] {
    let digest = context.finish();
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

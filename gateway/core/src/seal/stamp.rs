//! Times that only the keys of the gateway can write: they say when something was given out, without a store.
//!
//! Form, before base64url: seconds since the epoch (8 bytes), then the first 16 bytes of HMAC-SHA-256 over them.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::key::SealingKey;
use super::sealer::Sealer;
use crate::time::UnixTime;

/// Bytes of a time.
const TIME: usize = 8;

/// Characters of a stamp.
const LENGTH: usize = 32;

impl Sealer {
    /// This time, as the first key writes it.
    pub fn stamp(&self, time: UnixTime) -> String {
        let time = time.secs().to_be_bytes();
        URL_SAFE_NO_PAD.encode([&time[..], &self.first().stamp_tag(&time)].concat())
    }

    /// The time that one of the keys wrote.
    pub fn stamped(&self, stamp: &str) -> Option<UnixTime> {
        if stamp.len() != LENGTH {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(stamp).ok()?;
        let (time, tag) = bytes.split_first_chunk::<TIME>()?;
        let wrote = |key: &SealingKey| verify_slices_are_equal(&key.stamp_tag(time), tag).is_ok();
        self.keys()
            .any(wrote)
            .then(|| UnixTime::new(i64::from_be_bytes(*time)))
    }
}

//! See `properties::assertion`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::assertion(bytes));
